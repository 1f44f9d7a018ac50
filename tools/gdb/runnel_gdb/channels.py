"""Printers of channels, their ends, and what is made of channels: timers and tickers."""

import gdb

from . import clock, layout, waiters
from .printing import Printer, shown, type_name

NEVER = 2**63 - 1


def core_of(handle):
    """The channel; None: nil."""
    core = handle["core_"]
    if int(core) == 0:
        return None
    return core.cast(gdb.lookup_type("runnel::detail::channel").pointer()).dereference()


def timer_of(channel):
    """The timer core of a timer's channel; None of another's."""
    timer = channel["timer_"]
    if int(timer) == 0:
        return None
    return timer.cast(gdb.lookup_type("runnel::detail::timer_core").pointer()).dereference()


def timer_words(timer):
    when, period = int(layout.load(timer["when"])), int(timer["period"])
    every = f"every {clock.span(period)}" if period > 0 else ""
    if when == NEVER:
        return ["stopped"]
    return [every, clock.until(when, "fires", "running")]


class Handle(Printer):
    """chan<int>(len 1, cap 3, 2 senders waiting: goroutines 4, 7)"""

    def describe(self, value):
        name = type_name(value)
        channel = core_of(value)
        if channel is None:
            return f"{name}(nil)"
        receivers = waiters.in_channel(channel["receivers"])
        senders = waiters.in_channel(channel["senders"])
        timer = timer_of(channel)
        if timer is not None:
            facts = ["timer", *timer_words(timer)]
        else:
            facts = [f"len {int(layout.load(channel['count_']))}", f"cap {int(channel['capacity_'])}"]
        if bool(layout.load(channel["closed_"])):
            facts.append("closed")
        return shown(name, [
            *facts,
            receivers and receivers.words("1 receiver waiting", "{} receivers waiting"),
            senders and senders.words("1 sender waiting", "{} senders waiting"),
        ])


class Channel(Handle):
    """One whose elements' type is known: shows what is in the buffer, too."""

    def children(self):
        try:
            channel = core_of(self.value)
            if channel is None or timer_of(channel) is not None:
                return
            element = layout.complete(self.value.type).template_argument(0)
            ring = channel["ring_"].cast(element.pointer())
            head, capacity = int(channel["head_"]), int(channel["capacity_"])
            for i in range(min(int(layout.load(channel["count_"])), capacity)):
                yield str(i), ring[(head + i) % capacity]
        except Exception:  # as in to_string
            return

    def display_hint(self):
        return "array"


class Timer(Printer):
    """timer(fires in 2s), ticker(every 1s, fires in 300ms), timer(stopped)"""

    def describe(self, value):
        channel = core_of(value["ch_"])
        if channel is None:
            return shown(type_name(value), ["nil"])
        return shown(type_name(value), timer_words(timer_of(channel)))


PRINTERS = {
    "(chan|send_chan|recv_chan)<.*>": Channel,
    "detail::chan_handle": Handle,
    "(timer|ticker)": Timer,
}

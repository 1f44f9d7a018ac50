"""Who waits for an object: the goroutines in its queue."""

import gdb

from . import layout

SHOWN_MAX = 8  # by their ids
COUNTED_MAX = 100_000  # a queue that has no end is damaged


class Waiting:
    """Those in one queue. A goroutine of a run that is over lies in queues until somebody comes across it: it does
    not wait."""

    def __init__(self):
        self.count = 0
        self.ids = []
        self._epoch = int(layout.load(layout.runtime()["epoch"]))

    def add(self, gp):
        """gp: the waiter's goroutine; null for a plain thread."""
        if int(gp) != 0:
            if int(gp["epoch"]) != self._epoch:
                return
            if len(self.ids) < SHOWN_MAX:
                self.ids.append(str(int(layout.load(gp["id"]))))
        self.count += 1

    def __bool__(self):
        return self.count != 0

    def words(self, one="1 waiting", many="{} waiting"):
        text = one if self.count == 1 else many.format(self.count)
        if not self.ids:
            return text  # plain threads
        more = ", …" if self.count > len(self.ids) == SHOWN_MAX else ""
        return f"{text}: goroutine{'s' if len(self.ids) > 1 else ''} {', '.join(self.ids)}{more}"


def in_list(wait_list):
    """Of a detail::wait_list, which is a ring."""
    waiter = gdb.lookup_type("runnel::wait::waiter").pointer()
    result = Waiting()
    head = wait_list["head_"].cast(waiter)
    at = head
    for _ in range(COUNTED_MAX):
        if int(at) == 0:
            break
        result.add(at["gp"])
        at = at["next"].cast(waiter)
        if at == head:
            break
    return result


def in_channel(queue):
    """Of a channel's chan_queue."""
    waiter = gdb.lookup_type("runnel::wait::waiter").pointer()
    result = Waiting()
    node = layout.load(queue["head_"])
    for _ in range(COUNTED_MAX):
        if int(node) == 0:
            break
        result.add(node["who"].cast(waiter)["gp"])
        node = node["next"]
    return result

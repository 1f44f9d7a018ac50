"""Printers of locks and their kind. Their states are words of bits, explained in src/sync/<name>.cpp."""

import gdb

from . import layout, waiters
from .printing import Printer, shown


def bits(value):
    """{name: bit} of the class's enum bits."""
    return layout.enumerators(layout.complete(value.type).name + "::bits")


class Mutex(Printer):
    """mutex(locked, 2 waiting: goroutines 4, 7)"""

    def describe(self, value):
        bit = bits(value)
        state = int(layout.load(value["state_"]))
        waiting = waiters.in_list(value["waiting_"])
        return shown("mutex", [
            "locked" if state & bit["locked"] else "unlocked",
            state & bit["starving"] and "handed over in turn",
            waiting and waiting.words(),
        ])


class SharedMutex(Printer):
    """shared_mutex(read by 3, 1 writer waiting: goroutine 7)"""

    def describe(self, value):
        bit = bits(value)
        state = int(layout.load(value["state_"]))
        count = state // bit["one_reader"] + self._seated(value, state & bit["biased"])
        readers = waiters.in_list(value["readers_"])
        writers = waiters.in_list(value["writers_"])
        if state & bit["draining"]:
            drainer = value["drainer_"].cast(gdb.lookup_type("runnel::wait::waiter").pointer())
            writers.add(drainer["gp"])
        if count > 0:
            owner = f"read by {count}"
        else:
            owner = "locked" if state & bit["writer"] else "unlocked"
        return shown("shared_mutex", [
            owner,
            readers and readers.words("1 reader waiting", "{} readers waiting"),
            writers and writers.words("1 writer waiting", "{} writers waiting"),
        ])

    @staticmethod
    def _seated(value, biased):
        """Readers that are counted in the seats of Ps."""
        seats = layout.load(value["seats_"])
        if not biased or int(seats) == 0:
            return 0
        seats = seats.cast(gdb.lookup_type("runnel::shared_mutex::seats").pointer())
        seat = (seats + 1).cast(gdb.lookup_type("runnel::shared_mutex::seats::seat").pointer())
        return sum(int(layout.load(seat[i]["locks"])) - int(layout.load(seat[i]["unlocks"]))
                   for i in range(int(seats["count"])))


class WaitGroup(Printer):
    """wait_group(count 2, 1 waiting: goroutine 4)"""

    def describe(self, value):
        waiting = waiters.in_list(value["waiting_"])
        return shown("wait_group", [f"count {int(layout.load(value['state_'])) >> 32}",
                                    waiting and waiting.words()])


class Once(Printer):
    """once(running, 1 waiting: goroutine 4)"""

    def describe(self, value):
        bit = bits(value)
        state = int(layout.load(value["state_"])) & ~(bit["guard"] | bit["waiters"])
        waiting = waiters.in_list(value["waiting_"])
        words = {bit[name]: name for name in ("fresh", "running", "done")}
        return shown("once", [words.get(state, "?"), waiting and waiting.words()])


class Semaphore(Printer):
    """semaphore(1 of 3 free, 1 waiting: goroutine 4)"""

    def describe(self, value):
        free = int(layout.load(value["state_"])) >> 2
        waiting = waiters.in_list(value["waiting_"])
        return shown("semaphore", [f"{free} of {int(value['capacity_'])} free",
                                   waiting and waiting.words()])


PRINTERS = {
    "mutex": Mutex,
    "shared_mutex": SharedMutex,
    "wait_group": WaitGroup,
    "once": Once,
    "semaphore": Semaphore,
}

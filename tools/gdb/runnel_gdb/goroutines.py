"""Finds the goroutines: in the stack slots, and in the run queues those that have not begun.

A G lies in the highest page of its slot, at a place that depends on the slot's colour. The constants of that are
folded away by compilers; but a G names its slot, so it is found by looking for that.

Where a goroutine is, the stack pointers say: if a thread's lies in its slot, it is on that thread, whatever its
state says (it may be halfway through a switch); otherwise its registers are saved in its context.
"""

import bisect
import functools
import re

import gdb

from . import clock, layout

# As in src/sched/survey.cpp; tests/gdb compares. A reason that is not here is shown by its name.
REASONS = {
    "none": "waiting",
    "sleep": "sleep",
    "mutex_lock": "sync.Mutex.Lock",
    "shared_mutex_lock": "sync.RWMutex.Lock",
    "shared_mutex_lock_shared": "sync.RWMutex.RLock",
    "cond_wait": "sync.Cond.Wait",
    "semaphore_acquire": "semacquire",
    "once_call": "sync.Once.Do",
    "chan_send": "chan send",
    "chan_receive": "chan receive",
    "chan_send_nil": "chan send (nil chan)",
    "chan_receive_nil": "chan receive (nil chan)",
    "select": "select",
    "select_no_cases": "select (no cases)",
    "wait_group_wait": "sync.WaitGroup.Wait",
    "blocking": "blocking",
    "io_wait": "IO wait",
}

CLOSURE = re.compile(r"goroutine_closure<(.*)>::invoke\(void ?\*\)$")

# The least that is a page everywhere.
PAGE = 4096


class Goroutine:
    """One goroutine; `thread` and `sp` say where its frames are: both None if it has none yet."""

    def __init__(self, state, reason, task):
        self.state = state
        self.reason = reason
        self.task = task  # address, or 0
        self.address = 0
        self.id = 0
        self.sp = None
        self.thread = None
        self.since = 0  # waits: seconds of the monotonic clock; 0: not known
        self.minutes = 0
        self.locked = False

    def words(self):
        """What it does, in Go's words, as dumps have it."""
        text = self.state
        if self.waits() or self.reason == "blocking":
            text = REASONS.get(self.reason, self.reason.replace("_", " "))
        if self.minutes > 0:
            text += f", {self.minutes} minutes"
        if self.locked:
            text += ", locked to thread"
        return text

    def waits(self):
        return self.state == "waiting"

    @functools.cached_property
    def work(self):
        """Its task as a value; None if it has ended, or is about to begin."""
        if self.task == 0:
            return None
        return gdb.Value(self.task).cast(gdb.lookup_type("runnel::sched::task").pointer())

    @property
    def name(self):
        try:
            if self.work is not None and int(self.work["name"]) != 0:
                return self.work["name"].string(errors="replace")
        except gdb.error:
            pass
        return None

    @property
    def creator(self):
        """As "main::serve at main.cpp:7 in goroutine 1"; None if nobody in this program."""
        try:
            if self.work is None or int(self.work["creator_pc"]) == 0 or bool(self.work["is_main"]):
                return None
            text, file, line = layout.program_place(int(self.work["creator_pc"]))
            if file is not None:
                text += f" at {file}:{line}"
            if int(self.work["creator"]) != 0:
                text += f" in goroutine {int(self.work['creator'])}"
            return text
        except gdb.error:
            return None

    @property
    def begins_with(self):
        """The function that it is to call: its name, or its type."""
        if self.work is None:
            return "?"
        name = layout.symbol_at(int(self.work["invoke"])) or "?"
        match = CLOSURE.search(name)
        if not match:
            return name
        if "(*)" in match[1]:  # maybe a pointer to a function, which comes first
            closure = layout.read(self.task + int(self.work["closure_at"]), layout.POINTER_BYTES)
            return layout.symbol_at(layout.number(closure, 0)) or match[1]
        return match[1]


class Threads:
    """The threads of the program, by their stack pointers."""

    def __init__(self):
        self._at = []
        self._by_tid = {}
        selected = gdb.selected_thread()
        frame = gdb.selected_frame() if selected is not None else None
        try:
            for thread in gdb.selected_inferior().threads():
                self._by_tid[thread.ptid[1] or thread.ptid[0]] = thread
                if thread.is_running():
                    continue
                thread.switch()
                self._at.append((int(gdb.newest_frame().read_register("sp")), thread))
        finally:
            if selected is not None:
                selected.switch()
                frame.select()
        self._at.sort(key=lambda pair: pair[0])
        self._sps = [sp for sp, _ in self._at]

    def within(self, begin, end):
        i = bisect.bisect_left(self._sps, begin)
        return self._at[i][1] if i < len(self._at) and self._sps[i] < end else None

    def by_tid(self, tid):
        return self._by_tid.get(tid)


class Finder:
    """What is the same for all goroutines of one command."""

    def __init__(self):
        self.rt = layout.runtime()
        self.epoch = int(layout.load(self.rt["epoch"]))
        self.incomplete = False  # it is a core file without the stacks
        self._states = layout.enum_names("runnel::sched::g_state")
        self._reasons = layout.enum_names("runnel::sched::wait_reason")
        g = gdb.lookup_type("runnel::sched::g")
        self._g_size = g.sizeof
        self._g_align = g.alignof
        at = functools.partial(layout.offset, g)
        self._begin, self._size = at("slot.begin"), at("slot.size")
        self._state, self._reason = at("state"), at("reason")
        self._epoch, self._locked = at("epoch"), at("locked_m")
        self._sp, self._work, self._id = at("context.sp"), at("work"), at("id")
        since = layout.field(g, "waiting_since")
        self._since = since[0] if since is not None else None
        task = gdb.lookup_type("runnel::sched::task")
        self._fresh, self._task_id = layout.offset(task, "fresh"), layout.offset(task, "id")
        self._threads = Threads()
        self._now = clock.now(self.rt) // 10**9

    def all(self):
        """The goroutines of the present run, by their ids."""
        running = self._running()
        found = {}
        for slot, size in self._slots():
            g = self._g_in(slot, size, running)
            if g is not None:
                found[g.id] = g
        self.incomplete = (clock.connection_type() == "core" and len(running) > 0 and
                           not any(g.address in running for g in found.values()))
        for g in found.values():
            if g.since != 0:
                g.minutes = (self._now - g.since) // 60
        for task in self._queued():
            g = self._begun_not_yet(task)
            if g is not None:
                found.setdefault(g.id, g)
        return [found[n] for n in sorted(found)]

    def _slots(self):
        """(begin, size) of every slot that was ever handed out, as stack_space::for_each_slot."""
        for space, begin, end in arenas(self.rt):
            size = int(space["slot_size_"])
            for at in range(begin, end, size):
                yield at, size

    def _g_in(self, slot, size, running):
        page_at = slot + size - PAGE
        try:
            page = layout.read(page_at, PAGE)
        except gdb.MemoryError:
            return None
        at = self._find_g(page, slot, size)
        if at is None:
            return None
        state = self._states.get(page[at + self._state], "idle")
        if state in ("idle", "frozen") or layout.number(page, at + self._epoch, 4) != self.epoch:
            return None
        task = layout.number(page, at + self._work)
        g = Goroutine(state, self._reasons.get(page[at + self._reason], "none"), task)
        g.address = page_at + at
        g.id = layout.number(page, at + self._id)
        g.locked = layout.number(page, at + self._locked) != 0
        if self._since is not None and g.waits():
            g.since = layout.number(page, at + self._since, 4)
            self._now = max(self._now, g.since)
        g.thread = self._threads.within(slot, slot + size)
        if g.thread is None and state == "running":  # on a signal's stack
            g.thread = self._threads.by_tid(running.get(g.address))
        if g.thread is None:
            g.sp = layout.number(page, at + self._sp)
        return g

    def _find_g(self, page, slot, size):
        """Where in the highest page of its slot the G is; None: there is none yet."""
        wanted = slot.to_bytes(layout.POINTER_BYTES, "little")
        end = len(page)
        while (found := page.rfind(wanted, 0, end)) >= 0:
            at = found - self._begin
            if (at >= 0 and at % self._g_align == 0 and at + self._g_size <= len(page) and
                    layout.number(page, at + self._size) == size):
                return at
            end = found + layout.POINTER_BYTES - 1
        return None

    def _running(self):
        """{address of a G: the thread of its M}"""
        result = {}
        m = layout.load(self.rt["all_m"])
        while int(m) != 0:
            if int(m["current"]) != 0:
                result[int(m["current"])] = int(layout.load(m["tid"]))
            m = m["next_all"]
        return result

    def _queued(self):
        """Addresses of what lies in run queues."""
        ps = layout.elements(self.rt["all_p"])
        for i in range(int(layout.load(self.rt["p_made"]))):
            p = layout.load(ps[i])
            if int(p) == 0:
                continue
            queue = p["queue"]
            yield int(layout.load(queue["runnext_"]))
            head, tail = int(layout.load(queue["head_"])), int(layout.load(queue["tail_"]))
            ring = queue["slots_"]
            capacity = ring.type.sizeof // layout.POINTER_BYTES
            for n in range(min((tail - head) % 2**32, capacity)):
                yield int(layout.load(ring[(head + n) % capacity]))
            yield from linked(p["mail"])
        block = self.rt["global"]["head_"]
        while int(block) != 0:
            for n in range(int(block["begin"]), int(block["end"])):
                yield int(block["items"][n])
            block = block["next"]
        yield from linked(self.rt["global"]["linked_"])
        m = layout.load(self.rt["all_m"])
        while int(m) != 0:
            yield int(m["pending"])
            m = m["next_all"]

    def _begun_not_yet(self, task):
        try:
            if task == 0 or layout.read(task + self._fresh, 1) == b"\0":
                return None
            g = Goroutine("runnable", "none", task)
            g.id = layout.number(layout.read(task + self._task_id, 8), 0)
            return g
        except gdb.MemoryError:
            return None


def arenas(rt):
    """(stack space, begin, end) of the parts of arenas that were ever handed out."""
    pools = rt["gs"]["pools_"]
    first = layout.elements(pools)
    for i in range(pools.type.sizeof // layout.POINTER_BYTES):
        pool = layout.load(first[i])
        if int(pool) == 0:
            continue
        space = pool["space"]
        left = int(layout.load(space["handed_out_"])) * int(space["slot_size_"])
        all_of_them = layout.elements(space["arenas_"])
        for a in range(int(layout.load(space["arena_count_"]))):
            begin, end = int(all_of_them[a]["begin"]), int(all_of_them[a]["end"])
            yield space, begin, min(end, begin + left)
            left -= end - begin
            if left <= 0:
                break


def linked(queue):
    """Addresses of the items of an intrusive_queue."""
    item = queue["head_"]
    while int(item) != 0:
        yield int(item)
        item = item["next"]

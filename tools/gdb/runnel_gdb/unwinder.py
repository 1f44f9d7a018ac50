"""Shows gdb the stack of a goroutine that does not run.

While one is selected, the unwinder says of frame 0 of the selected thread, whatever that is, that its caller is the
goroutine where it was suspended, with the registers that lie on its stack. Nothing is written, so that it works with
core files, too. What gdb would print of frame 0 is dropped; so no frame of such a goroutine has the number 0.

A suspended context as in src/platform/context_<machine>.S.
"""

import contextlib

import gdb
import gdb.unwinder
from gdb.FrameDecorator import FrameDecorator

from . import layout

# {architecture: (registers from the saved stack pointer upwards, bytes of all that is saved, stack pointer, pc)};
# the place of the pc is where the machine's resume address lies.
X86_64 = (("rbp", "rbx", "r12", "r13", "r14", "r15", "rip"), 56, "rsp", "rip")
AARCH64 = (tuple(f"x{n}" for n in range(19, 31)), 160, "sp", "pc")


def machine(architecture):
    return AARCH64 if architecture.name().startswith("aarch64") else X86_64


class FrameId:
    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


class SuspendedUnwinder(gdb.unwinder.Unwinder):
    """Answers only while `sp`, a saved context, is set."""

    def __init__(self):
        super().__init__("runnel-goroutine")
        self.sp = None
        self.enabled = False

    def __call__(self, pending):
        if self.sp is None or pending.level() != 0:
            return None
        architecture = pending.architecture()
        names, size, sp_name, pc_name = machine(architecture)
        word = architecture.integer_type(64, False)
        saved = layout.read(self.sp, size)

        def value(n):
            return gdb.Value(n).cast(word)

        # Its place is right below the frames that follow: gdb insists on stacks that grow.
        info = pending.create_unwind_info(FrameId(value(self.sp), pending.read_register(pc_name)))
        for i, name in enumerate(names):
            info.add_saved_register(name, value(layout.number(saved, 8 * i)))
        info.add_saved_register(sp_name, value(self.sp + size))
        if pc_name not in names:
            info.add_saved_register(pc_name, value(layout.number(saved, 8 * names.index("x30"))))
        return info


class NamedFrame(FrameDecorator):
    """With the function's name as backtraces have it without filters: the parameters are shown anyway."""

    def function(self):
        return self.inferior_frame().name() or super().function()


class FrameFilter:
    """Drops frame 0 where it is not the goroutine's; and what is not the program's, unless that would be all."""

    def __init__(self):
        self.name = "runnel-goroutine"
        self.priority = 1000
        self.enabled = False

    def filter(self, frames):
        everything = gdb.parameter("print runnel-frames")
        skipped = []
        for decorator in frames:
            frame = decorator.inferior_frame()
            if _unwinder.sp is not None and frame.level() == 0:
                continue
            if everything or is_program(frame):
                skipped = None
                yield NamedFrame(decorator)
            elif skipped is not None:
                skipped.append(NamedFrame(decorator))
        yield from skipped or ()


_unwinder = SuspendedUnwinder()
_filter = FrameFilter()


def register():
    gdb.unwinder.register_unwinder(None, _unwinder, replace=True)
    gdb.frame_filters[_filter.name] = _filter
    gdb.events.cont.connect(lambda event: _show(None))


def _show(sp, filtering=False):
    _filter.enabled = filtering
    if _unwinder.sp != sp:
        _unwinder.sp = sp
        _unwinder.enabled = sp is not None
        gdb.invalidate_cached_frames()


@contextlib.contextmanager
def selection_kept():
    """What is selected afterwards is what was selected before."""
    thread = gdb.selected_thread()
    level = gdb.selected_frame().level() if thread is not None else 0
    try:
        yield
    finally:
        _show(None)
        if thread is not None and thread.is_valid():
            thread.switch()
            frame = gdb.newest_frame()
            while level > 0 and frame.older() is not None:
                frame = frame.older()
                level -= 1
            frame.select()


def newest_frame_of(goroutine):
    """Makes gdb see the goroutine's stack, within selection_kept; its newest frame. None: it has no frames yet."""
    if goroutine.thread is not None:
        _show(None, filtering=True)
        goroutine.thread.switch()
        return gdb.newest_frame()
    if goroutine.sp is None:
        return None
    _show(goroutine.sp, filtering=True)
    return gdb.newest_frame().older()


def is_program(frame):
    """Whether it is neither Runnel's nor of the standard libraries."""
    return not layout.is_runtime(frame.name(), frame.find_sal().symtab, gdb.solib_name(frame.pc()))


def program_frame(frame):
    """The first frame from there on that is the program's own; None if there is none."""
    while frame is not None and not is_program(frame):
        frame = frame.older()
    return frame

"""info goroutines, goroutine."""

import os

import gdb

from . import clock, corefile, goroutines, layout, unwinder

INCOMPLETE = """\
warning: the goroutines' stacks are not in this core file. gdb leaves out what lies behind a guard page: write core
files by `goroutine core FILE', or let the kernel write them."""


def find():
    finder = goroutines.Finder()
    found = finder.all()
    if finder.incomplete:
        print(INCOMPLETE)
    return found


def header(g):
    name = f'"{g.name}" ' if g.name is not None else ""
    return f"goroutine {g.id} {name}[{g.words()}]:"


def where(frame):
    """As "serve at main.cpp:7"."""
    if frame is None:
        return "?"
    sal = frame.find_sal()
    name = layout.without_parameters(frame.name() or f"{frame.pc():#x}")
    if sal.symtab is None:
        return name
    return f"{name} at {os.path.basename(sal.symtab.filename)}:{sal.line}"


class InfoGoroutines(gdb.Command):
    """Goroutines of the program: info goroutines [COUNT] [WORDS]

Each with its id, what it does or waits for, where the program's own code is, and its name. `*' marks the one that
the selected thread runs.
COUNT: that many at most. WORDS: only those whose state, reason or name contains them, as "chan receive"."""

    def __init__(self):
        super().__init__("info goroutines", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        self.dont_repeat()
        words = argument.split()
        count = int(words.pop(0)) if words and words[0].isdigit() else None
        wanted = " ".join(words).lower()
        with unwinder.selection_kept():
            self._list(count, wanted, gdb.selected_thread())

    def _list(self, count, wanted, selected):
        found = find()
        listed = [g for g in found if wanted in g.words().lower() or
                  g.name is not None and wanted in g.name.lower()]
        shown = listed if count is None else listed[:count]
        if not shown:
            print("No goroutines." if not found else f"None of {len(found)} goroutines.")
            return
        width = max(len(str(g.id)) for g in shown)
        state_width = max(len(g.words()) for g in shown)
        for g in shown:
            mark = "*" if g.thread is not None and g.thread == selected else " "
            name = f'  "{g.name}"' if g.name is not None else ""
            print(f"{mark} {g.id:>{width}}  {g.words():<{state_width}}  {self._place(g)}{name}")
        if len(shown) < len(found):
            print(f"{len(shown)} of {len(found)} goroutines.")

    def _place(self, g):
        try:
            if g.thread is None and g.sp is None:
                return f"(not begun) {g.begins_with}"
            newest = unwinder.newest_frame_of(g)
            return where(unwinder.program_frame(newest) or newest)
        except gdb.error as e:
            return f"({e})"


class GoroutineCommand(gdb.Command):
    """Runs a command in a goroutine: goroutine N [COMMAND], goroutine all [COMMAND]

  goroutine 7 bt            its backtrace (also without COMMAND)
  goroutine 7 info locals   local variables of its innermost function that is not Runnel's
  goroutine 7 print x       an expression, there
  goroutine 7 up            the frame above that
  goroutine all bt          all backtraces
A backtrace leaves out what is Runnel's or the standard library's, unless `set print runnel-frames on'.
N may be an expression without spaces, as $n. COMMAND is any command that looks at frames. It begins with the
innermost frame of the program's own code selected; of a goroutine that waits, frame 1 is the innermost of all.
Afterwards what was selected before is again. `info goroutines' lists the goroutines and their numbers.

goroutine core FILE: writes a core file of the process, as generate-core-file does, with the goroutines' stacks also
where gdb would leave them out."""

    def __init__(self):
        super().__init__("goroutine", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        which, _, command = argument.strip().partition(" ")
        if which == "core":
            self._write_core(command.strip())
            return
        command = command.strip() or "bt"
        if which == "all":
            for i, g in enumerate(find()):
                if i > 0:
                    print()
                try:
                    self._run(g, command, from_tty)
                except (gdb.error, gdb.GdbError) as e:
                    print(e)
        elif which:
            number = self._number(which)
            for g in find():
                if g.id == number:
                    self._run(g, command, from_tty)
                    return
            raise gdb.GdbError(f"No goroutine {number}.")
        else:
            raise gdb.GdbError("goroutine N COMMAND, or goroutine all COMMAND; see `help goroutine'.")

    @staticmethod
    def _number(text):
        try:
            return int(gdb.parse_and_eval(text))
        except gdb.error as e:
            raise gdb.GdbError(f"{text} is no goroutine's number: {e}")

    @staticmethod
    def _write_core(path):
        if clock.connection_type() in (None, "core"):
            raise gdb.GdbError("There is no process.")
        path = os.path.expanduser(path) or f"core.{gdb.selected_inferior().pid}"
        corefile.write(path)
        print(f"Saved corefile {path}")

    def _run(self, g, command, from_tty):
        print(header(g))
        traces = command.split()[0].partition("/")[0] in ("bt", "backtrace", "where")
        with unwinder.selection_kept():
            newest = unwinder.newest_frame_of(g)
            if newest is None:
                print(f"It has not begun; it will run {g.begins_with}.")
            else:
                (unwinder.program_frame(newest) or newest).select()
                try:
                    gdb.execute(command, from_tty)
                except gdb.error as e:
                    raise gdb.GdbError(e)  # as gdb says it, without a trace of this file
        if traces and g.creator is not None:
            print(f"created by {g.creator}")


class PrintRunnelFrames(gdb.Parameter):
    """Whether backtraces of goroutines show frames of Runnel and of the standard library."""

    set_doc = "Set whether `goroutine N bt' shows frames of Runnel and of the standard library."
    show_doc = "Show whether `goroutine N bt' shows frames of Runnel and of the standard library."

    def __init__(self):
        super().__init__("print runnel-frames", gdb.COMMAND_STACK, gdb.PARAM_BOOLEAN)
        self.value = False

    def get_set_string(self):
        return ""

    def get_show_string(self, value):
        return f"Backtraces of goroutines show frames of Runnel: {value}."


def register():
    PrintRunnelFrames()
    InfoGoroutines()
    GoroutineCommand()

"""What tools/gdb shows of a program that waits (stopped.cpp), live and on a core file. gdb_test.py PROGRAM

Skipped (77) only without gdb, or where it may not trace.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROGRAM = sys.argv.pop(1)
SKIPPED = 77

SOURCE = (HERE / "stopped.cpp").read_text(encoding="utf-8").splitlines()


def line_of(function):
    """The line that is marked so in stopped.cpp."""
    return next(n for n, text in enumerate(SOURCE, 1) if text.endswith(f"// line of {function}"))


def gdb(environment, *arguments):
    done = subprocess.run(
        ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set width 0",
         "-ex", f"source {ROOT / 'tools/gdb/runnel-gdb.py'}", *arguments],
        env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", timeout=100, check=False)
    return done.stdout


def answers(folder, name, *arguments, **environment):
    file = pathlib.Path(folder, name)
    text = gdb(environment | {"RUNNEL_GDB_ANSWERS": str(file)}, *arguments)
    if "ptrace: Operation not permitted" in text or "Could not trace the inferior" in text:
        print("skipped: gdb may not trace here\n" + text)
        sys.exit(SKIPPED)
    if not file.exists():
        sys.exit(f"gdb did not get to the end:\n{text}")
    return json.loads(file.read_text(encoding="utf-8")) | {"printed": text}


def look_at_the_program():
    with tempfile.TemporaryDirectory() as folder:
        core = str(pathlib.Path(folder, "core"))
        drive = ["-ex", f"source {HERE / 'drive.py'}"]
        live = answers(folder, "live", "-ex", "break stop_here", "-ex", "run", *drive, PROGRAM,
                       RUNNEL_GDB_CORE=core)
        return live, answers(folder, "dead", *drive, PROGRAM, core)


class Shown:
    """What both must show; the tests of a process and of its core file inherit it."""

    shown = {}

    def lines(self, name):
        return self.shown[name].splitlines()

    def expect(self, name, *patterns):
        """Lines that match these, in this order."""
        rest = iter(self.lines(name))
        for pattern in patterns:
            self.assertTrue(any(re.search(pattern, line) for line in rest),
                            f"{pattern}\nis not, in its place, in\n{self.shown[name]}")

    def is_object(self, name, text):
        self.assertRegex(self.shown["object " + name], f"^{text}$")

    # --- info goroutines ---

    def test_lists_every_goroutine_with_what_it_waits_for_and_where(self):
        here = r"at stopped\.cpp:"
        self.expect("all",
                    rf"^  +\d+  chan receive, 3 minutes  +inner {here}{line_of('inner')}  \"collector\"$",
                    rf"^  +\d+  chan receive  +\w+ {here}\d+$",
                    rf"^  +\d+  chan send  +\w+ {here}\d+$",
                    rf"^  +\d+  chan receive \(nil chan\)  +\w+ {here}\d+$",
                    rf"^  +\d+  select  +\w+ {here}\d+$",
                    rf"^  +\d+  sync\.Mutex\.Lock  +\w+ {here}\d+$",
                    rf"^  +\d+  sync\.RWMutex\.Lock  +\w+ {here}\d+$",
                    rf"^  +\d+  sync\.RWMutex\.RLock  +\w+ {here}\d+$",
                    rf"^  +\d+  sync\.WaitGroup\.Wait  +\w+ {here}\d+$",
                    rf"^  +\d+  semacquire  +\w+ {here}\d+$",
                    rf"^  +\d+  sleep  +\w+ {here}\d+$",
                    rf"^  +\d+  blocking  +\w+ {here}\d+$",
                    r"^  +\d+  runnable  +\(not begun\) begin_later\(\)  \"later\"$",
                    rf"^\* +\d+  running  +stop_here {here}\d+$")
        self.assertEqual(len(self.lines("all")), 14)

    def test_does_not_list_a_goroutine_of_a_run_that_is_over(self):
        self.assertNotIn("left behind", self.shown["all"])

    def test_lists_as_many_as_asked_for(self):
        self.assertEqual(len(self.lines("two")), 3)
        self.assertEqual(self.lines("two")[2], "2 of 14 goroutines.")

    def test_lists_those_whose_state_has_the_words(self):
        self.assertEqual(len([x for x in self.lines("receivers") if "chan receive" in x]), 3)
        self.assertEqual(self.lines("receivers")[-1], "3 of 14 goroutines.")
        self.assertEqual(self.lines("one receiver")[1:], ["1 of 14 goroutines."])
        self.assertEqual(self.shown["nobody"], "None of 14 goroutines.\n")

    def test_lists_by_name(self):
        self.expect("by name", "collector", "1 of 14 goroutines")

    # --- goroutine N ---

    def test_backtrace_of_a_parked_goroutine_has_its_functions_lines_and_creator(self):
        here = r"at \S*stopped\.cpp:"
        self.expect("collector",
                    rf'^goroutine \d+ "collector" \[chan receive, 3 minutes\]:$',
                    rf"^#\d+ .*\binner \(depth=3\) {here}{line_of('inner')}$",
                    rf"^#\d+ .*\bmiddle \(depth=2\) {here}{line_of('middle')}$",
                    rf"^#\d+ .*\bouter \(\) {here}{line_of('outer')}$",
                    rf"^created by start\b.* {here}{line_of('start')} in goroutine \d+$")

    def test_backtrace_leaves_out_the_runtime(self):
        self.assertNotRegex(self.shown["collector"], r"#\d+ +(0x\w+ in )?(runnel::|std::|_Z|stop_here)")
        self.assertRegex(self.lines("collector")[1], r"\binner \(")

    def test_backtrace_with_the_runtime_goes_from_the_switch_to_the_entry(self):
        self.expect("runtime frames", r"^#1 .*\brunnel::(platform|sched)::",
                    r"\brunnel::sched::park\b", r"\binner \(", r"\bouter \(",
                    r"\bgoroutine_main\b", r"^#\d+ .*\brunnel_context_entry \(")
        self.assertNotIn("stop_here", self.shown["runtime frames"])
        self.assertNotRegex(self.shown["runtime frames"], r"corrupt|\?\?|^#0 ")

    def test_backtrace_can_be_limited(self):
        frames = [x for x in self.lines("collector 2") if x.startswith("#")]
        self.assertEqual(len(frames), 2)
        self.assertRegex(frames[1], r"\bmiddle \(")
        self.assertEqual(len([x for x in self.lines("collector last") if x.startswith("#")]), 1)

    def test_locals_and_expressions_are_those_of_the_programs_innermost_frame(self):
        self.expect("collector locals", r"^local = 42$")
        self.expect("collector print", r"^\$\d+ = 42$")

    def test_frames_can_be_selected(self):
        self.expect("collector frame", rf"^#\d+ .*\binner \(depth=3\) .*:{line_of('inner')}$")
        self.expect("printed", r"^#\d+ .*\bmiddle \(depth=2\)", r"^#\d+ .*\bouter \(\)",
                    r"^#1 .*\brunnel::(platform|sched)::")

    def test_a_goroutine_in_the_kernel_is_shown_on_its_thread(self):
        self.expect("kernel", r"^goroutine \d+ \[blocking\]:$", r"\bwait_in_kernel \(\) at ",
                    r"^created by ")

    def test_a_goroutine_that_has_not_begun_says_what_it_will_run(self):
        self.expect("later", r'^goroutine \d+ "later" \[runnable\]:$',
                    r"^It has not begun; it will run begin_later\(\)\.$",
                    rf"^created by work at \S*stopped\.cpp:{line_of('go')} in goroutine \d+$")

    def test_the_running_goroutine_is_shown_from_frame_0(self):
        self.expect("main", r"^goroutine \d+ \[running\]:$", r"^#0 +stop_here \(\) at ",
                    rf"^#1 .*\bwork \(\) at \S*stopped\.cpp:{line_of('work')}$")
        self.assertNotIn("created by", self.shown["main"])

    def test_all_runs_the_command_in_each(self):
        heads = [x for x in self.lines("everything") if x.startswith("goroutine ")]
        self.assertEqual(len(heads), 14)
        self.expect("everything", r"\binner \(", r"\bwait_in_kernel \(", "begin_later", "stop_here")

    def test_mistakes_are_told(self):
        self.assertEqual(self.shown["unknown"], "error: No goroutine 123456.")
        self.assertRegex(self.shown["no number"], "^error: no_such_variable is no goroutine's number")
        self.assertRegex(self.shown["incomplete"], "^error: .*help goroutine")
        self.assertRegex(self.shown["wrong command"], '^error: Undefined command: "no-such-command"')

    def test_a_mistake_does_not_keep_all_from_going_on(self):
        wrong = [x for x in self.lines("wrong everywhere") if x.startswith("No symbol")]
        self.assertEqual(len(wrong), 13)  # one has no frame yet

    def test_what_was_selected_before_is_selected_after(self):
        self.assertRegex(self.shown["after"], r"^#1 .*\bwork \(\)")
        self.assertRegex(self.shown["bt after"], r"^#0 +stop_here \(\)")

    def test_help_helps(self):
        self.assertRegex(self.shown["help"], "goroutine 7 bt")

    def test_the_words_are_those_of_the_dumps(self):
        texts = (f.read_text(encoding="utf-8") for f in (ROOT / "src/sched").glob("*.cpp"))
        words = dict(pair for text in texts
                     for pair in re.findall(r'case wait_reason::(\w+):\s*return "([^"]*)"', text))
        self.assertIn("chan_receive", words)
        self.assertEqual(self.shown["words"], words)

    # --- printers ---

    def test_channels(self):
        self.is_object("nil", r"chan<int>\(nil\)")
        self.is_object("empty", r"chan<int>\(len 0, cap 3, 3 receivers waiting: "
                                r"goroutines \d+, \d+, \d+\)")
        self.is_object("buffered", r"chan<int>\(len 1, cap 3\) = \{7\}")
        self.is_object("full", r"chan<std::string>\(len 1, cap 1, 2 senders waiting: "
                               r"goroutines \d+, \d+\) = \{\"first\"\}")
        self.is_object("closed", r"chan<int>\(len 1, cap 2, closed\) = \{9\}")
        self.is_object("reference", r"(@0x\w+: )?chan<int>\(len 1, cap 3\) = \{7\}")
        self.is_object("receives", r"recv_chan<int>\(len 1, cap 3\) = \{7\}")

    def test_locks(self):
        self.is_object("free_lock", r"mutex\(unlocked\)")
        self.is_object("lock", r"mutex\(locked, 1 waiting: goroutine \d+\)")
        self.is_object("free_rw", r"shared_mutex\(unlocked\)")
        self.is_object("read_rw", r"shared_mutex\(read by 1, 1 writer waiting: goroutine \d+\)")
        self.is_object("written_rw", r"shared_mutex\(locked, 1 reader waiting: goroutine \d+\)")

    def test_wait_groups_onces_and_semaphores(self):
        self.is_object("idle_group", r"wait_group\(count 0\)")
        self.is_object("group", r"wait_group\(count 2, 1 waiting: goroutine \d+\)")
        self.is_object("fresh_once", r"once\(fresh\)")
        self.is_object("done_once", r"once\(done\)")
        self.is_object("units", r"semaphore\(1 of 3 free, 1 waiting: goroutine \d+\)")

    def test_timers(self):
        self.is_object("timer", rf"timer\({self.in_an_hour('fires', 'running')}\)")
        self.is_object("stopped_timer", r"timer\(stopped\)")
        self.is_object("ticker", rf"ticker\(every 1h, {self.in_an_hour('fires', 'running')}\)")

    def test_contexts(self):
        self.is_object("background", r"context\(background\)")
        self.is_object("active.ctx", r"context\(active\)")
        self.is_object("cancelled.ctx", r"context\(cancelled\)")
        self.is_object("caused.ctx", r'context\(cancelled: std::runtime_error "out of tea"\)')
        self.is_object("child", r'context\(cancelled: std::runtime_error "out of tea"\)')
        self.is_object("late.ctx", rf"context\(active, {self.in_an_hour('deadline', 'deadline ahead')}\)")
        self.is_object("too_late.ctx", r"context\(deadline exceeded\)")


class Live(Shown, unittest.TestCase):
    @staticmethod
    def in_an_hour(before, unknown):
        return rf"{before} in (60|59\.\d)m"

    def test_writes_a_core_file(self):
        self.assertRegex(self.shown["written"], "^Saved corefile ")

    def test_the_program_goes_on_unharmed(self):
        self.assertEqual(self.shown["exit"], "0")


class Dead(Shown, unittest.TestCase):
    @staticmethod
    def in_an_hour(before, unknown):
        """A core file may not say what time it was."""
        return rf"({before} in (1|60|59\.\d)[mh]|{unknown})"


if __name__ == "__main__":
    if shutil.which("gdb") is None:
        print("skipped: gdb is not installed")
        sys.exit(SKIPPED)
    Live.shown, Dead.shown = look_at_the_program()
    unittest.main()

"""Runs in gdb, at the stop or on the core file: asks what gdb_test.py wants to know, and writes the answers.

RUNNEL_GDB_ANSWERS names the file. Goroutines are called by $name_…, or by what they wait for: $mutex_lock.
"""

import json
import os
import re
import sys

import gdb

QUESTIONS = {
    "all": "info goroutines",
    "two": "info goroutines 2",
    "receivers": "info goroutines chan receive",
    "one receiver": "info goroutines 1 chan receive",
    "by name": "info goroutines COLLECTOR",
    "nobody": "info goroutines no such words",
    "collector": "goroutine $collector bt",
    "collector 2": "goroutine $collector bt 2",
    "collector last": "goroutine $collector bt -1",
    "collector locals": "goroutine $collector info locals",
    "collector print": "goroutine $collector print local",
    "collector frame": "goroutine $collector frame",
    "later": "goroutine $later bt",
    "main": "goroutine $running",
    "everything": "goroutine all bt",
    "unknown": "goroutine 123456 bt",
    "incomplete": "goroutine",
    "no number": "goroutine no_such_variable bt",
    "wrong command": "goroutine $collector no-such-command",
    "wrong everywhere": "goroutine all print no_such_variable",
    "kernel": "goroutine $blocking bt",
    "after": "frame",
    "bt after": "bt 1",
    "help": "help goroutine",
}
OBJECTS = """nil empty buffered full closed receives reference
free_lock lock free_rw read_rw written_rw idle_group group fresh_once
done_once units timer stopped_timer ticker background active.ctx cancelled.ctx caused.ctx late.ctx
too_late.ctx child""".split()


def ask(command):
    try:
        return gdb.execute(command, to_string=True)
    except gdb.error as e:
        return f"error: {e}"


def name_goroutines():
    for line in ask("info goroutines").splitlines():
        match = re.match(r'[ *] +(\d+)  (\S.*?)  +.*?(?:"(.*)")?$', line)
        if match:
            name = match[3] or re.sub(r"\W+", "_", match[2])
            gdb.set_convenience_variable(name, int(match[1]))


name_goroutines()
gdb.execute("frame 1")  # to be the selected one in the end, too
answers = {name: ask(command) for name, command in QUESTIONS.items()}
# What these show of frames goes past to_string.
gdb.execute("goroutine $collector up")
gdb.execute("goroutine $collector frame function outer")
gdb.execute("goroutine $collector frame 1")
for name in OBJECTS:
    answers["object " + name] = ask(f"output all->{name}")
ask("set print runnel-frames on")
answers["runtime frames"] = ask("goroutine $collector bt")
answers["words"] = sys.modules["runnel_gdb.goroutines"].REASONS
if os.environ.get("RUNNEL_GDB_CORE"):
    answers["written"] = ask("goroutine core " + os.environ["RUNNEL_GDB_CORE"])
    ask("continue")
    answers["exit"] = ask("output $_exitcode")
with open(os.environ["RUNNEL_GDB_ANSWERS"], "w", encoding="utf-8") as file:
    json.dump(answers, file)

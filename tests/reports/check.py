"""Runs a program that goes wrong, and compares its exit status and standard error with what its source says.

The comments at the head of the source, each in one line:

    // <what is wrong in this program>
    // status: 2                     the exit status; or a signal: SIGABRT
    // expect: <regular expression>  of one line of standard error; all must be found, in this order,
                                     each in a line after the one before
    // never: <regular expression>   that no line may match
    // env: NAME=value               for the program; any number
    // skip: asan tsan               kinds of builds in which this cannot be had: asan, tsan, aarch64,
                                     clang, lto, no-assertions

The program runs in a directory of its own, without RUNNEL_ variables of the caller's that change a report, and
without core files. Exit status: 0, 1 if anything differs, 77 if skipped.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile

SKIPPED = 77
KINDS = {"asan", "tsan", "aarch64", "clang", "lto", "no-assertions"}
KEY = re.compile(r"// (status|expect|never|env|skip): (.*)")
CHANGES_REPORTS = ("RUNNEL_TRACEBACK", "RUNNEL_DEBUG", "RUNNEL_MAXPROCS")


class Malformed(Exception):
    """The head of a source cannot be understood."""


@dataclasses.dataclass
class Expectation:
    status: int
    expect: list
    never: list
    env: dict
    skip: set
    source: str  # without the lines that say all this
    cut: int     # how many these are


def parse(path):
    """Reads the head of a source."""
    lines = path.read_text(encoding="utf-8").splitlines()
    head = 0
    while head < len(lines) and lines[head].startswith("//"):
        head += 1
    found = {"status": [], "expect": [], "never": [], "env": [], "skip": []}
    kept = []
    for line in lines[:head]:
        if match := KEY.fullmatch(line):
            found[match[1]].append(match[2])
        else:
            kept.append(line)
    if not kept:
        raise Malformed(f"{path}: the first line says what is wrong in the program")
    if len(found["status"]) != 1 or not (found["expect"] or found["never"]):
        raise Malformed(f"{path}: a status, and a line to expect or never to see, at the head of the file")
    status = found["status"][0]
    if not re.fullmatch(r"\d+", status) and status not in signal.Signals.__members__:
        raise Malformed(f"{path}: status {status}: a number, or the name of a signal")
    skip = set(" ".join(found["skip"]).split())
    if skip - KINDS:
        raise Malformed(f"{path}: skip: no such kind of build: {' '.join(sorted(skip - KINDS))}")
    try:
        expect, never = ([re.compile(text) for text in found[key]] for key in ("expect", "never"))
    except re.error as wrong:
        raise Malformed(f"{path}: {wrong.pattern}: {wrong}") from wrong
    return Expectation(
        status=int(status) if status.isdigit() else -signal.Signals[status].value,
        expect=expect, never=never, skip=skip,
        env=dict(text.split("=", 1) for text in found["env"]),
        source="\n".join(kept + lines[head:]) + "\n", cut=head - len(kept))


def run(command, wanted, timeout):
    """Returns the exit status (None: it did not end, negative: a signal) and standard error."""
    environment = {name: value for name, value in os.environ.items() if name not in CHANGES_REPORTS}
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with tempfile.TemporaryDirectory() as scratch, open(pathlib.Path(scratch, "stderr"), "w+b") as err:
        # A file, not a pipe: a report must not wait for its reader, nor we for a grandchild.
        with subprocess.Popen(command, cwd=scratch, env=environment | wanted.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=err, start_new_session=True) as program:
            try:
                status = program.wait(timeout)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                try:
                    os.killpg(program.pid, signal.SIGKILL)  # and what it has left behind
                except ProcessLookupError:
                    pass
        err.seek(0)
        return status, err.read().decode(errors="replace")


def describe(status):
    if status is None:
        return "did not end"
    return f"status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"


def differences(wanted, status, text):
    """Says what differs, or nothing."""
    if status != wanted.status:
        yield f"expected {describe(wanted.status)}, got: {describe(status)}"
    lines = text.splitlines()
    at = 0
    for number, pattern in enumerate(wanted.expect):
        found = next((i for i in range(at, len(lines)) if pattern.search(lines[i])), None)
        if found is None:
            after = f"after line {at} of the output" if at else "in the output"
            yield f"expect number {number + 1} was not found {after}: {pattern.pattern}"
            break
        at = found + 1
    for pattern in wanted.never:
        for i, line in enumerate(lines):
            if pattern.search(line):
                yield f"line {i + 1} of the output must not be there: {pattern.pattern}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path, help="the program's source")
    parser.add_argument("--kind", action="append", default=[], choices=sorted(KINDS),
                        help="of the build; any number")
    parser.add_argument("--timeout", type=float, default=60, help="in seconds (%(default)s)")
    parser.add_argument("command", nargs="+", help="the program, after its emulator if it needs one")
    options = parser.parse_args()
    try:
        wanted = parse(options.source)
    except Malformed as wrong:
        print(wrong)
        return 1
    if unfit := wanted.skip.intersection(options.kind):
        print(f"skipped: {' '.join(sorted(unfit))}")
        return SKIPPED
    status, text = run([os.path.abspath(part) if os.path.exists(part) else part for part in options.command],
                       wanted, options.timeout)
    wrong = list(differences(wanted, status, text))
    if not wrong:
        return 0
    print("\n".join(wrong))
    print(f"--- expected: {describe(wanted.status)}")
    for pattern in wanted.expect:
        print(f"  {pattern.pattern}")
    for pattern in wanted.never:
        print(f"  never: {pattern.pattern}")
    print(f"--- standard error: {describe(status)}")
    for number, line in enumerate(text.splitlines(), 1):
        print(f"{number:5} {line}")
    return 1


if __name__ == "__main__":
    sys.exit(main())

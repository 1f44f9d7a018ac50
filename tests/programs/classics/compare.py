"""Runs a program on Runnel, with one processor and with eight, and its twin in Go, if Go is here.

All must end well and print what is in the file of what is expected, which is what
`go run <name>.go > <name>.expected` writes.
"""

import argparse
import difflib
import fcntl
import os
import pathlib
import subprocess
import sys

PATIENCE_S = 100  # for what takes a second or two, unless it hangs


def run(command, timeout=PATIENCE_S, **variables):
    """Returns the exit status, or that it did not end, and what was printed."""
    try:
        done = subprocess.run(command, env=os.environ | variables, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                              check=False)
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b"").decode(), (late.stderr or b"").decode()
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def build(go, source, folder):
    """Compiles one Go program. Returns it, or None and what is wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / source.stem
    with open(folder / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # or each would compile the standard library
        status, out, err = run([go, "build", "-o", program, source], timeout=None,
                               GO111MODULE="off", GOFLAGS="", GOPROXY="off", GOTOOLCHAIN="local",
                               CGO_ENABLED="0", GOPATH=str(folder / "path"),
                               GOCACHE=str(folder / "cache"))
    return (program, "") if status == 0 else (None, out + err)


def difference(expected, printed, who):
    """What is wrong with an outcome, or nothing."""
    status, out, err = printed
    if status is None:
        return f"{who} did not end\n{out}{err}"
    if status != 0:
        end = f"ended with status {status}" if status > 0 else f"was ended by signal {-status}"
        return f"{who} {end}\n{out}{err}"
    if out == expected:
        return ""
    lines = difflib.unified_diff(expected.splitlines(), out.splitlines(), "expected", who,
                                 lineterm="")
    return "\n".join(lines) + "\n" + err


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="the Go program and what is expected, without their suffixes")
    parser.add_argument("--go", help="the go command")
    parser.add_argument("--go-dir", type=pathlib.Path, help="where Go's compiler may write")
    parser.add_argument("--small", metavar="N", help="the argument that makes the program small")
    parser.add_argument("--scaled", action="store_true",
                        help="make it small, as RUNNEL_TEST_SCALE does")
    parser.add_argument("command", nargs="+", help="the program on Runnel")
    given = parser.parse_args()

    size, suffix = [], ".expected"
    if given.small and (given.scaled or os.environ.get("RUNNEL_TEST_SCALE")):
        size, suffix = [given.small], ".small.expected"
    expected = pathlib.Path(given.name + suffix).read_text(encoding="utf-8")

    wrong = []
    for procs in "1", "8":
        printed = run(given.command + size, RUNNEL_MAXPROCS=procs)
        wrong.append(difference(expected, printed, f"RUNNEL_MAXPROCS={procs}"))
    if given.go:
        program, why_not = build(given.go, pathlib.Path(given.name + ".go"), given.go_dir)
        wrong.append(difference(expected, run([program] + size), "Go") if program else why_not)
    else:
        print("There is no Go here.")

    wrong = [text for text in wrong if text]
    print("\n".join(wrong), end="")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

"""What the checks share: the files of the repository, and how a finding is reported."""

import os
import pathlib
import sys

SOURCE = {".h", ".cpp", ".S"}


def files(root):
    """Yields every file of the repository as a path relative to root, in a fixed order."""
    for folder, folders, names in os.walk(root):
        at_root = pathlib.Path(folder) == pathlib.Path(root)
        folders[:] = sorted(
            f for f in folders
            if f not in (".git", "__pycache__") and not (at_root and f == "build"))
        for name in sorted(names):
            yield pathlib.Path(folder, name).relative_to(root)


def lines(path):
    """Yields (number, line) of a text file, numbers from 1."""
    with open(path, encoding="utf-8") as file:
        yield from enumerate(file.read().split("\n"), 1)


def main(check):
    """Runs check(root), a generator of findings, on the tree that argv names or this one."""
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    findings = list(check(root))
    for finding in findings:
        print(finding)
    sys.exit(1 if findings else 0)

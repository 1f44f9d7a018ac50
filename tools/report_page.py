#!/usr/bin/env python3
"""Writes docs/when-it-goes-wrong.md: prose, and programs that go wrong with what they print.

    report_page.py RELEASE DEBUG     runs the programs of two builds, and writes the page
    report_page.py --check [ROOT]    only says what the page lacks, or what in it is not up to date

The prose is tools/report_page.md.in. A line {{name}} in it stands for tests/reports/name.cpp: its source, without what
is expected of it, and its standard error, from the release build, or from the one with assertions if only that one
reports. A line {{- name name}} names programs that are tested and not shown. Paths are cut down to names of files, addresses and numbers of threads are left out. A program that
does not do what its source says is not shown: the page is not written.
"""

import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/reports"))
import check as reports  # pylint: disable=wrong-import-position

PAGE = "docs/when-it-goes-wrong.md"
PROSE = "tools/report_page.md.in"
PROGRAMS = "tests/reports"
PLACE = re.compile(r"^\{\{(\w+)\}\}\n", re.MULTILINE)
HIDDEN = re.compile(r"^\{\{-([\w ]+)\}\}\n", re.MULTILINE)
NOTE = f"<!-- Written by ./dev reports from {PROSE} and {PROGRAMS}. -->\n\n"
TIMEOUT_S = 60


def prose(root):
    return (root / PROSE).read_text(encoding="utf-8")


def parts(root):
    """The prose, cut at its placeholders: text, name, text, …, text."""
    return PLACE.split(HIDDEN.sub("", prose(root)))


def program_text(root, name):
    source = reports.parse(root / PROGRAMS / f"{name}.cpp").source
    return f"```cpp\n{source}```\n\n"


def stable(text, name, cut):
    """What a program has printed, without what differs from machine to machine, for its source without `cut` lines."""
    text = text.expandtabs(4)
    text = re.sub(r"(?<![\w.])[\w.+-]*/[\w./+-]*/([\w.+-]+)", r"\1", text)
    text = re.sub(rf"\b{name}\.cpp:(\d+)", lambda at: f"{name}.cpp:{int(at[1]) - cut}", text)
    text = re.sub(r"\b0x[0-9a-f]{5,}\b", "0x…", text)
    text = re.sub(r"\bthread \d+\b", "thread N", text)
    return "".join(line.rstrip() + "\n" for line in text.strip("\n").split("\n"))


def report_text(root, name, release, debug):
    """Runs a program. Returns its report, or what is wrong with it."""
    wanted = reports.parse(root / PROGRAMS / f"{name}.cpp")
    build, kind = (debug, "a build with assertions") if "no-assertions" in wanted.skip else (release, "")
    status, text = reports.run([str((build / PROGRAMS / name).resolve())], wanted, TIMEOUT_S)
    if wrong := list(reports.differences(wanted, status, text)):
        return None, f"{name}: " + "; ".join(wrong)
    text = stable(text, name, wanted.cut)
    variables = "".join(f" with `{key}={value}`" for key, value in wanted.env.items())
    where = f" in {kind}" if kind else ""
    return f"It prints{variables}{where}, and ends with {reports.describe(status)}:\n\n```text\n{text}```\n", None


def write(root, release, debug):
    page, wrong = "", []
    for index, part in enumerate(parts(root)):
        if index % 2 == 0:
            page += part
            continue
        report, finding = report_text(root, part, release, debug)
        if finding:
            wrong.append(finding)
        else:
            page += program_text(root, part) + report
    if not wrong:
        (root / PAGE).write_text(NOTE + page, encoding="utf-8")
    return wrong


def check(root):
    """Compares everything but the reports themselves, for which the programs would have to be built."""
    pieces = parts(root)
    names = pieces[1::2]
    hidden = {name for line in HIDDEN.findall(prose(root)) for name in line.split()}
    programs = {path.stem for path in (root / PROGRAMS).glob("*.cpp")} - hidden
    for name in sorted(programs - set(names)):
        yield f"{PROSE}:1: {{{{{name}}}}} is missing: {PROGRAMS}/{name}.cpp is not in the page"
    for name in sorted(set(names) - programs):
        yield f"{PROSE}:1: there is no {PROGRAMS}/{name}.cpp"
    if programs != set(names):
        return
    page = (root / PAGE).read_text(encoding="utf-8") if (root / PAGE).exists() else ""
    at = 0
    for index, part in enumerate([NOTE + pieces[0]] + pieces[1:]):
        text = part if index % 2 == 0 else program_text(root, part)
        report = re.compile(r"It prints.*:\n\n```text\n(?:.*\n)*?```\n")
        if page.startswith(text, at):
            at += len(text)
            if index % 2 == 0:
                continue
            if match := report.match(page, at):
                at = match.end()
                continue
        line = page.count("\n", 0, at) + 1
        yield f"{PAGE}:{line}: not up to date from here on; to write it anew: ./dev reports"
        return
    if at != len(page):
        yield f"{PAGE}:{page.count(chr(10), 0, at) + 1}: more than {PROSE} has"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="do not write the page")
    parser.add_argument("folder", nargs="*", type=pathlib.Path, help="the two builds; with --check, the repository")
    options = parser.parse_args()
    if len(options.folder) > 1 if options.check else len(options.folder) != 2:
        parser.error("two builds, or --check and at most one folder")
    findings = list(check(options.folder[0] if options.folder else ROOT) if options.check
                    else write(ROOT, *options.folder))
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

"""docs/benchmarks.md, and the same tables for a terminal."""

import datetime
from itertools import groupby

from . import machine
from .measure import SLOW_ROUNDS, SLOW_SECONDS
from .results import Row, table


def plain(lines: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines
    )


def markdown(lines: list[list[str]]) -> str:
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    rows.insert(1, "|" + "---|" * len(lines[0]))
    return "\n".join(rows)


def count_targets(rows: list[Row]) -> str:
    verdicts = [row.met(target) for row in rows for target in row.targets()]
    judged = [verdict for verdict in verdicts if verdict is not None]
    return f"{sum(judged)} of {len(judged)} targets met" if judged else "no targets to judge"


def document(
    rows: list[Row], contestants: list[str], versions: list[str], rounds: int, command: str,
    load: float,
) -> str:
    what = "virtual machine" if machine.virtual() else "machine"
    parts = [
        "# Benchmarks",
        f"Written by `{command}` on {datetime.date.today().isoformat()}; do not edit. "
        f"{count_targets(rows)}.",
        "\n".join([
            f"- {what.capitalize()}: {machine.cpu_model()}, {machine.cores()} cores, "
            f"{machine.memory_gib()} GiB of memory; {machine.distribution()}, "
            f"Linux {machine.kernel()}; load {load:.1f} at the start.",
            *(f"- {version}." for version in versions),
        ]),
        "The contestants run in turns, each run a fresh process, in "
        f"{rounds} rounds ({min(rounds, SLOW_ROUNDS)} for a program that takes over "
        f"{SLOW_SECONDS} s a run). Shown are medians, and in brackets the least and the most. P is the number of"
        " worker threads. Ratios are of medians; everything measured is a cost, so that below 1"
        " Runnel is the better one. Compare ratios, not times: those are this machine's.",
        "Boost.Fiber runs with `round_robin` on one worker and `work_stealing` on more, and with"
        " stacks of 64 KiB which malloc is told not to give back to the kernel: the fastest setting"
        " that works in every case.",
    ]
    for _, of_case in groupby(rows, key=lambda row: row.case.name):
        of_case = list(of_case)
        case = of_case[0].case
        parts += [f"## {case.name}", case.about, markdown(table(of_case, contestants))]
    return "\n\n".join(parts) + "\n"

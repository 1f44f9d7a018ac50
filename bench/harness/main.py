"""The command line of bench/run."""

import argparse
import json
import shlex
import sys
from pathlib import Path

from . import machine, report
from .build import BuildError, Cxx, Go, build
from .cases import CASES, Case, Run
from .contestants import CONTESTANTS, source
from .measure import Program, run_in_turns
from .places import DEFAULT_BUILD_DIR, REPORT
from .results import Row, table

QUICK_ROUNDS = 2
QUICK_SCALE = 0.1


def main() -> int:
    options = parse()
    if options.list:
        for case in options.cases:
            programs = [name for name in CONTESTANTS if source(case, name)]
            print(f"{case.name}: {', '.join(programs)}\n    {case.about}")
        return 0

    load = machine.load()
    if load > 0.5:
        say(f"load is {load:.1f}: other work is running, and the numbers will show it")
    try:
        programs = build(options.cases, options.contestants, options.build_dir, say)
        versions = versions_of(programs, options.build_dir)
    except BuildError as error:
        say(f"cannot build: {error}")
        return 1

    (options.build_dir / "bench").mkdir(parents=True, exist_ok=True)
    rows, failures = measure(options, programs)
    save_raw(rows, options.build_dir / "bench" / "results.json")
    print(f"\n{report.count_targets(rows)}")
    if options.write:
        text = report.document(rows, options.contestants, versions, options.rounds,
                               command_line(), load)
        REPORT.write_text(text)
        print("wrote docs/benchmarks.md")
    for failure in failures:
        say(failure)
    return 1 if failures or not programs else 0


def measure(options, programs) -> tuple[list[Row], list[str]]:
    rows, failures = [], []
    folder = options.build_dir / "bench"
    for case in options.cases:
        taking_part = [c for c in options.contestants if (case.name, c) in programs]
        if not taking_part:
            continue
        of_case = []
        for procs in options.procs:
            prepared = {
                c: prepare(case, programs[case.name, c], Run(c, procs, options.scale, folder))
                for c in taking_part
            }
            samples, errors = run_in_turns(
                prepared, options.rounds, options.timeout,
                lambda turn, name: progress(f"{case.name}, {procs} P, round {turn + 1}: {name}"))
            failures += [f"{case.name}, {procs} P: {name} {e}" for name, e in errors.items()]
            for metric in case.metrics:
                of_metric = {name: of_name[metric.key] for name, of_name in samples.items()
                             if metric.key in of_name}
                of_case.append(Row(case, metric, procs, of_metric,
                                   runnel_others=samples.get("runnel", {})))
        compare_with_one_p(of_case)
        of_case.sort(key=lambda row: case.metrics.index(row.metric))
        progress("")
        print(f"\n{case.name}\n{report.plain(table(of_case, options.contestants))}", flush=True)
        rows += of_case
    return rows, failures


def compare_with_one_p(rows: list[Row]) -> None:
    one_p = {row.metric.key: row.samples.get("runnel") for row in rows if row.procs == 1}
    for row in rows:
        row.runnel_one_p = one_p.get(row.metric.key)


def prepare(case: Case, executable: Path, run: Run) -> Program:
    keys = [m.key for m in case.metrics if run.contestant == "runnel" or not m.runnel_only]
    return Program([str(executable), *case.arguments(run)], run.procs, case.real_work, keys)


def versions_of(programs, build_dir: Path) -> list[str]:
    names = {name for _, name in programs}
    versions = []
    if names - {"go"}:
        facts = Cxx(build_dir).facts()
        versions.append(f"C++: {facts['compiler']}, `{' '.join(facts['flags'].split())}`")
        if "boost_fiber" in names:
            versions.append(f"Boost {facts['boost']}, linked statically")
    if "go" in names:
        versions.append(f"Go {Go(build_dir).version()}, `go build` with its default flags")
    return versions


def save_raw(rows: list[Row], path: Path) -> None:
    """Every single number, for whoever wants to look closer."""
    path.write_text(json.dumps([
        {"case": row.case.name, "metric": row.metric.key, "procs": row.procs,
         "values": {name: sample.values for name, sample in row.samples.items()}}
        for row in rows
    ], indent=1))


def command_line() -> str:
    return shlex.join(["./dev", "bench", *sys.argv[1:]])


def say(text: str) -> None:
    progress("")
    print(f"bench: {text}", file=sys.stderr, flush=True)


def progress(text: str) -> None:
    """A line that the next one overwrites; only where somebody watches."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def parse():
    case_names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(
        prog="bench/run",
        description="Runs Runnel and its rivals side by side: in turns, each run a fresh process. "
        "Prints medians with the least and the most, the ratios of the medians, and which targets "
        "are met. Builds what it runs. A run of everything writes docs/benchmarks.md.",
        epilog="Ends with 0 even when targets are missed, and with 1 when something cannot be "
        "built, or a program fails or prints nothing. Every number measured is left in "
        "BUILD_DIR/bench/results.json.",
    )
    parser.add_argument("--case", action="append", metavar="NAME", choices=case_names,
                        help="only this case; may be given again. One of: " + ", ".join(case_names))
    parser.add_argument("--contestants", type=names_of(CONTESTANTS), default=list(CONTESTANTS),
                        metavar="A,B", help="only these of: " + ", ".join(CONTESTANTS))
    parser.add_argument("--procs", type=numbers, default=[1, 2], metavar="N,M",
                        help="numbers of worker threads (default: 1,2)")
    parser.add_argument("--rounds", type=int, metavar="N", help="turns of each (default: 7)")
    parser.add_argument("--quick", action="store_true",
                        help=f"a look only: {QUICK_ROUNDS} rounds of a tenth of the work")
    parser.add_argument("--timeout", type=float, default=120, metavar="S",
                        help="seconds a single run may take (default: 120)")
    parser.add_argument("--no-write", action="store_true",
                        help="leave docs/benchmarks.md as it is; so do --quick, --case, "
                        "--contestants and --procs")
    parser.add_argument("--build-dir", type=Path, default=DEFAULT_BUILD_DIR, metavar="DIR",
                        help="CMake's build folder (default: build/release)")
    parser.add_argument("--list", action="store_true", help="list the cases and who takes part")
    options = parser.parse_args()

    whole = (options.case is None and options.contestants == list(CONTESTANTS)
             and options.procs == [1, 2] and not options.quick)
    options.write = whole and not options.no_write
    options.build_dir = options.build_dir.resolve()
    options.cases = [case for case in CASES if options.case is None or case.name in options.case]
    options.scale = QUICK_SCALE if options.quick else 1
    if options.rounds is None:
        options.rounds = QUICK_ROUNDS if options.quick else 7
    if options.rounds < 1:
        parser.error("--rounds: at least 1")
    return options


def numbers(text: str) -> list[int]:
    values = [int(word) for word in text.split(",")]
    if any(value < 1 for value in values):
        raise argparse.ArgumentTypeError("at least 1")
    return values


def names_of(known):
    def names(text: str) -> list[str]:
        values = text.split(",")
        for value in values:
            if value not in known:
                raise argparse.ArgumentTypeError(f"unknown: {value}; one of {', '.join(known)}")
        return [name for name in known if name in values]

    return names

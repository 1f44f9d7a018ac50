"""Runs programs in turns, each time as a fresh process, and keeps what they say."""

import os
import re
import resource
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

# A program whose first run takes this long is run in only so many rounds.
SLOW_SECONDS = 4
SLOW_ROUNDS = 3


class ProgramError(Exception):
    pass


@dataclass
class Sample:
    """What one program said of one metric, round after round."""

    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def least(self) -> float:
        return min(self.values)

    @property
    def most(self) -> float:
        return max(self.values)


@dataclass
class Program:
    command: list[str]
    procs: int
    real_work: bool  # see Case
    keys: list[str]  # the metrics that it has


def run_once(program: Program, timeout_s: float) -> tuple[dict[str, float], str]:
    """The metrics of one run, and what it printed; failing or printing nothing is an error."""
    # What stands in somebody's environment must not change what is measured.
    meddling = re.compile("GO[A-Z]|RUNNEL_|MALLOC_|GLIBC_TUNABLES")
    environment = {k: v for k, v in os.environ.items() if not meddling.match(k)}
    # For programs that are not told otherwise.
    environment |= {"GOMAXPROCS": str(program.procs), "RUNNEL_MAXPROCS": str(program.procs)}
    cpu_before = children_cpu_s()
    start = time.monotonic()
    try:
        done = subprocess.run(program.command, env=environment, capture_output=True, text=True,
                              timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise ProgramError(f"still running after {timeout_s:g} s") from None
    wall_s = time.monotonic() - start
    if done.returncode != 0:
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
        raise ProgramError(f"ended with {how}\n{done.stderr[-2000:]}".rstrip())
    if not done.stdout.strip():
        raise ProgramError("printed nothing")
    metrics = {} if program.real_work else parse(done.stdout)
    # Of the whole process.
    metrics |= {"wall_s": wall_s, "cores": (children_cpu_s() - cpu_before) / wall_s}
    return metrics, done.stdout


def parse(line: str) -> dict[str, float]:
    """`key=value key=value …`"""
    metrics = {}
    for word in line.split():
        key, _, value = word.partition("=")
        try:
            metrics[key] = float(value)
        except ValueError:
            raise ProgramError(f"printed {word!r}, which is no key=value") from None
    return metrics


def children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_in_turns(
    programs: dict[str, Program], rounds: int, timeout_s: float, on_turn
) -> tuple[dict[str, dict[str, Sample]], dict[str, str]]:
    """A B C A B C …: {contestant: {key: its sample}}, and {contestant: what went wrong}."""
    samples = {name: {key: Sample() for key in p.keys} for name, p in programs.items()}
    errors: dict[str, str] = {}
    slow: set[str] = set()
    first_printed: str | None = None
    for turn in range(rounds):
        for name, program in programs.items():
            if name in errors or (name in slow and turn >= SLOW_ROUNDS):
                continue
            on_turn(turn, name)
            try:
                metrics, printed = run_once(program, timeout_s)
                first_printed = first_printed or printed
                if program.real_work and printed != first_printed:
                    raise ProgramError("printed another result than the program before")
                absent = [key for key in program.keys if key not in metrics]
                if absent:
                    raise ProgramError(f"did not print {', '.join(absent)}")
            except ProgramError as error:
                errors[name] = str(error)
                continue
            if metrics["wall_s"] >= SLOW_SECONDS:
                slow.add(name)
            for key in program.keys:
                samples[name][key].values.append(metrics[key])
    return {n: s for n, s in samples.items() if n not in errors}, errors

"""Who takes part."""

from dataclasses import dataclass

from .cases import Case
from .places import BENCH, ROOT


@dataclass(frozen=True)
class Contestant:
    name: str  # in file names, targets and on the command line
    title: str  # in reports
    file: str  # its program's usual name in a case's folder


CONTESTANTS = {
    c.name: c
    for c in (
        Contestant("runnel", "Runnel", "runnel.cpp"),
        Contestant("go", "Go", "main.go"),
        Contestant("boost_fiber", "Boost.Fiber", "boost_fiber.cpp"),
        Contestant("threads", "std::thread", "threads.cpp"),
        Contestant("nginx", "nginx", "nginx.sh"),
    )
}


def source(case: Case, contestant: str):
    """The contestant's program for this case, or None if it has none."""
    if contestant in case.sources:
        path = ROOT / case.sources[contestant]
    else:
        path = BENCH / case.name / CONTESTANTS[contestant].file
    return path if path.exists() else None


def target(case: Case, contestant: str) -> str:
    return f"bench_{case.name}_{contestant}"

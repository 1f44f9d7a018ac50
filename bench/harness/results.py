"""What was measured, and how it stands against what is wanted."""

from dataclasses import dataclass, field

from .cases import ONE_P, Case, Metric, Own, Target
from .contestants import CONTESTANTS
from .measure import Sample


@dataclass
class Row:
    """One metric of one case with one number of Ps."""

    case: Case
    metric: Metric
    procs: int
    samples: dict[str, Sample] = field(default_factory=dict)  # by contestant
    runnel_one_p: Sample | None = None  # the same with one P, if that was measured
    runnel_others: dict[str, Sample] = field(default_factory=dict)  # by key: all metrics of the case

    def ratio(self, rival: str) -> float | None:
        """Of the medians, Runnel's to the rival's."""
        if not self.metric.compared or not {"runnel", rival} <= self.samples.keys():
            return None
        against = self.samples[rival].median
        return self.samples["runnel"].median / against if against > 0 else None

    def targets(self) -> list[Target]:
        return [t for t in self.metric.targets if t.procs in (None, self.procs)]

    def reference(self, target: Target) -> Sample | None:
        """What the target's limit is a multiple of."""
        if target.times == ONE_P:
            return self.runnel_one_p
        if isinstance(target.times, Own):
            return self.runnel_others.get(target.times.key)
        return self.samples.get(target.times) if self.metric.compared else None

    def met(self, target: Target) -> bool | None:
        """None: nothing to judge by."""
        runnel = self.samples.get("runnel")
        if runnel is None:
            return None
        if target.times is None:
            return runnel.median <= target.limit
        reference = self.reference(target)
        if reference is None or reference.median <= 0:
            return None
        return runnel.median <= target.limit * reference.median + target.plus


def number(value: float) -> str:
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2
    return f"{value:,.{digits}f}"


def sample(one: Sample | None) -> str:
    """`median (least–most)`"""
    if one is None:
        return "–"
    return f"{number(one.median)} ({number(one.least)}–{number(one.most)})"


def target(row: Row, one: Target) -> str:
    if one.times is None:
        wanted = f"≤ {one.limit:,.6g}"
    else:
        if one.times == ONE_P:
            name = "Runnel with 1 P"
        elif isinstance(one.times, Own):
            name = next(m.unit for m in row.case.metrics if m.key == one.times.key)
        else:
            name = CONTESTANTS[one.times].title
        plus = f" + {one.plus:g}" if one.plus else ""
        wanted = f"≤ {name}{plus}" if plus and one.limit == 1 else f"≤ {one.limit:g} × {name}{plus}"
        # What stands in no column.
        reference = row.reference(one)
        if one.times == ONE_P or isinstance(one.times, Own):
            wanted += "" if reference is None else f", is {difference(row, one, reference)}"
    verdict = {True: "met", False: "MISSED", None: "–"}[row.met(one)]
    return f"{wanted}: {verdict}"


def difference(row: Row, one: Target, reference: Sample) -> str:
    runnel = row.samples["runnel"].median
    if one.plus:
        return f"+ {runnel - reference.median:.1f}"
    return f"{runnel / reference.median:.2f}"


def table(rows: list[Row], contestants: list[str]) -> list[list[str]]:
    """Heading first. Contestants with nothing to show in any of the rows are left out."""
    shown = [c for c in contestants if any(c in row.samples for row in rows)]
    measured = any("runnel" in row.samples for row in rows)
    rivals = [c for c in shown if c != "runnel" and measured]
    titles = {c: CONTESTANTS[c].title for c in shown}
    lines = [
        ["", "P", *titles.values(), *(f"Runnel / {titles[r]}" for r in rivals), "targets"]
    ]
    for row in rows:
        ratios = [row.ratio(rival) for rival in rivals]
        lines.append([
            row.metric.unit,
            str(row.procs),
            *(sample(row.samples.get(c)) for c in shown),
            *("–" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
            "; ".join(target(row, one) for one in row.targets()),
        ])
    return lines

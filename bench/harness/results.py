"""What was measured, and how it stands against what is wanted."""

from dataclasses import dataclass, field

from .cases import ONE_P, Case, Metric, Target
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

    def ratio(self, rival: str) -> float | None:
        """Of the medians, Runnel's to the rival's."""
        if not self.metric.compared or not {"runnel", rival} <= self.samples.keys():
            return None
        against = self.samples[rival].median
        return self.samples["runnel"].median / against if against > 0 else None

    def ratio_to_one_p(self) -> float | None:
        """Of the medians, Runnel's to its own with one P."""
        if self.runnel_one_p is None or "runnel" not in self.samples:
            return None
        against = self.runnel_one_p.median
        return self.samples["runnel"].median / against if against > 0 else None

    def targets(self) -> list[Target]:
        return [t for t in self.metric.targets if t.procs in (None, self.procs)]

    def met(self, target: Target) -> bool | None:
        """None: nothing to judge by."""
        if target.times is None:
            runnel = self.samples.get("runnel")
            return None if runnel is None else runnel.median <= target.limit
        ratio = self.ratio_to_one_p() if target.times == ONE_P else self.ratio(target.times)
        return None if ratio is None else ratio <= target.limit


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
    elif one.times == ONE_P:
        ratio = row.ratio_to_one_p()
        wanted = f"≤ {one.limit:g} × Runnel with 1 P"
        wanted += "" if ratio is None else f", is {ratio:.2f}"
    else:
        wanted = f"≤ {one.limit:g} × {CONTESTANTS[one.times].title}"
    verdict = {True: "met", False: "MISSED", None: "–"}[row.met(one)]
    return f"{wanted}: {verdict}"


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

#!/usr/bin/env python3
"""Tests of the harness, against programs of one line."""

import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness.cases import CASES, ONE_P, Case, Metric, Own, Run, Target  # noqa: E402
from harness.contestants import source  # noqa: E402
from harness.main import compare_with_one_p, prepare  # noqa: E402
from harness.measure import Program, Sample, run_in_turns  # noqa: E402
from harness.results import Row, table  # noqa: E402


def shell(script: str, real_work: bool = False) -> Program:
    return Program(["sh", "-c", script], 1, real_work, [])


def run(programs: dict[str, Program], keys: list[str], rounds: int = 1, timeout_s: float = 10):
    order = []
    for program in programs.values():
        program.keys = keys
    samples, errors = run_in_turns(
        programs, rounds, timeout_s, lambda turn, name: order.append((turn, name)))
    return samples, errors, order


def row(*targets: Target, procs: int = 2, **medians: float) -> Row:
    metric = Metric("ns", "ns", targets)
    samples = {name: Sample([value]) for name, value in medians.items()}
    return Row(Case("case", "", (metric,)), metric, procs, samples)


class Measuring(unittest.TestCase):
    def test_contestants_take_turns(self):
        _, _, order = run({"a": shell("echo x=1"), "b": shell("echo x=2")}, ["x"], rounds=2)
        self.assertEqual(order, [(0, "a"), (0, "b"), (1, "a"), (1, "b")])

    def test_metrics_are_kept_round_after_round(self):
        samples, errors, _ = run({"a": shell("echo x=1.5 y=2e3")}, ["x", "y"], rounds=3)
        self.assertEqual(errors, {})
        self.assertEqual(samples["a"]["x"].values, [1.5] * 3)
        self.assertEqual(samples["a"]["y"].median, 2000)

    def test_a_program_that_fails_is_named_and_the_others_go_on(self):
        programs = {"a": shell("echo oops >&2; exit 3"), "b": shell("echo x=1")}
        samples, errors, _ = run(programs, ["x"], rounds=2)
        self.assertEqual(list(samples), ["b"])
        self.assertEqual(errors, {"a": "ended with status 3\noops"})

    def test_a_program_that_prints_nothing_is_an_error(self):
        _, errors, _ = run({"a": shell("true")}, ["x"])
        self.assertEqual(errors, {"a": "printed nothing"})

    def test_a_metric_that_is_not_printed_is_an_error(self):
        _, errors, _ = run({"a": shell("echo x=1")}, ["x", "y"])
        self.assertEqual(errors, {"a": "did not print y"})

    def test_a_program_that_does_not_end_is_ended(self):
        _, errors, _ = run({"a": shell("exec sleep 60")}, ["x"], timeout_s=0.1)
        self.assertEqual(errors, {"a": "still running after 0.1 s"})

    def test_real_work_is_measured_from_outside(self):
        samples, errors, _ = run({"a": shell("sleep 0.1; echo done", True)}, ["wall_s", "cores"])
        self.assertEqual(errors, {})
        self.assertGreaterEqual(samples["a"]["wall_s"].median, 0.1)
        self.assertLess(samples["a"]["cores"].median, 0.5)

    def test_real_work_has_to_have_the_same_result(self):
        programs = {"a": shell("echo one", True), "b": shell("echo two", True)}
        _, errors, _ = run(programs, ["wall_s"])
        self.assertEqual(errors, {"b": "printed another result than the program before"})

    def test_programs_are_told_the_number_of_ps_by_their_environment_too(self):
        samples, _, _ = run({"a": shell("echo x=$GOMAXPROCS y=$RUNNEL_MAXPROCS")}, ["x", "y"])
        self.assertEqual(samples["a"]["x"].values + samples["a"]["y"].values, [1, 1])


    def test_rivals_need_not_print_what_only_runnel_has(self):
        case = Case("case", "", (Metric("x", "ns"), Metric("y", "ns", runnel_only=True)))
        keys = {name: prepare(case, Path("program"), Run(name, 1, 1, Path("."))).keys
                for name in ("runnel", "go")}
        self.assertEqual(keys, {"runnel": ["x", "y"], "go": ["x"]})
        programs = {"runnel": Program(["echo", "x=1 y=2"], 1, False, ["x", "y"]),
                    "go": Program(["echo", "x=3"], 1, False, ["x"])}
        samples, errors = run_in_turns(programs, 1, 10, lambda turn, name: None)
        self.assertEqual(errors, {})
        self.assertEqual({n: list(s) for n, s in samples.items()},
                         {"runnel": ["x", "y"], "go": ["x"]})


class Judging(unittest.TestCase):
    def test_a_target_is_met_up_to_its_limit(self):
        half = Target(0.5, "go")
        self.assertTrue(row(half, runnel=5, go=10).met(half))
        self.assertFalse(row(half, runnel=6, go=10).met(half))

    def test_a_target_in_the_unit_needs_no_rival(self):
        self.assertTrue(row(runnel=5).met(Target(5)))

    def test_a_target_is_not_judged_without_its_rival(self):
        self.assertIsNone(row(runnel=5).met(Target(0.5, "go")))

    def test_a_target_of_another_number_of_ps_does_not_count(self):
        one, two = Target(0.5, "go", procs=1), Target(0.7, "go", procs=2)
        self.assertEqual(row(one, two, runnel=5, go=10).targets(), [two])

    def test_two_ps_are_compared_with_one(self):
        rule = Target(1.3, ONE_P, procs=2)
        one, good = row(rule, procs=1, runnel=10), row(rule, runnel=13)
        compare_with_one_p([good, one])
        self.assertEqual(one.targets(), [])
        self.assertTrue(good.met(rule))
        bad = row(rule, runnel=14)
        compare_with_one_p([one, bad])
        self.assertFalse(bad.met(rule))
        verdict = table([bad], ["runnel"])[1][-1]
        self.assertEqual(verdict, "≤ 1.3 × Runnel with 1 P, is 1.40: MISSED")

    def test_two_ps_are_not_judged_where_one_was_not_measured(self):
        rule = Target(1.3, ONE_P, procs=2)
        two = row(rule, runnel=13)
        compare_with_one_p([two])
        self.assertIsNone(two.met(rule))

    def test_a_rivals_median_may_be_exceeded_by_so_many_units(self):
        some = Target(1, "go", plus=5)
        self.assertTrue(row(some, runnel=8, go=3).met(some))
        bad = row(some, runnel=8.1, go=3)
        self.assertFalse(bad.met(some))
        self.assertEqual(table([bad], ["runnel", "go"])[1][-1], "≤ Go + 5: MISSED")

    def test_runnel_is_compared_with_another_metric_of_its_own(self):
        times, plus = Target(1.02, Own("base")), Target(1, Own("base"), plus=10)
        metric = Metric("ns", "ns", (times, plus), compared=False, runnel_only=True)
        case = Case("case", "", (metric, Metric("base", "ns of the base")))
        one = Row(case, metric, 1, {"runnel": Sample([12])}, runnel_others={"base": Sample([10])})
        self.assertFalse(one.met(times))
        self.assertTrue(one.met(plus))
        self.assertEqual(
            table([one], ["runnel"])[1][-1],
            "≤ 1.02 × ns of the base, is 1.20: MISSED; ≤ ns of the base + 10, is + 2.0: met")
        self.assertIsNone(row(times, runnel=12).met(times))

    def test_rivals_that_have_nothing_to_show_get_no_column(self):
        lines = table([row(runnel=5, go=10)], ["runnel", "go", "boost_fiber"])
        self.assertEqual(lines[0], ["", "P", "Runnel", "Go", "Runnel / Go", "targets"])
        self.assertEqual(lines[1], ["ns", "2", "5.00 (5.00–5.00)", "10.0 (10.0–10.0)", "0.50", ""])


class Table(unittest.TestCase):
    def test_every_case_has_a_program_for_runnel(self):
        for case in CASES:
            self.assertIsNotNone(source(case, "runnel"), case.name)


if __name__ == "__main__":
    unittest.main()

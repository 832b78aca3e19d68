"""What the figures of a table mean."""

import math

import pytest

from benchmarks.records import Sample
from benchmarks.summary import (
    geometric_mean,
    line,
    medians,
    paired_difference,
    percentile,
    ratios,
    scaling_loss,
)


def sample(
    tool: str, seconds: float, *, case: str = "go", number: int = 0, kind: str = "k", problem: str = ""
) -> Sample:
    return Sample(kind, case, tool, number, {} if problem else {"seconds": seconds}, problem)


def test_a_ratio_is_between_medians_so_that_one_bad_round_does_not_count() -> None:
    samples = [
        *(sample("untraced", seconds, number=number) for number, seconds in enumerate((1.0, 1.0, 9.0))),
        *(sample("tool", seconds, number=number) for number, seconds in enumerate((1.5, 1.5, 0.1))),
    ]
    assert ratios(medians(samples, "k", "seconds"))["tool"] == {"go": 1.5}


def test_a_sample_with_a_problem_has_no_part_in_a_median() -> None:
    samples = [sample("untraced", 1.0), sample("tool", 2.0), sample("tool", 0.0, number=1, problem="timed out")]
    assert medians(samples, "k", "seconds")["tool"] == {"go": 2.0}


def test_samples_of_another_kind_are_not_mixed_in() -> None:
    samples = [sample("untraced", 1.0), sample("untraced", 7.0, kind="deep")]
    assert medians(samples, "k", "seconds") == {"untraced": {"go": 1.0}}


def test_a_case_without_an_untraced_figure_has_no_ratio() -> None:
    samples = [sample("untraced", 1.0), sample("tool", 2.0), sample("tool", 2.0, case="chaos")]
    assert ratios(medians(samples, "k", "seconds"))["tool"] == {"go": 2.0}


def test_the_geometric_mean_of_twice_and_half_is_one() -> None:
    assert geometric_mean([2.0, 0.5]) == pytest.approx(1.0)
    assert math.isnan(geometric_mean([]))


def test_the_percentile_is_a_figure_that_was_measured() -> None:
    figures = [float(number) for number in range(1, 11)]
    assert percentile(figures, 90) == 9.0
    assert percentile(figures, 100) == 10.0
    assert percentile([3.0], 90) == 3.0


def test_a_line_names_the_worst_case() -> None:
    summary = line({"go": 1.1, "chaos": 1.4})
    assert (summary.count, summary.worst, summary.worst_case) == (2, 1.4, "chaos")


def test_differences_are_taken_within_a_round() -> None:
    # Both get slower from round to round by far more than they differ.
    samples = [
        *(sample("absent", 10.0 * number, number=number) for number in range(1, 5)),
        *(sample("on", 10.0 * number + 0.5, number=number) for number in range(1, 5)),
    ]
    difference = paired_difference(samples, "k", "seconds", "on", "absent")
    assert difference.middle == pytest.approx(0.5)
    assert difference.half_width == pytest.approx(0.0)


def test_scaling_compares_each_tool_with_itself_first() -> None:
    # The tool is ten times slower, but two threads of it cost only 10 % more than two untraced ones.
    table = {
        "untraced": {"raw/1": 1.0, "raw/2": 1.1},
        "tool": {"raw/1": 10.0, "raw/2": 12.1},
    }
    assert scaling_loss(table, "raw", "tool") == pytest.approx(0.1)
    assert math.isnan(scaling_loss(table, "hash", "tool"))

"""From raw samples to figures: medians, ratios, the geometric mean, the worst."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.records import Sample

Table = dict[str, dict[str, float]]
"""Tool → case → a figure."""


def medians(samples: Iterable[Sample], kind: str, value: str) -> Table:
    """The median of one value over the rounds, for every tool and case that has it."""
    collected: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        if sample.kind == kind and not sample.problem and value in sample.values:
            collected[sample.tool][sample.case].append(sample.values[value])
    return {tool: {case: median(figures) for case, figures in cases.items()} for tool, cases in collected.items()}


def ratios(table: Table, baseline: str = "untraced") -> Table:
    """Every figure divided by the baseline tool's figure for the same case."""
    against = table.get(baseline, {})
    return {
        tool: {case: figure / against[case] for case, figure in cases.items() if against.get(case)}
        for tool, cases in table.items()
    }


def geometric_mean(figures: Sequence[float]) -> float:
    """The mean that treats 2× and ½× as equally far from 1×. NaN for nothing."""
    if not figures:
        return math.nan
    return math.exp(sum(math.log(figure) for figure in figures) / len(figures))


def percentile(figures: Sequence[float], percent: float) -> float:
    """Nearest rank: the smallest figure that at least ``percent`` % do not exceed. NaN for nothing."""
    if not figures:
        return math.nan
    rank = math.ceil(percent / 100 * len(figures))
    return sorted(figures)[max(rank, 1) - 1]


@dataclass(frozen=True)
class Line:
    """One tool's figures over many cases. ``worst_case`` names the case of ``worst``."""

    count: int
    mean: float
    p90: float
    worst: float
    worst_case: str


def line(cases: dict[str, float]) -> Line:
    """Summarise one tool's ratios."""
    figures = list(cases.values())
    worst_case = max(cases, key=lambda case: cases[case], default="")
    return Line(
        count=len(figures),
        mean=geometric_mean(figures),
        p90=percentile(figures, 90),
        worst=cases.get(worst_case, math.nan),
        worst_case=worst_case,
    )


@dataclass(frozen=True)
class Difference:
    """A median of paired differences with the half-width of its 95 % interval, in the unit of the values."""

    middle: float
    half_width: float


def paired_difference(samples: Iterable[Sample], kind: str, value: str, tool: str, baseline: str) -> Difference:
    """How much more ``tool`` took than ``baseline``, round by round.

    Pairing removes what slows both (another process, the clock); the interval is the notch of a box
    plot, 1.57 × interquartile range ÷ √n, which needs no assumption about the shape of the noise.
    """
    by_round: dict[int, dict[str, float]] = defaultdict(dict)
    for sample in samples:
        if sample.kind == kind and not sample.problem:
            by_round[sample.round][sample.tool] = sample.values[value]
    differences = [
        figures[tool] - figures[baseline] for figures in by_round.values() if tool in figures and baseline in figures
    ]
    if not differences:
        return Difference(math.nan, math.nan)
    spread = percentile(differences, 75) - percentile(differences, 25)
    return Difference(median(differences), 1.57 * spread / math.sqrt(len(differences)))


def scaling_loss(table: Table, mode: str, tool: str, baseline: str = "untraced") -> float:
    """What ``tool`` loses of the scaling from one thread to two that ``baseline`` has; 0.05 is 5 %.

    ``table`` holds seconds for the cases "MODE/1" and "MODE/2".
    """
    alone, together = f"{mode}/1", f"{mode}/2"

    def slowdown(name: str) -> float:
        cases = table.get(name, {})
        return cases[together] / cases[alone] if alone in cases and together in cases else math.nan

    return slowdown(tool) / slowdown(baseline) - 1

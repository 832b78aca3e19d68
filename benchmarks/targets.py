"""What heapsight promises, and whether a run kept the promise.

Nothing is judged that the run did not measure: a target without samples is not listed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from benchmarks import dropin, reading, whole
from benchmarks.blocks import bytes_per_block
from benchmarks.records import Sample
from benchmarks.summary import Table, line, medians, paired_difference, ratios, scaling_loss

PROMISED_BLOCKS = "3500000"
FILE_YARDSTICK = "memray-python"
"""The tool whose files ours are compared with: it too sees every block of Python's allocators."""
THREAD_MODES = ("objects", "raw", "hash")


@dataclass(frozen=True)
class Target:
    """One promise. ``measured`` and ``limit`` are in ``unit``; less is better."""

    what: str
    measured: float
    limit: float
    unit: str

    @property
    def met(self) -> bool:
        """Whether the promise was kept."""
        return self.measured <= self.limit


def judge(samples: list[Sample], notes: dict[str, Any] | None = None) -> list[Target]:
    """Every target that ``samples`` can tell about. ``notes`` say of which interpreter; without them it is a new one."""
    sections = (_whole, _blocks, _drop_in, _threads, _startup, _reading)
    found = [*_overhead(samples, _limits(notes)), *(target for section in sections for target in section(samples))]
    return [target for target in found if not math.isnan(target.measured)]


@dataclass(frozen=True)
class Limits:
    """What is promised of one interpreter, as ratios."""

    full: float
    full_worst: float
    one: float
    sampled: float
    sampled_worst: float
    deep: float


#: The reference is the newest release, as distributions build it; older ones are slower by themselves.
REFERENCE_MINOR = 14
REFERENCE = Limits(full=1.15, full_worst=1.5, one=1.08, sampled=1.015, sampled_worst=1.05, deep=1.35)
OLDER = Limits(full=1.12, full_worst=1.5, one=1.06, sampled=1.015, sampled_worst=1.05, deep=1.35)


def _limits(notes: dict[str, Any] | None) -> Limits:
    minor = int(str(notes["tag"]).split(".")[1]) if notes else REFERENCE_MINOR
    return REFERENCE if minor >= REFERENCE_MINOR else OLDER


def _whole(samples: list[Sample]) -> list[Target]:
    table = medians(samples, "paths", "cpu_seconds")
    paths = line(whole.without_new_path(ratios(table)).get("heapsight", {}))
    return [
        Target("programs that make call paths, geometric mean", paths.mean, 1.35, "×"),
        Target("programs that make call paths, worst", paths.worst, 1.60, "×"),
        Target("a call path never seen before", whole.nanoseconds_per_new_path(samples, "heapsight"), 200, "ns"),
    ]


def _overhead(samples: list[Sample], limits: Limits) -> list[Target]:
    times = ratios(medians(samples, "pyperformance", "seconds"))
    memory = ratios(medians(samples, "pyperformance", "peak_rss_bytes"))
    deep = ratios(medians(samples, "deep", "seconds"))
    full = line(times.get("heapsight", {}))
    sampled = line(times.get("heapsight-sample", {}))
    files = line(ratios(medians(samples, "pyperformance", "capture_bytes"), FILE_YARDSTICK).get("heapsight", {}))
    return [
        Target("full call paths, geometric mean", full.mean, limits.full, "×"),
        Target("full call paths, worst", full.worst, limits.full_worst, "×"),
        Target("1 frame, geometric mean", line(times.get("heapsight-1", {})).mean, limits.one, "×"),
        Target("sampled, geometric mean", sampled.mean, limits.sampled, "×"),
        Target("sampled, worst", sampled.worst, limits.sampled_worst, "×"),
        Target("full call paths, peak RSS, geometric mean", line(memory.get("heapsight", {})).mean, 1.30, "×"),
        Target("file, of memray's with Python allocators, geometric mean", files.mean, 0.1, "×"),
        Target("file, of memray's with Python allocators, worst", files.worst, 0.1, "×"),
        Target("deep stacks, full call paths, worst", line(deep.get("heapsight", {})).worst, limits.deep, "×"),
    ]


def _blocks(samples: list[Sample]) -> list[Target]:
    chosen = [sample for sample in samples if sample.kind == "blocks" and sample.case == PROMISED_BLOCKS]
    good = [sample for sample in chosen if not sample.problem]
    traced = [sample.values for sample in good if sample.tool == "heapsight"]
    plain = [sample.values for sample in good if sample.tool == "untraced"]
    if not traced or not plain:
        return []
    table = {name: medians(chosen, "blocks", name).get("heapsight", {}) for name in traced[0]}

    def figure(name: str) -> float:
        return table.get(name, {}).get(PROMISED_BLOCKS, math.nan)

    theirs = medians(chosen, "blocks", "get_traces_seconds").get("tracemalloc-1", {})
    traces = figure("get_traces_seconds") / theirs.get(PROMISED_BLOCKS, math.nan)
    real = bytes_per_block(traced, plain)
    claimed = figure("own_growth_bytes") / traced[0]["blocks"]
    thousand = f"{int(PROMISED_BLOCKS):,}".replace(",", " ")
    return [
        Target(f"memory per block, {thousand} live", real, 16, "B"),
        Target("error of get_tracemalloc_size()", abs(claimed - real) / real * 100, 5, "%"),
        Target("snapshot without blocks", figure("snapshot_seconds") * 1e3, 5, "ms"),
        Target("snapshot with blocks", figure("snapshot_with_traces_seconds") * 1e3, 60, "ms"),
        Target("all blocks as a dictionary, to `tracemalloc`'s list of them", traces, 1, "×"),
        Target("statistics", figure("statistics_seconds") * 1e3, 5, "ms"),
        Target("compare", figure("compare_seconds") * 1e3, 5, "ms"),
        Target("top list by any key, compared", figure("top_seconds") * 1e3, 50, "ms"),
        Target("filter a snapshot", figure("filter_seconds") * 1e3, 50, "ms"),
        Target("write a snapshot with blocks", figure("write_seconds") * 1e3, 300, "ms"),
        Target("load it", figure("load_seconds") * 1e3, 150, "ms"),
    ]


def _reading(samples: list[Sample]) -> list[Target]:
    return [
        target
        for case in (reading.CASE, reading.QUICK_CASE)
        for name in reading.ANSWERS
        for target in (
            Target(f"{name}, of {case}", _answer(samples, case, name, "seconds"), 1, "s"),
            Target(f"{name}, of {case}: memory", _answer(samples, case, name, "peak_rss_bytes") / 2**20, 200, "MiB"),
        )
    ]


def _answer(samples: list[Sample], case: str, name: str, value: str) -> float:
    return medians(samples, "reading", value).get(name, {}).get(case, math.nan)


def _drop_in(samples: list[Sample]) -> list[Target]:
    """Shares of what `tracemalloc` needs: a fiftieth is 2 %, a two-hundredth 0.5 %."""
    promises = {
        "take_snapshot_seconds": 2,
        "statistics_seconds": 0.5,
        "compare_seconds": 0.5,
        "dump_seconds": 100,
        "load_seconds": 100,
        "snapshot_bytes": 10,
    }
    return [
        Target(
            f"drop-in, {dropin.STEPS[step]}, share of tracemalloc's", dropin.share_percent(samples, step), limit, "%"
        )
        for step, limit in promises.items()
    ]


def _threads(samples: list[Sample]) -> list[Target]:
    table: Table = medians(samples, "threads", "seconds")
    return [
        Target(f"two threads, {mode}: loss", scaling_loss(table, mode, "heapsight") * 100, 5, "%")
        for mode in THREAD_MODES
    ]


def _startup(samples: list[Sample]) -> list[Target]:
    on = paired_difference(samples, "startup", "seconds", "on", "absent")
    off = paired_difference(samples, "startup", "seconds", "off", "absent")
    return [
        Target("start-up, on", on.middle * 1e3, 15, "ms"),
        Target("start-up, installed but off", off.middle * 1e3, 0.2, "ms"),
    ]

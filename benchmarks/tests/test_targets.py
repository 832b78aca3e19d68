"""Which promises are judged, and by what."""

from __future__ import annotations

import pytest

from benchmarks import reading, table
from benchmarks.records import Sample
from benchmarks.targets import PROMISED_BLOCKS, Target, judge

COMMON = ("seconds", "cpu_seconds", "peak_rss_bytes")


def judged(samples: list[Sample]) -> dict[str, Target]:
    return {target.what: target for target in judge(samples)}


def blocks_sample(tool: str, **values: float) -> Sample:
    count = float(PROMISED_BLOCKS)
    common = {"blocks": count, "rss_growth_bytes": 500 * count, "own_growth_bytes": 0.0}
    return Sample("blocks", PROMISED_BLOCKS, tool, 0, {**common, **values}, "")


def test_nothing_is_judged_that_was_not_measured() -> None:
    assert judge([]) == []


def test_all_blocks_as_a_dictionary_are_compared_with_those_of_tracemalloc() -> None:
    samples = [
        blocks_sample("untraced"),
        blocks_sample("heapsight", rss_growth_bytes=510 * 3.5e6, get_traces_seconds=0.5),
        blocks_sample("tracemalloc-1", get_traces_seconds=0.4),
    ]
    [target] = [target for what, target in judged(samples).items() if "dictionary" in what]
    assert target.measured == pytest.approx(1.25)
    assert not target.met


@pytest.mark.parametrize(
    ("value", "seconds", "is_met"),
    [
        ("snapshot_seconds", 0.006, False),
        ("snapshot_with_traces_seconds", 0.059, True),
        ("top_seconds", 0.051, False),
        ("filter_seconds", 0.049, True),
        ("write_seconds", 0.31, False),
        ("load_seconds", 0.149, True),
    ],
)
def test_answers_about_many_blocks_have_limits(value: str, seconds: float, is_met: bool) -> None:
    without = [blocks_sample("untraced"), blocks_sample("heapsight", rss_growth_bytes=510 * 3.5e6)]
    with_it = [without[0], blocks_sample("heapsight", rss_growth_bytes=510 * 3.5e6, **{value: seconds})]
    [what] = set(judged(with_it)) - set(judged(without))
    assert judged(with_it)[what].met is is_met


def test_the_file_is_compared_with_that_of_the_tool_that_sees_as_much() -> None:
    samples = [
        Sample("pyperformance", case, tool, 0, dict.fromkeys(COMMON, 1.0) | {"capture_bytes": size}, "")
        for case, sizes in {"go": (100.0, 2000.0), "float": (300.0, 2000.0)}.items()
        for tool, size in zip(("heapsight", "memray-python", "untraced"), (*sizes, 0.0))
    ]
    targets = {what: target for what, target in judged(samples).items() if what.startswith("file")}
    [mean, worst] = targets.values()
    assert mean.measured == pytest.approx((0.05 * 0.15) ** 0.5)
    assert (mean.met, worst.met) == (True, False)
    [header, _, *rows] = [line for line in table.overhead_summary(samples, "pyperformance") if line]
    assert header.endswith("| file |")
    assert [row.rsplit("| ", 1)[1] for row in rows] == ["0.0866× |", "1.0000× |"]


def test_reading_has_a_limit_for_time_and_one_for_memory() -> None:
    values = {"seconds": 0.5, "peak_rss_bytes": 300.0 * 2**20, "capture_bytes": 1e6}
    samples = [Sample("reading", reading.CASE, name, 0, values, "") for name in reading.ANSWERS]
    targets = judged(samples)
    assert len(targets) == 2 * len(reading.ANSWERS)
    assert {target.met for target in targets.values() if target.unit == "s"} == {True}
    assert {target.met for target in targets.values() if target.unit == "MiB"} == {False}
    assert "300 MiB" in "\n".join(table.reading_table(samples))

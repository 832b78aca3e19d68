"""Which promises are judged, and by what."""

from __future__ import annotations

import pytest

from benchmarks import reading, table, whole
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


def whole_process(case: str, tool: str, cpu_seconds: float, **values: float) -> Sample:
    return Sample("paths", case, tool, 0, {"cpu_seconds": cpu_seconds, "peak_rss_bytes": 1e6, **values})


def test_programs_that_make_paths_are_judged_by_their_mean_and_the_worst_and_one_by_each_path() -> None:
    samples = [
        *(whole_process("parser", tool, seconds) for tool, seconds in (("untraced", 1.0), ("heapsight", 1.2))),
        *(whole_process("closures", tool, seconds) for tool, seconds in (("untraced", 1.0), ("heapsight", 1.8))),
        whole_process(whole.NEW_PATH, "untraced", 0.1, new_paths=1_000_000.0),
        whole_process(whole.NEW_PATH, "heapsight", 0.35, new_paths=1_000_000.0),
    ]
    targets = judged(samples)
    mean, worst, each = (targets[what] for what in targets if "path" in what)
    assert mean.measured == pytest.approx((1.2 * 1.8) ** 0.5)
    assert (worst.measured, worst.met) == (1.8, False)
    assert each.measured == pytest.approx(250.0)
    assert not each.met
    shown = "\n".join(table.whole_table(samples, "paths"))
    assert "250 ns" in shown
    assert "| geometric mean |  | 1.47 |" in shown


def test_older_interpreters_have_limits_of_their_own() -> None:
    samples = [
        Sample("pyperformance", "go", tool, 0, dict.fromkeys(COMMON, seconds) | {"capture_bytes": 1.0})
        for tool, seconds in (("untraced", 1.0), ("heapsight", 1.13))
    ]
    verdicts = {
        tag: next(target.met for target in judge(samples, {"tag": tag}) if "geometric mean" in target.what)
        for tag in ("3.12.1", "3.14.10", "3.15.0")
    }
    assert verdicts == {"3.12.1": False, "3.14.10": True, "3.15.0": True}

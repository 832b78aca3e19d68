"""Grouped statistics and their differences."""

from __future__ import annotations

from typing import Any

import pytest

import heapsight
from heapsight import Frame, GroupedStats, Snapshot, StatsDiff, TraceStats

pytestmark = pytest.mark.usefixtures("untraced")

HERE = __file__


def grouped(stats: dict[Any, tuple[int, int]], group_by: Any = "filename") -> GroupedStats:
    return GroupedStats({key: TraceStats(*entry) for key, entry in stats.items()}, group_by)


def test_differences_of_dictionaries() -> None:
    new = grouped({"a": (300, 3), "b": (10, 1), None: (10, 1)})
    old = grouped({"a": (100, 1), "gone": (250, 5), "b": (10, 1)})
    diff = new.compare_to(old)
    assert diff.differences == [
        (-250, 0, -5, 0, "gone"),
        (200, 300, 2, 3, "a"),
        (10, 10, 1, 1, None),
        (0, 10, 0, 1, "b"),
    ]
    assert diff.old_stats is old
    assert diff.new_stats is new


def test_without_an_old_side_the_differences_are_zero() -> None:
    diff = grouped({"a": (300, 3), "b": (400, 1)}).compare_to()
    assert diff.differences == [(0, 400, 0, 1, "b"), (0, 300, 0, 3, "a")]
    assert diff.old_stats is None


@pytest.mark.parametrize(
    "rows",
    [
        [
            (-9, 1, 0, 1, "z"),
            (8, 2, 0, 1, "a"),
            (8, 1, 5, 1, "a"),
            (8, 1, -4, 9, "a"),
            (8, 1, 4, 1, "a"),
            (8, 1, 4, 1, "b"),
        ],
        [(0, 1, 0, 1, (None, None)), (0, 1, 0, 1, ("a", None)), (0, 1, 0, 1, ("a", 2)), (0, 1, 0, 1, ("b", 1))],
        [(0, 1, 0, 1, (None, None)), (0, 1, 0, 1, ("a", "f")), (0, 1, 0, 1, ("a", "g"))],
        [(0, 1, 0, 1, ()), (0, 1, 0, 1, (Frame("a", 1), Frame("b", 1))), (0, 1, 0, 1, (Frame("a", 2),))],
        [(0, 1, 0, 1, 5), (0, 1, 0, 1, 70)],
    ],
)
def test_sorting_is_by_size_of_the_change_then_size_then_count_then_key(rows: list[Any]) -> None:
    diff = StatsDiff(rows[::-1], None, grouped({}))
    diff.sort()
    assert diff.differences == rows


def test_statistics_grouped_otherwise_are_not_compared() -> None:
    with pytest.raises(ValueError, match=r"grouped by function cannot be compared with statistics grouped by filename"):
        grouped({}).compare_to(grouped({}, "function"))
    wrong: Any = 5
    with pytest.raises(TypeError, match="5"):
        grouped({}).compare_to(wrong)
    assert grouped({}, "line").compare_to(grouped({}, "filename_lineno")).differences == []


def test_wrong_arguments_are_named() -> None:
    make: Any = GroupedStats
    with pytest.raises(ValueError, match=r"'address'.*not 'size'"):
        make({}, "size")
    with pytest.raises(TypeError, match=r"\[\] \(list\)"):
        make([], "filename")


def two_snapshots() -> tuple[Snapshot, Snapshot, Any]:
    heapsight.set_traceback_limit(4)
    heapsight.enable()
    going = [bytes(3000) for _ in range(20)]
    staying = [bytes(2000) for _ in range(20)]
    old = Snapshot.create(with_traces=True)
    going.clear()
    coming = [bytes(5000) for _ in range(20)]
    return old, Snapshot.create(with_traces=True), (staying, coming)


@pytest.mark.parametrize("group_by", ["filename", "line", "traceback", "function", "domain", "thread", "address"])
@pytest.mark.parametrize("cumulative", [False, True])
@pytest.mark.parametrize("with_old", [False, True])
def test_tables_differ_as_their_dictionaries_do(group_by: Any, cumulative: bool, with_old: bool) -> None:
    old, new, kept = two_snapshots()
    native = new.top_by(group_by, cumulative).compare_to(old.top_by(group_by, cumulative) if with_old else None)
    new_stats = GroupedStats(new.top_by(group_by, cumulative).stats, group_by)
    old_stats = GroupedStats(old.top_by(group_by, cumulative).stats, group_by)
    plain = new_stats.compare_to(old_stats if with_old else None)
    assert native.differences == plain.differences
    native.sort()
    assert native.differences == plain.differences
    assert repr(native).startswith("<StatsDiff by ")
    del kept


def test_statistics_that_were_read_and_changed_are_compared_as_changed() -> None:
    old, new, kept = two_snapshots()
    stats = new.top_by("filename")
    stats.stats["made up"] = TraceStats(1 << 40, 1)
    assert stats.compare_to(old.top_by("filename")).differences[0] == (1 << 40, 1 << 40, 1, 1, "made up")
    del kept


def test_grouped_statistics_know_their_snapshot() -> None:
    old, _, kept = two_snapshots()
    stats = old.top_by("line", cumulative=True)
    assert (stats.group_by, stats.cumulative) == ("line", True)
    assert stats.timestamp == old.timestamp
    assert stats.process_memory == old.process_memory
    assert stats.tracemalloc_size == old.tracemalloc_size
    del kept

"""Whatever the module gives can be pickled with every protocol, copied and compared."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import heapsight
from heapsight import (
    DisplayTop,
    Filter,
    Filters,
    Frame,
    GroupedStats,
    Metric,
    ProcessMemory,
    Snapshot,
    StatsDiff,
    TakeSnapshot,
    Trace,
    TraceStats,
)

pytestmark = pytest.mark.usefixtures("untraced")

WAYS: list[Callable[[Any], Any]] = [
    copy.copy,
    copy.deepcopy,
    *(
        lambda value, protocol=protocol: pickle.loads(pickle.dumps(value, protocol))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ),
]
every_way = pytest.mark.parametrize(
    "way", WAYS, ids=["copy", "deepcopy", *(f"protocol {number}" for number in range(pickle.HIGHEST_PROTOCOL + 1))]
)


def snapshots() -> tuple[Snapshot, Snapshot]:
    heapsight.enable()
    old = Snapshot.create(with_traces=True)
    kept = [bytes(1000) for _ in range(10)]
    new = Snapshot.create(with_traces=True)
    heapsight.disable()
    assert kept
    return old, new


GROUPINGS = ["filename", "line", "traceback", "function", "domain", "thread", "address"]


@every_way
@pytest.mark.parametrize("group_by", GROUPINGS)
@pytest.mark.parametrize("is_read_before", [True, False])
def test_statistics_and_differences(way: Callable[[Any], Any], group_by: Any, is_read_before: bool) -> None:
    old, new = snapshots()
    stats = new.top_by(group_by)
    diff = stats.compare_to(old.top_by(group_by))
    if is_read_before:
        assert stats.stats
        assert diff.differences
    same, same_diff = way(stats), way(diff)
    for name in ("stats", "group_by", "cumulative", "timestamp", "process_memory", "tracemalloc_size"):
        assert getattr(same, name) == getattr(stats, name)
    assert type(same) is GroupedStats
    assert type(same_diff) is StatsDiff
    assert same_diff.differences == diff.differences
    assert same_diff.new_stats.stats == stats.stats
    assert same_diff.old_stats is not None
    assert same_diff.old_stats.stats == old.top_by(group_by).stats
    assert same.compare_to(same_diff.old_stats).differences == diff.differences
    assert same_diff._head(3, False) == diff._head(3, False)


class Named(GroupedStats):
    """A subclass with an attribute of its own and a constructor of its own."""

    def __init__(self, name: str) -> None:
        super().__init__({"a": TraceStats(1, 2)}, "filename")
        self.name = name


@every_way
def test_subclass_keeps_its_attributes(way: Callable[[Any], Any]) -> None:
    same = way(Named("x"))
    assert (type(same), same.name, same.stats) == (Named, "x", {"a": TraceStats(1, 2)})


@every_way
@pytest.mark.parametrize(
    "value",
    [
        Frame("a.py", 7, "f"),
        Frame(),
        Trace(5, [Frame("a.py", 7)]),
        TraceStats(2**64 - 1, 3),
        Filter(False, "*.py", 5, True),
        Metric("a", 0.5, "percent"),
        ProcessMemory(1, 2),
    ],
    ids=str,
)
def test_values(way: Callable[[Any], Any], value: Any) -> None:
    assert way(value) == value
    assert type(way(value)) is type(value)


@every_way
def test_collections_and_snapshots(way: Callable[[Any], Any]) -> None:
    filters = Filters([Filter(True, "a"), Filter(False, "b")])
    assert list(way(filters)) == list(filters)
    _, new = snapshots()
    same = way(new)
    assert (same.stats, same.traces, same.timestamp) == (new.stats, new.traces, new.timestamp)


@every_way
def test_displays_and_tasks(way: Callable[[Any], Any]) -> None:
    display = DisplayTop()
    display.filename_parts = 5
    display.previous_top_stats = snapshots()[1].top_by("filename")
    same = way(display)
    assert (same.filename_parts, same.previous_top_stats.stats) == (5, display.previous_top_stats.stats)
    take = TakeSnapshot()
    take.filename_template = "x"
    assert way(take).filename_template == "x"

"""Dictionaries of very many blocks."""

from __future__ import annotations

import copy
import sys

import pytest

import heapsight
from heapsight import Filter, GroupedStats, Snapshot, Trace

pytestmark = pytest.mark.usefixtures("untraced")

#: More than CPython would make room for by itself, and than traces are shared among.
BLOCKS = 200_000


def test_every_one_of_many_blocks_has_its_trace() -> None:
    heapsight.enable()
    kept = [bytes(2 + number % 9000) for number in range(BLOCKS)]
    traces = heapsight.get_traces()
    heapsight.disable()
    assert len(traces) >= BLOCKS
    overhead = sys.getsizeof(b"")
    wrong = [block for block in kept if traces[id(block)].size != overhead + len(block)]
    assert wrong == []
    assert {trace.traceback[0].filename for trace in map(traces.__getitem__, map(id, kept))} == {__file__}


def test_dictionary_of_many_traces_can_be_changed_as_any_other() -> None:
    heapsight.enable()
    kept: list[list[int]] = [[] for _ in range(BLOCKS)]
    traces = heapsight.get_traces()
    heapsight.disable()
    assert len(kept) == BLOCKS
    count = len(traces)
    assert len(list(traces)) == count
    assert traces == copy.copy(traces) == dict(traces.items())
    traces.update({-number: Trace(number, []) for number in range(1, BLOCKS)})
    assert len(traces) == len(set(traces)) == count + BLOCKS - 1
    for address in [address for address in traces if address < 0]:
        del traces[address]
    assert len(traces) == count
    traces.clear()
    traces[1] = Trace(1, [])
    assert traces == {1: Trace(1, [])}


def test_statistics_by_address_are_the_sizes_of_the_traces() -> None:
    heapsight.enable()
    kept = [(number,) for number in range(BLOCKS)]
    snapshot = Snapshot.create(with_traces=True)
    heapsight.disable()
    assert len(kept) == BLOCKS
    traces = snapshot.traces
    assert traces is not None
    stats = snapshot.top_by("address").stats
    assert {address: (entry.size, entry.count) for address, entry in stats.items()} == {
        address: (trace.size, 1) for address, trace in traces.items()
    }


@pytest.mark.parametrize(
    "filters", [[], [Filter(True, __file__)], [Filter(False, __file__)]], ids=["all", "kept", "dropped"]
)
def test_changes_by_address_are_those_of_the_dictionaries(filters: list[Filter]) -> None:
    heapsight.enable()
    kept = [bytes(number % 700) for number in range(20_000)]
    old = Snapshot.create(with_traces=True)
    kept[::7] = [bytes(number % 900) for number in range(len(kept[::7]))]
    kept += [bytes(number) for number in range(500)]
    new = Snapshot.create(with_traces=True)
    heapsight.disable()
    for snapshot in (old, new):
        snapshot.apply_filters(filters)
    as_dictionaries = [GroupedStats(side.top_by("address").stats, "address") for side in (old, new)]
    expected = as_dictionaries[1].compare_to(as_dictionaries[0])
    diff = new.top_by("address").compare_to(old.top_by("address"))
    for count in (1, 10, 1000, len(expected.differences)):
        assert diff._head(count) == expected._head(count)
    assert diff.differences == expected.differences
    alone = new.top_by("address").compare_to()
    assert alone.differences == as_dictionaries[1].compare_to().differences
    assert alone._head(10) == as_dictionaries[1].compare_to()._head(10)

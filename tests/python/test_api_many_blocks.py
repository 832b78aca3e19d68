"""Dictionaries of very many blocks: made in one go, and ordinary dictionaries all the same."""

from __future__ import annotations

import copy
import sys

import pytest

import heapsight
from heapsight import Snapshot, Trace

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
    kept = [[] for _ in range(BLOCKS)]
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

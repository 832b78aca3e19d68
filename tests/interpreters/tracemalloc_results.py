"""Everything that can be asked of snapshots, as text: the same for `tracemalloc` and for one that claims to be like it."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

GROUPINGS = [
    (key, cumulative) for key in ("filename", "lineno", "traceback", "address", 3) for cumulative in (False, True)
]
PATTERNS = ("*.py", "a.py", "b.py", "/lib/*", "?.py", "[ab].py", "<unknown>", "*")


def results(module: Any, new: list[Any], old: list[Any], limit: int, rng: random.Random, folder: Path) -> list[str]:
    """Ask the module everything about two snapshots made of these traces."""
    return list(_results(module, new, old, limit, rng, folder))


def _attempt(ask: Callable[..., object], *given: Any) -> str:
    try:
        return repr(ask(*given))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _results(
    module: Any, new: list[Any], old: list[Any], limit: int, rng: random.Random, folder: Path
) -> Iterator[str]:
    snapshots = [module.Snapshot(list(traces), limit) for traces in (new, old)]
    yield from _sums(*snapshots)
    yield from _sequence(module, snapshots[0], rng)
    for trace in list(snapshots[0].traces)[:5]:
        yield from _trace(module, trace, rng)
    filters = [
        rng.choice(
            (
                lambda: module.Filter(rng.random() < 0.5, rng.choice(PATTERNS), rng.choice((None, None, 0, 1))),
                lambda: module.Filter(
                    rng.random() < 0.5, rng.choice(PATTERNS), all_frames=True, domain=rng.choice((None, 0))
                ),
                lambda: module.DomainFilter(rng.random() < 0.5, rng.choice((0, 5, 389_047))),
            )
        )()
        for _ in range(rng.randrange(4))
    ]
    filtered = snapshots[0].filter_traces(filters)
    yield from _sums(filtered, snapshots[0])
    yield _attempt(lambda: filtered.traces._traces)
    yield _attempt(lambda: snapshots[0].filter_traces(3))
    yield _attempt(lambda: filtered.traces == snapshots[0].traces)
    for each in filters:
        yield _attempt(lambda each: [each.inclusive, each.domain, getattr(each, "filename_pattern", None)], each)
    yield from _files(module, snapshots[0], snapshots[1], folder)


def _sums(new: Any, old: Any) -> Iterator[str]:
    for key_type, cumulative in GROUPINGS:
        yield _attempt(lambda k, c: new.statistics(k, c), key_type, cumulative)
        yield _attempt(lambda k, c: new.compare_to(old, k, c), key_type, cumulative)
        yield _attempt(lambda k, c: sorted(map(str, new._group_by(k, c).values())), key_type, cumulative)
    yield _attempt(lambda: [f"{each!s} {hash(each)}" for each in new.statistics("lineno")])
    yield _attempt(lambda: [f"{each!s} {hash(each)}" for each in new.compare_to(old, "traceback")])
    yield _attempt(lambda: new.statistics("filename") == new.statistics("filename"))
    yield _attempt(lambda: new.compare_to(old, "filename") == old.compare_to(new, "filename"))


def _sequence(module: Any, snapshot: Any, rng: random.Random) -> Iterator[str]:
    traces = snapshot.traces
    yield _attempt(lambda: [len(traces), bool(traces), snapshot.traceback_limit, traces])
    yield _attempt(lambda: list(traces))
    yield _attempt(lambda: list(reversed(traces)))
    for index in (0, -1, len(traces), -len(traces) - 1, rng.randrange(-3, 40), "x", 1.0, None):
        yield _attempt(lambda index: traces[index], index)
    for _ in range(3):
        begin, end = (rng.choice((None, *range(-5, 6))) for _ in range(2))
        cut = slice(begin, end, rng.choice((None, 1, 2, -1, 0)))
        yield _attempt(lambda cut: traces[cut], cut)
    yield _attempt(lambda: [traces.index(traces[0]), traces.count(traces[0]), traces[0] in traces])
    yield _attempt(lambda: module.Trace((0, 77, (("no", 1),), 1)) in traces)
    yield _attempt(lambda: traces == copy.copy(traces))
    yield _attempt(lambda: traces == list(traces))
    yield _attempt(lambda: traces == module._Traces(traces._traces[1:]))
    yield _attempt(lambda: hash(traces))


def _trace(module: Any, trace: Any, rng: random.Random) -> Iterator[str]:
    traceback = trace.traceback
    yield _attempt(lambda: [trace, str(trace), hash(trace), trace.domain, trace.size, trace._trace])
    yield _attempt(lambda: [traceback, str(traceback), hash(traceback), len(traceback), traceback.total_nframe])
    yield _attempt(lambda: [list(traceback), traceback[0], traceback[-1], traceback[:1], traceback[9]])
    other = module.Traceback(((rng.choice("abc"), rng.randrange(3)),), 1)
    for one, another in ((traceback, other), (traceback[0], other[0]), (traceback, 3), (traceback[0], "x"), (trace, 3)):
        yield _attempt(lambda a, b: [a == b, a != b], one, another)
        yield _attempt(lambda a, b: [a < b, a <= b, a > b, a >= b], one, another)
    yield _attempt(lambda: [traceback[0] in traceback, other[0] in traceback])
    frame = traceback[0]
    yield _attempt(lambda: [frame, str(frame), hash(frame), frame.filename, frame.lineno])
    for limit in (None, 0, 1, 2, -1, 99):
        for recent in (False, True):
            yield _attempt(lambda n, r: traceback.format(n, most_recent_first=r), limit, recent)
    for value in (frame, traceback, trace):
        yield _attempt(lambda value: setattr(value, "anything", 1), value)


def _files(module: Any, snapshot: Any, old: Any, folder: Path) -> Iterator[str]:
    import tracemalloc

    from heapsight import tracemalloc as drop_in

    path = folder / f"{module.__name__}.pickle"
    snapshot.remark = {"extra": [1, 2]}
    snapshot.dump(path)
    for reader in (tracemalloc, drop_in):
        loaded = reader.Snapshot.load(path)
        yield _attempt(lambda a: [type(a).__name__, a.remark, a.traceback_limit, list(a.traces)], loaded)
        yield _attempt(
            lambda a, make: a.traces == make(list(snapshot.traces._traces), 1).traces, loaded, reader.Snapshot
        )
        yield from _sums(loaded, loaded)
    mine = module.Snapshot.load(path)
    yield from _sums(mine, old)
    again = pickle.loads(pickle.dumps(snapshot))
    yield _attempt(lambda: [type(again) is type(snapshot), again.traces == snapshot.traces, again.remark])
    yield _attempt(lambda: list(copy.deepcopy(snapshot).traces))
    for value in (snapshot.traces[:1], snapshot.statistics("lineno"), snapshot.compare_to(old, "lineno")):
        yield _attempt(lambda value: pickle.loads(pickle.dumps(value)) == value, value)

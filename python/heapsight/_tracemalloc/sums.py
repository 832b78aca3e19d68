"""Sums over the traces of snapshots: in Rust where the tracer made the traces, here for whatever else a program puts into a snapshot."""

__all__ = ["check", "differences", "statistics"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable as _Iterable
    from typing import Any as _Any

    from heapsight._heapsight import TraceTable as _TraceTable
    from heapsight._tracemalloc.traces import _Traces

    _Frames = tuple[tuple[str, int], ...]


def check(key_type: str, cumulative: bool) -> None:
    """Refuse a grouping that does not exist, in `tracemalloc`'s words."""
    if key_type not in ("traceback", "filename", "lineno"):
        raise ValueError(f"unknown key_type: {key_type!r}")
    if cumulative and key_type == "traceback":
        raise ValueError(f"cumulative mode cannot by used with key type {key_type!r}")


def statistics(traces: "_Traces", key_type: str, cumulative: bool) -> "list[tuple[_Frames, int, int]]":
    """Return (frames, size, count) of each group, the largest first; frames have the most recent first."""
    table = _table(traces)
    if table is not None:
        return table.statistics(key_type, bool(cumulative))
    groups = _sums(traces._rows(), key_type, cumulative)
    rows = [(frames, size, count) for frames, (size, count) in groups.items()]
    rows.sort(key=lambda row: (row[1], row[2], row[0][::-1]), reverse=True)
    return rows


def differences(
    new: "_Any", old: "_Any", key_type: str, cumulative: bool
) -> "list[tuple[_Frames, int, int, int, int]]":
    """Return (frames, size, size_diff, count, count_diff) of each group of two snapshots, the biggest change first."""
    new_table, old_table = _table(new.traces), _table(getattr(old, "traces", None))
    if new_table is not None and old_table is not None:
        return new_table.differences(old_table, key_type, bool(cumulative))
    # Whatever the other is, it can group itself: so it may be a snapshot of `tracemalloc`.
    now, before = (
        {group._frames[::-1]: (sums.size, sums.count) for group, sums in each._group_by(key_type, cumulative).items()}
        for each in (new, old)
    )
    rows = []
    for frames in {**now, **before}:
        size, count = now.get(frames, (0, 0))
        old_size, old_count = before.get(frames, (0, 0))
        rows.append((frames, size, size - old_size, count, count - old_count))
    rows.sort(key=lambda row: (abs(row[2]), row[1], abs(row[4]), row[3], row[0][::-1]), reverse=True)
    return rows


def _table(traces: "_Traces | None") -> "_TraceTable | None":
    as_table = getattr(traces, "_as_table", None)
    return None if as_table is None else as_table()


def _sums(traces: "_Iterable[_Any]", key_type: str, cumulative: bool) -> "dict[_Frames, tuple[int, int]]":
    groups: dict[_Frames, tuple[int, int]] = {}
    for _domain, size, frames, *_total in traces:
        if key_type == "traceback":
            keys = [frames]
        else:
            keys = [(frame,) for frame in frames] if cumulative else [frames[:1]]
            if key_type == "filename":
                keys = [((key[0][0], 0),) for key in keys]
        for key in keys:
            total, count = groups.get(key, (0, 0))
            groups[key] = (total + size, count + 1)
    return groups

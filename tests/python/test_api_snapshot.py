"""Snapshots: what they hold, filtered, grouped, written, read and pickled; and what is traced right now."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tracemalloc
from copy import copy
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import heapsight
from heapsight import Filter, Frame, Metric, Snapshot, TraceStats

pytestmark = pytest.mark.usefixtures("untraced")

HERE = __file__
BLOCK = bytes(10_000).__sizeof__()


def make(count: int) -> list[bytes]:
    return [bytes(10_000) for _ in range(count)]


MAKE_LINE = make.__code__.co_firstlineno + 1


def snapshot_of(count: int = 3, limit: int | None = 1, **options: Any) -> tuple[Snapshot, list[bytes]]:
    heapsight.set_traceback_limit(limit)
    heapsight.enable()
    kept = make(count)
    return Snapshot.create(**options), kept


def test_statistics_are_by_file_and_line_of_the_most_recent_frame() -> None:
    snapshot, kept = snapshot_of()
    assert snapshot.stats is not None
    assert snapshot.stats[HERE][MAKE_LINE].count >= 3
    assert 3 * BLOCK <= snapshot.stats[HERE][MAKE_LINE].size < 3 * BLOCK + 1000
    assert snapshot.stats is snapshot.stats, "made once"
    now = heapsight.get_stats()
    assert now[HERE][MAKE_LINE] == snapshot.stats[HERE][MAKE_LINE]
    del kept


def test_traces_are_every_block_by_address() -> None:
    snapshot, kept = snapshot_of(with_traces=True)
    assert snapshot.traces is not None
    for block in kept:
        trace = snapshot.traces[heapsight.get_object_address(block)]
        assert trace.size == BLOCK
        assert [(frame.filename, frame.lineno) for frame in trace.traceback] == [(HERE, MAKE_LINE)]
        assert trace == heapsight.get_object_trace(block)
        assert heapsight.get_traces()[heapsight.get_object_address(block)] == trace
    assert sum(trace.size for trace in snapshot.traces.values()) == snapshot.traced_memory


def test_snapshot_stays_as_it_was_when_blocks_are_freed() -> None:
    snapshot, kept = snapshot_of(with_traces=True)
    address = heapsight.get_object_address(kept[0])
    kept.clear()
    assert snapshot.traces is not None
    assert snapshot.traces[address].size == BLOCK
    assert heapsight.get_trace(address) is None


def test_call_path_has_names_and_is_cut_to_the_limit() -> None:
    for limit, expected in ((1, ["make"]), (2, ["make", "snapshot_of"])):
        snapshot, kept = snapshot_of(1, limit, with_traces=True)
        assert snapshot.traceback_limit == limit
        assert snapshot.traces is not None
        names = [
            [str(frame.name).split(".")[-1] for frame in trace.traceback if frame.name and "comp>" not in frame.name]
            for trace in (snapshot.traces[heapsight.get_object_address(kept[0])], heapsight.get_object_trace(kept[0]))
            if trace is not None
        ]
        assert all(found == expected[: len(found)] for found in names)
        assert all(len(trace.traceback) <= limit for trace in snapshot.traces.values())


def test_what_it_knows_of_the_process() -> None:
    before = datetime.now(timezone.utc)
    snapshot, kept = snapshot_of()
    assert snapshot.pid == os.getpid()
    assert before - timedelta(milliseconds=1) <= snapshot.timestamp <= datetime.now(timezone.utc)
    assert snapshot.timestamp.tzinfo is not None
    assert snapshot.traced_memory >= 3 * BLOCK
    assert snapshot.traced_peak >= snapshot.traced_memory
    assert snapshot.tracemalloc_size > 0
    memory = heapsight.get_process_memory()
    assert memory is not None
    assert snapshot.process_memory is not None
    assert 0 < snapshot.process_memory.rss < snapshot.process_memory.vms
    assert snapshot.traces is None
    del kept


def test_options_are_keyword_only_and_one_is_needed() -> None:
    heapsight.enable()
    create: Any = Snapshot.create
    with pytest.raises(TypeError):
        create(True)
    with pytest.raises(ValueError, match="with_traces=False and with_stats=False"):
        Snapshot.create(with_stats=False)
    without_stats = Snapshot.create(with_traces=True, with_stats=False)
    assert without_stats.stats is None
    assert without_stats.traces


def test_nothing_is_known_when_tracing_is_off_and_the_error_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match=r"heapsight\.enable\(\)"):
        Snapshot.create()
    assert heapsight.get_traces() == {}
    assert heapsight.get_stats() == {}
    assert heapsight.get_object_trace(bytes(100)) is None


@pytest.mark.parametrize("address", ["0x10", 1.5, None])
def test_address_of_another_type_is_a_type_error_that_names_it(address: Any) -> None:
    with pytest.raises(TypeError) as raised:
        heapsight.get_trace(address)
    assert repr(address) in str(raised.value)


def test_filters_apply_to_everything_made_from_the_snapshot() -> None:
    snapshot, kept = snapshot_of(with_traces=True)
    total = snapshot.traced_memory
    assert snapshot.stats
    snapshot.apply_filters([Filter(True, HERE, MAKE_LINE)])
    assert snapshot.stats is not None
    assert set(snapshot.stats) == {HERE}
    assert set(snapshot.stats[HERE]) == {MAKE_LINE}
    assert snapshot.traces is not None
    assert {str(trace.traceback[0]) for trace in snapshot.traces.values()} == {f"{HERE}:{MAKE_LINE}"}
    assert len(snapshot.traces) == snapshot.stats[HERE][MAKE_LINE].count
    assert set(snapshot.top_by("address").stats) == set(snapshot.traces)
    assert snapshot.traced_memory == total
    snapshot.apply_filters(heapsight.Filters([Filter(False, HERE)]))
    assert (snapshot.stats, snapshot.traces) == ({}, {})
    del kept


def test_wrong_filters_are_refused() -> None:
    snapshot, kept = snapshot_of()
    wrong: Any
    for wrong in (5, ["*"], Filter(True, "*")):
        with pytest.raises(TypeError):
            snapshot.apply_filters(wrong)
    assert snapshot.stats
    del kept


@pytest.mark.parametrize(
    "group_by", ["filename", "filename_lineno", "line", "traceback", "function", "domain", "thread"]
)
def test_every_grouping_accounts_for_all_memory(group_by: Any) -> None:
    snapshot, kept = snapshot_of(5, None, with_traces=True)
    stats = snapshot.top_by(group_by).stats
    assert sum(entry.size for entry in stats.values()) == snapshot.traced_memory
    assert snapshot.traces is not None
    assert sum(entry.count for entry in stats.values()) == len(snapshot.traces)
    sizes = [entry.size for entry in stats.values()]
    assert sizes == sorted(sizes, reverse=True)
    del kept


def test_keys_are_what_the_grouping_says() -> None:
    snapshot, kept = snapshot_of(5, None, with_traces=True)
    assert HERE in snapshot.top_by("filename").stats
    assert (HERE, MAKE_LINE) in snapshot.top_by("line").stats
    functions = [key for key in snapshot.top_by("function").stats if key[0] == HERE]
    assert any("make" in name or name == "<listcomp>" for _, name in functions)
    path = max(snapshot.top_by("traceback").stats.items(), key=lambda item: item[1].size)[0]
    assert isinstance(path[0], Frame)
    assert (path[0].filename, path[0].lineno) == (HERE, MAKE_LINE)
    assert snapshot.top_by("address").stats[heapsight.get_object_address(kept[0])] == TraceStats(BLOCK, 1)
    assert set(snapshot.top_by("domain").stats) <= {"python.raw", "python.mem", "python.obj"}


def recurse(depth: int) -> list[Any]:
    return [bytes(10_000)] if depth == 0 else [recurse(depth - 1)]


def test_cumulative_counts_a_recursive_function_once() -> None:
    heapsight.set_traceback_limit(None)
    heapsight.enable()
    kept = recurse(20)
    snapshot = Snapshot.create()
    by_function = snapshot.top_by("function", cumulative=True).stats
    own = snapshot.top_by("function").stats[HERE, "recurse"]
    assert by_function[HERE, "recurse"] == own
    caller = by_function[HERE, "test_cumulative_counts_a_recursive_function_once"]
    assert caller.size >= own.size
    assert all(entry.size <= snapshot.traced_memory for entry in by_function.values())
    del kept


def test_cumulative_is_ignored_where_a_block_has_one_key() -> None:
    snapshot, kept = snapshot_of(3, 1, with_traces=True)
    assert not snapshot.top_by("filename", cumulative=True).cumulative
    assert snapshot.top_by("address", cumulative=True).stats == snapshot.top_by("address").stats
    del kept


def test_unknown_grouping_is_an_error_that_lists_the_choices() -> None:
    snapshot, kept = snapshot_of()
    unknown: Any = "size"
    with pytest.raises(ValueError, match=r"'filename', 'filename_lineno'.*'thread', not 'size'"):
        snapshot.top_by(unknown)
    with pytest.raises(ValueError, match="with_traces=True"):
        snapshot.top_by("address")
    del kept


def test_user_data_is_kept_as_is_and_its_numbers_are_metrics() -> None:
    heapsight.enable()
    calls: list[int] = []

    def callback() -> dict[str, Any]:
        calls.append(1)
        return {"queue": 7, "hits": Metric("cache.hits", 0.5, "percent")}

    snapshot = Snapshot.create(user_data_callback=callback)
    assert calls == [1]
    assert snapshot.user_data["queue"] == 7
    assert snapshot.metrics == {"queue": Metric("queue", 7, "int"), "cache.hits": Metric("cache.hits", 0.5, "percent")}
    mixed = Snapshot.create(user_data_callback=lambda: {"odd": "text", "huge": 10**400, "queue": 7, 5: 6})
    assert mixed.metrics == {"queue": Metric("queue", 7, "int")}, "odd values do not hide the others"
    no_metrics: tuple[Any, ...] = ("text", {"a": "b"}, [1], None)
    for other in no_metrics:
        assert Snapshot.create(user_data_callback=partial(copy, other)).metrics == {}


@pytest.mark.parametrize(("value", "format_"), [("1", "int"), (True, "int"), (1, "bytes")])
def test_metric_that_cannot_be_shown_is_refused(value: Any, format_: str) -> None:
    with pytest.raises((TypeError, ValueError)) as raised:
        Metric("x", value, format_)
    assert repr(value) in str(raised.value) or repr(format_) in str(raised.value)


def test_standard_metrics_are_those_promised() -> None:
    heapsight.enable()
    names = set(heapsight.standard_metrics())
    assert names >= {
        "gc.objects",
        "gc.collections.0",
        "gc.collections.1",
        "gc.collections.2",
        "process_memory.rss",
        "process_memory.vms",
        "traced_memory.size",
        "traced_memory.peak",
        "tracemalloc_size",
        "linecache.size",
        "re.cache",
    }
    assert ("interned_strings" in names) == hasattr(sys, "getunicodeinternedsize")


def assert_same(one: Snapshot, other: Snapshot) -> None:
    for name in ("pid", "timestamp", "traceback_limit", "process_memory", "tracemalloc_size", "traced_memory"):
        assert getattr(one, name) == getattr(other, name), name
    for name in ("traced_peak", "stats", "traces", "metrics", "user_data"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.top_by("traceback").stats == other.top_by("traceback").stats


USER_DATA = {"queue": 7, "hits": Metric("hits", 0.5, "percent"), "share": 0.25}


@pytest.mark.parametrize("with_traces", [True, False])
@pytest.mark.parametrize("limit", [1, 3, None])
def test_file_holds_all_of_a_snapshot(tmp_path: Path, with_traces: bool, limit: int | None) -> None:
    snapshot, kept = snapshot_of(3, limit, with_traces=with_traces, user_data_callback=lambda: USER_DATA)
    snapshot.write(tmp_path / "a.heapsight")
    assert_same(Snapshot.load(str(tmp_path / "a.heapsight")), snapshot)
    assert Snapshot.load(tmp_path / "a.heapsight", traces=False).traces is None
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.heapsight"]
    del kept


def test_filtered_snapshot_is_written_as_filtered(tmp_path: Path) -> None:
    snapshot, kept = snapshot_of(with_traces=True)
    snapshot.apply_filters([Filter(True, HERE)])
    snapshot.write(tmp_path / "a")
    assert_same(Snapshot.load(tmp_path / "a"), snapshot)
    del kept


def test_pickle_holds_all_of_a_snapshot_and_any_user_data() -> None:
    data = {"when": datetime(2026, 1, 1), "set": {1, 2}}
    snapshot, kept = snapshot_of(with_traces=True, user_data_callback=lambda: data)
    assert_same(pickle.loads(pickle.dumps(snapshot)), snapshot)
    del kept


def test_file_that_cannot_be_written_is_an_os_error_and_leaves_nothing(tmp_path: Path) -> None:
    snapshot, kept = snapshot_of()
    with pytest.raises(FileNotFoundError) as raised:
        snapshot.write(tmp_path / "missing" / "a")
    assert "missing" in str(raised.value)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        snapshot.write(tmp_path / "folder")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]
    del kept


def test_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Snapshot.load(tmp_path / "missing")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ValueError, match=r"text: not a heapsight capture"):
        Snapshot.load(tmp_path / "text")


def test_recording_of_a_run_loads_as_its_last_moment(capture: Path) -> None:
    program = "kept = [bytes(10_000) for _ in range(50)]"
    command = [sys.executable, "-m", "heapsight", "run", "-o", str(capture), "-c", program]
    subprocess.run(command, check=True, capture_output=True)
    snapshot = Snapshot.load(capture)
    assert snapshot.stats is not None
    assert snapshot.stats["<string>"][1].size >= 50 * BLOCK
    assert snapshot.process_memory is not None


TRACEMALLOC = """
import sys, tracemalloc
tracemalloc.start(5)
def make(): return [bytes(10_000) for _ in range(7)]
kept = make()
tracemalloc.take_snapshot().dump(sys.argv[1])
"""


def test_snapshot_of_tracemalloc_loads_with_the_same_figures(tmp_path: Path) -> None:
    file = tmp_path / "tracemalloc.pickle"
    subprocess.run([sys.executable, "-c", TRACEMALLOC, str(file)], check=True)
    expected = tracemalloc.Snapshot.load(str(file))
    snapshot = Snapshot.load(file)
    assert snapshot.traceback_limit == 5
    assert snapshot.traces is None
    assert snapshot.stats is not None
    found = {(name, line): (s.size, s.count) for name, lines in snapshot.stats.items() for line, s in lines.items()}
    assert found == {
        (s.traceback[0].filename, s.traceback[0].lineno): (s.size, s.count) for s in expected.statistics("lineno")
    }
    by_path = {
        tuple((frame.filename, frame.lineno) for frame in reversed(key)): (entry.size, entry.count)
        for key, entry in snapshot.top_by("traceback").stats.items()
    }
    assert by_path == {
        tuple((frame.filename, frame.lineno) for frame in s.traceback): (s.size, s.count)
        for s in expected.statistics("traceback")
    }


class Hostile:
    """What a pickle of somebody else could hold."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("exit 7",))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_that_would_run_something_is_refused_by_name(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "hostile").write_bytes(pickle.dumps(Hostile(), protocol))
    with pytest.raises(ValueError, match=rf"refused: the pickle refers to {os.system.__module__}\.system"):
        Snapshot.load(tmp_path / "hostile")


def waste() -> int:
    return len(bytes(10_000))


def test_paths_that_hold_nothing_are_one_entry_of_the_file(tmp_path: Path) -> None:
    heapsight.enable()
    wasted = sum(waste() for _ in range(300))
    heapsight.reset_peak()
    kept = make(3)
    snapshot = Snapshot.create()
    heapsight.disable()
    file = tmp_path / "one.heapsight"
    snapshot.write(file)

    def shown(*arguments: str) -> str:
        command = [sys.executable, "-m", "heapsight", *arguments, str(file)]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout

    top = shown("top", "--metric", "allocated", "--group-by", "function", "-n", "1000")
    assert "[folded paths]" in top
    assert ":make" in top
    assert "waste" not in top
    assert json.loads(shown("stats", "--json"))["metrics"]["allocated"]["bytes"] > wasted + 3 * BLOCK
    assert len(kept) == 3

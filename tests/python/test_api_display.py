"""Top lists as text, and the tasks that write them and snapshots."""

from __future__ import annotations

import io
import os
import re
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

import heapsight
from heapsight import (
    DisplayTop,
    DisplayTopTask,
    Frame,
    GroupedStats,
    Metric,
    ProcessMemory,
    Snapshot,
    TakeSnapshot,
    TraceStats,
)

pytestmark = pytest.mark.usefixtures("untraced")

KIB, MIB = 1 << 10, 1 << 20


def stats(entries: dict[Any, tuple[int, int]], second: int, rss: int, group_by: Any = "line") -> GroupedStats:
    return GroupedStats(
        {key: TraceStats(*entry) for key, entry in entries.items()},
        group_by,
        timestamp=datetime(2026, 11, 22, 14, 33, second, tzinfo=timezone.utc),
        process_memory=ProcessMemory(rss, rss),
    )


OLD = stats({("app.py", 7): (9000, 3), ("/srv/gone.py", 1): (100, 1)}, 0, 55 * MIB)
NEW = stats(
    {
        ("/srv/myapp/cache/store.py", 128): (408 * KIB, 5379),
        ("app.py", 7): (3000, 1),
        (None, None): (10, 1),
        ("a.py", 1): (1, 1),
    },
    10,
    61 * MIB,
)

FIRST = """\
2026-11-22 14:33:00: Top 2 allocations per filename and line number
#1: app.py:7: size=9000 B, count=3, average=3000 B
#2: /srv/gone.py:1: size=100 B, count=1, average=100 B
Total: size=9100 B, count=4, average=2275 B
process_memory.rss: 55 MiB
"""

SECOND = """\
2026-11-22 14:33:10: Top 3 allocations per filename and line number (compared to 2026-11-22 14:33:00)
#1: .../myapp/cache/store.py:128: size=408 KiB (+408 KiB), count=5379 (+5379), average=77 B
#2: app.py:7: size=3000 B (-6 KiB), count=1 (-2), average=3000 B
#3: /srv/gone.py:1: size=0 B (-100 B), count=0 (-1)
2 more: size=11 B (+11 B), count=2 (+2), average=5 B
Total: size=411 KiB (+402 KiB), count=5382 (+5378), average=78 B
process_memory.rss: 61 MiB (+6 MiB)
"""


def shown(display: DisplayTop, *lists: GroupedStats, count: int = 3) -> list[str]:
    texts = []
    for given in lists:
        file = io.StringIO()
        display.display_top_stats(given, count, file)
        texts.append(file.getvalue())
    return texts


def adapted(text: str) -> str:
    return text.replace("size=9000 B", "size=9 KiB").replace("size=9100 B", "size=9 KiB")


def test_each_list_is_compared_with_the_one_before() -> None:
    assert shown(DisplayTop(), OLD, NEW) == [adapted(FIRST), SECOND]


def test_lists_can_be_compared_with_the_first() -> None:
    display = DisplayTop()
    display.compare_with_previous = False
    assert "compared to 2026-11-22 14:33:00" in shown(display, OLD, NEW, NEW)[2]
    display.compare_with_previous = True
    display.previous_top_stats = None
    assert "compared to 2026-11-22 14:33:10" in shown(display, OLD, NEW, NEW)[2]


def test_size_count_and_average_can_be_hidden_and_names_be_shorter() -> None:
    display = DisplayTop()
    display.show_size = display.show_average = False
    display.filename_parts = 1
    display.previous_top_stats = OLD
    [text] = shown(display, NEW, count=1)
    assert text.splitlines()[1:3] == ["#1: .../store.py:128: count=5379 (+5379)", "4 more: count=3 (-1)"]


def test_colours_are_used_when_asked_for_or_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def text(color: bool | None, file: io.StringIO) -> str:
        display = DisplayTop()
        display.color = color
        display.display_top_stats(OLD, file=file)
        return file.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[36mapp.py:7\x1b[0m" in text(True, io.StringIO())
    assert "\x1b" not in text(None, io.StringIO())
    assert "\x1b" not in text(False, Terminal())
    assert "\x1b" in text(None, Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in text(None, Terminal())
    assert re.sub(r"\x1b\[\d*m", "", text(True, io.StringIO())) == adapted(FIRST)


@pytest.mark.parametrize(
    ("group_by", "key", "title", "line"),
    [
        ("filename", "a.py", "filename", "a.py"),
        ("address", 0x7F00, "address", "0x7f00"),
        ("function", ("a.py", "C.f"), "function", "a.py:C.f"),
        ("function", (None, None), "function", "<unknown>"),
        ("traceback", (Frame("a.py", 1), Frame("b.py", 2)), "traceback", "a.py:1 <- b.py:2"),
        ("domain", "python.raw", "domain", "python.raw"),
        ("thread", None, "thread", "<unknown>"),
    ],
)
def test_every_grouping_has_a_title_and_a_line(group_by: str, key: Any, title: str, line: str) -> None:
    [text] = shown(DisplayTop(), stats({key: (1, 1)}, 0, MIB, group_by))
    assert text.splitlines()[:2] == [
        f"2026-11-22 14:33:00: Top 1 allocations per {title}",
        f"#1: {line}: size=1 B, count=1, average=1 B",
    ]


def test_differences_are_shown_in_the_order_they_have(capsys: pytest.CaptureFixture[str]) -> None:
    diff = NEW.compare_to(OLD)
    diff.differences.reverse()
    DisplayTop().display_top_diff(diff, 1)
    assert capsys.readouterr().out.splitlines()[1].startswith("#1: a.py:1: size=1 B (+1 B)")


@pytest.mark.parametrize("count", [0, -1, 1.5, "3", True])
def test_wrong_count_is_named(count: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as raised:
        DisplayTop().display_top_stats(NEW, count)
    assert str(count) in str(raised.value)


def test_metrics_of_the_program_are_compared_too() -> None:
    heapsight.enable()
    values = iter(
        [{"queue": 5, "hits": Metric("hits", 0.5, "percent")}, {"queue": 3, "hits": Metric("hits", 0.625, "percent")}]
    )
    display, file = DisplayTop(), io.StringIO()
    for _ in range(2):
        display.display_snapshot(Snapshot.create(user_data_callback=lambda: next(values)), 1, file=file)
    metrics = [line for line in file.getvalue().splitlines() if line.startswith(("queue", "hits"))]
    assert metrics == ["queue: 5", "hits: 50.0 %", "queue: 3 (-2)", "hits: 62.5 % (+12.5 %)"]


def test_another_grouping_starts_anew() -> None:
    heapsight.enable()
    display, file = DisplayTop(), io.StringIO()
    snapshot = Snapshot.create()
    display.display_snapshot(snapshot, file=file)
    display.display_snapshot(snapshot, group_by="filename", file=file)
    assert "compared" not in file.getvalue()
    assert "per filename\n" in file.getvalue()


def test_cumulative_list_says_so() -> None:
    heapsight.set_traceback_limit(None)
    heapsight.enable()
    file = io.StringIO()
    kept = [bytes(1000)]
    DisplayTop().display_snapshot(Snapshot.create(), cumulative=True, file=file)
    assert ": Cumulative top " in file.getvalue()
    del kept


def test_display_task_shows_and_returns_a_snapshot() -> None:
    heapsight.enable()
    file = io.StringIO()
    task = DisplayTopTask(2, "filename", file=file, user_data_callback=lambda: {"queue": 1})
    assert (task.count, task.group_by, task.cumulative, task.file) == (2, "filename", False, file)
    assert isinstance(task.display_top, DisplayTop)
    snapshot = task.display()
    assert snapshot.user_data == {"queue": 1}
    assert "queue: 1" in file.getvalue()
    assert DisplayTopTask().file is sys.stdout
    unknown: Any = "size"
    with pytest.raises(ValueError, match="size"):
        DisplayTopTask(group_by=unknown)


def test_display_task_by_address_takes_the_traces_it_needs() -> None:
    heapsight.enable()
    kept = bytes(1 << 20)
    file = io.StringIO()
    DisplayTopTask(1, "address", file=file).display()
    assert f"#1: {heapsight.get_object_address(kept):#x}: size=1024 KiB" in file.getvalue()


def test_snapshot_files_are_numbered_by_the_template(tmp_path: Path) -> None:
    heapsight.enable()
    take = TakeSnapshot()
    assert take.filename_template == "heapsight-$pid-$counter.heapsight"
    assert (take.with_traces, take.with_stats, take.user_data_callback) == (False, True, None)
    take.filename_template = str(tmp_path / "s-$pid-$timestamp-$counter.x")
    take.with_traces = True
    take.user_data_callback = lambda: 5
    names = []
    for _ in range(2):
        snapshot, filename = take.take_snapshot()
        names.append(Path(filename).name)
        loaded = Snapshot.load(filename)
        assert loaded.traces
        assert loaded.user_data == snapshot.user_data == 5
        assert f"{snapshot.timestamp:%Y-%m-%d-%H%M%S}" in filename
    assert [re.sub(r"\d{4}-\d\d-\d\d-\d{6}", "T", name) for name in names] == [
        f"s-{os.getpid()}-T-0001.x",
        f"s-{os.getpid()}-T-0002.x",
    ]


def test_snapshot_that_cannot_be_written_leaves_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    heapsight.enable()
    take = TakeSnapshot()
    take.filename_template = str(tmp_path / "out" / "$counter")
    with pytest.raises(FileNotFoundError):
        take.take_snapshot()
    (tmp_path / "out").mkdir()
    assert Path(take.take_snapshot()[1]).name == "0001"

"""Values out of range, streams that are not there, and text that cannot be shown: one clear line, or as `print` does it."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from harness import clean_environment

import heapsight
from heapsight import (
    DisplayTop,
    DisplayTopTask,
    Filter,
    Frame,
    GroupedStats,
    Metric,
    Snapshot,
    StatsDiff,
    Trace,
    TraceStats,
)

#: The module without its types: for values that are wrong on purpose.
Wrong: Any = heapsight

pytestmark = pytest.mark.usefixtures("untraced")


def stats() -> GroupedStats:
    return GroupedStats({"a.py": TraceStats(6000, 2), "b.py": TraceStats(1, 1)}, "filename")


def display_with(**attributes: Any) -> DisplayTop:
    display = DisplayTop()
    for name, value in attributes.items():
        setattr(display, name, value)
    return display


def show(display: DisplayTop, **options: Any) -> str:
    file = io.StringIO()
    display.display_top_stats(stats(), file=file, **options)
    return file.getvalue()


#: Every parameter and attribute that is a number, with what else is needed to use it.
NUMBERS: dict[str, Callable[[Any], Any]] = {
    "display count": lambda value: show(DisplayTop(), count=value),
    "diff count": lambda value: DisplayTop().display_top_diff(stats().compare_to(), value),
    "filename_parts": lambda value: show(display_with(filename_parts=value)),
    "task count": lambda value: DisplayTopTask(value),
    "limit": lambda value: heapsight.set_traceback_limit(value),
    "budget": lambda value: heapsight.set_budget(value),
    "sample_bytes": lambda value: heapsight.enable(sample_bytes=value),
    "delay": lambda value: heapsight.start_timer(value, print),
    "task delay": lambda value: DisplayTopTask().start(value),
    "take delay": lambda value: heapsight.TakeSnapshot().start(value),
    "address": lambda value: heapsight.get_trace(value),
    "trace size": lambda value: Trace(value, []),
    "stats size": lambda value: TraceStats(value, 1),
    "stats count": lambda value: TraceStats(1, value),
}
#: Where any number of 64 bits is one.
LINES: dict[str, Callable[[Any], Any]] = {
    "frame lineno": lambda value: Frame("a", value),
    "filter lineno": lambda value: Filter(True, "*", value),
    "include lineno": lambda value: heapsight.add_include_filter("*", value),
    "exclude lineno": lambda value: heapsight.add_exclude_filter("*", value),
    "match_lineno": lambda value: Filter(True, "*", 3).match_lineno(value),
    "match": lambda value: Filter(True, "*", 3).match("a", value),
    "filters match": lambda value: heapsight.Filters().match("a", value),
}


def is_one_clear_line(error: BaseException, value: object) -> bool:
    text = str(error)
    return "\n" not in text and len(text) < 300 and repr(value) in text


@pytest.mark.parametrize("value", [1 << 70, -1, -(1 << 70)])
@pytest.mark.parametrize("name", NUMBERS)
def test_number_out_of_range_is_named(name: str, value: int) -> None:
    with pytest.raises((ValueError, OverflowError)) as raised:
        NUMBERS[name](value)
    assert is_one_clear_line(raised.value, value)
    assert not heapsight.is_enabled(), "nothing has changed"


class Unshown:
    """Does not want to be shown."""

    def __repr__(self) -> str:
        raise KeyError


class Long:
    """Would fill a screen."""

    def __repr__(self) -> str:
        return "long \n" * 10_000


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (10**5000, "an integer of 16610 bits" if hasattr(sys, "set_int_max_str_digits") else "1000000000"),
        (Unshown(), "an object that cannot be shown (Unshown)"),
        (Long(), "long  long  long"),
    ],
    ids=["many digits", "unshown", "long"],
)
@pytest.mark.parametrize("name", [*NUMBERS, *LINES])
def test_what_cannot_be_shown_is_refused_in_one_line_all_the_same(
    name: str, value: Any, shown: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((TypeError, ValueError)) as raised:
        {**NUMBERS, **LINES}[name](value)
    assert shown in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300
    assert capfd.readouterr() == ("", "")


#: What takes a number of seconds, which may have a fraction.
DELAYS = ("delay", "task delay", "take delay")


@pytest.mark.parametrize("value", [1 << 70, -(1 << 70)])
@pytest.mark.parametrize("name", LINES)
def test_line_out_of_range_is_named(name: str, value: int) -> None:
    before = heapsight.get_filters()
    with pytest.raises((ValueError, OverflowError)) as raised:
        LINES[name](value)
    assert is_one_clear_line(raised.value, value)
    assert heapsight.get_filters() == before


#: A delay may be a part of a second; what is wrong with a float there is a matter of its value.
ODD_VALUES: list[object] = [1.5, "7", b"7", [], True, math.nan]
NO_NUMBERS = [
    (name, value)
    for name in [*NUMBERS, *LINES]
    for value in ODD_VALUES
    if not (isinstance(value, float) and "delay" in name)
]


@pytest.mark.parametrize(("name", "value"), NO_NUMBERS)
def test_what_is_no_number_is_named(name: str, value: Any) -> None:
    if name in DELAYS and isinstance(value, float):
        pytest.skip("a delay may have a fraction")
    with pytest.raises(TypeError) as raised:
        {**NUMBERS, **LINES}[name](value)
    assert is_one_clear_line(raised.value, value)
    assert not heapsight.is_enabled()


@pytest.mark.parametrize("count", [1, 2, sys.maxsize])
def test_the_largest_numbers_that_are_allowed_work(count: int) -> None:
    assert show(display_with(filename_parts=count), count=count).startswith(f"Top {min(count, 2)} allocations")
    heapsight.enable()
    kept = [bytes(10)]
    snapshot = Snapshot.create(with_traces=True)
    file = io.StringIO()
    DisplayTop().display_snapshot(snapshot, count, "address", file=file)
    assert file.getvalue()
    assert kept


def test_a_metric_too_large_for_displays_is_named_by_its_length() -> None:
    with pytest.raises(OverflowError, match="the value of 'big' has 1329 bits"):
        Metric("big", 10**400)


def metrics(value: float, kind: str) -> dict[str, Metric]:
    return {"m": Metric("m", value, kind)}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, 2**1000])
@pytest.mark.parametrize("kind", ["int", "size", "percent"])
def test_any_metric_can_be_shown_and_compared(value: float, kind: str) -> None:
    heapsight.enable()
    display, file = DisplayTop(), io.StringIO()
    for each in (value, 0, -value):
        snapshot = Snapshot.create(user_data_callback=partial(metrics, each, kind))
        display.display_snapshot(snapshot, 1, file=file)
    assert file.getvalue().count("\nm: ") == 3


def test_sums_beyond_64_bits_are_shown_as_the_most_that_can_be() -> None:
    most = 2**64 - 1
    big = GroupedStats({"a.py": TraceStats(most, most), "b.py": TraceStats(most, most)}, "filename")
    small = GroupedStats({"a.py": TraceStats(0, 0)}, "filename")
    for new, old in ((big, small), (small, big), (big, None)):
        file = io.StringIO()
        display = DisplayTop()
        display.previous_top_stats = old
        display.display_top_stats(new, 1, file)
        assert file.getvalue().startswith("Top 1 allocations per filename")
    odd = StatsDiff([(10**30, -5, -(10**30), 10**30, "a.py")], None, big)
    DisplayTop().display_top_diff(odd, file=io.StringIO())


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Wrong.GroupedStats([], "filename"), "[]"),
        (lambda: Wrong.GroupedStats({"a.py": 5}, "filename"), "an entry of stats must be TraceStats, not 5"),
        (lambda: Wrong.GroupedStats({}, "filename", timestamp=5), "timestamp must be datetime or None, not 5"),
        (lambda: Wrong.GroupedStats({}, "filename", process_memory=5), "process_memory"),
        (lambda: Wrong.GroupedStats({}, "filename", tracemalloc_size="5"), "tracemalloc_size"),
        (lambda: Wrong.GroupedStats.compare_to(stats(), 5), "old_stats"),
        (lambda: Wrong.StatsDiff([("much", 1, 1, 1, "a")], None, stats()), "'much'"),
        (lambda: Wrong.StatsDiff([(1, 1, 1, "a")], None, stats()), "(1, 1, 1, 'a')"),
        (lambda: Wrong.StatsDiff((), None, stats()), "differences must be list, not ()"),
        (lambda: Wrong.StatsDiff([], None, None), "new_stats must be GroupedStats, not None"),
    ],
)
def test_statistics_of_something_else_are_named(make: Callable[[], Any], named: str) -> None:
    with pytest.raises(TypeError) as raised:
        make()
    assert named in str(raised.value)


@pytest.mark.parametrize(
    ("group_by", "key"),
    [
        ("line", "a.py"),
        ("filename", ("a.py", 1)),
        ("address", "a"),
        ("traceback", (1,)),
        ("function", 5),
        ("domain", 5),
    ],
)
def test_key_of_another_grouping_is_named(group_by: Any, key: Any) -> None:
    odd = GroupedStats({key: TraceStats(1, 1)}, group_by)
    with pytest.raises(TypeError, match=f"grouped by '{group_by}' must be") as raised:
        DisplayTop().display_top_stats(odd)
    assert repr(key) in str(raised.value)


class OnlyWrite:
    """All that `print` asks of a file."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        """Keep the text."""
        self.text += text
        return len(text)


def test_a_file_needs_nothing_but_write(monkeypatch: pytest.MonkeyPatch) -> None:
    given, current = OnlyWrite(), OnlyWrite()
    display: Any = DisplayTop()
    display.display_top_stats(stats(), file=given)
    monkeypatch.setattr(sys, "stdout", current)
    DisplayTop().display_top_stats(stats())
    assert given.text == current.text
    assert given.text.startswith("Top 2")


def test_without_standard_output_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    heapsight.enable()
    monkeypatch.setattr(sys, "stdout", None)
    display = DisplayTop()
    display.display_top_stats(stats())
    display.display_top_diff(stats().compare_to())
    task = DisplayTopTask()
    assert task.file is None
    assert isinstance(task.display(), Snapshot)


def test_a_name_that_the_file_cannot_encode_is_shown_escaped() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    odd = GroupedStats({"caf\xe9.py": TraceStats(1, 1)}, "filename")
    DisplayTop().display_top_stats(odd, file=file)
    assert b"#1: caf\\xe9.py: size=1 B" in raw.getvalue()


def test_a_closed_file_is_the_error_of_the_file() -> None:
    file = io.StringIO()
    file.close()
    with pytest.raises(ValueError, match="closed file"):
        DisplayTop().display_top_stats(stats(), file=file)


def test_a_program_without_standard_output_goes_on() -> None:
    code = """
import sys, heapsight
heapsight.DisplayTopTask(3).start(3600)
from heapsight import _testing
for _ in range(3):
    _testing.advance_timer(7200)
    kept = [bytes(1000)] * 10
    heapsight.DisplayTop().display_snapshot(heapsight.Snapshot.create())
sys.stderr.write("done")
"""
    for redirection in (">&-", "> /dev/full"):
        done = subprocess.run(
            ["sh", "-c", f'exec "$0" -c "$1" {redirection}', sys.executable, code],
            capture_output=True,
            text=True,
            env=clean_environment(),
            timeout=60,
        )
        if redirection == ">&-":
            assert (done.returncode, done.stderr) == (0, "done")
        else:
            assert "No space left" in done.stderr

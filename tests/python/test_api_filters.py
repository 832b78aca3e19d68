"""Filters: of single frames and traces, together, and while tracing."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

import heapsight
from heapsight import Filter, Filters, Frame, Trace

HERE = __file__


@pytest.fixture(autouse=True)
def _default_filters(untraced: None) -> Iterator[None]:  # noqa: ARG001 - a fixture for its effect
    before = heapsight.get_filters()
    yield
    heapsight.clear_filters()
    for given in before:
        heapsight.add_filter(given)


def trace(*places: tuple[str, int]) -> Trace:
    return Trace(1, [Frame(filename, line) for filename, line in places])


@pytest.mark.parametrize(
    ("filter_", "filename", "line", "kept"),
    [
        (Filter(True, "a*.py"), "abc.py", 3, True),
        (Filter(True, "a*.py"), "bc.py", 3, False),
        (Filter(True, "a.py", 3), "a.py", 4, False),
        (Filter(False, "a.py", 3), "a.py", 3, False),
        (Filter(False, "a.py", 3), "a.py", 4, True),
        (Filter(False, "a.py", 3), "b.py", 3, True),
        (Filter(False, "a.pyc"), "a.py", 1, False),
        (Filter(False, "a.py"), "a.pyo", 1, False),
        (Filter(True, "a.py", 0), "a.py", 9, True),
        (Filter(True, "[ab].py"), "a.py", 9, False),
        (Filter(True, "*"), None, None, False),
        (Filter(False, "*"), None, None, True),
    ],
)
def test_match_says_what_is_to_be_kept(filter_: Filter, filename: str | None, line: int | None, kept: bool) -> None:
    assert filter_.match(filename, line) is kept


def test_file_and_line_can_be_asked_for_alone() -> None:
    keep, drop = Filter(True, "a.py", 3), Filter(False, "a.py", 3)
    assert (keep.match_filename("a.py"), keep.match_filename("b.py")) == (True, False)
    assert (keep.match_lineno(3), keep.match_lineno(4), keep.match_lineno(None)) == (True, False, False)
    assert (drop.match_lineno(3), drop.match_lineno(4)) == (False, True)


def test_only_a_traceback_filter_looks_beyond_the_most_recent_frame() -> None:
    called = trace(("leaf.py", 1), ("main.py", 9))
    assert not Filter(True, "main.py").match_trace(called)
    assert Filter(True, "main.py", traceback=True).match_trace(called)
    assert Filter(False, "main.py").match_trace(called)
    assert not Filter(False, "main.py", None, True).match_trace(called)
    assert Filter(True, "main.py").match(filename="main.py", lineno=1)


def test_filters_keep_what_one_includes_and_none_excludes() -> None:
    filters = Filters([Filter(True, "a*"), Filter(True, "b*")])
    assert filters.match("a.py", 1)
    assert not filters.match("c.py", 1)
    filters.add(Filter(False, "ab*"))
    assert not filters.match("ab.py", 1)
    assert not filters.match_trace(trace(("ab.py", 1)))
    assert filters.match_trace(trace(("b.py", 1)))
    assert Filters().match("anything", None)


def test_filters_are_a_collection() -> None:
    first, second = Filter(True, "a"), Filter(False, "b", 2, True)
    filters = Filters((first, second))
    assert list(filters) == [first, second]
    assert len(filters) == 2
    assert Filter(True, "a") in filters
    assert "a" not in filters
    assert pickle.loads(pickle.dumps(filters)) == filters
    assert repr(filters) == "Filters([Filter(True, 'a'), Filter(False, 'b', lineno=2, traceback=True)])"


def test_filter_is_a_value() -> None:
    one, same, other = Filter(True, "a", 3), Filter(True, "a", lineno=3), Filter(True, "a", 4)
    assert one == same
    assert one != other
    assert len({one, same, other}) == 2
    assert eval(repr(other)) == other
    assert pickle.loads(pickle.dumps(other)) == other
    assert (other.include, other.pattern, other.lineno, other.traceback) == (True, "a", 4, False)
    with pytest.raises(AttributeError):
        one.include = False  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((1, "a"), "1 (int)"),
        ((True, 5), "5 (int)"),
        ((True, b"a"), "b'a' (bytes)"),
        ((True, "a", "7"), "'7' (str)"),
        ((True, "a", 1.5), "1.5 (float)"),
        ((True, "a", None, "yes"), "'yes' (str)"),
    ],
)
def test_wrong_argument_is_a_type_error_that_names_it(arguments: tuple[Any, ...], named: str) -> None:
    with pytest.raises(TypeError) as raised:
        Filter(*arguments)
    assert named in str(raised.value)


def test_wrong_filter_is_refused_before_anything_changes() -> None:
    before = heapsight.get_filters()
    wrong: Any
    for wrong in ("*", None, [Filter(True, "*")]):
        with pytest.raises(TypeError) as raised:
            heapsight.add_filter(wrong)
        assert repr(wrong) in str(raised.value)
    assert heapsight.get_filters() == before


def test_own_files_are_left_out_by_default_and_shown_on_request() -> None:
    [default] = heapsight.get_filters()
    assert not default.include
    assert not default.match(heapsight.__file__, 1)
    heapsight.enable()
    blocks = [bytes(100) for _ in range(50)]
    kept = [heapsight.get_traces()]
    assert heapsight._live.__file__ not in heapsight.get_stats()
    heapsight.clear_filters()
    assert heapsight.get_filters() == []
    kept.append(heapsight.get_traces())
    assert heapsight._live.__file__ in heapsight.get_stats()
    del blocks, kept


def test_excluded_file_is_not_traced_from_then_on() -> None:
    heapsight.enable()
    before = bytes(5000)
    heapsight.add_exclude_filter(HERE)
    after = bytes(6000)
    assert heapsight.get_object_trace(before) is not None, "what was traced stays"
    assert heapsight.get_object_trace(after) is None
    heapsight.clear_filters()
    again = bytes(7000)
    assert heapsight.get_object_trace(again) is not None


def test_included_file_is_all_that_is_traced() -> None:
    heapsight.add_include_filter(HERE)
    heapsight.enable()
    ours = bytes(5000)
    theirs = pickle.loads(pickle.dumps({"a": [1.5] * 100}))
    assert set(heapsight.get_stats()) == {HERE}
    assert heapsight.get_object_trace(ours) is not None
    del theirs


def test_filter_on_a_line_drops_that_line_only() -> None:
    line = test_filter_on_a_line_drops_that_line_only.__code__.co_firstlineno
    heapsight.add_exclude_filter(HERE, line + 4)
    heapsight.enable()
    dropped = bytes(5000)
    kept = bytes(5000)
    assert heapsight.get_object_trace(dropped) is None
    assert heapsight.get_object_trace(kept) is not None


def make() -> bytes:
    return bytes(5000)


def call_make() -> bytes:
    return make()


def test_traceback_filter_sees_callers() -> None:
    heapsight.set_traceback_limit(None)
    heapsight.add_exclude_filter(HERE, call_make.__code__.co_firstlineno + 1, traceback=True)
    heapsight.enable()
    dropped, kept = call_make(), make()
    assert heapsight.get_object_trace(dropped) is None
    assert heapsight.get_object_trace(kept) is not None


def test_traceback_filter_sees_only_the_frames_that_are_kept() -> None:
    heapsight.add_exclude_filter(HERE, call_make.__code__.co_firstlineno + 1, traceback=True)
    heapsight.set_traceback_limit(1)
    heapsight.enable()
    kept = call_make()
    assert heapsight.get_object_trace(kept) is not None
    heapsight.set_traceback_limit(2)
    dropped = call_make()
    assert heapsight.get_object_trace(dropped) is None

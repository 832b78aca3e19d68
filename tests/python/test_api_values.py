"""Frame, Trace and TraceStats are values."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from heapsight import Frame, Trace, TraceStats

VALUES = [
    Frame("a.py", 3, "f"),
    Frame("a.py"),
    Frame(),
    Trace(10, [Frame("a.py", 3), Frame("b.py", 4)]),
    Trace(0, []),
    TraceStats(10, 2),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_equal_values_are_one_key_and_survive_copying(value: Any) -> None:
    again = eval(repr(value))
    assert again == value
    assert hash(again) == hash(value)
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.deepcopy(value) == value
    assert value != object()


def test_text_of_a_frame_is_file_and_line() -> None:
    assert str(Frame("a.py", 3, "f")) == "a.py:3"
    assert str(Frame("a.py")) == "a.py:?"
    assert str(Frame()) == "<unknown>:?"


def test_frames_sort_by_file_and_line_with_unknown_ones_first() -> None:
    frames = [Frame("b.py", 1), Frame("a.py", 10), Frame("a.py", 9), Frame("a.py"), Frame()]
    assert sorted(frames) == frames[::-1]


def test_traceback_is_a_list_of_its_own() -> None:
    trace = Trace(1, [Frame("a.py", 1)])
    trace.traceback.clear()
    assert trace.traceback == [Frame("a.py", 1)]


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (Frame, (5,)),
        (Frame, ("a", "5")),
        (Frame, ("a", b"5")),
        (Trace, ("5", [])),
        (Trace, (1, 5)),
        (Trace, (1, ["5"])),
        (TraceStats, (1, 5.5)),
    ],
)
def test_wrong_type_is_named(kind: Any, arguments: Any) -> None:
    with pytest.raises(TypeError, match="5"):
        kind(*arguments)


@pytest.mark.parametrize(("kind", "arguments"), [(Trace, (-5, [])), (TraceStats, (1, -5)), (Frame, ("a", -5 << 70))])
def test_number_out_of_range_is_named(kind: Any, arguments: Any) -> None:
    with pytest.raises(ValueError, match="-5"):
        kind(*arguments)

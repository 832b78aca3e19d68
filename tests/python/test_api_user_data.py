"""User data in files: what is kept comes back as it was, and what cannot be kept is an error that says where it is."""

from __future__ import annotations

import enum
import json
import math
import random
import socket
import sys
import threading
from collections import Counter, OrderedDict
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import heapsight
from heapsight import Metric, Snapshot

pytestmark = pytest.mark.usefixtures("untraced")

WINTER = timezone(timedelta(hours=1, minutes=2, seconds=3))


def through_a_file(user_data: Any, folder: Path) -> Any:
    heapsight.enable()
    Snapshot.create(user_data_callback=lambda: user_data).write(folder / "file")
    return Snapshot.load(folder / "file").user_data


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal and of the same types, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return math.copysign(1, one) == math.copysign(1, other) and (one == other or one != one != other)
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, (datetime, time)):
        return bool(one == other and one.utcoffset() == other.utcoffset() and one.fold == other.fold)
    return bool(one == other)


KEPT: list[Any] = [
    None,
    True,
    0,
    -(2**63),
    2**64,
    -(10**5000),
    1.5,
    -0.0,
    math.inf,
    math.nan,
    "",
    "line\nbreak \0 \U0001f40d \ud800",
    b"",
    bytes(range(256)),
    bytearray(b"text"),
    1 + 2j,
    complex(math.nan, -0.0),
    [],
    (),
    (1,),
    ((1, [2]), {3}),
    set(),
    {1, "a", (2, b"b")},
    frozenset({frozenset({1})}),
    {},
    {"": 1, "a.b": [2]},
    {1: 2, 1.5: None, (1, 2): {b"b": {}}, None: 0, True: 5},  # noqa: F601
    {"$metric": 1},
    {"$tuple": [1], "other": 2},
    {"$": {"$$": []}},
    datetime(2026, 11, 25, 12, 30, 1, 17),
    datetime(2026, 11, 25, fold=1),
    datetime(2026, 11, 25, 12, tzinfo=timezone.utc),
    datetime(1, 1, 1, tzinfo=WINTER),
    date.max,
    time(23, 59, 59, 999_999),
    time(1, tzinfo=WINTER),
    timedelta.max,
    timedelta(microseconds=-1),
    Metric("hits", 0.5, "percent"),
    {"nested": [Metric("a", math.inf), Metric("b", 2**70)]},
]


@pytest.mark.parametrize("user_data", KEPT, ids=[str(number) for number in range(len(KEPT))])
def test_what_is_kept_comes_back_as_it_was(user_data: Any, tmp_path: Path) -> None:
    loaded = through_a_file(user_data, tmp_path)
    assert same(loaded, user_data), loaded


def test_any_combination_comes_back_as_it_was(tmp_path: Path) -> None:
    chosen = random.Random(20261125)
    hashable = [value for value in KEPT if not isinstance(value, (list, set, dict, bytearray))]

    def key() -> Any:
        while True:
            try:
                found = chosen.choice(hashable)
                hash(found)
            except TypeError:
                continue
            return found

    def make(levels: int) -> Any:
        kind = chosen.randrange(5) if levels else 4
        if kind == 0:
            return [make(levels - 1) for _ in range(chosen.randrange(4))]
        if kind == 1:
            return tuple(make(levels - 1) for _ in range(chosen.randrange(4)))
        if kind == 2:
            return {key(): make(levels - 1) for _ in range(chosen.randrange(4))}
        if kind == 3:
            return {f"{chosen.choice(['', '$', 'a'])}{number}": make(levels - 1) for number in range(3)}
        return chosen.choice(KEPT)

    many = [make(4) for _ in range(300)]
    assert same(through_a_file(many, tmp_path), many)


class Colour(enum.IntEnum):
    """A number with a name."""

    RED = 3


class Point(NamedTuple):
    """A tuple with names."""

    x: int
    y: int


def test_a_subclass_comes_back_as_what_it_is_based_on(tmp_path: Path) -> None:
    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "lies"

    data = [Colour.RED, Point(1, 2), OrderedDict(a=1), Counter("aab"), Text("text")]
    assert same(through_a_file(data, tmp_path), [3, (1, 2), {"a": 1}, {"a": 2, "b": 1}, "text"])


class Stamp(datetime):
    """A time of a program's own kind."""


def refusal(user_data: Any, folder: Path) -> Exception:
    """Return what writing raises, having made sure that it wrote nothing."""
    heapsight.enable()
    (folder / "file").write_text("before")
    snapshot = Snapshot.create(user_data_callback=lambda: user_data)
    with pytest.raises((TypeError, ValueError)) as raised:
        snapshot.write(folder / "file")
    assert (folder / "file").read_text() == "before"
    assert [file.name for file in folder.iterdir()] == ["file"]
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400
    return raised.value


@pytest.mark.parametrize(
    ("user_data", "where"),
    [
        (object(), "user_data: an object"),
        ({"x": [0, 1, 2, Decimal(1)]}, "user_data['x'][3]: a Decimal"),
        ({"x": ({5: [threading.Lock()]},)}, "user_data['x'][0][5][0]: a lock"),
        ({"a": 1, "b": {"$c": len}}, "user_data['b']['$c']: a builtin_function_or_method"),
        ({(1, len): 1}, "user_data (a key)[1]: a builtin_function_or_method"),
        ([{frozenset({Decimal(1)})}], "user_data[0] (an element) (an element): a Decimal"),
        ({"k" * 500: type}, "user_data['kkkkkkkk"),
        ({"a\nb": range(3)}, "user_data['a\\nb']: a range"),
        ([Stamp(2026, 1, 1)], "user_data[0]: a Stamp"),
        ([Path()], "user_data[0]: a"),
    ],
    ids=str,
)
def test_what_cannot_be_kept_is_named_with_its_place(user_data: Any, where: str, tmp_path: Path) -> None:
    error = refusal(user_data, tmp_path)
    assert isinstance(error, TypeError)
    assert str(error).startswith(where)
    assert "datetime" not in str(error) or "Stamp" in where


def test_a_socket_is_named_with_its_place(tmp_path: Path) -> None:
    with socket.socket() as open_socket:
        error = refusal({"x": [1, 2, 3, open_socket]}, tmp_path)
    assert str(error).startswith("user_data['x'][3]: a socket cannot be kept in a file")


def test_what_contains_itself_is_one_clear_error(tmp_path: Path) -> None:
    loop: list[Any] = [1]
    loop.append({"a": (loop,)})
    error = refusal({"x": loop}, tmp_path)
    assert isinstance(error, ValueError)
    assert str(error) == "user_data['x'][1]['a'][0]: a list that contains itself cannot be kept in a file"
    twice = [1]
    assert same(through_a_file([twice, twice, (twice,)], tmp_path), [[1], [1], ([1],)])


@pytest.mark.parametrize("levels", [101, 5000, 200_000])
@pytest.mark.parametrize("kind", [list, tuple, dict])
def test_very_deep_data_is_one_clear_error(levels: int, kind: type, tmp_path: Path) -> None:
    deep: Any = 1
    for _ in range(levels):
        deep = {0: deep} if kind is dict else kind([deep])
    error = refusal(deep, tmp_path)
    assert isinstance(error, ValueError)
    assert str(error).endswith("more than 100 levels of data cannot be kept in a file")
    while isinstance(deep, (list, tuple, dict)):
        deep = deep[0]  # else the interpreter takes it apart by recursion


def test_the_deepest_data_that_can_be_written_can_be_read(tmp_path: Path) -> None:
    for outermost in (list, tuple, frozenset):
        deep: Any = ()
        for _ in range(99):
            deep = outermost([deep])
        assert same(through_a_file(deep, tmp_path), deep)
    deep = {0: 0}
    for _ in range(99):
        deep = {0: deep}
    assert same(through_a_file(deep, tmp_path), deep)


def test_metrics_that_are_no_ordinary_numbers_are_kept(tmp_path: Path) -> None:
    heapsight.enable()
    metrics = {"a": math.inf, "b": -math.inf, "c": 2**80, "d": Colour.RED, "e": Metric("e", -0.0, "percent")}
    snapshot = Snapshot.create(user_data_callback=lambda: metrics)
    snapshot.write(tmp_path / "file")
    loaded = Snapshot.load(tmp_path / "file")
    assert loaded.metrics == snapshot.metrics
    assert set(loaded.metrics) == set(metrics)


def test_a_file_is_json_that_holds_ordinary_values_as_they_are() -> None:
    heapsight.enable()
    snapshot = Snapshot.create(user_data_callback=lambda: {"queue": 7, "names": ["a"], "at": (1,)})
    note = json.loads(snapshot._note(snapshot.user_data))
    assert note["user_data"] == {"queue": 7, "names": ["a"], "at": {"$tuple": [1]}}
    assert note["metrics"] == [{"name": "queue", "value": 7, "format": "int"}]


def test_user_data_of_a_snapshot_that_is_pickled_may_be_anything() -> None:
    import pickle

    heapsight.enable()
    snapshot = Snapshot.create(user_data_callback=lambda: {"a": Decimal(1), "b": sys.version_info[:2]})
    assert pickle.loads(pickle.dumps(snapshot)).user_data == snapshot.user_data

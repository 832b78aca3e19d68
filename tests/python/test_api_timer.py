"""The timer, with a clock that the tests move on."""

from __future__ import annotations

import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from operator import methodcaller
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import heapsight
from heapsight import TakeSnapshot, _testing

HOUR = 3600


@pytest.fixture(autouse=True)
def _stopped(untraced: None) -> Iterator[None]:  # noqa: ARG001 - a fixture for its effect
    yield
    heapsight.stop_timer()


def allocate() -> list[bytes]:
    """Allocate, and give the interpreter a chance to run what is pending."""
    return [bytes(1000) for _ in range(10)]


def let_it_run() -> None:
    """Let the time of an hour's timer come, and the interpreter look."""
    _testing.advance_timer(2 * HOUR)
    allocate()


def test_calls_with_its_arguments_once_the_delay_is_over() -> None:
    calls: list[Any] = []
    heapsight.start_timer(HOUR, lambda *args, **kwargs: calls.append((args, kwargs)), (1, 2), {"a": 3})
    assert heapsight.is_enabled(), "it enables tracing"
    allocate()
    assert calls == []
    _testing.advance_timer(HOUR - 1)
    allocate()
    assert calls == []
    _testing.advance_timer(2)
    allocate()
    assert calls == [((1, 2), {"a": 3})]


def test_goes_on_from_the_last_call() -> None:
    calls: list[int] = []
    heapsight.start_timer(HOUR, calls.append, (1,))
    for count in range(1, 6):
        _testing.advance_timer(10 * HOUR)
        allocate()
        allocate()
        assert len(calls) == count, "many hours late is still one call"


def test_stops() -> None:
    calls: list[int] = []
    heapsight.start_timer(HOUR, calls.append, (1,))
    heapsight.stop_timer()
    heapsight.stop_timer()
    _testing.advance_timer(2 * HOUR)
    allocate()
    assert calls == []


def test_disable_stops_it_for_good() -> None:
    calls: list[int] = []
    heapsight.start_timer(HOUR, calls.append, (1,))
    heapsight.disable()
    heapsight.enable()
    _testing.advance_timer(2 * HOUR)
    allocate()
    assert calls == []


def test_new_traceback_limit_leaves_it_running() -> None:
    calls: list[int] = []
    heapsight.start_timer(HOUR, calls.append, (1,))
    heapsight.set_traceback_limit(7)
    _testing.advance_timer(2 * HOUR)
    allocate()
    assert calls == [1]


def test_second_start_takes_the_place_of_the_first() -> None:
    calls: list[int] = []
    for number in range(1000):
        heapsight.start_timer(HOUR, calls.append, (number,))
    _testing.advance_timer(2 * HOUR)
    allocate()
    allocate()
    assert calls == [999]


def test_exception_goes_to_the_hook_and_the_timer_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: seen.append((args.exc_type, args.object)))

    def fail() -> None:
        raise KeyError("x")

    heapsight.start_timer(HOUR, fail)
    for _ in range(3):
        _testing.advance_timer(2 * HOUR)
        allocate()
    assert seen == [(KeyError, fail)] * 3


def test_function_is_never_called_while_it_is_running() -> None:
    depth = SimpleNamespace(now=0, most=0, calls=0)

    def function() -> None:
        depth.now += 1
        depth.calls += 1
        depth.most = max(depth.most, depth.now)
        heapsight.start_timer(HOUR, function)
        for _ in range(3):
            _testing.advance_timer(2 * HOUR)
            allocate()
        depth.now -= 1

    heapsight.start_timer(HOUR, function)
    for _ in range(2):
        _testing.advance_timer(2 * HOUR)
        allocate()
    assert (depth.most, depth.calls) == (1, 2)


def test_function_may_disable_tracing() -> None:
    calls: list[int] = []

    def function() -> None:
        calls.append(1)
        heapsight.disable()

    heapsight.start_timer(HOUR, function)
    for _ in range(3):
        _testing.advance_timer(2 * HOUR)
        allocate()
    assert calls == [1]
    assert not heapsight.is_enabled()


def test_the_main_thread_calls_while_it_runs() -> None:
    callers: list[threading.Thread] = []
    heapsight.start_timer(HOUR, lambda: callers.append(threading.current_thread()))
    allocate()
    thread = threading.Thread(target=_testing.advance_timer, args=(2 * HOUR,))
    thread.start()
    thread.join()
    allocate()
    assert callers == [threading.main_thread()]


def without_an_instruction_between(*calls: Callable[[], object]) -> None:
    """Make calls of C functions one after the other; the interpreter runs nothing of what is pending between them."""
    deque(map(methodcaller("__call__"), calls), 0)


@pytest.mark.parametrize("replace", [True, False], ids=["replaced", "stopped and started"])
def test_a_timer_that_takes_the_place_of_one_that_is_due_does_not_fire_early(replace: bool) -> None:
    calls: list[int] = []
    heapsight.start_timer(HOUR, calls.append, (1,))
    without_an_instruction_between(
        partial(_testing.advance_timer, 2 * HOUR),
        *([] if replace else [heapsight.stop_timer]),
        partial(heapsight.start_timer, HOUR, calls.append, (2,)),
    )
    allocate()
    assert calls == []
    _testing.advance_timer(HOUR - 1)
    allocate()
    assert calls == []
    _testing.advance_timer(2)
    allocate()
    assert calls == [2]


class Ending(SystemExit):
    """A subclass."""


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, Ending])
def test_what_is_to_end_the_program_reaches_it_and_the_timer_goes_on(kind: type[BaseException]) -> None:
    error = kind(7)

    def end() -> None:
        raise error

    heapsight.start_timer(HOUR, end)
    for _ in range(3):
        with pytest.raises(kind) as raised:
            let_it_run()
        assert raised.value is error


def test_a_signal_while_the_function_runs_reaches_the_program() -> None:
    heapsight.start_timer(HOUR, signal.raise_signal, (signal.SIGINT,))
    with pytest.raises(KeyboardInterrupt):
        let_it_run()


@pytest.mark.parametrize("kind", [GeneratorExit, BaseException])
def test_other_exceptions_that_are_no_errors_go_to_the_hook(
    kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: seen.append(args.exc_type))

    def fail() -> None:
        raise kind

    heapsight.start_timer(HOUR, fail)
    _testing.advance_timer(2 * HOUR)
    allocate()
    assert seen == [kind]


@pytest.mark.parametrize("delay", [0, -1, 1 << 40, 0.0, 0.0001, -0.2, float("inf"), float("nan")])
def test_delay_out_of_range_is_named_before_anything_changes(delay: float) -> None:
    with pytest.raises(ValueError, match=str(delay)):
        heapsight.start_timer(delay, print)
    assert not heapsight.is_enabled()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("1.5", print), "'1.5'"),
        ((None, print), "None"),
        ((True, print), "True"),
        ((1, "print"), "'print'"),
        ((1, print, 5), "5"),
        ((1, print, (), 5), "5"),
        ((1, print, (), {5: 6}), "5"),
    ],
)
def test_argument_of_another_type_is_named_before_anything_changes(arguments: tuple[Any, ...], named: str) -> None:
    with pytest.raises(TypeError) as raised:
        heapsight.start_timer(*arguments)
    assert named in str(raised.value)
    assert not heapsight.is_enabled()


def test_delay_may_be_a_part_of_a_second(tmp_path: Path) -> None:
    calls: list[int] = []
    heapsight.start_timer(0.2, calls.append, (1,))
    _testing.advance_timer(1)
    allocate()
    assert calls
    take = TakeSnapshot()
    take.filename_template = str(tmp_path / "$counter.heapsight")
    take.start(0.2)
    _testing.advance_timer(1)
    allocate()
    take.stop()
    assert (tmp_path / "0001.heapsight").exists()


def test_snapshot_task_survives_a_write_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: seen.append(args.exc_type))
    take = TakeSnapshot()
    take.filename_template = str(tmp_path / "out" / "$counter.heapsight")
    take.start(HOUR)
    _testing.advance_timer(2 * HOUR)
    allocate()
    assert seen == [FileNotFoundError]
    (tmp_path / "out").mkdir()
    _testing.advance_timer(2 * HOUR)
    allocate()
    take.stop()
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["0001.heapsight"]

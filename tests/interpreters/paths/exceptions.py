"""Exceptions, and the code that runs while frames are unwound and objects are destroyed."""

from __future__ import annotations

import gc
import sys
import warnings
import weakref
from typing import Any

from paths.probe import Case, probe


class Farewell:
    """Allocates while it is destroyed."""

    def __del__(self) -> None:
        probe.keep(bytes(40))


def handlers() -> None:
    def fail(depth: int) -> None:
        probe.keep(bytes(40))
        if depth:
            fail(depth - 1)
        raise ValueError(depth)

    for _ in range(2):
        try:
            fail(4)
        except KeyError:
            probe.keep(bytes(40))
        except ValueError:
            probe.keep(bytes(40))
            try:
                fail(1)
            except ValueError as error:
                probe.keep(bytes(40))
                assert error.__context__ is not None
            finally:
                probe.keep(bytes(40))
        else:
            probe.keep(bytes(40))
        finally:
            probe.keep(bytes(40))
        probe.keep(bytes(40))


def finally_at_every_level() -> None:
    def down(depth: int) -> None:
        try:
            if not depth:
                raise KeyError
            down(depth - 1)
        finally:
            probe.keep(bytes(40))

    try:
        down(30)
    except KeyError:
        probe.keep(bytes(40))


def raised_again() -> None:
    def translate() -> None:
        try:
            probe.keep(bytes(40))
            {}["missing"]  # type: ignore[index]
        except KeyError as error:
            probe.keep(bytes(40))
            raise RuntimeError("translated") from error

    def passes_on() -> None:
        try:
            translate()
        except RuntimeError:
            probe.keep(bytes(40))
            raise

    for _ in range(2):
        try:
            passes_on()
        except RuntimeError:
            probe.keep(bytes(40))


class Described(Exception):
    """An exception whose making allocates."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        probe.keep(bytes(40))


def exceptions_with_initialisers() -> None:
    for number in range(2):
        try:
            raise Described(number)
        except Described:
            probe.keep(bytes(40))
        try:
            raise Described(1) from Described(2)
        except Described:
            probe.keep(bytes(40))


def returns_through_finally() -> None:
    def leaves(kind: str) -> int:
        for _ in range(2):
            try:
                if kind == "return":
                    return 1
                if kind == "break":
                    break
                if kind == "continue":
                    continue
            finally:
                probe.keep(bytes(40))
        return 2

    for kind in ("return", "break", "continue", "none"):
        leaves(kind)


def finalizers_on_return() -> None:
    def owns() -> None:
        farewell = Farewell()
        probe.keep(bytes(40))
        del farewell
        _at_the_end = Farewell()

    def returns_it() -> Farewell:
        return Farewell()

    for _ in range(3):
        owns()
        returns_it()
        [Farewell() for _ in range(2)]
        kept = Farewell()
        kept = Farewell()
        del kept


def finalizers_during_unwinding() -> None:
    def owns_and_fails(depth: int) -> None:
        _farewell = Farewell()
        if depth:
            owns_and_fails(depth - 1)
        raise ValueError

    for _ in range(2):
        try:
            owns_and_fails(3)
        except ValueError:
            probe.keep(bytes(40))
        probe.keep(bytes(40))


def finalizers_in_c() -> None:
    for _ in range(2):
        holder: Any = [Farewell(), {"a": (Farewell(),)}]
        holder.clear()
        holder = [Farewell() for _ in range(3)]
        holder[:] = []
        {1: Farewell()}.pop(1)
        list(map(lambda _: Farewell(), range(2)))


def weak_references() -> None:
    class Target:
        pass

    for _ in range(2):
        target = Target()
        reference = weakref.ref(target, lambda _: probe.keep(bytes(40)))
        weakref.finalize(target, lambda: probe.keep(bytes(40)))
        del target
        assert reference() is None
        mapping: Any = weakref.WeakValueDictionary()
        mapping["a"] = other = Target()
        del other
        probe.keep(bytes(40))


def garbage_cycles() -> None:
    class Cycle(Farewell):
        def __init__(self) -> None:
            self.me = self

    def callback(phase: str, _information: dict[str, int]) -> None:
        probe.keep(bytes(40) if phase == "start" else object())

    for _ in range(2):
        Cycle()
        gc.collect()
    gc.callbacks.append(callback)
    try:
        Cycle()
        gc.collect()

        def deeper() -> None:
            Cycle()
            gc.collect()

        deeper()
    finally:
        gc.callbacks.remove(callback)


def tracing_functions() -> None:
    """Trace and profile functions see frames before their first and at their last instruction."""

    def traced(value: int) -> int:
        total = 0
        for number in range(value):
            total += number
        try:
            raise ValueError
        except ValueError:
            pass
        return total

    def generates() -> Any:
        yield traced(1)

    def trace(frame: Any, _event: str, _argument: Any) -> Any:
        if frame.f_code.co_name in {"traced", "generates"}:
            probe.keep(bytes(40))
            return trace
        return None

    def profile(frame: Any, _event: str, _argument: Any) -> None:
        if frame.f_code.co_name in {"traced", "generates"}:
            probe.keep(bytes(40))

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(trace)
    try:
        traced(2)
        list(generates())
    finally:
        sys.settrace(before[0])
    sys.setprofile(profile)
    try:
        traced(2)
        list(generates())
    finally:
        sys.setprofile(before[1])


def warnings_shown() -> None:
    def show(*_: Any, **__: Any) -> None:
        probe.keep(bytes(40))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        for _ in range(2):
            warnings.warn("from Python", stacklevel=1)
            compile("1 is 1", "<warned>", "exec")


CASES: list[Case] = [
    handlers,
    finally_at_every_level,
    raised_again,
    exceptions_with_initialisers,
    returns_through_finally,
    finalizers_on_return,
    finalizers_during_unwinding,
    finalizers_in_c,
    weak_references,
    garbage_cycles,
    tracing_functions,
    warnings_shown,
]

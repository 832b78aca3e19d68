"""Loads what start-up does not need, at its first use, completely, for every caller.

A signal handler, or the function of the timer, may ask in the middle of the first import, in the thread that imports. It would find modules
that are half done. So both wait until the import is over, as they would if they had come a moment later.
"""

import _signal  # type: ignore[import-not-found]  # the module `signal` would bring in others

from heapsight import _heapsight

__all__ = ["load"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable as _Callable
    from types import FrameType as _FrameType
    from typing import Any as _Any

    _Handler = _Callable[[int, "_FrameType | None"], _Any]


def load(home: str, name: str) -> "_Any":
    """Return what ``name`` is in the module ``home`` of this package."""
    arrived: "list[tuple[_Handler, int, _FrameType | None]]" = []  # noqa: UP037 (3.9 has no X | Y)
    _heapsight.hold_timer()
    try:
        restore = _hold_signals(arrived)
        try:
            module = __import__(f"heapsight.{home}", fromlist=(name,))
        finally:
            restore()
    finally:
        _heapsight.release_timer()
        _deliver(arrived)
    return getattr(module, name)


def _hold_signals(arrived: "list[tuple[_Handler, int, _FrameType | None]]") -> "_Callable[[], None]":
    """Have signals put into ``arrived`` that the program handles in Python, until the function returned is called.

    Only Python's side of the handlers changes: what the system does at a signal, and with calls that it interrupts, stays as it is.
    """
    handlers: "dict[int, _Handler]" = {}  # noqa: UP037
    for number in _signal.valid_signals():
        handler = _signal.getsignal(number)
        # KeyboardInterrupt may end the import; the next one starts over.
        if callable(handler) and handler is not _signal.default_int_handler:
            handlers[number] = handler
    actions = _heapsight.SignalActions(list(handlers))

    def remember(number: int, frame: "_FrameType | None") -> None:  # type: ignore[syntax]
        arrived.append((handlers[number], number, frame))

    def restore() -> None:
        for number in held:
            if _signal.getsignal(number) is remember:
                _signal.signal(number, handlers[number])
        actions.restore()

    held: "list[int]" = []  # noqa: UP037
    try:
        for number in handlers:
            _signal.signal(number, remember)
            held.append(number)
    except ValueError:  # not the main thread: handlers do not run here
        return lambda: None
    except BaseException:  # a handler has raised that came just before its turn
        restore()
        raise
    actions.restore()
    return restore


def _deliver(arrived: "list[tuple[_Handler, int, _FrameType | None]]") -> None:
    """Call the handlers: all of them, even if one raises, as the interpreter would."""
    while arrived:
        handler, number, frame = arrived.pop(0)
        try:
            handler(number, frame)
        finally:
            _deliver(arrived)

"""User data in a form that JSON can hold, and back: always data, never anything that runs.

None, truth values, numbers, texts, lists, and dictionaries whose keys are texts are themselves. Everything else is an object with
one key that begins with ``$`` (docs/format.md has the list).
"""

from __future__ import annotations

import math
import typing
from collections import abc
from datetime import date, datetime, time, timedelta

from heapsight._heapsight import shown
from heapsight._metrics import Metric

__all__ = ["MALFORMED", "decode", "encode"]

#: Deeper data might be written and then not be read: both take the interpreter's stack.
MOST_LEVELS = 100

_KEPT = "None, numbers, texts, bytes, lists, tuples, sets, dictionaries, dates, times and Metric"

#: What reading may raise when the text is not what `encode` makes.
MALFORMED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class _NotKeptError(Exception):
    """A value that cannot be kept, why, and where it is: steps from the outside in."""

    def __init__(self, kind: type[Exception], reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.steps: list[str] = []


def encode(value: typing.Any, name: str) -> typing.Any:
    """Return the value, which messages call ``name``, as JSON can hold it.

    Raises `TypeError` for what is no data and `ValueError` for what has no end, both with the place of it.
    """
    try:
        return _encode(value, set())
    except _NotKeptError as error:
        where = name + "".join(reversed(error.steps))
        raise error.kind(f"{where}: {error.reason}") from None


def _encode(value: typing.Any, outer: set[int]) -> typing.Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Metric):
        return {"$metric": [str.__str__(value.name), _number(value.value), value.format]}
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, str):
        return str.__str__(value)
    of_scalar = _SCALARS.get(type(value))
    if of_scalar is not None:
        return of_scalar(value)
    if not isinstance(value, (list, tuple, dict, set, frozenset)):
        raise _NotKeptError(TypeError, f"{_a(value)} cannot be kept in a file, only {_KEPT}")
    if id(value) in outer:
        raise _NotKeptError(ValueError, f"{_a(value)} that contains itself cannot be kept in a file")
    if len(outer) == MOST_LEVELS:
        raise _NotKeptError(ValueError, f"more than {MOST_LEVELS} levels of data cannot be kept in a file")
    outer.add(id(value))
    encoded = _encode_container(value, outer)
    outer.remove(id(value))
    return encoded


def _encode_container(value: typing.Any, outer: set[int]) -> typing.Any:
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {str.__str__(key): _part(item, outer, _at_key, key) for key, item in value.items()}
        return {
            "$dict": [[_part(key, outer, _as_key), _part(item, outer, _at_key, key)] for key, item in value.items()]
        }
    if isinstance(value, (list, tuple)):
        items = [_part(item, outer, _at_key, index) for index, item in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    items = [_part(item, outer, _as_element) for item in value]
    return {"$set" if isinstance(value, set) else "$frozenset": items}


def _part(
    value: typing.Any, outer: set[int], step: abc.Callable[[typing.Any], str], where: typing.Any = None
) -> typing.Any:
    try:
        return _encode(value, outer)
    except _NotKeptError as error:
        error.steps.append(step(where))
        raise


def _at_key(key: typing.Any) -> str:
    return f"[{shown(key)}]"


def _as_key(_: typing.Any) -> str:
    return " (a key)"


def _as_element(_: typing.Any) -> str:
    return " (an element)"


def _a(value: object) -> str:
    name = type(value).__name__
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"


def _number(value: float) -> typing.Any:
    """Return a number as itself, unless JSON has no such number or not every parser reads one so long."""
    if isinstance(value, int):
        return int.__pos__(value) if -(2**63) <= value < 2**63 else {"$int": hex(value)}
    plain = float.__pos__(value)
    return plain if math.isfinite(plain) else {"$float": repr(plain)}


_SCALARS: dict[type, abc.Callable[[typing.Any], typing.Any]] = {
    bytes: lambda value: {"$bytes": value.hex()},
    bytearray: lambda value: {"$bytearray": value.hex()},
    complex: lambda value: {"$complex": [_number(value.real), _number(value.imag)]},
    datetime: lambda value: {"$datetime": [value.isoformat(), value.fold]},
    date: lambda value: {"$date": value.isoformat()},
    time: lambda value: {"$time": [value.isoformat(), value.fold]},
    timedelta: lambda value: {"$timedelta": [value.days, value.seconds, value.microseconds]},
}


def decode(value: typing.Any) -> typing.Any:
    """Return what `encode` was given. Raises one of `MALFORMED` when this is not what it made."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if any(key.startswith("$") for key in value):
        [(tag, content)] = value.items()
        return _DECODERS[tag](content)
    return {key: decode(item) for key, item in value.items()}


def _decode_metric(content: typing.Any) -> Metric:
    name, value, kind = content
    return Metric(name, decode(value), kind)


def _decode_time(kind: typing.Any, content: typing.Any) -> typing.Any:
    text, fold = content
    return kind.fromisoformat(text).replace(fold=fold)


def _decode_timedelta(content: typing.Any) -> timedelta:
    days, seconds, microseconds = map(int.__index__, content)
    return timedelta(days, seconds, microseconds)


def _decode_complex(content: typing.Any) -> complex:
    real, imaginary = map(decode, content)
    return complex(real, imaginary)


_DECODERS: dict[str, abc.Callable[[typing.Any], typing.Any]] = {
    "$bytearray": bytearray.fromhex,
    "$bytes": bytes.fromhex,
    "$complex": _decode_complex,
    "$date": date.fromisoformat,
    "$datetime": lambda content: _decode_time(datetime, content),
    "$dict": lambda content: {decode(key): decode(item) for key, item in content},
    "$float": float,
    "$frozenset": lambda content: frozenset(map(decode, content)),
    "$int": lambda content: int(content, 16),
    "$metric": _decode_metric,
    "$set": lambda content: set(map(decode, content)),
    "$time": lambda content: _decode_time(time, content),
    "$timedelta": _decode_timedelta,
    "$tuple": lambda content: tuple(map(decode, content)),
}

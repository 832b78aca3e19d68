"""What a snapshot knows beside the engine's tables, as the text that its file holds."""

from __future__ import annotations

import json
import typing

from heapsight import _user_data
from heapsight._metrics import Metric, ProcessMemory

__all__ = ["Note"]

_HIGHEST_LIMIT = 0xFFFF
_HIGHEST_SIZE = 0xFFFF_FFFF_FFFF_FFFF


class Note(typing.NamedTuple):
    """What is written and read. Where a file has no note, as a recording has none, ``read`` gets what is known without one."""

    traceback_limit: int
    process_memory: ProcessMemory | None
    with_stats: bool = True
    metrics: typing.Mapping[str, Metric] = {}
    user_data: typing.Any = None
    incomplete: str | None = None

    def write(self) -> str:
        """Return the text. Raises `TypeError` or `ValueError` when the user data cannot be kept."""
        memory = self.process_memory
        fields = {
            "traceback_limit": self.traceback_limit,
            "rss": None if memory is None else memory.rss,
            "vms": None if memory is None else memory.vms,
            "with_stats": self.with_stats,
            "metrics": [
                {**metric._asdict(), "value": _user_data.encode(metric.value, metric.name)}
                for metric in self.metrics.values()
            ],
            "user_data": _user_data.encode(self.user_data, "user_data"),
            "incomplete": self.incomplete,
        }
        return json.dumps(fields, allow_nan=False)

    def read(self, text: str | None) -> Note:
        """Return what the text says, and this note's values for what it does not say. Raises `ValueError` when it is damaged."""
        if text is None:
            return self
        try:
            return self._read(json.loads(text))
        except _user_data.MALFORMED as error:
            raise ValueError(f"what Python added to the snapshot is damaged: {_one_line(error)}") from None

    def _read(self, fields: typing.Any) -> Note:
        if not isinstance(fields, dict):
            raise TypeError("it is no JSON object")
        metrics = [
            Metric(**{**metric, "value": _user_data.decode(metric["value"])}) for metric in fields.get("metrics", [])
        ]
        incomplete = fields.get("incomplete")
        if incomplete is not None and not isinstance(incomplete, str):
            raise TypeError("incomplete is no text")
        rss, vms = fields.get("rss"), fields.get("vms")
        return Note(
            _integer("traceback_limit", fields.get("traceback_limit", self.traceback_limit), 1, _HIGHEST_LIMIT),
            None if rss is None else ProcessMemory(_size("rss", rss), _size("vms", 0 if vms is None else vms)),
            fields.get("with_stats") is not False,
            {metric.name: metric for metric in metrics},
            _user_data.decode(fields.get("user_data")),
            incomplete,
        )


def _size(name: str, value: object) -> int:
    return _integer(name, value, 0, _HIGHEST_SIZE)


def _integer(name: str, value: object, lowest: int, highest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise ValueError(f"{name} is out of range")
    return value


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if isinstance(error, (LookupError, RecursionError)) else text

"""Where the resident memory of this process is."""

from __future__ import annotations

import typing

from heapsight import _heapsight

__all__ = ["ProcessReport"]


class ProcessReport(typing.NamedTuple):
    """Where the resident memory of a process is, in bytes. ``str()`` of it is a table.

    ``parts`` has every resident byte in one part, by name: `process_report` lists them. ``resident`` is the whole as the system counts it;
    ``private`` what no other process has, ``copy_on_write`` what a fork has left to several, ``huge`` what is in huge pages, ``swapped``
    what is in swap instead. ``meaning`` is one word for what most of it is, ``sentence`` the same in words, with what would help.
    """

    resident: int
    parts: dict[str, int]
    private: int
    copy_on_write: int
    huge: int
    swapped: int
    meaning: str
    sentence: str
    table: str

    def __str__(self) -> str:
        return self.table.rstrip("\n")


def report() -> ProcessReport:
    """Ask the engine, the allocators and the kernel."""
    parts, others, meaning, sentence, table = _heapsight.process_account()
    return ProcessReport(parts=dict(parts), meaning=meaning, sentence=sentence, table=table, **dict(others))

"""A job with a high peak: it reads everything before it adds anything up, and holds nothing in the end.

Question: the job was killed for its memory; who had it when it had most?
"""

from __future__ import annotations

import io


def source() -> io.StringIO:
    """Stand for a large file."""
    return io.StringIO("\n".join(f"{number};{number * 7 % 1000}" for number in range(60_000)))


def rows(file: io.StringIO) -> list[list[str]]:
    """Return all rows at once. A generator would hold one."""
    return [line.split(";") for line in file]


def total(file: io.StringIO) -> int:
    """Add up the second column."""
    return sum(int(row[1]) for row in rows(file))


print(total(source()))

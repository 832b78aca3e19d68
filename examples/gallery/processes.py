"""A process pool: every worker reads the same table into memory of its own.

Question: the machine is full although the parent is small; what do the workers hold?
"""

from __future__ import annotations

import multiprocessing
from functools import cache


@cache
def table() -> dict[str, str]:
    """Read the table. Once, but once in each process."""
    return {f"key {number}": f"value {number}" for number in range(40_000)}


def look_up(number: int) -> str:
    """Do one piece of work."""
    return table()[f"key {number}"]


if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(len(pool.map(look_up, range(1000), chunksize=10)))
        pool.close()
        pool.join()

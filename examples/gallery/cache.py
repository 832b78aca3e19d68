"""A cache that grows: its key has a time stamp in it, so nothing is ever found again.

Question: what is larger after the second half of the day than after the first?
"""

from __future__ import annotations

from functools import cache

import heapsight


@cache
def price_list(customer: int, minute: int) -> dict[str, float]:
    """Compute the prices for a customer. The minute makes every call another one."""
    return {f"article {number}": number * 1.1 + customer + minute for number in range(50)}


def serve(minutes: range) -> None:
    """Serve ten customers a minute."""
    for minute in minutes:
        for customer in range(10):
            price_list(customer, minute)


heapsight.enable()
serve(range(100))
heapsight.Snapshot.create().write("noon.heapsight")
serve(range(100, 300))
heapsight.Snapshot.create().write("evening.heapsight")

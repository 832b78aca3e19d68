"""A plain script that leaks: every order leaves a callback behind in a list that nobody empties.

Question: the process grows with every order; what keeps the memory?
"""

from __future__ import annotations

from typing import Callable

on_shutdown: list[Callable[[], None]] = []


class Order:
    """What a customer ordered."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.lines = [f"article {number}-{line}" for line in range(20)]
        on_shutdown.append(self.save)  # the method holds the order

    def save(self) -> None:
        """Write it down."""


def serve(orders: int) -> None:
    """Take orders and forget them, or so it seems."""
    for number in range(orders):
        Order(number)


serve(5000)

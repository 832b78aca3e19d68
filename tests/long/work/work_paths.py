"""Some hundred thousand call paths: functions that call one another in ever new orders."""

from __future__ import annotations

from collections.abc import Callable

import lxml.etree
import numpy as np  # noqa: F401

kept: list[object] = []


def go(digits: int, depth: int) -> object:
    """Call the next function, as the last digit says."""
    if depth == 0:
        return [depth]
    return STEPS[digits % 3](digits // 3, depth - 1)


def left(digits: int, depth: int) -> object:
    """Take one way on."""
    return [go(digits, depth)]


def right(digits: int, depth: int) -> object:
    """Take another one."""
    return (go(digits, depth), depth)


def ahead(digits: int, depth: int) -> object:
    """Take a third way."""
    return {depth: go(digits, depth)}


STEPS: list[Callable[[int, int], object]] = [left, right, ahead]


def work(step: int) -> object:
    """Take some new ways, and parse a little."""
    found = [go(step * 40 + way, 12) for way in range(40)]
    return found, lxml.etree.fromstring("<a><b/></a>").tag

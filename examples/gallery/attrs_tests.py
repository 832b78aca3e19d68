"""pytest and attrs: a fixture of the whole module that makes far more objects than the tests look at.

Question: the test run needs 100 MB; which fixture is it?
"""

from __future__ import annotations

import attrs
import pytest


@attrs.define
class Point:
    """A point on a map."""

    x: int
    y: int
    names: list[str] = attrs.field(factory=list)


@pytest.fixture(scope="module")
def points() -> list[Point]:
    """Return all points of the map, for tests that need two."""
    return [Point(number, -number, [f"point {number}"]) for number in range(30_000)]


def test_points_are_equal_if_their_fields_are(points: list[Point]) -> None:
    """Compare one with a new one."""
    assert points[7] == Point(7, -7, ["point 7"])


def test_points_have_no_dictionary(points: list[Point]) -> None:
    """Slots make them small."""
    assert not hasattr(points[0], "__dict__")

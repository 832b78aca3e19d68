"""What a table says where nothing was measured."""

import math
import re

import pytest

from benchmarks import table
from benchmarks.records import Sample


def program(tool: str, seconds: float, capture_bytes: float) -> Sample:
    values = {"seconds": seconds, "cpu_seconds": seconds, "peak_rss_bytes": 1e6, "capture_bytes": capture_bytes}
    return Sample("pyperformance", "go", tool, 0, values)


@pytest.fixture
def without_the_yardstick() -> list[Sample]:
    """A run of heapsight alone: its files have none of memray's to be compared with."""
    return [program("untraced", 1.0, 0), program("heapsight", 1.5, 1e6)]


def test_no_cell_is_a_unit_without_a_figure(without_the_yardstick: list[Sample]) -> None:
    lines = table.overhead_summary(without_the_yardstick, "pyperformance")
    cells = [cell.strip() for line in lines for cell in line.split("|")]
    assert "1.50×" in cells
    assert "–" in cells
    assert not [cell for cell in cells if re.match("–.", cell)]


@pytest.mark.parametrize(("figure", "shown"), [(1.234, "1.23 MB"), (math.nan, "–")])
def test_what_was_not_measured_is_a_dash(figure: float, shown: str) -> None:
    assert table.with_unit(figure, " MB") == shown

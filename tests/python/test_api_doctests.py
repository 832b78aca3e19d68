"""Every example in the documentation strings and in docs/reference.md runs and gives what it says."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from pathlib import Path

import pytest

import heapsight
from heapsight import _display, _live, _metrics, _snapshot, _statistics, _take

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference.md"
FLAGS = doctest.ELLIPSIS | doctest.REPORT_NDIFF


@pytest.fixture(autouse=True)
def _restored(untraced: None) -> Iterator[None]:  # noqa: ARG001 - a fixture for its effect
    before = heapsight.get_filters()
    yield
    heapsight.stop_timer()
    heapsight.clear_filters()
    for given in before:
        heapsight.add_filter(given)


@pytest.mark.parametrize("module", [_display, _live, _metrics, _snapshot, _statistics, _take], ids=lambda m: m.__name__)
def test_examples_of_the_package(module: object) -> None:
    result = doctest.testmod(module, optionflags=FLAGS)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", ["Filter", "Filters", "Frame", "Trace", "TraceStats"])
def test_examples_of_native_classes(name: str) -> None:
    text = getattr(heapsight, name).__doc__
    names = {each: getattr(heapsight, each) for each in heapsight.__all__}
    example = doctest.DocTestParser().get_doctest(text, names, name, None, 0)
    assert example.examples
    assert doctest.DocTestRunner(optionflags=FLAGS).run(example).failed == 0


def test_examples_of_the_reference() -> None:
    result = doctest.testfile(str(REFERENCE), module_relative=False, optionflags=FLAGS)
    assert result.attempted > 10
    assert result.failed == 0

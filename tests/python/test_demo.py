"""The demo tells the truth: its figures are those of tracemalloc, and it names the right lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from harness import ROOT, Outcome, Start, heapsight

from heapsight import _testing

EXAMPLE = ROOT / "examples" / "index_stdlib.py"

#: As sitecustomize.py, traces a program with tracemalloc from about the moment on when heapsight does, and
#: says at exit how much is live and was at the peak. (The C module: the Python one would import much of its own.)
JUDGE = """
import _tracemalloc, atexit, sys
atexit.register(lambda: print(*_tracemalloc.get_traced_memory(), file=sys.stderr))
_tracemalloc.start(1)
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """Return the capture of the demo, and what the run said."""
    capture = tmp_path_factory.mktemp("demo") / "index.heapsight"
    outcome = Start([EXAMPLE]).traced(capture)
    assert outcome.status == 0, outcome.errors
    return capture, outcome


def test_summary_names_the_capture_and_the_next_command(demo: tuple[Path, Outcome]) -> None:
    capture, outcome = demo
    last_lines = outcome.errors.strip().splitlines()[-4:]
    assert any(str(capture) in line for line in last_lines)
    assert any("heapsight top" in line for line in last_lines)


def test_summary_has_both_tables_of_ten(demo: tuple[Path, Outcome]) -> None:
    _, outcome = demo
    assert re.search(r"top 10 .*live", outcome.errors, re.IGNORECASE)
    assert re.search(r"top 10 .*peak", outcome.errors, re.IGNORECASE)


def test_top_names_lines_of_the_example_and_of_ast(demo: tuple[Path, Outcome]) -> None:
    capture, _ = demo
    top = heapsight("top", capture).text
    assert re.search(r"index_stdlib\.py:\d+", top)
    assert re.search(r"\bast\.py:\d+", top)


def test_totals_are_those_of_tracemalloc(demo: tuple[Path, Outcome], tmp_path: Path) -> None:
    capture, _ = demo
    (tmp_path / "sitecustomize.py").write_text(JUDGE)
    judged = Start([EXAMPLE], environment={"PYTHONPATH": str(tmp_path)}).plain()
    live, peak = map(int, judged.errors.split())
    own_live, own_peak = _testing.capture_totals(str(capture))
    assert own_live == pytest.approx(live, rel=0.01)
    assert own_peak == pytest.approx(peak, rel=0.01)

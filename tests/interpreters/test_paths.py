"""The call path of every traced object is the one that CPython gives: see paths_program.py.

For the interpreter that runs the tests; ``make test-all`` runs them on each.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from paths import CASES

PROGRAM = Path(__file__).resolve().with_name("paths_program.py")
MODULES = sorted({case.__module__ for case in CASES})


def run(*arguments: str, **variables: str) -> str:
    """Run the program, which must agree; return what it prints."""
    done = subprocess.run(
        [sys.executable, PROGRAM, *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def cases_of(module: str) -> list[str]:
    return [case.__name__ for case in CASES if case.__module__ == module]


@pytest.mark.parametrize("module", MODULES)
def test_every_path_is_that_of_sys_getframe(module: str) -> None:
    assert "agree, 0 do not" in run(*cases_of(module))


@pytest.mark.parametrize("frames", [1, 7])
def test_with_a_limit_every_path_has_its_most_recent_frames(frames: int) -> None:
    assert "agree, 0 do not" in run("--frames", str(frames))


def test_the_cases_agree_with_tracemalloc_too() -> None:
    # Not a test of heapsight, but of the expectations.
    assert "agree, 0 do not" in run("--backend", "tracemalloc", *cases_of("paths.exceptions"))


@pytest.mark.skipif(sys.version_info < (3, 14), reason="no just-in-time compiler before 3.14")
def test_compiled_code_has_the_same_paths() -> None:
    if not sys._jit.is_available():  # type: ignore[attr-defined]
        pytest.skip("this interpreter was built without the just-in-time compiler")
    assert "agree, 0 do not" in run(PYTHON_JIT="1")


def test_a_tracer_that_knows_nothing_is_noticed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TRACING, "three_deep"],
        cwd=PROGRAM.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "three_deep, round 0 (record), main object 0" in done.stderr


WITHOUT_TRACING = """
import sys
import paths_program
paths_program.BACKENDS["heapsight"].start = lambda self, frames: None
paths_program.BACKENDS["heapsight"].path = lambda self, kept: None
paths_program.BACKENDS["heapsight"].limit = None
sys.exit(paths_program.main())
"""

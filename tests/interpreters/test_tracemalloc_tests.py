"""CPython's own tests of tracemalloc pass on the drop-in (see tracemalloc_tests.py for which).

For the interpreter that runs the tests; ``make test-all`` runs them on each.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().with_name("tracemalloc_tests.py")


def test_cpythons_own_tests_of_tracemalloc_pass(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, PROGRAM], capture_output=True, text=True, check=False, cwd=tmp_path)
    if done.returncode == 77:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"(\d+) tests passed", done.stdout)
    assert found is not None, done.stdout
    assert int(found[1]) >= 31

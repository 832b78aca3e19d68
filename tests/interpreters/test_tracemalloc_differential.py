"""Random snapshots and programs: heapsight.tracemalloc and `tracemalloc` agree in every result (see tracemalloc_differential.py).

For the interpreter that runs the tests; ``make test-all`` runs them on each.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

PROGRAM = Path(__file__).resolve().with_name("tracemalloc_differential.py")


def test_every_public_result_is_that_of_tracemalloc() -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM, "--snapshots", "300", "--programs", "9"],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    found = re.search(r"(\d+) results of 300 snapshots agree, (\d+) blocks", done.stdout)
    assert found is not None, done.stdout
    assert int(found[1]) > 50_000
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        assert int(found[2]) > 1_000

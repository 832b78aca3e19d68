"""Random programs: heapsight and tracemalloc agree block by block (see differential.py).

For the interpreter that runs the tests; ``make test-all`` runs them on each.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().with_name("differential.py")

pytestmark = pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="tracemalloc is not exact without the GIL",
)


@pytest.mark.parametrize("frames", [1, 7, None], ids=["1 frame", "7 frames", "all frames"])
def test_every_block_has_the_size_and_path_that_tracemalloc_gives_it(frames: int | None) -> None:
    limit = [] if frames is None else ["--frames", str(frames)]
    done = subprocess.run(
        [sys.executable, PROGRAM, "--programs", "3", *limit], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    found = re.search(r"(\d+) blocks of 3 programs agree", done.stdout)
    assert found is not None, done.stdout
    assert int(found[1]) > 5_000

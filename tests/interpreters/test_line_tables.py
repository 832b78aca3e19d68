"""The tracer's line tables are the interpreter's: every instruction of the standard library is compared.

For the interpreter that runs the tests; ``make test-all`` runs them on each.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from discover import ROOT

HERE = Path(__file__).resolve().parent


def check(file: Path) -> subprocess.CompletedProcess[str]:
    """Run the Rust side on a file of tables and expected lines."""
    command = "cargo run --quiet --package heapsight-cpython --example line_table_check"
    return subprocess.run([*command.split(), file], cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_instruction_of_the_standard_library_has_the_line_that_cpython_gives_it(tmp_path: Path) -> None:
    file = tmp_path / "tables"
    subprocess.run([sys.executable, HERE / "dump_line_tables.py", file], check=True)
    checked = check(file)
    assert checked.returncode == 0, checked.stderr
    found = re.search(r"(\d+) code objects, (\d+) instructions agree", checked.stdout)
    assert found is not None, checked.stdout
    assert int(found[1]) > 10_000
    assert int(found[2]) > 500_000


def test_a_wrong_line_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "tables"
    # 3.10: four bytes on line 2, two bytes without a line; the last is claimed to be on line 3.
    file.write_text("10 1 04010280 2,2,3\n")
    checked = check(file)
    assert checked.returncode == 1
    assert "offset 4: expected Some(3), line_at gives None, lines() None" in checked.stderr

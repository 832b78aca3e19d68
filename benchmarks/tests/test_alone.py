"""Two benchmarks at once would measure each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.environment import RefusedError, alone


def test_second_run_is_refused_while_the_first_goes_on_and_only_then(tmp_path: Path) -> None:
    with (
        alone(tmp_path / "new"),
        pytest.raises(RefusedError, match="another benchmark is running"),
        alone(tmp_path / "new"),
    ):
        pass
    with alone(tmp_path / "new"):
        pass

"""What the README tells people to type works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from harness import ROOT, Start

README = (ROOT / "README.md").read_text(encoding="utf-8")
TUTORIAL = re.findall(r"^\$ \.venv/bin/heapsight (.*?) *#", README, re.MULTILINE)


def test_tutorial_is_five_lines() -> None:
    assert len(TUTORIAL) == 5


def test_tutorial_can_be_typed_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("kept = [bytes(1000) for _ in range(1000)]\n")
    for line in TUTORIAL:
        outcome = Start(["-m", "heapsight", *shlex.split(line)], cwd=tmp_path).plain()
        assert outcome.status == 0, f"{line}\n{outcome.errors}"
        assert re.search(r"\bapp(\.py)?, Python 3", outcome.text + outcome.errors), line


@pytest.mark.usefixtures("untraced")
def test_example_in_python_prints_what_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    [example] = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    exec(example, {})
    live, peak = map(int, capsys.readouterr().out.split())
    assert 5_000_000 < live <= peak


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link

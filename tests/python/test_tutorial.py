"""What docs/tutorial.md tells people to save and to type leads where it says: to the leak, and then to none."""

from __future__ import annotations

import re
import shlex

import pytest
from harness import ROOT, Outcome, Start

TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ heapsight (.*)$", TUTORIAL, re.MULTILINE)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """Save both programs, type every command, and return what each said."""
    folder = tmp_path_factory.mktemp("tutorial")
    program, fixed_function = re.findall(r"^```python\n(.*?)^```", TUTORIAL, re.MULTILINE | re.DOTALL)
    (folder / "shop.py").write_text(program)
    fixed, count = re.subn(
        r"^def price.*?return priced\[key\]\n", fixed_function, program, flags=re.MULTILINE | re.DOTALL
    )
    assert count == 1
    (folder / "fixed.py").write_text(fixed.replace("priced = {}\n", ""))
    return [Start(["-m", "heapsight", *shlex.split(command)], cwd=folder).plain() for command in COMMANDS]


def lines_told(outcome: Outcome) -> list[str]:
    """Return the places of a table's entries, with the functions, and without the folders."""
    return re.findall(r"^ +\d+ .*?([\w.]+\.py:\d+ [\w.]+)$", outcome.text, re.MULTILINE)


def test_every_command_succeeds(outcomes: list[Outcome]) -> None:
    assert len(outcomes) == 4
    for command, outcome in zip(COMMANDS, outcomes):
        assert outcome.status == 0, f"{command}\n{outcome.errors}"


def test_the_comparison_names_the_lines_that_leak_as_the_page_shows_them(outcomes: list[Outcome]) -> None:
    found = lines_told(outcomes[1])
    assert len(found) == 3
    assert sorted(found[1:]) == ["shop.py:11 price", "shop.py:13 price"], outcomes[1].text
    for line in found[1:]:
        assert line in TUTORIAL
    assert re.fullmatch(r"random\.py:\d+ (Random\.)?sample", found[0])


def test_the_leak_is_gone_at_the_end(outcomes: list[Outcome]) -> None:
    assert re.search(r"Growth +-1\d MiB in -3\d\d,\d{3} blocks", outcomes[3].text), outcomes[3].text

"""What the documentation shows is what is so: output, help, docstrings, and where its links lead."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from harness import ROOT, Start, clean_environment, heapsight

DOCS = ROOT / "docs"
#: Debug builds die of assertions of their own where others raise MemoryError, as one page shows.
NOT_SHOWN = {"out-of-memory"} if hasattr(sys, "gettotalrefcount") else set()
PAGES = [
    page
    for page in sorted(DOCS.glob("**/*.md"))
    if "<!-- run: " in page.read_text(encoding="utf-8") and page.stem not in NOT_SHOWN
]
MODULES = ("check", "commands", "files", "functions", "shown")


@pytest.fixture(scope="module")
def site() -> Iterator[dict[str, ModuleType]]:
    """Return the scripts that make and check the documentation, by name."""
    sys.path.insert(0, str(ROOT / "scripts" / "site"))
    try:
        yield {name: importlib.import_module(name) for name in MODULES}
    finally:
        sys.path.pop(0)
        for name in MODULES:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def typed(site: dict[str, ModuleType]) -> dict[Path, tuple[str, list[str]]]:
    """Type every command of every page once; return the pages as they would be, and where words differ."""
    return {page: site["shown"].written(page.read_text(encoding="utf-8")) for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_print_what_the_page_shows(page: Path, typed: dict[Path, tuple[str, list[str]]]) -> None:
    _, differences = typed[page]
    assert differences == []


def test_the_tutorial_leads_to_the_leak_and_then_to_none(typed: dict[Path, tuple[str, list[str]]]) -> None:
    text, _ = typed[DOCS / "tutorial.md"]
    assert re.search(r"Growth +\+\d+ MiB in \+\d{3},\d{3} blocks", text)
    assert re.search(r"Growth +-[45]\d MiB in -\d{3},\d{3} blocks", text)
    told = re.findall(r"^ +\d+ .*?([\w.]+\.py:\d+ [\w.]+)$", text, re.MULTILINE)
    assert told[:3] == ["shop.py:19 customer", "shop.py:9 price", "shop.py:11 price"]


def test_a_page_that_shows_other_words_than_are_printed_is_found(site: dict[str, ModuleType]) -> None:
    right = '<!-- run: ci -->\n```console\n$ echo "3 words of 4.5 MiB"\n17 words of 1 KiB\n```\n'
    assert site["shown"].written(right)[1] == []
    text, [difference] = site["shown"].written(right.replace("17 words", "17 letters"))
    assert "letters" in difference
    assert "\n3 words of 4.5 MiB\n" in text


def test_figures_and_the_picture_may_differ_and_lines_of_the_example_may_not(site: dict[str, ModuleType]) -> None:
    words = site["shown"].words
    assert words("  1 +8.6 MiB 12 % ███ shop.py:11 price") == words("  1 +1 KiB   9.5 % █▍ shop.py:11 price")
    assert words("shop.py:11 price") != words("shop.py:12 price")
    assert words("…/random.py:477 Random.sample") == words("…/random.py:451 sample")
    early = "Old 0 B in 0 blocks, live memory at the start, before the first tick (208 ms)"
    assert words(early) == words("Old 4 MiB in 7 blocks, live memory at 108 ms, the last tick before 200 ms")
    assert words("9 MiB ┤ ▂▂▄\n      └──── 1.1 s\nend") == words("end")


def test_a_command_that_fails_is_told_with_what_it_printed(site: dict[str, ModuleType]) -> None:
    with pytest.raises(SystemExit, match=r"(?s)no such thing.*ended with status 3, not 0"):
        site["shown"].written("<!-- run: ci -->\n```console\n$ echo no such thing; exit 3\n```\n")


def test_the_help_that_the_page_of_commands_is_made_of_is_what_commands_print(site: dict[str, ModuleType]) -> None:
    commands = site["commands"]
    assert commands.page() == commands.PAGE.read_text(encoding="utf-8")
    for name in ["", *commands.names()]:
        words = [name, "--help"] if name else ["--help"]
        assert heapsight(*words).text.split() == commands.help_of(name).split()


def test_the_page_of_functions_is_made_of_the_docstrings(site: dict[str, ModuleType]) -> None:
    functions = site["functions"]
    assert functions.page() == functions.PAGE.read_text(encoding="utf-8")


def test_files_are_shown_as_they_are(site: dict[str, ModuleType]) -> None:
    for page, text in site["files"].pages().items():
        assert page.read_text(encoding="utf-8") == text


def test_the_cells_of_the_notebook_run_in_their_order(tmp_path: Path) -> None:
    outcome = Start([ROOT / "examples" / "notebook" / "cells.py"], cwd=tmp_path).plain()
    assert outcome.status == 0, outcome.errors
    first, *_, peak, load, module = outcome.text.splitlines()
    assert re.match(r"\+[\d,]{9} bytes in \+\d{2},\d{3} blocks at .*cells\.py:\d+$", first)
    assert re.match(r"[\d,]{9} bytes more", peak)
    assert re.search(r"cells\.py:\d+ load$", load)
    assert re.search(r"cells\.py:\d+ <module>$", module)
    assert (tmp_path / "cell.heapsight").exists()


def test_the_test_of_the_page_about_ci_passes_and_finds_a_leak(tmp_path: Path) -> None:
    source = tmp_path / "test_memory.py"
    shutil.copy(ROOT / "examples" / "ci" / "test_memory.py", source)
    command = [sys.executable, "-m", "pytest", "-q", str(source)]
    run = {"cwd": tmp_path, "env": clean_environment(), "capture_output": True, "text": True}
    passed = subprocess.run(command, **run)  # type: ignore[call-overload]
    assert passed.returncode == 0, passed.stdout
    source.write_text(source.read_text().replace("number % 10", "number"))
    failed = subprocess.run(command, **run)  # type: ignore[call-overload]
    assert failed.returncode == 1
    assert "assert grown < 10_000" in failed.stdout


def test_links_that_lead_nowhere_are_found(
    site: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site["check"], "DOCS", tmp_path)
    (tmp_path / "other.md").write_text("# Title\n\n## A `name`, and more!\n\n## Twice\n\n## Twice\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n\n[ok](other.md#a-name-and-more) [again](other.md#twice-1) [here](#page) [out](https://example.org)\n"
        "```text\n[not a link](gone.md)\n```\n"
    )
    assert list(site["check"].wrong_links(page)) == []
    for link, said in [
        ("[x](gone.md)", "links to gone.md, which is not there"),
        ("[x](other.md#title-1)", "links to other.md#title-1, and other.md has no such heading"),
        ("![](other.md)", "the picture other.md has no text for those who do not see it"),
        ("[x](..)", "links to .., which is not part of the site: give its address in the repository"),
    ]:
        page.write_text(f"# Page\n\n{link}\n")
        assert list(site["check"].wrong_links(page)) == [said]


def test_a_page_outside_the_navigation_is_found(site: dict[str, ModuleType]) -> None:
    wrong = site["check"].wrong_navigation
    assert (
        list(wrong(["a.md", "b/c.md"], site["check"].navigated("x\nnav:\n  - A: a.md\n  - B:\n      - b/c.md\n"))) == []
    )
    assert list(wrong(["a.md"], [])) == ["mkdocs.yml: a.md is not in the navigation"]
    assert list(wrong([], ["a.md"])) == ["mkdocs.yml: a.md is not there"]
    assert list(wrong(["a.md"], ["a.md", "a.md"])) == ["mkdocs.yml: a.md is in the navigation 2 times"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```console\n$ heapsight top --at 3 -n 2 a.heapsight\n```\n", []),
        ("```console\n$ heapsight run -o x.heapsight app.py --its --own\n```\n", []),
        ("text\n\n    heapsight run --follow -m gunicorn --workers 2\n\ntext", []),
        ("see `heapsight tree --blocks FILE`", []),
        ("```console\n$ heapsight top --colour a.heapsight\n```\n", ["top --colour, which it does not have"]),
        ("text\n\n    heapsight stats -j FILE\n\ntext", ["stats -j, which it does not have"]),
        ("see `heapsight graph FILE`", ["graph, and there is no such command"]),
    ],
)
def test_a_command_or_option_that_there_is_not_is_found(
    site: dict[str, ModuleType], text: str, said: list[str]
) -> None:
    assert list(site["check"].wrong_commands(text)) == [f"shows heapsight {what}" for what in said]

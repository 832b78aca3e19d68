"""The check of the documents finds what it is there for."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from harness import ROOT

ARCHITECTURE = """
## The crates

| crate | what it does |
|---|---|
| `engine` | all of it |

## Dependencies

| crate | where | why |
|---|---|---|
| libc, zstd | engine | system calls, compression |
| proptest | tests | random cases |
"""

ENGINE: dict[str, Any] = {
    "package": {"description": "Does all of it"},
    "dependencies": {"libc": "1", "zstd": "1", "heapsight-other": {"path": "."}},
    "dev-dependencies": {"proptest": "1", "libc": "1"},
}


@pytest.fixture(scope="module")
def check() -> ModuleType:
    """Load the script as a module."""
    if sys.version_info < (3, 11):
        pytest.importorskip("tomli")
    spec = importlib.util.spec_from_file_location("check_documents", ROOT / "scripts" / "check_documents.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_true_tables_are_passed(check: ModuleType) -> None:
    assert list(check.wrong_dependencies(ARCHITECTURE, {"engine": ENGINE})) == []
    assert list(check.wrong_crates(ARCHITECTURE, {"engine": ENGINE})) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"dependencies": {"libc": "1", "zstd": "1", "serde": "1"}}, "serde has no row"),
        ({"dependencies": {"libc": "1"}}, "zstd has a row, and no crate depends on it"),
        ({"build-dependencies": {"proptest": "1"}}, "proptest is in engine, not in tests"),
    ],
)
def test_a_table_of_dependencies_that_is_not_true_is_found(
    check: ModuleType, changed: dict[str, Any], said: str
) -> None:
    [breach] = check.wrong_dependencies(ARCHITECTURE, {"engine": {**ENGINE, **changed}})
    assert said in breach


def test_a_crate_without_a_row_or_a_description_is_found(check: ModuleType) -> None:
    breaches = list(check.wrong_crates(ARCHITECTURE, {"engine": ENGINE, "other": {"package": {}}}))
    assert breaches == ["the crate other is not in the table", "crates/other/Cargo.toml has no description"]


def test_a_page_that_only_links_to_itself_and_a_link_to_nowhere_are_found(check: ModuleType, tmp_path: Path) -> None:
    page, start = tmp_path / "page.md", tmp_path / "start.md"
    page.write_text("[up](page.md#top) [outside](https://example.org)")
    start.write_text("[gone](gone.md)")
    said = list(check.unlinked([page], [page, start]))
    assert said == ["start.md: links to gone.md, which is not there", "page.md: no other document links to this page"]
    start.write_text("[page](page.md#top)")
    assert list(check.unlinked([page], [page, start])) == []


def test_a_name_that_is_given_as_a_path_of_rust_must_be_there(check: ModuleType) -> None:
    crates = ["tracer", "analysis"]
    text = "`tracer::tables::sites`, `tracer::tables::sites::OwnSites`, `analysis::recording` and `not::a crate`"
    assert list(check.missing_names(text, crates)) == []
    wrong = ["tracer::live_map", "tracer::tables::sites::Nothing", "tracer::nowhere::sites", "sites::OwnSites"]
    for path in wrong:
        [line] = check.missing_names(f"see `{path}`", crates)
        assert line.startswith(f"{path} ")


def test_a_path_that_is_given_must_be_there(check: ModuleType) -> None:
    text = "`crates/tracer/src/lib.rs`, `crates/report/src/export/NAME.rs` and `docs/nowhere.md`"
    assert list(check.missing_paths(text)) == ["docs/nowhere.md is not there"]

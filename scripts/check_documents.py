"""What the documents say of the repository is so. Prints one line for each breach; exit status 1 if there is any.

* Every page in docs/ is linked from another page.
* The table of crates in docs/architecture.md names every crate, and each crate describes itself.
* A name in Rust's spelling that a document gives (`tracer::tables::sites`) begins with a crate and is there.
* A path of this repository that a document gives (`crates/tracer/src`) is there; NAME in it stands for a file to be made.
* The table of dependencies names every direct dependency with the crates that have it and a reason, and nothing else.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
ARCHITECTURE = ROOT / "docs" / "architecture.md"

#: Where a dependency stands in the table that only tests have.
TESTS = "tests"

#: How a source file defines a name, or gives one on that another file defines.
DEFINITION = r"\b(?:(?:fn|struct|enum|trait|type|const|static|mod|union)\s+|pub(?:\([a-z]+\))? use [^;]*\b){}\b"


def table_rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its first two lines."""
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip().strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def words(cell: str) -> list[str]:
    """Return what a cell lists, without the marks of code."""
    return [word.strip().strip("`") for word in cell.split(",")]


def dependencies(manifests: Mapping[str, Mapping[str, Any]]) -> dict[str, set[str]]:
    """Return for each direct dependency the crates that have it; {"tests"} if only tests do."""
    used: dict[str, set[str]] = {}
    tested: dict[str, set[str]] = {}
    for crate, manifest in manifests.items():
        for kind, found in (("dependencies", used), ("build-dependencies", used), ("dev-dependencies", tested)):
            for name in manifest.get(kind, {}):
                if not name.startswith("heapsight-"):
                    found.setdefault(name, set()).add(crate)
    return {**{name: {TESTS} for name in tested}, **used}


def wrong_dependencies(architecture: str, manifests: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Compare the table of dependencies with the Cargo files."""
    told: dict[str, set[str]] = {}
    for names, places, reason in table_rows(architecture, "Dependencies"):
        for name in words(names):
            if name in told:
                yield f"{name} has two rows"
            if not reason:
                yield f"{name} has no reason"
            told[name] = set(words(places))
    real = dependencies(manifests)
    for name in sorted(real.keys() - told.keys()):
        yield f"{name} has no row: say why {', '.join(sorted(real[name]))} may not do without"
    for name in sorted(told.keys() - real.keys()):
        yield f"{name} has a row, and no crate depends on it"
    for name in sorted(real.keys() & told.keys()):
        if real[name] != told[name]:
            yield f"{name} is in {', '.join(sorted(real[name]))}, not in {', '.join(sorted(told[name]))}"


def wrong_crates(architecture: str, manifests: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Compare the table of crates with the folders, and look whether each crate describes itself."""
    told = {words(row[0])[0] for row in table_rows(architecture, "The crates")}
    for name in sorted(told ^ manifests.keys()):
        yield f"the crate {name} is {'not there' if name in told else 'not in the table'}"
    for name, manifest in sorted(manifests.items()):
        if not manifest["package"].get("description"):
            yield f"crates/{name}/Cargo.toml has no description"


def missing_names(text: str, crates: Iterable[str]) -> Iterator[str]:
    """Name what a document gives as a path of Rust that leads to no module, and to nothing that a module defines."""
    known = set(crates)
    for path in sorted(set(re.findall(r"`([a-z_]+(?:::\w+)+)`", text))):
        crate, *names = path.split("::")
        if crate not in known:
            yield f"{path} does not begin with a crate"
            continue
        folder = ROOT / "crates" / crate / "src"
        source = folder / "lib.rs" if (folder / "lib.rs").exists() else folder / "main.rs"
        while names and (folder / f"{names[0]}.rs").exists():
            source, folder = folder / f"{names[0]}.rs", folder / names[0]
            names = names[1:]
        code = source.read_text(encoding="utf-8")
        if len(names) > 1 or not all(re.search(DEFINITION.format(name), code) for name in names):
            yield f"{path} is not there: {source.relative_to(ROOT)} does not have {'::'.join(names)}"


def missing_paths(text: str) -> Iterator[str]:
    """Name what a document gives as a path in this repository and is not there."""
    folders = "crates|tests|scripts|python|docs|benchmarks|examples|requirements|fuzz"
    for path in sorted(set(re.findall(rf"`((?:{folders})/[\w./-]+)`", text))):
        to_be_made = "NAME" in path or "v3_16" in path
        if not to_be_made and not (ROOT / path).exists():
            yield f"{path} is not there"


def links(text: str) -> set[str]:
    """Return the relative targets of a page's links, without what follows a #."""
    return set(re.findall(r"\]\((?![a-z]+:)([^)#\s]+)", text))


def unlinked(pages: Iterable[Path], documents: Iterable[Path]) -> Iterator[str]:
    """Name the pages that no other document links to, and the links that lead nowhere."""
    linked = set()
    for document in documents:
        for link in sorted(links(document.read_text(encoding="utf-8"))):
            target = (document.parent / link).resolve()
            if not target.exists():
                yield f"{document.name}: links to {link}, which is not there"
            if target != document.resolve():
                linked.add(target)
    for page in pages:
        if page.resolve() not in linked:
            yield f"{page.name}: no other document links to this page"


def main() -> int:
    """Check everything."""
    manifests = {
        path.parent.name: tomllib.loads(path.read_text(encoding="utf-8")) for path in ROOT.glob("crates/*/Cargo.toml")
    }
    architecture = ARCHITECTURE.read_text(encoding="utf-8")
    name = ARCHITECTURE.relative_to(ROOT)
    pages = sorted(ROOT.glob("docs/**/*.md"))
    documents = [*pages, *ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("fuzz/*.md")]
    found = [f"{name}: {breach}" for breach in wrong_dependencies(architecture, manifests)]
    found += [f"{name}: {breach}" for breach in wrong_crates(architecture, manifests)]
    for document in documents:
        missing = missing_names(document.read_text(encoding="utf-8"), manifests)
        missing = [*missing, *missing_paths(document.read_text(encoding="utf-8"))]
        found += [f"{document.relative_to(ROOT)}: {breach}" for breach in missing]
    found += unlinked(pages, documents)
    for breach in found:
        print(breach, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Rules of this repository that no linter knows. Prints one line for each breach; exit status 1 if there is any."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import wings

ROOT = Path(__file__).resolve().parent.parent

#: Only these may contain `unsafe`; every other crate forbids it.
UNSAFE_CRATES = {"cpython", "native", "tracer", "binding", "command"}

#: Columns of a line of Rust or Markdown; a row of a table cannot be broken.
LONGEST_LINE = 120

#: A file longer than this has a second idea in it.
LONGEST_FILE = 600

#: Paths of somebody's machine. Spelt so that this file does not match itself.
MACHINE_PATH = re.compile(r"(?<![\w.~$}-])/(?:ro[o]t|wor[k])(?=/)")

#: One version of CPython, by name or by number. Only the registry in crates/cpython/src/version may tell versions apart in Rust.
ONE_VERSION = re.compile(r"\bV3_\d+T?\b|\bMINOR\s*[<>=]=?\s*\d")

#: The one circle of wings in crates/tracer/src: on the way of every event, what each thread keeps, its call path and
#: its counters need one another.
HOT_PATH = [["path", "tables", "thread"]]

#: Lines of these are not ours to shorten or to spell.
GENERATED = {"Cargo.lock", "LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY-LICENSES.txt"}


def repository_files() -> Iterator[Path]:
    """Every file that is, or would be, part of the repository."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in sorted(filter(None, listing.stdout.split("\0"))):
        if (ROOT / name).is_file():
            yield ROOT / name


def breaches(path: Path) -> Iterator[str]:
    """Say what is wrong with one file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return  # not text
    name = path.relative_to(ROOT)
    for number, line in enumerate(lines, 1):
        found = MACHINE_PATH.search(line)
        if found:
            yield f"{name}:{number}: names a path of one machine ({found.group()}/…)"
    if path.suffix in {".rs", ".md"} and name.parts[:2] != ("benchmarks", "runs"):
        yield from (
            f"{name}:{number}: {len(line)} columns: more than {LONGEST_LINE}"
            for number, line in enumerate(lines, 1)
            if len(line) > LONGEST_LINE and not (path.suffix == ".md" and line.lstrip().startswith("|"))
        )
    if path.suffix in {".rs", ".py"} and len(lines) > LONGEST_FILE:
        yield f"{name}: {len(lines)} lines: more than {LONGEST_FILE}: look for the second idea in it"
    if path.suffix == ".rs" and not str(name).startswith("crates/cpython/src/version"):
        yield from (
            f"{name}:{number}: names a version of CPython ({found.group()}), which only crates/cpython/src/version may"
            for number, line in enumerate(lines, 1)
            if (found := ONE_VERSION.search(line.split("//")[0]))
        )
    crate = name.parts[1] if name.parts[0] == "crates" and len(name.parts) > 2 else None
    if crate not in (None, "binding") and path.suffix in {".rs", ".toml"}:
        yield from (
            f"{name}:{number}: names pyo3, which only crates/binding may"
            for number, line in enumerate(lines, 1)
            if re.search(r"\bpyo3\b", line.split("//")[0])
        )


def crates_without_forbid() -> Iterator[str]:
    """Name the crates that should forbid unsafe code and do not."""
    for library in sorted(ROOT.glob("crates/*/src/lib.rs")):
        crate = library.parent.parent.name
        if crate not in UNSAFE_CRATES and "#![forbid(unsafe_code)]" not in library.read_text(encoding="utf-8"):
            yield f"{library.relative_to(ROOT)}: lacks #![forbid(unsafe_code)]"


def heavy_dependencies() -> Iterator[str]:
    """Name what the extension module depends on and only the command may: every traced process would load it."""
    manifest = ROOT / "crates" / "binding" / "Cargo.toml"
    for name in re.findall(
        r"^(heapsight-(?:cli|command|memray))\b", manifest.read_text(encoding="utf-8"), re.MULTILINE
    ):
        yield f"{manifest.relative_to(ROOT)}: depends on {name}, which every traced process would load"


def circles_of_wings() -> Iterator[str]:
    """Name the circles among the wings of crates/tracer/src beyond the one that docs/architecture.md names."""
    for circle in wings.circles(wings.arrows()):
        if circle not in HOT_PATH:
            yield f"crates/tracer/src: {', '.join(circle)} use one another in a circle (see scripts/wings.py)"


def main() -> int:
    """Check everything."""
    found = [breach for path in repository_files() if path.name not in GENERATED for breach in breaches(path)]
    found += crates_without_forbid()
    found += heavy_dependencies()
    found += circles_of_wings()
    for breach in found:
        print(breach, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""The wings of crates/tracer/src, which of them uses which, and the circles among them.

``python scripts/wings.py [FOLDER]`` prints the arrows and the circles of a crate's modules. A wing is a folder with its front page, or a
file beside lib.rs; tests are left out. scripts/check_rules.py compares the circles with those that docs/architecture.md names.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

TRACER = Path(__file__).resolve().parent.parent / "crates" / "tracer" / "src"

#: A path that begins at the crate's root, or a list of them: ``crate::memory::lock``, ``crate::{config, thread}``.
USED = re.compile(r"\bcrate::(?:(\w+)|\{([^;]*?)\};)", re.DOTALL)


def wing_of(path: Path, root: Path) -> str:
    """Return the name of the wing that a file is in."""
    return path.relative_to(root).parts[0].removesuffix(".rs")


def code_of(path: Path) -> str:
    """Return a file's text without comments and without its tests."""
    text = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
    return text.split("#[cfg(test)]\nmod tests", 1)[0]


def names_in(found: re.Match[str]) -> Iterator[str]:
    """Return the first names of the paths that one match has."""
    if found[1]:
        yield found[1]
        return
    depth, start = 0, True
    for word in re.findall(r"\w+|[{},]", found[2]):
        if word in "{}":
            depth += 1 if word == "{" else -1
        elif word == ",":
            start = depth == 0
            continue
        elif start and depth == 0:
            yield word
        start = False


def arrows(root: Path = TRACER) -> dict[str, set[str]]:
    """Return the wings that each wing uses."""
    files = [path for path in root.rglob("*.rs") if not re.search(r"tests?\.rs$|_model\.rs$|^lib\.rs$", path.name)]
    wings = {wing_of(path, root) for path in files}
    uses: dict[str, set[str]] = {wing: set() for wing in wings}
    for path in files:
        wing = wing_of(path, root)
        for found in USED.finditer(code_of(path)):
            uses[wing].update(name for name in names_in(found) if name in wings and name != wing)
    return uses


def circles(uses: dict[str, set[str]]) -> list[list[str]]:
    """Return the sets of two or more wings that reach one another, the largest first."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for name in uses[waiting.pop()] - seen:
                seen.add(name)
                waiting.append(name)
        return seen

    reach = {wing: reached(wing) for wing in uses}
    found = {frozenset(other for other in reach[wing] if wing in reach[other]) for wing in uses if wing in reach[wing]}
    return sorted((sorted(circle) for circle in found), key=lambda circle: (-len(circle), circle))


def main() -> int:
    """Print what uses what."""
    uses = arrows(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else TRACER)
    for wing in sorted(uses):
        print(f"{wing}: {', '.join(sorted(uses[wing]))}")
    found = circles(uses)
    print(f"{len(uses)} wings, {sum(map(len, uses.values()))} arrows, {len(found)} circles")
    for circle in found:
        print(f"circle of {len(circle)}: {', '.join(circle)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

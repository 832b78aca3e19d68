"""Make the parts of the documentation that are made of something else, or check that they are what that gives.

    python scripts/site/generate.py [--check] commands functions files

commands: docs/commands.md, of the commands' help. functions: docs/functions.md, of the installed package. files: what
pages show of files in this repository. What commands print is shown by scripts/site/shown.py.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

import files

ROOT = Path(__file__).resolve().parent.parent.parent


def made(what: str) -> dict[Path, str]:
    """Return the text of each page that is made of what is asked for."""
    if what == "files":
        return files.pages()
    module = importlib.import_module(what)
    return {module.PAGE: module.page()}


def main() -> int:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if anything would change")
    parser.add_argument("what", nargs="+", choices=["commands", "functions", "files"])
    options = parser.parse_args()
    found = 0
    for what in options.what:
        for path, text in made(what).items():
            old = path.read_text(encoding="utf-8") if path.exists() else ""
            if text == old:
                continue
            name = path.relative_to(ROOT)
            if options.check:
                print(f"{name} is not what its sources give: run make documents", file=sys.stderr)
                found = 1
            else:
                path.write_text(text, encoding="utf-8")
                print(f"wrote {name}")
    return found


if __name__ == "__main__":
    sys.exit(main())

"""What pages show of files in this repository: a comment names the file, and the block after it has its text.

    <!-- file: examples/tutorial/shop.py -->            the whole file
    <!-- file: examples/tutorial/fixed.py price -->     one function of it
    <!-- file: examples/notebook/cells.py begin -->     what follows `# %% begin`, up to the next such line

What stands between `<!-- bench:begin -->` and `<!-- bench:end -->` is README's table of costs.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

SHOWN = re.compile(r"(<!-- file: (?P<path>\S+)(?: (?P<name>\w+))? -->\n```\w*\n)(?P<text>.*?)(?=^```$)", re.M | re.S)


COSTS = re.compile(r"(?<=<!-- bench:begin -->\n).*?(?=<!-- bench:end -->)", re.S)


def text_of(path: str, name: str | None) -> str:
    """Return a file, or one function or cell of it."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if name is None:
        return text
    cells: dict[str, str] = dict(re.findall(r"^# %% (\w+)\n(.*?)(?=^# %%|\Z)", text, re.M | re.S))
    if name in cells:
        return cells[name].strip() + "\n"
    for statement in ast.parse(text).body:
        if getattr(statement, "name", None) == name:
            return "\n".join(text.splitlines()[statement.lineno - 1 : statement.end_lineno]) + "\n"
    raise SystemExit(f"{path} has no {name} at its top")


def page(text: str) -> str:
    """Return a page with what its files say today."""
    [costs] = COSTS.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    text = COSTS.sub(lambda _: costs, text)
    return SHOWN.sub(lambda shown: shown[1] + text_of(shown["path"], shown["name"]), text)


def pages() -> dict[Path, str]:
    """Return each page of docs/ as it should be."""
    return {path: page(path.read_text(encoding="utf-8")) for path in sorted(ROOT.glob("docs/**/*.md"))}

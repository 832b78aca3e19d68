"""What pages show of commands: a comment names an example, and the block after it has commands and what they print.

    <!-- run: tutorial -->
    ```console
    $ heapsight run -o shop.heapsight shop.py
    …
    ```

All such blocks of a page that name one example are typed one after the other in one folder, which begins as a copy of
examples/NAME. `from="…"` begins with the first line that has this text, `to="…"` ends before the next line that has
that text; `status=N` is how the last command ends, if not with 0; `quiet` shows commands and not what they print.

    python scripts/site/shown.py [--check] [PAGE…]

writes what the commands print today, or compares: figures may differ, and the picture of memory over time; words, and
their order, may not.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "examples"

BLOCK = re.compile(
    r"(?P<head><!-- run: (?P<example>\S+)(?P<options>[^\n]*?) -->\n(?P<fence>```+)console\n)(?P<body>.*?)(?=^(?P=fence)$)",
    re.M | re.S,
)
OPTION = re.compile(r'(\w+)(?:=(?:"([^"]*)"|(\S+)))?')

#: Columns of what is shown.
COLUMNS = 100

#: Lines of the picture of memory over time.
PICTURE = re.compile(r"^.*[┤└│].*$", re.M)

#: What is below a table: small things, which another version of CPython has more or fewer of, or a recorder that lags.
REST = re.compile(r"^ +(?:\d+ other |imports: |not told apart ).*$", re.M)

#: Amounts, times, shares, addresses and dates: what differs from run to run.
FIGURE = re.compile(r"[+±-]?(?:0x[0-9a-f…]+|\d[\d,.:-]*)(?:\s?(?:[KMGT]iB|B|%|ms|µs|ns|s|min|h)\b|\s?%)?")


#: Spells the digits of what is no figure.
LETTERS = str.maketrans("0123456789", "abcdefghij")


@dataclass(frozen=True)
class Block:
    """Commands, and what a page says they print."""

    example: str
    options: dict[str, str]
    commands: list[str]
    shown: str

    @classmethod
    def of(cls, found: re.Match[str]) -> Block:
        """Read a block of a page."""
        options = {name: quoted or bare for name, quoted, bare in OPTION.findall(found["options"])}
        lines = found["body"].splitlines()
        commands = [line[2:] for line in lines if line.startswith("$ ")]
        return cls(found["example"], options, commands, "\n".join(line for line in lines if line[:2] != "$ "))

    def chosen(self, output: str) -> str:
        """Return the part of the commands' output that the page shows."""
        lines = output.strip("\n").splitlines()
        if "quiet" in self.options:
            return ""
        first, last = 0, len(lines)
        if start := self.options.get("from"):
            first = next((index for index, line in enumerate(lines) if start in line), last)
        if end := self.options.get("to"):
            last = next((index for index, line in enumerate(lines) if index > first and end in line), last)
        kept = [line.rstrip() for line in lines[first:last]]
        while kept and not kept[-1]:
            kept.pop()
        return "\n".join(["…"] * (first > 0) + kept + ["…"] * (last < len(lines)))


class Folder:
    """A copy of an example, in which the commands of a page are typed."""

    def __init__(self, example: str, parent: Path) -> None:
        self.path = parent / example
        shutil.copytree(EXAMPLES / example, self.path, ignore=shutil.ignore_patterns("__pycache__", "*.heapsight"))

    def typed(self, block: Block) -> str:
        """Type a block's commands, and return what they print, both streams as they come."""
        output = ""
        for number, command in enumerate(block.commands, 1):
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self.path,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=120,
            )
            text = done.stdout.decode("utf-8", "backslashreplace")
            wanted = int(block.options.get("status", "0")) if number == len(block.commands) else 0
            # As a shell says it: 137 is SIGKILL.
            status = done.returncode if done.returncode >= 0 else 128 - done.returncode
            if status != wanted:
                raise SystemExit(f"$ {command}\n{text}\nended with status {status}, not {wanted}")
            output += text
        return output


def environment() -> dict[str, str]:
    """Return an environment in which `heapsight` and `python` are those that run this script."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HEAPSIGHT", "PYTEST"))}
    own = {"COLUMNS": str(COLUMNS), "LC_ALL": "C.UTF-8", "TERM": "dumb", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **own, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def words(text: str) -> list[str]:
    """Return what two runs have in common: the words, and the lines of the example's own files.

    How long a run takes decides whether growth per minute is told, and whether the sentence is about growth at all; how
    long its start takes, whether there is a tick before an early moment; how large a column is, where a line is broken.
    """
    text = re.sub(r"[▁-▏]+", "", REST.sub("", PICTURE.sub("", text)))
    # These are not figures: they must be as they are shown.
    text = re.sub(r"(?<![/\w])(\w+\.py):(\d+)", lambda at: f"{at[1]}:{at[2].translate(LETTERS)}", text)
    # Before CPython 3.11 a code object does not know its class.
    text = re.sub(r"\b(?:[A-Z]\w*\.|\w+\.<locals>\.)+(?=\w)", "", text)
    text = re.sub(r"; at the peak the same within 1 %|, and at the peak", "", text)
    text = re.sub(r"at the start, before the first tick \([^)]*\)", "", text)
    text = re.sub(r"at [\d.]+ m?s\b(?:, the last tick before \S+ \w+)?", "", text)
    text = re.sub(
        r"of\s+the\s+(?:growth\s+since\s+\S+\s+\w+|memory\s+at\s+(?:exit|the\s+last\s+tick))", "of what grew", text
    )
    text = re.sub(r"(?::\s+#\s+)?per minute|\bblocks?\b|(?<=site)s", "", FIGURE.sub(" # ", text))
    return re.sub(r"#(?:\s+#)+", "#", text).split()


def written(text: str) -> tuple[str, list[str]]:
    """Return a page with what its commands print today, and where that differs in words."""
    differences: list[str] = []
    with tempfile.TemporaryDirectory(prefix="heapsight-") as parent:
        folders: dict[str, Folder] = {}

        def renewed(found: re.Match[str]) -> str:
            block = Block.of(found)
            if block.example not in folders:
                folders[block.example] = Folder(block.example, Path(parent))
            output = block.chosen(folders[block.example].typed(block))
            if words(block.shown) != words(output):
                differences.append(f"$ {block.commands[-1]}\nis shown to print\n{block.shown}\nand prints\n{output}\n")
            lines = [*(f"$ {command}" for command in block.commands), *output.splitlines()]
            return found["head"] + "\n".join(lines) + "\n"

        return BLOCK.sub(renewed, text), differences


def pages(named: Sequence[str]) -> Iterator[Path]:
    """Give the pages that were named; all that show commands, if none was."""
    for path in map(Path, named) if named else sorted(ROOT.glob("docs/**/*.md")):
        if BLOCK.search(path.read_text(encoding="utf-8")):
            yield path


def main() -> int:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if words differ")
    parser.add_argument("pages", nargs="*", metavar="PAGE")
    options = parser.parse_args()
    found = 0
    for path in pages(options.pages):
        text, differences = written(path.read_text(encoding="utf-8"))
        if options.check:
            for difference in differences:
                print(f"{path}: {difference}", file=sys.stderr)
            found |= bool(differences)
        elif differences:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")
    return found


if __name__ == "__main__":
    sys.exit(main())

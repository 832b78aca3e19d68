"""Run the programs of the gallery and check that heapsight's first answer is the right one.

    python examples/gallery/run.py [NAME ...]      all, unless some are named

`NAME.expected` stands beside `NAME.py`: the commands to give, each after a `$`, and then what the first table of the
last one must name, one place a line: file and line, or file, and function. The words around them may change; the
answer may not. `-n 1` asks for the first entry alone.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

#: Wide enough for every name.
COLUMNS = "160"

#: No program takes as long, even on a busy machine.
TIMEOUT_SECONDS = 300


def names() -> list[str]:
    """All programs that have an expected answer."""
    return sorted(path.stem for path in FOLDER.glob("*.expected"))


def output_of(command: str, folder: Path) -> str:
    """Give a command as a user would in a folder with the program, and return what it prints."""
    known = {"python": [sys.executable], "heapsight": [sys.executable, "-m", "heapsight"]}
    program, *arguments = shlex.split(command)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HEAPSIGHT"))}
    done = subprocess.run(
        [*known[program], *arguments],
        cwd=folder,
        env={**environment, "COLUMNS": COLUMNS},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    if done.returncode != 0:
        raise SystemExit(f"{command}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def first_table(screen: str) -> list[str]:
    """Return the entries of the first table: each with its own line, then source and callers."""
    lines = screen.splitlines()
    begin = next((index for index, line in enumerate(lines) if re.match(r" +1  ", line)), len(lines))
    table = []
    for line in lines[begin:]:
        if not line.strip() or re.match(r" +([0-9,]+ other |imports: )", line):
            break
        table.append(line)
    return table


def is_named(place: str, table: list[str]) -> bool:
    """Whether one line of the table has all words of the place, none of them as the beginning of another number."""
    words = [re.escape(word) + (r"(?![0-9])" if word[-1].isdigit() else "") for word in place.split()]
    return any(all(re.search(word, line) for word in words) for line in table)


def answer_to(name: str) -> tuple[list[str], list[str]]:
    """Run one program; return heapsight's first table, and the places that are missing in it."""
    expected = (FOLDER / f"{name}.expected").read_text().splitlines()
    commands = [line[2:] for line in expected if line.startswith("$ ")]
    places = [line for line in expected if not line.startswith("$ ")]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(FOLDER / f"{name}.py", folder)
        screen = [output_of(command, Path(folder)) for command in commands][-1]
    table = first_table(screen)
    return table, [place for place in places if not is_named(place, table)]


def main(chosen: list[str]) -> int:
    """Check the programs that were named, or all."""
    wrong = 0
    for name in chosen or names():
        table, missing = answer_to(name)
        wrong += bool(missing)
        print(f"{name}: {'not named: ' + ', '.join(missing) if missing else 'answered'}")
        print("\n".join(f"    {line.rstrip()}" for line in table[:12]))
    print(f"{wrong} wrong" if wrong else "all answered")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""docs/commands.md: every command and option, of the help that the commands print.

The help is made of the definitions in crates/cli/src/args; the snapshots beside them are what it says today, and
`cargo test` compares the two. So this page can be made, and checked, without building anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SNAPSHOTS = ROOT / "crates" / "cli" / "src" / "snapshots"
PAGE = ROOT / "docs" / "commands.md"

INTRODUCTION = """\
# Commands

What `heapsight COMMAND --help` says, all on one page: `scripts/site/generate.py` makes it. Options that several
commands have are told of at each of them. For what to do with them, see [Look at captures](how-to/look-at-captures.md).
"""

#: Columns of running text.
WIDTH = 120

#: Where an entry of a list begins, and what is known of it: at most six spaces before it, as clap sets lists.
ENTRY = re.compile(r"^ {2,6}(?P<name>[-<\[\w].*?)(?: {2,}(?P<text>\S.*))?$")


def help_of(command: str) -> str:
    """Return what `heapsight COMMAND --help` prints; of the whole for the empty name."""
    name = f"heapsight_cli__args__tests__help{'_' * bool(command)}{command}.snap"
    return (SNAPSHOTS / name).read_text(encoding="utf-8").split("\n---\n", 1)[1].strip()


def names() -> list[str]:
    """Return the commands in the order in which the help lists them."""
    listed = help_of("").split("\nCommands:\n", 1)[1].split("\n\n", 1)[0]
    return [line.split()[0] for line in listed.splitlines() if line.split()[0] != "help"]


def paragraphs(text: str) -> list[str]:
    """Split a help text where it has empty lines outside of lists."""
    found: list[str] = []
    for part in re.split(r"\n *\n", text):
        # Long help has empty lines between entries, and within them.
        if found and part.startswith("  ") and re.match(r"\w.*:\n", found[-1]):
            found[-1] += "\n" + part
        else:
            found.append(part)
    return found


def entries(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Give the entries of a list: name, and text on one line."""
    name, text = "", ""
    for line in lines:
        entry = ENTRY.match(line)
        if entry and not (name and line.startswith(" " * 7)):
            if name:
                yield name, text
            name, text = entry["name"], entry["text"] or ""
        else:
            text = f"{text} {line.strip()}".strip()
    yield name, text


def code(text: str) -> str:
    """Spell a name in a cell of a table."""
    return "`" + text.replace("|", r"\|") + "`"


def prose(text: str) -> str:
    """Spell a text in a cell of a table, or a paragraph: what is quoted becomes code, what would be markup is text."""
    parts = re.split(r"(?<!\w)'([^']+)'(?!\w)", text)
    parts[::2] = [re.sub(r"(__\w+__)", r"`\1`", re.sub(r"([*<>|])", r"\\\1", part)) for part in parts[::2]]
    parts[1::2] = [code(part) for part in parts[1::2]]
    return "".join(parts)


def filled(text: str) -> str:
    """Break a paragraph into lines."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > WIDTH:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".lstrip()
    return "\n".join(lines)


def table(heading: str, lines: list[str]) -> str:
    """Set a list as a table."""
    rows = [f"| {code(name)} | {prose(text)} |" for name, text in entries(lines)]
    return "\n".join([f"| {heading} | |", "|---|---|", *rows])


def section(command: str) -> str:
    """Set the help of one command."""
    about, usage, *others = paragraphs(help_of(command))
    usage = usage.removeprefix("Usage: ").replace("\n       ", "\n")
    parts = [f"## heapsight {command}", filled(prose(about)) + ".", f"```text\n{usage}\n```"]
    for part in others:
        heading, *lines = part.splitlines()
        if lines and heading.endswith(":") and lines[0].startswith("  "):
            parts.append(table(heading[:-1].lower(), lines))
        else:
            parts.append(filled(prose(part)))
    return "\n\n".join(parts)


def page() -> str:
    """Return the whole page."""
    *_, short = paragraphs(help_of(""))
    links = "\n".join(
        f"| [`{name}`](#heapsight-{name}) | {prose(text)} |"
        for name, text in entries(help_of("").split("\nCommands:\n", 1)[1].split("\n\n", 1)[0].splitlines())
        if name != "help"
    )
    start = f"{INTRODUCTION}\n| command | |\n|---|---|\n{links}\n\n{filled(prose(short))}\n"
    return start + "".join(f"\n{section(name)}\n" for name in names())

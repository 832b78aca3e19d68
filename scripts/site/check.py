"""What pages say of one another is so. Prints one line for each breach; exit status 1 if there is any.

* Every page of docs/ is in the navigation of mkdocs.yml, once, and nothing else is.
* Every link within the repository leads to a file, and to a heading of it if it names one.
* Every picture is there and has a text for those who do not see it; every picture of docs/images is shown.
* Every option that a page gives to a command of heapsight is one that the command has.

Only what Python has is needed, so this is quick and asks for nothing to be installed.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import commands

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"

LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(\s*([^)\s]+)\s*\)")
PICTURE = re.compile(r'(?:src|srcset)="([^"]+)"')
FENCE = re.compile(r"^(`{3,})\w*\n.*?^\1$", re.M | re.S)
INDENTED = re.compile(r"(?<=\n\n)(?:    [^\n]*\n+)+")


def without_code(text: str) -> str:
    """Return a page without blocks of code and comments, in which nothing is a link or a heading."""
    return re.sub(r"<!--.*?-->", "", FENCE.sub("", text), flags=re.S)


def anchors(text: str) -> set[str]:
    """Return the names of a page's headings, as both the forge and the site make them."""
    found: Counter[str] = Counter()
    names = set()
    for heading in re.findall(r"^#{1,6} +(.*?) *#*$", without_code(text), re.M):
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        names.add(f"{name}-{found[name]}" if found[name] else name)
        found[name] += 1
    return names


def navigated(text: str) -> list[str]:
    """Return the pages that the navigation names."""
    return re.findall(r"^ +- (?:.*: )?(\S+\.md)$", text.split("\nnav:\n", 1)[1], re.M)


def wrong_navigation(pages: list[str], named: list[str]) -> Iterator[str]:
    """Compare the navigation with the pages that there are."""
    for page in sorted(set(pages) - set(named)):
        yield f"mkdocs.yml: {page} is not in the navigation"
    for page, times in sorted(Counter(named).items()):
        if page not in pages:
            yield f"mkdocs.yml: {page} is not there"
        if times > 1:
            yield f"mkdocs.yml: {page} is in the navigation {times} times"


def wrong_links(page: Path) -> Iterator[str]:
    """Follow every link of a page that does not lead outside."""
    text = without_code(page.read_text(encoding="utf-8"))
    for is_picture, shown, link in LINK.findall(text):
        if is_picture and not shown.strip():
            yield f"the picture {link} has no text for those who do not see it"
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            yield f"links to {link}, which is not there"
        elif DOCS in page.parents and DOCS not in target.parents:
            yield f"links to {link}, which is not part of the site: give its address in the repository"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")):
            yield f"links to {link}, and {target.name} has no such heading"
    for link in PICTURE.findall(text):
        if not (page.parent / link).exists():
            yield f"shows {link}, which is not there"


def typed(text: str) -> Iterator[tuple[str, str]]:
    """Give each command of heapsight that a page shows, with the rest of its line."""
    blocks = [found[0] for found in FENCE.finditer(text)] + [found[0] for found in INDENTED.finditer(text)]
    shown = [line for block in blocks for line in re.findall(r"^(?:    |\$ |)(?:\S*/)?heapsight (.*)$", block, re.M)]
    shown += re.findall(r"(?<!`)`heapsight ([^`]+)`(?!`)", re.sub(r"\s*\n\s*", " ", FENCE.sub("", text)))
    for line in shown:
        words = re.sub(r"\s#.*", "", line).split()
        if words and re.fullmatch(r"[a-z]+", words[0]):
            yield words[0], " ".join(words[1:])


def options_of(command: str) -> set[str]:
    """Return the options of a command."""
    return set(re.findall(r"(?<![\w-])--?[A-Za-z][a-z-]*", commands.help_of(command)))


def wrong_commands(text: str) -> Iterator[str]:
    """Compare commands that a page shows with those that there are."""
    known = {name: options_of(name) for name in commands.names()}
    for command, rest in typed(text):
        if command not in known:
            yield f"shows heapsight {command}, and there is no such command"
            continue
        for word in rest.split():
            if command == "run" and re.match(r"[^-]", word) and "." in word:
                break  # the program, and what belongs to it
            if word in ("-m", "-c"):
                break
            option = re.match(r"--[a-z][a-z-]*|-[A-Za-z]", word)
            if option and option[0] not in known[command]:
                yield f"shows heapsight {command} {option[0]}, which it does not have"


def unshown_pictures(texts: list[str]) -> Iterator[str]:
    """Name the pictures that no document shows."""
    for picture in sorted((DOCS / "images").iterdir()):
        if not any(f"images/{picture.name}" in text for text in texts):
            yield f"docs/images/{picture.name}: no document shows this picture"


def main() -> int:
    """Check everything."""
    pages = sorted(DOCS.glob("**/*.md"))
    documents = [*pages, *ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("examples/**/*.md")]
    found = list(
        wrong_navigation(
            [page.relative_to(DOCS).as_posix() for page in pages],
            navigated((ROOT / "mkdocs.yml").read_text(encoding="utf-8")),
        )
    )
    texts = []
    for page in documents:
        text = page.read_text(encoding="utf-8")
        texts.append(text)
        breaches = [*wrong_links(page), *(wrong_commands(text) if page.name != "CHANGELOG.md" else [])]
        found += [f"{page.relative_to(ROOT)}: {breach}" for breach in breaches]
    found += unshown_pictures(texts)
    for breach in found:
        print(breach, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

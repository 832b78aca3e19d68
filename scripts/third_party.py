"""Write THIRD-PARTY-LICENSES.txt: the licences of the crates that are linked into the wheels, which carry this file.

python scripts/third_party.py            write it (after a change of Cargo.lock)
python scripts/third_party.py --check    fail if it does not name the crates that are linked now
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTICES = ROOT / "THIRD-PARTY-LICENSES.txt"

#: For licences that may be chosen, their texts are told once; MIT's differ by whom they name.
TEXTS = re.compile(r"(?i)^(licen[sc]e|copying|notice|unlicense)")


def linked_crates() -> list[str]:
    """Return name and version of each crate that is linked into a wheel, in the order of their names."""
    command = ["cargo", "tree", "--locked", "--package", "heapsight-binding", "--package", "heapsight-command"]
    command += ["--edges", "normal,no-proc-macro", "--target", "x86_64-unknown-linux-gnu", "--prefix", "none"]
    command += ["--format", "{p}"]
    tree = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {line.split(" (")[0].replace(" v", " ") for line in tree.splitlines() if line}
    return sorted(name for name in found if not name.startswith("heapsight-"))


def heading(crates: Sequence[str]) -> str:
    """Return the list of crates that the file begins with."""
    names = "".join(f"  {name}\n" for name in crates)
    return f"Crates that are linked into heapsight's extension module and its command:\n\n{names}"


def notices(crates: Sequence[str]) -> str:
    """Return the whole file: each text once, below the crates that have it."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    owners: dict[str, list[str]] = {}
    for package in metadata["packages"]:
        name = f"{package['name']} {package['version']}"
        if name in crates:
            texts = [file for file in sorted(Path(package["manifest_path"]).parent.iterdir()) if TEXTS.match(file.name)]
            for file in filter(Path.is_file, texts):
                text = "\n".join(line.rstrip() for line in file.read_text(encoding="utf-8").splitlines()).strip()
                owners.setdefault(text, []).append(f"{name} ({package['license']})")
    parts = [f"{'=' * 80}\n" + "\n".join(dict.fromkeys(names)) + f"\n\n{text}\n" for text, names in owners.items()]
    return "\n".join([heading(crates), *parts])


def main(arguments: Sequence[str]) -> int:
    """Write or check the file."""
    if list(arguments) not in ([], ["--check"]):
        print("usage: third_party.py [--check]", file=sys.stderr)
        return 2
    crates = linked_crates()
    if not arguments:
        NOTICES.write_text(notices(crates), encoding="utf-8")
    elif not NOTICES.exists() or not NOTICES.read_text(encoding="utf-8").startswith(heading(crates)):
        print(f"{NOTICES.name}: not of the crates that are linked now: run scripts/third_party.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

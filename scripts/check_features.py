"""Check that the extension module and the command ask for the same features of the crates that both are made of.

    python scripts/check_features.py

Cargo is called once for each, and compiles a crate twice when the second call wants other features of it: `make demo`
then takes twice as long. The features that one of the two lacks are asked for in crates/handover/Cargo.toml.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

EXTENSION, COMMAND = "heapsight-binding", "heapsight-command"


def features(package: str) -> dict[str, set[str]]:
    """Return for each crate that a package is made of in `make demo` the features that are asked for."""
    command = ["cargo", "tree", "--locked", "--package", package, "--no-default-features"]
    command += ["--edges", "normal,build", "--target", "x86_64-unknown-linux-gnu"]
    command += ["--prefix", "none", "--no-dedupe", "--format", "{p}|{f}"]
    tree = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    found: dict[str, set[str]] = {}
    for line in tree.splitlines():
        crate, _, names = line.partition("|")
        name, version = crate.split()[:2]
        found.setdefault(f"{name} {version}", set()).update(filter(None, names.split(",")))
    return found


def differences(extension: Mapping[str, set[str]], command: Mapping[str, set[str]]) -> Iterator[str]:
    """Name the crates that would be compiled twice, and what has to be asked for to compile them once."""
    for crate in sorted(extension.keys() & command.keys()):
        for who, lacking in (("extension module", command), ("command", extension)):
            other = extension if lacking is command else command
            missing = sorted(lacking[crate] - other[crate])
            if missing:
                yield f"{crate} is compiled twice: the {who} does not ask for {', '.join(missing)}"


def main() -> int:
    """Compare both."""
    found = list(differences(features(EXTENSION), features(COMMAND)))
    for difference in found:
        print(f"{difference} (see crates/handover/Cargo.toml)", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""How an interpreter was built: optimised with a profile (PGO) and at link time (LTO), or not.

Its own word is what `sysconfig` keeps of the configuration. Some distributions take the flags out of it again; what
they leave is the debug information beside the program, which names the compiler's options for each source file.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

_PRODUCER = re.compile(r"DW_AT_producer\s*:.*?(GNU C\S* .*|clang .*)$", re.MULTILINE)
_BUILD_ID = re.compile(r"Build ID: ([0-9a-f]+)")


def describe(facts: dict[str, Any]) -> str:
    """One line: optimisation, PGO, LTO, and what says so."""
    words = " ".join(facts["flags"])
    source = "sysconfig"
    pgo, lto = "--enable-optimizations" in words or "-fprofile-use" in words, "--with-lto" in words or "-flto" in words
    level = re.findall(r"(?<!\S)-O[0-3sg](?!\S)", words)
    if not (pgo and lto):
        told = _compiler_options(_object(facts))
        if told:
            words, source = told, "debug information"
            pgo, lto = "-fprofile-use" in words, "-flto" in words
            level = re.findall(r"(?<!\S)-O[0-3sg](?!\S)", words)
    if not (pgo or lto) and source == "sysconfig":
        # Debian's is silent about what Debian does.
        return ", ".join(["PGO and LTO not told by its sysconfig", *level[-1:]])
    said = ("PGO" if pgo else "no PGO", "LTO" if lto else "no LTO", *level[-1:])
    return f"{', '.join(said)}, by its {source}"


def build_id(facts: dict[str, Any]) -> str:
    """What tells one build from all others: the identifier that the linker wrote into it; empty where there is none."""
    found = _BUILD_ID.search(_readelf("--notes", _object(facts)))
    return found.group(1) if found else ""


def _object(facts: dict[str, Any]) -> Path:
    """The file that the interpreter's code is in."""
    library = Path(facts["library_folder"]) / facts["library"] if facts["library"] else None
    program = Path(facts["executable"])
    is_in_library = library is not None and library.exists() and program.stat().st_size < library.stat().st_size
    return library if library is not None and is_in_library else program


def _compiler_options(program: Path) -> str:
    """Those that most C files were compiled with, by the debug information of a program; empty if there is none."""
    found = _BUILD_ID.search(_readelf("--notes", program))
    if not found:
        return ""
    name = Path("lib/debug/.build-id") / found.group(1)[:2] / f"{found.group(1)[2:]}.debug"
    places = (program, *(folder / name for folder in (*program.parents, Path("/usr"))))
    for place in places:
        if place.is_file():
            producers = _PRODUCER.findall(_readelf("--debug-dump=info", "--dwarf-depth=1", place))
            optimised = [producer for producer in producers if " -O" in producer]
            if optimised:
                return str(Counter(optimised).most_common(1)[0][0])
    return ""


def _readelf(*arguments: str | Path) -> str:
    if shutil.which("readelf") is None:
        return ""
    command = ["readelf", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False).stdout

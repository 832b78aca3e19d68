"""Finds the interpreters of this machine that heapsight supports: CPython 3.9 or newer.

``python tests/interpreters/discover.py`` prints the path of each, one a line, oldest version first. It
looks in ``.interpreters/bin`` (see scripts/interpreters.sh), among pyenv's versions and in PATH. An
interpreter that is there under several names is listed once; virtual environments are not listed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OLDEST = (3, 9)

#: Names under which an interpreter may be installed: python3, python3.14, python3.13t, python3.14-dbg…
PYTHON_NAME = re.compile(r"python3(\.\d+)?(t|d|td|-dbg)?")

DESCRIBE = """
import json, struct, sys, sysconfig
print(json.dumps({
    "implementation": sys.implementation.name,
    "version": sys.version_info[:3],
    "bits": struct.calcsize("P") * 8,
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "debug": hasattr(sys, "gettotalrefcount"),
    "environment": sys.prefix != sys.base_prefix,
    "include": sysconfig.get_path("include"),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """One CPython on this machine."""

    path: Path
    version: tuple[int, int, int]
    free_threaded: bool
    debug: bool
    #: Where its headers should be; they are there only if its development files are installed.
    include: Path

    @property
    def name(self) -> str:
        """Version and build in one word, like ``3.13.5t`` or ``3.14.10d``."""
        suffix = "t" * self.free_threaded + "d" * self.debug
        return ".".join(map(str, self.version)) + suffix

    @property
    def has_headers(self) -> bool:
        """Whether C can be compiled against it, internal headers included."""
        return (self.include / "Python.h").is_file() and (self.include / "internal").is_dir()


def describe(path: Path) -> Interpreter | None:
    """Ask the program at `path` what it is; None for anything but a supported interpreter."""
    try:
        answer = subprocess.run(
            [path, "-I", "-c", DESCRIBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=60,
        )
        facts = json.loads(answer.stdout)
        major, minor, micro = facts["version"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None
    supported = facts["implementation"] == "cpython" and facts["bits"] == 64 and (major, minor) >= OLDEST
    if not supported or facts["environment"]:
        return None
    return Interpreter(
        path=path,
        version=(major, minor, micro),
        free_threaded=facts["free_threaded"],
        debug=facts["debug"],
        include=Path(facts["include"]),
    )


def pyenv_folders() -> list[Path]:
    """Where pyenv keeps its interpreters, if there is a pyenv."""
    pyenv = shutil.which("pyenv")
    if pyenv is None:
        return []
    answer = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False)
    return sorted(Path(answer.stdout.strip(), "versions").glob("*/bin"))


def candidates() -> Iterable[Path]:
    """Every program whose name says that it is a Python 3."""
    # pyenv's shims are scripts that only lead to its versions.
    on_path = [Path(folder) for folder in os.get_exec_path() if Path(folder).name != "shims"]
    for folder in [ROOT / ".interpreters" / "bin", *pyenv_folders(), *on_path]:
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if PYTHON_NAME.fullmatch(path.name) and os.access(path, os.X_OK):
                    yield path


def interpreters() -> list[Interpreter]:
    """Every supported interpreter found, oldest first, each once."""
    found: dict[Path, Interpreter] = {}
    for path in candidates():
        real = path.resolve()
        if real not in found:
            interpreter = describe(path)
            if interpreter is not None:
                found[real] = interpreter
    return sorted(found.values(), key=lambda each: (each.version, each.name, str(each.path)))


def main() -> None:
    """Print one path a line."""
    for interpreter in interpreters():
        sys.stdout.write(f"{interpreter.path}\n")


if __name__ == "__main__":
    main()

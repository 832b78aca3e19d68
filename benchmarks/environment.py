"""The benchmark's own environments, one set per interpreter, all below ``benchmarks/.env``.

``tools``: pyperformance, the workloads' packages, memray and heapsight. Everything is measured in it.
``bare`` and ``off``: nothing at all, and nothing but heapsight. Only the start-up benchmark uses them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).resolve().parent
REPOSITORY = BENCHMARKS.parent

_DESCRIBE = """
import json, os, sys, sysconfig
get = sysconfig.get_config_var
print(json.dumps({
    "version": "%d.%d.%d" % sys.version_info[:3],
    "full_version": sys.version.replace("\\n", " "),
    "implementation": sys.implementation.name,
    "debug": bool(get("Py_DEBUG")) or hasattr(sys, "gettotalrefcount"),
    "free_threaded": bool(get("Py_GIL_DISABLED")),
    "config_args": get("CONFIG_ARGS") or "",
    "optimisation": get("OPT") or "",
    "compiler": get("CC") or "",
    "flags": [
        get(name) or ""
        for name in ("CONFIG_ARGS", "PY_CORE_CFLAGS", "PY_CFLAGS_NODIST", "PY_LDFLAGS_NODIST", "CONFIGURE_CFLAGS_NODIST")
    ],
    "executable": os.path.realpath(sys.executable),
    "library": get("LDLIBRARY") if get("Py_ENABLE_SHARED") else "",
    "library_folder": get("LIBDIR") or "",
}))
"""


class RefusedError(Exception):
    """The benchmark must not run like this; the message says why and what to do."""


@dataclass(frozen=True)
class Interpreter:
    """A Python to measure on, and what it says of itself."""

    python: Path
    facts: dict[str, Any]

    @property
    def tag(self) -> str:
        """Short name: ``3.12.1``, or ``3.13.0t`` for a free-threaded build."""
        return str(self.facts["version"]) + ("t" if self.facts["free_threaded"] else "")


def describe(python: Path) -> Interpreter:
    """Ask an interpreter about itself. Raises `RefusedError` for one that must not be measured."""
    try:
        answer = subprocess.run([python, "-c", _DESCRIBE], capture_output=True, text=True, check=True).stdout
    except OSError as error:
        raise RefusedError(f"cannot run {python}: {error.strerror}; give --python an interpreter") from error
    except subprocess.CalledProcessError as error:
        raise RefusedError(f"{python} is not a Python that runs: exit status {error.returncode}") from error
    facts = json.loads(answer)
    if facts["implementation"] != "cpython":
        raise RefusedError(f"{python} is {facts['implementation']}: only CPython can be measured")
    if facts["debug"]:
        raise RefusedError(f"{python} is a debug build: its times mean nothing; give --python a normal one")
    return Interpreter(python, facts)


class Environment:
    """The virtual environments of one interpreter."""

    def __init__(self, interpreter: Interpreter, root: Path = BENCHMARKS / ".env") -> None:
        self.interpreter = interpreter
        self.root = root / interpreter.tag
        self.python = self.root / "tools" / "bin" / "python"
        self.bare_python = self.root / "bare" / "bin" / "python"
        self.off_python = self.root / "off" / "bin" / "python"
        self.missing: dict[str, str] = {}

    def prepare(self, wheel: Path | None) -> None:
        """Make what is not there yet and install. A second call with the same files installs nothing."""
        for name in ("tools", "bare", "off"):
            self._make(name)
        self._install("tools", "requirements.txt")
        try:
            self._install("tools", "requirements-peers.txt")
        except RefusedError as error:
            self.missing["memray"] = str(error)
        if wheel is None:
            self.missing["heapsight"] = "no heapsight wheel: run `make wheel`, or give --wheel FILE"
            return
        self._install_wheel("tools", wheel)
        self._install_wheel("off", wheel)

    @property
    def pyperformance(self) -> Path:
        """The folder that holds pyperformance's ``bm_*`` folders."""
        code = "import pyperformance, pathlib; print(pathlib.Path(pyperformance.__file__).parent)"
        package = subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=True).stdout
        return Path(package.strip()) / "data-files" / "benchmarks"

    def version_of(self, distribution: str) -> str:
        """The installed version of a package, or an empty string."""
        code = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
        command = [str(self.python), "-c", code, distribution]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    def refuse_debug_extension(self) -> str:
        """The build profile of the installed heapsight. Raises `RefusedError` unless it is "release"."""
        code = "from heapsight import _testing; print(_testing.build_profile())"
        answer = subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            reason = (answer.stderr.strip().splitlines() or ["no output"])[-1]
            raise RefusedError(f"cannot ask heapsight for its build profile: {reason}")
        profile = answer.stdout.strip()
        if profile != "release":
            raise RefusedError(f"heapsight is a {profile} build: its times mean nothing; run `make wheel` first")
        return profile

    def _make(self, name: str) -> None:
        folder = self.root / name
        if (folder / "bin" / "python").exists():
            return
        # Only "tools" needs pip: it installs into the others from outside, so that they stay bare.
        options = [] if name == "tools" else ["--without-pip"]
        _run([str(self.interpreter.python), "-m", "venv", *options, str(folder)], f"cannot make {folder.name}")

    def _install(self, name: str, requirements: str) -> None:
        wanted = BENCHMARKS / requirements
        if self._is_stamped(name, wanted):
            return
        command = [str(self.python), "-m", "pip", "install", "--quiet", "-r", str(wanted)]
        _run(command, f"cannot install {requirements}")
        self._stamp(name, wanted)

    def _install_wheel(self, name: str, wheel: Path) -> None:
        if self._is_stamped(name, wheel, "heapsight"):
            return
        options = ["--quiet", "--no-index", "--no-deps", "--force-reinstall"]
        target = str(self.root / name / "bin" / "python")
        command = [str(self.python), "-m", "pip", "--python", target, "install", *options, str(wheel)]
        _run(command, f"cannot install {wheel.name}")
        self._stamp(name, wheel, "heapsight")

    def _stamp_file(self, name: str, what: str) -> Path:
        return self.root / f".{name}-{what}"

    def _is_stamped(self, name: str, source: Path, what: str = "") -> bool:
        stamp = self._stamp_file(name, what or source.name)
        return stamp.exists() and stamp.read_text(encoding="ascii") == file_digest(source)

    def _stamp(self, name: str, source: Path, what: str = "") -> None:
        self._stamp_file(name, what or source.name).write_text(file_digest(source), encoding="ascii")

    def scratch(self) -> Path:
        """An empty folder for capture files, on the same disk as the environment."""
        folder = self.root / "scratch"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder


@contextlib.contextmanager
def alone(folder: Path = BENCHMARKS / ".env") -> Iterator[None]:
    """Hold the lock of the environments. Raises `RefusedError` when another run holds it: each would measure the other, too."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RefusedError(
                "another benchmark is running: wait for its end, two would measure each other"
            ) from error
        yield


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def find_wheel(interpreter: Interpreter) -> Path | None:
    """The newest heapsight wheel built in this repository that fits the interpreter."""
    minor = str(interpreter.facts["version"]).split(".")[1]
    kind = f"-cp3{minor}t-" if interpreter.facts["free_threaded"] else "-abi3-"
    found = [
        wheel
        for folder in ("target/wheels", "dist")
        for wheel in (REPOSITORY / folder).glob("heapsight-*.whl")
        if kind in wheel.name
    ]
    return max(found, key=lambda wheel: wheel.stat().st_mtime, default=None)


def _run(command: list[str], failure: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines() or ["no output"]
        raise RefusedError(f"{failure}: {lines[-1]}")

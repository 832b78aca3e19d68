"""What the machine and the interpreter were like during a run: a number without this means little.

Nothing here names the machine, its user or a folder: the notes are kept in the repository.
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from pathlib import Path
from typing import Any

from benchmarks import build_of
from benchmarks.environment import REPOSITORY, Environment

_CPU = Path("/sys/devices/system/cpu")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def _cpu_model() -> str:
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _revision() -> str:
    command = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        answer = ""
    return answer or "unknown"


def build_flags(config_args: str) -> list[str]:
    """The options an interpreter was configured with, without those that name folders."""
    return [option for option in shlex.split(config_args) if "/" not in option]


def load_average() -> float:
    """Runnable processes over the last minute."""
    return os.getloadavg()[0]


def usable_cores() -> int:
    """How many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def notes(environment: Environment, tools: list[str]) -> dict[str, Any]:
    """The notes of a run, ready for JSON."""
    facts = environment.interpreter.facts
    return {
        "revision": _revision(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "memory_bytes": _memory_bytes(),
        "kernel": f"{platform.system()} {platform.release()}",
        "libc": " ".join(platform.libc_ver()),
        "governor": _read(_CPU / "cpu0/cpufreq/scaling_governor"),
        "turbo": _read(_CPU / "cpufreq/boost"),
        "load_average": load_average(),
        "python": facts["full_version"],
        "python_build_flags": build_flags(facts["config_args"]),
        "python_optimisation": facts["optimisation"],
        "python_build": build_of.describe(facts),
        "python_compiler": facts["compiler"],
        "free_threaded": facts["free_threaded"],
        "versions": {name: environment.version_of(name) for name in ("heapsight", "memray", "pyperformance", "pyperf")},
        "tools": tools,
        "missing": environment.missing,
    }

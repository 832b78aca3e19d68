"""Builds the command `heapsight` for a wheel, and is the build backend: maturin's, with that before it.

maturin packs one extension module, and whatever is in python/data. So the command, a program of its own, is built first
and laid there.

    python scripts/build/backend.py [--profile dev] [--no-default-features] [--strip]
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent

#: Where maturin finds it: what is in this folder is installed beside the interpreter.
SCRIPTS = ROOT / "python" / "data" / "scripts"


def build_command(
    profile: str, *options: str, cargo: Sequence[str] = ("cargo", "build"), environment: Mapping[str, str] | None = None
) -> Path:
    """Build the command with these options of cargo's, and lay it where maturin finds it. Returns its path there."""
    done = subprocess.run(
        [
            *cargo,
            *("--locked", "--profile", profile, "--package", "heapsight-command", "--bin", "heapsight"),
            *options,
            "--message-format=json-render-diagnostics",
        ],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    messages = map(json.loads, filter(None, done.stdout.splitlines()))
    [executable] = [message["executable"] for message in messages if message.get("executable")]
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    installed = SCRIPTS / "heapsight"
    shutil.copy(executable, installed)
    return installed


def main(arguments: Sequence[str]) -> int:
    """Build the command with maturin's options, as the Makefile has them."""
    options = list(arguments)
    profile = options.pop(options.index("--profile") + 1) if "--profile" in options else "release"
    strip = {f"CARGO_PROFILE_{profile.upper()}_STRIP": "symbols"} if "--strip" in options else {}
    rest = [option for option in options if option not in {"--profile", "--strip"}]
    try:
        build_command(profile, *rest, environment=strip)
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


# The hooks of PEP 517 that differ from maturin's; it imports them by name.


def build_wheel(directory: str, settings: Mapping[str, Any] | None = None, metadata: str | None = None) -> str:
    """Build a wheel: the command, then what maturin builds."""
    import maturin  # type: ignore[import-untyped]

    build_command("release")
    return str(maturin.build_wheel(directory, settings, metadata))


def build_editable(directory: str, settings: Mapping[str, Any] | None = None, metadata: str | None = None) -> str:
    """Build an editable wheel, likewise."""
    import maturin

    build_command("release")
    return str(maturin.build_editable(directory, settings, metadata))


def __getattr__(name: str) -> Any:
    """Every other hook is maturin's."""
    if name.startswith(("build_", "get_requires_", "prepare_")):
        import maturin

        return getattr(maturin, name)
    raise AttributeError(name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Builds the command `heapsight` for a wheel, and is the build backend: maturin's, with that before it.

maturin packs one extension module, and whatever is in python/data. So the command, a program of its own, is built first
and laid there.

    python scripts/build/backend.py [--profile dev] [--no-default-features]

Cargo is called twice, here and by maturin. It compiles the crates that both artefacts are made of once, as long as both
calls see the same profile (so what changes it is in the environment, not among the options) and both artefacts ask for
the same features of a crate (`crates/handover/Cargo.toml`; scripts/check_features.py compares them).
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

# maturin warns of build backends other than its own; this one calls it.
os.environ.setdefault("MATURIN_NO_MISSING_BUILD_BACKEND_WARNING", "1")

#: Where maturin finds it: what is in this folder is installed beside the interpreter.
SCRIPTS = ROOT / "python" / "data" / "scripts"


def build_command(
    profile: str, *options: str, cargo: Sequence[str] = ("cargo", "build"), environment: Mapping[str, str] | None = None
) -> Path:
    """Build the command with these options of cargo's, and lay it where maturin finds it. Returns its path there."""
    done = subprocess.run(
        [
            *cargo,
            *("--locked", "--profile", profile, "--package", "heapsight-command"),
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
    options = [option for option in options if option != "--profile"]
    if profile == "dev":
        # Only the extension module needs it. It takes the longest of all, so it is compiled beside the command's crates.
        # (With link-time optimisation, what is asked for by name is compiled otherwise than what is linked.)
        options += ["--package", "heapsight-tracer"]
    try:
        build_command(profile, *options)
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

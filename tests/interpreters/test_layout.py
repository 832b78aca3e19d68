"""The layout constants of crates/cpython/src/version/ are those of the real headers of every interpreter.

Each interpreter's headers are compiled into a little C program that prints what it finds (layout.c), and a
Rust example prints the constants (print_offsets). An interpreter without headers is shown as skipped, by
name.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from discover import ROOT, Interpreter, describe, interpreters

HERE = Path(__file__).resolve().parent
#: Owner of a generator's frame, the same in every version that has owners (crates/cpython/src/frame.rs).
OWNED_BY_GENERATOR = 1
#: What print_offsets calls the offset of the running thread's state with glibc on aarch64, where mutexes before it are larger.
RUNTIME_CURRENT_ON_AARCH64 = "runtime_current_on_aarch64"


@pytest.fixture(scope="session")
def rust_constants() -> dict[str, dict[str, int]]:
    """Print the constants that are compiled into the tracer, by version."""
    if shutil.which("cargo") is None:
        pytest.skip("no cargo to print the constants with")
    printed = subprocess.run(
        ["cargo", "run", "--quiet", "--package", "heapsight-cpython", "--example", "print_offsets"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    constants: dict[str, dict[str, int]] = json.loads(printed.stdout)
    return constants


def header_constants(interpreter: Interpreter, folder: Path) -> dict[str, int]:
    """Compile the interpreter's own headers, and return what they say."""
    program = folder / "layout"
    include = interpreter.include
    compiler = os.environ.get("CC", "cc")
    compiled = subprocess.run(
        [compiler, "-std=gnu11", f"-I{include}", f"-I{include}/internal", HERE / "layout.c", "-o", program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert compiled.returncode == 0, compiled.stderr
    printed = subprocess.run([program], capture_output=True, check=True)
    constants: dict[str, int] = json.loads(printed.stdout)
    return constants


@pytest.mark.parametrize("interpreter", interpreters(), ids=lambda each: f"{each.name}-{each.path}")
def test_constants_are_those_of_the_headers(
    interpreter: Interpreter, rust_constants: dict[str, dict[str, int]], tmp_path: Path
) -> None:
    if not interpreter.has_headers:
        pytest.skip(f"{interpreter.path} has no headers in {interpreter.include}")
    headers = header_constants(interpreter, tmp_path)
    assert headers.pop("minor") == interpreter.version[1]
    assert headers.pop("free_threaded") == interpreter.free_threaded
    assert headers.pop("owned_by_generator", OWNED_BY_GENERATOR) == OWNED_BY_GENERATOR

    version = f"3.{interpreter.version[1]}" + "t" * interpreter.free_threaded
    assert version in rust_constants, f"no layout for {version}"
    ours = {key: value for key, value in rust_constants[version].items() if key != RUNTIME_CURRENT_ON_AARCH64}
    if interpreter.free_threaded:
        # Frames of free-threaded builds are not marked, so their constants for it do not exist.
        headers = {key: value for key, value in headers.items() if not key.startswith("mark_")}
    assert ours == headers


def test_the_interpreter_that_runs_the_tests_is_among_those_found() -> None:
    this = Path(sys.executable).resolve()
    assert this in [each.path.resolve() for each in interpreters()]


def test_a_program_that_is_no_interpreter_is_not_taken_for_one(tmp_path: Path) -> None:
    impostor = tmp_path / "python3"
    impostor.write_text("#!/bin/sh\necho '{}'\n")
    impostor.chmod(0o755)
    assert describe(impostor) is None
    assert describe(tmp_path / "python3.99") is None

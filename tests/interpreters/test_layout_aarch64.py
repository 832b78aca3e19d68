"""The layout constants hold on aarch64 too, by the word of a compiler for it: nothing is run.

The same layout.c as for this machine is compiled with zig's C compiler, each of its `print` lines as a static assertion that compares
with the Rust constant. CPython's headers do not differ between processors but for pyconfig.h, where both are 64-bit Linux.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from discover import Interpreter, interpreters
from test_layout import HERE, OWNED_BY_GENERATOR, RUNTIME_CURRENT_ON_AARCH64, rust_constants

__all__ = ["rust_constants"]  # a fixture

#: A line that prints a constant of the headers. What is computed at run time (a bit's place, a loop) is not one.
PRINT = re.compile(r'print\("(\w+)", (?!STATE_SHIFT)(.*)\);')


def assertions(constants: dict[str, int]) -> str:
    """Return layout.c with an assertion in the place of each line that prints."""

    def assertion(found: re.Match[str]) -> str:
        # A constant that does not exist for a version must not be asked for: the compiler then does not know the name.
        expected = constants.get(found[1], f"no_constant_{found[1]}")
        return f'_Static_assert(({found[2]}) == {expected}, "{found[1]}");'

    return PRINT.sub(assertion, (HERE / "layout.c").read_text(encoding="utf-8"))


def compile_for_aarch64(source: str, interpreter: Interpreter, folder: Path) -> subprocess.CompletedProcess[str]:
    """Compile C against an interpreter's headers."""
    # Debian's pyconfig.h leads to one for each processor; there is only this machine's.
    for here in interpreter.include.parent.glob(f"*-linux-gnu/{interpreter.include.name}/pyconfig.h"):
        there = folder / "aarch64-linux-gnu" / interpreter.include.name / "pyconfig.h"
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(here.read_bytes())
    (folder / "layout.c").write_text(source)
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-gnu", "-std=gnu11", "-w"]
    command += [f"-I{interpreter.include}", f"-I{interpreter.include}/internal", f"-I{folder}"]
    return subprocess.run(
        [*command, "-c", str(folder / "layout.c"), "-o", str(folder / "layout.o")],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="needs zig: make wheels installs it")
@pytest.mark.parametrize("interpreter", interpreters(), ids=lambda each: f"{each.name}-{each.path}")
def test_a_compiler_for_aarch64_puts_everything_where_the_constants_say(
    interpreter: Interpreter, rust_constants: dict[str, dict[str, int]], tmp_path: Path
) -> None:
    if not interpreter.has_headers:
        pytest.skip(f"{interpreter.path} has no headers in {interpreter.include}")
    constants = {
        "minor": interpreter.version[1],
        "free_threaded": int(interpreter.free_threaded),
        "owned_by_generator": OWNED_BY_GENERATOR,
        **rust_constants[f"3.{interpreter.version[1]}" + "t" * interpreter.free_threaded],
    }
    if RUNTIME_CURRENT_ON_AARCH64 in constants:
        constants["runtime_current"] = constants[RUNTIME_CURRENT_ON_AARCH64]
    source = assertions(constants)
    if interpreter.free_threaded:
        # Frames of free-threaded builds are not marked, so their constants for it do not exist.
        source = re.sub(r"_Static_assert\(.* == no_constant_mark_\w+, .*\);", "", source)
    compiled = compile_for_aarch64(source, interpreter, tmp_path)
    assert compiled.returncode == 0, compiled.stderr
    # And a wrong constant is noticed.
    wrong = compile_for_aarch64(
        assertions({**constants, "code_name": constants["code_name"] + 8}), interpreter, tmp_path
    )
    assert wrong.returncode != 0

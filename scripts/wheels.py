"""Build the wheels and the source distribution that are published, into dist/.

    make wheels                             all of them
    .venv/bin/python scripts/wheels.py NAME...      some: x86_64-manylinux, aarch64-musllinux, free-threaded, sdist, …

Each wheel is built with zig's C compiler and linker, against the oldest C library that its tag promises, and then judged:
by size, and by auditwheel. The debug information is taken out of it into an archive beside it: unpack that next to the
installed extension module and the command, and gdb and perf find it.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import zopfli.zlib
from elftools.elf.elffile import ELFFile

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts" / "build"))

import backend  # noqa: E402

DIST = ROOT / "dist"

#: The size that no wheel may pass.
MAX_WHEEL_BYTES = 3_000_000

MANYLINUX, MUSLLINUX = "manylinux_2_17", "musllinux_1_2"


class BuildError(Exception):
    """Why there is no wheel, in one line."""


@dataclass(frozen=True)
class Target:
    """A wheel to be built."""

    name: str
    #: As rustc calls the machine and its C library.
    triple: str
    #: The wheel's platform tag without the machine.
    platform: str
    #: The interpreter that it is for; every other wheel is for all from 3.9 on.
    interpreter: str | None = None

    @property
    def tag(self) -> str:
        """The wheel's platform tag."""
        return f"{self.platform}_{self.triple.split('-')[0]}"


TARGETS = (
    Target("x86_64-manylinux", "x86_64-unknown-linux-gnu", MANYLINUX),
    Target("aarch64-manylinux", "aarch64-unknown-linux-gnu", MANYLINUX),
    Target("x86_64-musllinux", "x86_64-unknown-linux-musl", MUSLLINUX),
    Target("aarch64-musllinux", "aarch64-unknown-linux-musl", MUSLLINUX),
    Target("free-threaded", "x86_64-unknown-linux-gnu", MANYLINUX, "python3.13t"),
)


def run(*command: str | Path, environment: dict[str, str] | None = None) -> str:
    """Run a command and return what it printed. Raises BuildError with its last words if it fails."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=None,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BuildError(f"{Path(command[0]).name} {command[1]} failed with exit status {done.returncode}")
    return done.stdout


def make_sure_of_standard_library(triple: str) -> None:
    """Have Rust's standard library for a target. Raises BuildError if it cannot be had."""
    sysroot = Path(run("rustc", "--print", "sysroot").strip())
    if (sysroot / "lib" / "rustlib" / triple / "lib").is_dir():
        return
    if shutil.which("rustup") is None:
        raise BuildError(f"Rust's standard library for {triple} is not installed, and there is no rustup to fetch it")
    run("rustup", "target", "add", triple)


def find_interpreter(name: str) -> Path:
    """Return an interpreter of .interpreters/bin or of PATH. Raises BuildError if there is none."""
    ours = ROOT / ".interpreters" / "bin" / name
    found = str(ours) if ours.exists() else shutil.which(name)
    if found is None:
        raise BuildError(f"{name} was not found: scripts/interpreters.sh free-threaded makes it")
    return Path(found).resolve()


def build(target: Target, out: Path) -> Path:
    """Build a wheel with all its symbols. Returns its path."""
    make_sure_of_standard_library(target.triple)
    # maturin looks for zig's package in the first Python on PATH.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    options = ["--interpreter", str(find_interpreter(target.interpreter))] if target.interpreter else []
    # Its own folder: with other compilers for C, the crates are not those of a build for this machine.
    environment = {"CARGO_TARGET_DIR": str(ROOT / "target" / "published"), "PATH": path}
    glibc = target.platform.removeprefix("manylinux_").replace("_", ".") if target.platform == MANYLINUX else ""
    triple = f"{target.triple}.{glibc}" if glibc else target.triple
    zig = (str(Path(sys.executable).parent / "cargo-zigbuild"), "zigbuild")
    try:
        backend.build_command("release", "--target", triple, cargo=zig, environment=environment)
    except subprocess.CalledProcessError as error:
        raise BuildError(f"cargo-zigbuild failed with exit status {error.returncode}") from None
    run(
        Path(sys.executable).parent / "maturin",
        "build",
        *("--locked", "--profile", "release", "--zig", "--target", target.triple),
        *("--compatibility", target.platform, "--out", str(out), *options),
        environment=environment,
    )
    [wheel] = out.glob("*.whl")
    return wheel


def object_copier() -> tuple[Path, dict[str, str]]:
    """Find the tool that comes with rustc, knows every machine, and wants to be shown rustc's libraries."""
    sysroot = Path(run("rustc", "--print", "sysroot").strip())
    for tool in sysroot.glob("lib/rustlib/*/bin/rust-objcopy"):
        return tool, {"LD_LIBRARY_PATH": str(sysroot / "lib")}
    found = shutil.which("llvm-objcopy")
    if found is None:
        raise BuildError("this Rust comes without rust-objcopy, and there is no llvm-objcopy: install LLVM's tools")
    return Path(found), {}


def split(wheel: Path, scratch: Path) -> tuple[Path, Path]:
    """Take the debug information out of a wheel, into an archive. Puts both into dist/ and returns their paths."""
    tool, environment = object_copier()
    run(sys.executable, "-m", "wheel", "unpack", "--dest", str(scratch), str(wheel))
    [folder] = [each for each in scratch.iterdir() if each.is_dir()]
    archive = DIST / f"{wheel.stem}.debug.tar.xz"
    with tarfile.open(archive, "w:xz") as out:
        for file in [*(folder / "heapsight").glob("_heapsight*.so"), *folder.glob("*.data/scripts/heapsight")]:
            debug = scratch / f"{file.name}.debug"
            run(tool, "--only-keep-debug", str(file), str(debug), environment=environment)
            run(tool, "--strip-all", f"--add-gnu-debuglink={debug}", str(file), environment=environment)
            out.add(debug, debug.name)
    run(sys.executable, "-m", "wheel", "pack", "--dest-dir", str(DIST), str(folder))
    compress_again(DIST / wheel.name)
    return DIST / wheel.name, archive


class Zopfli:
    """What zipfile compresses a file with, in place of zlib's: the same format, 3 % smaller, a hundred times slower."""

    def __init__(self, *_: object) -> None:
        self._content = bytearray()

    def compress(self, data: bytes) -> bytes:
        """Take a part of the file."""
        self._content += data
        return b""

    def flush(self) -> bytes:
        """Return all of the file, compressed: without zlib's header and checksum, which zip files have no place for."""
        compressed: bytes = zopfli.zlib.compress(bytes(self._content))
        return compressed[2:-4]


def compress_again(wheel: Path) -> None:
    """Make a wheel as small as its format can be."""
    smaller = wheel.with_suffix(".smaller")
    with (
        zipfile.ZipFile(wheel) as old,
        zipfile.ZipFile(smaller, "w") as new,
        # zipfile has no other way to be told.
        mock.patch("zipfile._get_compressor", Zopfli),
    ):
        for entry in old.infolist():
            new.writestr(entry, old.read(entry), zipfile.ZIP_DEFLATED)
    smaller.replace(wheel)


def libraries_needed(wheel: Path) -> list[str]:
    """Return the libraries that what a wheel holds asks the system for."""
    needed: set[str] = set()
    with zipfile.ZipFile(wheel) as content:
        for name in content.namelist():
            if name.endswith(".so"):
                dynamic = ELFFile(io.BytesIO(content.read(name))).get_section_by_name(".dynamic")
                needed.update(tag.needed for tag in dynamic.iter_tags("DT_NEEDED"))
    return sorted(needed)


def judge(wheel: Path, target: Target) -> None:
    """Raise BuildError unless a wheel is small enough and installs wherever its tag says."""
    size = wheel.stat().st_size
    if size > MAX_WHEEL_BYTES:
        raise BuildError(f"{wheel.name}: {size:,} bytes, more than {MAX_WHEEL_BYTES:,}")
    if target.platform == MUSLLINUX:
        # auditwheel judges these on Alpine only: elsewhere it takes this machine's libc.so for the one that is meant.
        # maturin has looked at the symbols; what is left is that musl itself is all that is asked for.
        if libraries_needed(wheel) != ["libc.so"]:
            raise BuildError(f"{wheel.name}: needs {', '.join(libraries_needed(wheel))}, not only musl's libc.so")
        return
    said = " ".join(run(sys.executable, "-m", "auditwheel", "show", str(wheel)).split())
    found = re.search(r'is consistent with the following platform tag: "([^"]+)"', said)
    if found is None or found[1] != target.tag:
        raise BuildError(f"{wheel.name}: auditwheel grants it {found[1] if found else 'no tag'}, not {target.tag}")


def make(target: Target) -> None:
    """Build, split and judge one wheel, and print its line."""
    with tempfile.TemporaryDirectory() as scratch:
        built = Path(scratch, "built")
        built.mkdir()
        wheel, archive = split(build(target, built), Path(scratch, "opened"))
    judge(wheel, target)
    sizes = f"{wheel.stat().st_size / 1e6:.2f} MB, symbols {archive.stat().st_size / 1e6:.1f} MB"
    print(f"{target.name:<20} {wheel.name}: {sizes}", flush=True)


def missing_sources(archive: Path) -> list[str]:
    """Return the crates of this workspace, and what builds them, that a source distribution lacks."""
    crates = [file.relative_to(ROOT) for file in sorted(ROOT.glob("crates/*/Cargo.toml"))]
    needed = [*crates, Path("Cargo.lock"), Path(".cargo/config.toml"), Path("scripts/build/backend.py")]
    with tarfile.open(archive) as sources:
        packed = {name.partition("/")[2] for name in sources.getnames()}
    return [str(path) for path in needed if str(path) not in packed]


def make_source_distribution() -> None:
    """Pack the sources, and print the line about it. Raises BuildError if something is not in it."""
    for old in DIST.glob("heapsight-*.tar.gz"):
        old.unlink()
    run(Path(sys.executable).parent / "maturin", "sdist", "--out", str(DIST))
    [archive] = DIST.glob("heapsight-*.tar.gz")
    missing = missing_sources(archive)
    if missing:
        raise BuildError(f"{archive.name} lacks {', '.join(missing)}: see include in pyproject.toml")
    print(f"{'sdist':<20} {archive.name}: {archive.stat().st_size / 1e6:.2f} MB", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what was asked for. Status 1 if anything could not be built; the rest is built all the same."""
    names = [*(target.name for target in TARGETS), "sdist"]
    parser = argparse.ArgumentParser(prog="scripts/wheels.py", description="Build wheels and the sdist into dist/.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(names)} (default: all)")
    chosen = parser.parse_args(arguments).names or names
    unknown = [name for name in chosen if name not in names]
    if unknown:
        parser.error(f"unknown name {unknown[0]!r}: choose from {', '.join(names)}")
    DIST.mkdir(exist_ok=True)
    status = 0
    for name in chosen:
        try:
            if name == "sdist":
                make_source_distribution()
            else:
                make(next(target for target in TARGETS if target.name == name))
        except BuildError as error:
            print(f"wheels: {name}: {error}", file=sys.stderr, flush=True)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())

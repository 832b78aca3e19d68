#!/usr/bin/env bash
# check_tools.sh PYTHON: says in one line each what is missing for a build; silent when nothing is.
set -euo pipefail

python=$1
missing=0

say() {
    echo "heapsight: $*" >&2
    missing=1
}

if ! command -v cargo >/dev/null; then
    say "cargo was not found: install Rust 1.88 or newer (rustup)"
elif minor=$(rustc --version | sed -nE 's/^rustc 1\.([0-9]+)\..*/\1/p') && [ "${minor:-0}" -lt 88 ]; then
    say "$(rustc --version) is too old: Rust 1.88 or newer is needed"
fi

if ! command -v "${CC:-cc}" >/dev/null; then
    say "${CC:-cc} was not found: a C compiler is needed (zstd is C); install gcc or clang, or set CC"
fi

if ! command -v "$python" >/dev/null; then
    say "$python was not found: install CPython 3.9 or newer, or name one: make PYTHON=/path/to/python3 …"
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9) or sys.implementation.name != "cpython")'; then
    say "$("$python" --version 2>&1) is not CPython 3.9 or newer; name one: make PYTHON=/path/to/python3 …"
elif ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    say "$python cannot make a virtual environment: install its venv and ensurepip modules (Debian: python3-venv)"
fi

exit $missing

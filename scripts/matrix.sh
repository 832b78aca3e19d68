#!/usr/bin/env bash
# matrix.sh smoke|test: tries the wheel in target/wheels on every interpreter found, and says on which.
# A free-threaded interpreter cannot load the abi3 wheel: it gets a second build, made here.
# Each interpreter gets a virtual environment of its own under .venvs.
set -euo pipefail
cd "$(dirname "$0")/.."

what=${1:?usage: matrix.sh smoke|test}
profile=${PROFILE:-release} # cargo's
if [ "$profile" = demo ]; then profile=dev; fi
wheel=$(echo target/wheels/heapsight-*.whl)
passed=() failed=()

# Makes or renews the interpreter's environment, and prints the path of its python.
environment() {
    local interpreter tag home
    interpreter=$(readlink -f "$1") # before 3.14, an environment made from a link does not find its library
    tag=$("$interpreter" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3] + sys.abiflags)')
    home=.venvs/$tag
    if ! [ -x "$home/bin/python" ]; then
        "$interpreter" -m venv --without-pip "$home"
    fi
    if [ "$what" = test ]; then
        scripts/install_requirements.sh "$home/bin/python" requirements/test.txt
    fi
    .venv/bin/python -m pip --python "$home/bin/python" install --quiet --no-index --no-deps --force-reinstall "$2"
    echo "$home/bin/python"
}

try() {
    local python
    python=$(environment "$1" "$2") || return
    case $what in
        smoke) "$python" scripts/smoke.py ;;
        test) "$python" -m pytest --quiet -p no:cacheprovider tests/python tests/interpreters ;;
    esac
}

is_free_threaded() {
    "$1" -c 'import sys, sysconfig; sys.exit(not sysconfig.get_config_var("Py_GIL_DISABLED"))'
}

# Builds the wheel for one free-threaded interpreter, and prints its path. In a target folder of its own: the build depends on the interpreter.
free_threaded_wheel() {
    local out
    out=target/wheels-free-threaded/$("$1" -c 'import sys; print(sys.implementation.cache_tag)')
    mkdir -p "$out"
    rm -f "$out"/heapsight-*.whl
    CARGO_TARGET_DIR=target/free-threaded .venv/bin/python scripts/build/backend.py --profile "$profile" >&2 || return
    CARGO_TARGET_DIR=target/free-threaded .venv/bin/maturin build --locked --profile "$profile" \
        --interpreter "$(readlink -f "$1")" --out "$out" >&2 || return
    echo "$out"/heapsight-*.whl
}

while read -r interpreter; do
    name="$("$interpreter" --version 2>&1) ($interpreter)"
    echo "== $name"
    fitting=$wheel
    if is_free_threaded "$interpreter"; then
        fitting=$(free_threaded_wheel "$interpreter" </dev/null) || fitting=
    fi
    if [ -n "$fitting" ] && try "$interpreter" "$fitting" </dev/null; then passed+=("$name"); else failed+=("$name"); fi
done < <(.venv/bin/python tests/interpreters/discover.py)

echo "== $what passed on ${#passed[@]} interpreters, failed on ${#failed[@]}"
printf '   passed: %s\n' "${passed[@]}"
if [ ${#failed[@]} -gt 0 ]; then
    printf '   FAILED: %s\n' "${failed[@]}"
    exit 1
fi

#!/usr/bin/env bash
# matrix.sh smoke|test: tries the wheel in target/wheels on every interpreter found, and says on which.
# Each interpreter gets a virtual environment of its own under .venvs.
set -euo pipefail
cd "$(dirname "$0")/.."

what=${1:?usage: matrix.sh smoke|test}
wheel=$(echo target/wheels/heapsight-*.whl)
passed=() failed=()

# Makes or renews the interpreter's environment, and prints the path of its python.
environment() {
    local interpreter=$1 tag home
    tag=$("$interpreter" -c 'import sys, sysconfig; print("%d.%d.%d" % sys.version_info[:3] + (getattr(sys, "abiflags", "")))')
    home=.venvs/$tag
    if ! [ -x "$home/bin/python" ]; then
        "$interpreter" -m venv --without-pip "$home"
    fi
    if [ "$what" = test ]; then
        scripts/install_requirements.sh "$home/bin/python" requirements/test.txt
    fi
    .venv/bin/python -m pip --python "$home/bin/python" install --quiet --no-index --no-deps --force-reinstall "$wheel"
    echo "$home/bin/python"
}

try() {
    local python
    python=$(environment "$1") || return
    case $what in
        smoke) "$python" scripts/smoke.py ;;
        test) "$python" -m pytest --quiet -p no:cacheprovider tests/python tests/interpreters ;;
    esac
}

while read -r interpreter; do
    name="$("$interpreter" --version 2>&1) ($interpreter)"
    echo "== $name"
    if try "$interpreter" </dev/null; then passed+=("$name"); else failed+=("$name"); fi
done < <(.venv/bin/python tests/interpreters/discover.py)

echo "== $what passed on ${#passed[@]} interpreters, failed on ${#failed[@]}"
printf '   passed: %s\n' "${passed[@]}"
if [ ${#failed[@]} -gt 0 ]; then
    printf '   FAILED: %s\n' "${failed[@]}"
    exit 1
fi

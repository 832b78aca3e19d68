#!/usr/bin/env bash
# install_requirements.sh PYTHON FILE: installs a requirements file for PYTHON, from .wheelhouse if all of it is there.
# What has to be downloaded is kept in .wheelhouse, so that a new virtual environment needs no network.
set -euo pipefail

python=$1
requirements=$2
wheelhouse=.wheelhouse
pip=("$python" -m pip --quiet)
if ! "${pip[@]}" --version >/dev/null 2>&1; then # an environment of the matrix has none of its own
    pip=(.venv/bin/python -m pip --python "$python" --quiet)
fi

install() {
    "${pip[@]}" install --no-index --find-links "$wheelhouse" --requirement "$requirements"
}

mkdir -p "$wheelhouse"
if ! install 2>/dev/null; then
    "${pip[@]}" download --only-binary :all: --dest "$wheelhouse" --requirement "$requirements"
    install
fi

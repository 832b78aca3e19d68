"""The programs of examples/gallery, and whether heapsight's first answer is the right one.

`make gallery` runs them all, with the packages that they use.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys

import pytest
from harness import ROOT

FOLDER = ROOT / "examples" / "gallery"

NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.name != "run.py")

#: Those that need nothing but Python, or what the other tests need anyhow.
TRIED = {
    "leak": None,
    "cache": None,
    "peak": None,
    "threads": None,
    "processes": None,
    "numpy_copies": "numpy",
    "attrs_tests": "attrs",
}


def test_every_program_has_an_expected_answer() -> None:
    assert len(NAMES) == 14
    for name in NAMES:
        lines = (FOLDER / f"{name}.expected").read_text().splitlines()
        commands = [line for line in lines if line.startswith("$ ")]
        assert re.search(rf"\b{name}\.py", commands[0]), name
        places = [line for line in lines if line not in commands]
        assert any(place.startswith(f"{name}.py") for place in places), name


@pytest.mark.parametrize("name", TRIED)
def test_the_first_answer_is_the_right_one(name: str) -> None:
    package = TRIED[name]
    if package is not None and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed (pip install {package})")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    command = [sys.executable, str(FOLDER / "run.py"), name]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_answer_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    gallery = importlib.import_module("run")
    screen = "Top 2 call sites\n   size\n  1  7 MiB  leak.py:18 Order.__init__\n      ← leak.py:28 serve\n\n  1  9 MiB  other.py:1 f\n"
    table = gallery.first_table(screen)
    assert [
        place
        for place in ("leak.py:18 __init__", "leak.py:28 serve", "leak.py serve")
        if gallery.is_named(place, table)
    ] == [
        "leak.py:18 __init__",
        "leak.py:28 serve",
        "leak.py serve",
    ]
    for place in ("leak.py:1 __init__", "leak.py:18 serve", "other.py:1 f", "leak.py:280 serve"):
        assert not gallery.is_named(place, table), place
    assert gallery.first_table("nothing\n") == []

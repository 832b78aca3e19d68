"""Tracing from interpreter start-up: -X heapsight, PYTHONHEAPSIGHT, and what it costs when nobody asks."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Start

STATE = "import heapsight; print(heapsight.is_enabled(), heapsight.get_traceback_limit())"


def state(*flags: str, **environment: str) -> tuple[str, str]:
    """Return what a program finds when started so, and what was said on standard error."""
    outcome = Start(["-c", STATE], flags=flags, environment=environment).plain()
    assert outcome.status == 0
    return outcome.text.strip(), outcome.errors


@pytest.mark.parametrize(
    ("flags", "environment", "expected"),
    [
        ([], {}, "False 1"),
        (["-X", "heapsight"], {}, "True 1"),
        (["-X", "heapsight=7"], {}, "True 7"),
        (["-X", "heapsight=65535"], {}, "True 65535"),
        ([], {"PYTHONHEAPSIGHT": "1"}, "True 1"),
        ([], {"PYTHONHEAPSIGHT": "25"}, "True 25"),
        ([], {"PYTHONHEAPSIGHT": "0"}, "False 1"),
        ([], {"PYTHONHEAPSIGHT": ""}, "False 1"),
        (["-X", "heapsight=3"], {"PYTHONHEAPSIGHT": "25"}, "True 3"),
        (["-E"], {"PYTHONHEAPSIGHT": "25"}, "False 1"),
        (["-I"], {"PYTHONHEAPSIGHT": "25"}, "False 1"),
        (["-I", "-X", "heapsight=2"], {"PYTHONHEAPSIGHT": "25"}, "True 2"),
    ],
)
def test_switch_sets_tracing_and_limit(flags: list[str], environment: dict[str, str], expected: str) -> None:
    assert state(*flags, **environment) == (expected, "")


@pytest.mark.parametrize("value", ["0", "abc", "-3", "65536", "", "1.5", "٣", "99999999999999999999"])
def test_wrong_limit_with_x_is_a_warning_that_names_it_and_tracing_stays_off(value: str) -> None:
    found, errors = state("-X", f"heapsight={value}")
    assert found == "False 1"
    [line] = errors.splitlines()
    assert "RuntimeWarning" in line
    assert repr(value) in line


@pytest.mark.parametrize("value", ["abc", "-3", "65536", "00"])
def test_wrong_limit_in_the_environment_is_a_warning_that_names_it(value: str) -> None:
    found, errors = state(PYTHONHEAPSIGHT=value)
    assert found == "False 1"
    [line] = errors.splitlines()
    assert "RuntimeWarning" in line
    assert "PYTHONHEAPSIGHT" in line
    assert repr(value) in line


def test_wrong_limit_is_no_traceback_even_when_warnings_are_errors() -> None:
    found, errors = state("-W", "error", "-X", "heapsight=abc")
    assert found == "False 1"
    [line] = errors.splitlines()
    assert "'abc'" in line


def test_tracing_is_on_before_the_program_and_its_imports() -> None:
    code = (
        "from heapsight import get_traced_memory; before = get_traced_memory()\n"
        "import decimal; print(0 < before < get_traced_memory())"
    )
    assert Start(["-c", code], flags=["-X", "heapsight"]).plain().text == "True\n"


def test_nothing_is_imported_when_nobody_asks() -> None:
    code = "import sys; print([name for name in sys.modules if 'heapsight' in name])"
    assert Start(["-c", code]).plain().text == "[]\n"


def test_another_option_of_the_interpreter_does_not_switch_it_on() -> None:
    code = "import heapsight; print(heapsight.is_enabled())"
    assert Start(["-c", code], flags=["-X", "utf8"]).plain().text == "False\n"


def test_second_interpreter_in_the_process_is_left_alone() -> None:
    code = (
        "import sys\n"
        "try: import _interpreters as interpreters\n"
        "except ImportError: import _xxsubinterpreters as interpreters\n"
        "interpreter = interpreters.create()\n"
        "interpreters.run_string(interpreter, 'kept = [bytes(10)] * 10')\n"
        "interpreters.destroy(interpreter)\n"
        "print('done')"
    )
    traced = Start(["-c", code], flags=["-X", "heapsight"]).plain()
    assert (traced.text, traced.errors) == ("done\n", "")


def test_value_that_heapsight_run_sets_is_refused_from_anybody_else() -> None:
    found, errors = state(PYTHONHEAPSIGHT="run")
    assert found == "False 1"
    assert "invalid traceback limit 'run'" in errors


@pytest.mark.parametrize("value", ["3", "0", "", None])
def test_recording_leaves_the_switch_as_the_user_set_it(value: str | None, capture: Path) -> None:
    code = "import os, heapsight; print(os.environ.get('PYTHONHEAPSIGHT'), 'HEAPSIGHT_RUN' in os.environ, heapsight.is_enabled())"
    environment = {} if value is None else {"PYTHONHEAPSIGHT": value}
    start = Start(["-c", code], flags=["-E"], environment=environment)
    assert start.traced(capture, "--quiet").text == f"{value} False True\n"

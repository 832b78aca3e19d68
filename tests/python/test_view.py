"""A recording belongs to `heapsight run`: what the program does through the API acts on what it sees, never on the capture."""

from __future__ import annotations

import random
import textwrap
from pathlib import Path

import pytest
from harness import Outcome, Start

from heapsight import _testing

MIB = 1 << 20

#: Ways to record.
MODES = {"exact": [], "one frame": ["--frames", "1"], "threads": ["--threads"]}


def record(code: str, capture: Path, *options: str) -> Outcome:
    """Run a program that is recorded."""
    preface = "import gc, json, sys, heapsight\nfrom heapsight import _testing\n"
    return Start(["-c", preface + textwrap.dedent(code)]).traced(capture, "-q", *options)


CHANGES = {
    "disable": "heapsight.disable()",
    "disable and enable": "heapsight.disable(); heapsight.enable()",
    "clear": "heapsight.clear_traces()",
    "limit": "heapsight.set_traceback_limit(3)",
    "reset the peak": "heapsight.reset_peak()",
    "exclude": "heapsight.add_exclude_filter('<string>')",
    "the drop-in": "import heapsight.tracemalloc as t; t.stop(); t.start(7); t.clear_traces(); t.stop()",
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("change", CHANGES)
def test_the_capture_has_all_that_lived_whatever_the_program_asks(change: str, mode: str, capture: Path) -> None:
    outcome = record(
        f"""
        first = [bytearray(1000) for _ in range(3000)]
        high = bytearray(20_000_000)
        del high
        {CHANGES[change]}
        del first[1000:]
        second = [bytearray(1000) for _ in range(4000)]
        assert _testing.audit() == [], _testing.audit()
        """,
        capture,
        *MODES[mode],
    )
    assert (outcome.status, outcome.errors) == (0, "")
    live, peak = _testing.capture_totals(str(capture))
    assert 5_000_000 < live < 8_000_000
    assert 23_000_000 < peak < 26_000_000


def test_the_program_sees_only_what_it_allocates_after_a_change(capture: Path) -> None:
    outcome = record(
        f"""
        MIB = {MIB}
        before = bytearray(5 * MIB)
        heapsight.clear_traces()
        assert heapsight.get_traced_memory() < MIB
        assert heapsight.get_object_trace(before) is None
        after = bytearray(2 * MIB)
        live, peak = heapsight.get_traced_memory(), heapsight.get_traced_peak()
        assert 2 * MIB < live < 3 * MIB, live
        assert live <= peak < 3 * MIB, peak
        del before
        assert 2 * MIB < heapsight.get_traced_memory() < 3 * MIB
        heapsight.disable()
        assert not heapsight.is_enabled()
        assert heapsight.get_traced_memory() == 0
        assert heapsight.get_traces() == {{}}
        unseen = bytearray(7 * MIB)
        assert heapsight.get_traced_memory() == 0
        heapsight.set_traceback_limit(2)
        heapsight.enable()
        assert heapsight.is_enabled()
        assert heapsight.get_traceback_limit() == 2
        seen = bytes(MIB)
        assert MIB < heapsight.get_traced_memory() < 2 * MIB
        sizes = sorted(trace.size for trace in heapsight.get_traces().values())
        assert sizes[-1] == seen.__sizeof__()
        assert _testing.audit() == [], _testing.audit()
        print("done")
        """,
        capture,
    )
    assert (outcome.status, outcome.errors, outcome.text) == (0, "", "done\n")


def test_the_peaks_of_the_program_and_of_the_recording_are_both_exact(capture: Path) -> None:
    outcome = record(
        f"""
        MIB = {MIB}
        kept = bytearray(10 * MIB)
        heapsight.reset_peak()
        high = bytearray(5 * MIB)
        del high
        assert 15 * MIB < heapsight.get_traced_peak() < 17 * MIB
        heapsight.clear_traces()
        del kept  # seen by the recording alone
        own = bytearray(8 * MIB)
        del own
        assert 8 * MIB < heapsight.get_traced_peak() < 9 * MIB, heapsight.get_traced_peak()
        highest = bytearray(30 * MIB)
        del highest
        assert 30 * MIB < heapsight.get_traced_peak() < 31 * MIB, heapsight.get_traced_peak()
        print("done")
        """,
        capture,
    )
    assert (outcome.status, outcome.errors, outcome.text) == (0, "", "done\n")
    _, peak = _testing.capture_totals(str(capture))
    assert 30 * MIB < peak < 33 * MIB


@pytest.mark.parametrize("seed", range(6))
def test_random_changes_leave_recording_and_view_consistent(seed: int, capture: Path) -> None:
    generator = random.Random(seed)
    steps = [
        "heapsight.disable()",
        "heapsight.enable()",
        "heapsight.clear_traces()",
        "heapsight.set_traceback_limit(2)",
        "heapsight.reset_peak()",
        "heapsight.clear_filters()",
        "heapsight.add_exclude_filter('*b.py')",
        "a(kept, 500)",
        "b(kept, 500)",
        "del kept[:300]",
        "del kept[-300:]",
        "gc.collect()",
    ]
    lines = [generator.choice(steps) for _ in range(60)]
    body = "\n".join(
        f"{line}\nproblems = _testing.audit()\nassert problems == [], ({line!r}, problems)" for line in lines
    )
    program = (
        "kept = []\n"
        "space = {}\n"
        "for name in 'ab':\n"
        "    exec(compile(f'def {name}(kept, count):\\n    kept += [bytearray(900) for _ in range(count)]\\n',"
        " f'{name}.py', 'exec'), space)\n"
        "a, b = space['a'], space['b']\n"
        f"{body}\n"
        "print(900 * len(kept))\n"
    )
    outcome = record(program, capture)
    assert (outcome.status, outcome.errors) == (0, "")
    live, _ = _testing.capture_totals(str(capture))
    kept = int(outcome.text)
    assert kept <= live < kept + 4_000_000

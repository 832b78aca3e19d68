"""Start-up: what heapsight adds to ``python -c pass``, switched on, and installed but off."""

from __future__ import annotations

import subprocess
from pathlib import Path

from benchmarks.process import clean_environment, run_measured
from benchmarks.session import Session

CASE = "python -c pass"
ROUNDS = 300
QUICK_ROUNDS = 60
WARM_UP_ROUNDS = 3


def variants(session: Session) -> dict[str, tuple[Path, list[str]]]:
    """Name, interpreter and options of each way to start.

    "absent" and "off" run in environments that differ in nothing but heapsight. "off" and "on"
    are compared with "absent"; "again" is "absent" once more and shows the noise.
    """
    environment = session.environment
    known: dict[str, tuple[Path, list[str]]] = {
        "absent": (environment.bare_python, []),
        "again": (environment.bare_python, []),
        "tracemalloc": (environment.bare_python, ["-X", "tracemalloc=1"]),
    }
    if "heapsight" not in environment.missing:
        known["off"] = (environment.off_python, [])
        known["on"] = (environment.off_python, ["-X", "heapsight=1"])
        known["on, 65535 frames"] = (environment.off_python, ["-X", "heapsight=65535"])
    return known


def _switch_objection(python: Path, options: list[str], wanted: bool) -> str:
    """Why "on" is not on, or "off" not off; empty if the switch does what its name says."""
    code = f"import heapsight, sys; sys.exit(heapsight.is_enabled() is not {wanted})"
    status = subprocess.run([python, *options, "-c", code], capture_output=True, check=False).returncode
    return "" if status == 0 else f"heapsight.is_enabled() is not {wanted} with {options or 'no option'}"


def measure(session: Session) -> None:
    """Start each variant many times, in a new random order each round."""
    known = variants(session)
    for name in [name for name in known if name.startswith(("on", "off"))]:
        python, options = known[name]
        problem = _switch_objection(python, options, wanted=bool(options))
        if problem:
            session.say(f"  failed: start-up {name}: {problem}")
            session.add("startup", CASE, name, -1, {}, problem)
            del known[name]
    rounds = QUICK_ROUNDS if session.quick else ROUNDS
    for number in range(-WARM_UP_ROUNDS, rounds):
        for name in session.shuffled(known):
            python, options = known[name]
            finished = run_measured(
                [str(python), *options, "-c", "pass"],
                environment=clean_environment(hash_seed=0),
                directory=session.scratch,
                timeout_seconds=session.timeout_seconds,
            )
            problem = finished.problem or ("it printed something" if finished.output_tail else "")
            values = {"seconds": finished.wall_seconds, "cpu_seconds": finished.cpu_seconds}
            if number >= 0 or problem:
                session.add("startup", CASE, name, number, {} if problem else values, problem)
            if problem:
                session.say(f"  failed: start-up {name}: {problem}")
                del known[name]
    session.say(f"start-up: {rounds} rounds")

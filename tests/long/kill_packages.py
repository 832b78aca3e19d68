"""Kills programs that import large packages and grow to 1 GiB, and judges what their captures say.

    python tests/long/kill_packages.py [--kills N] [--seed N] [NAME ...]        all of tests/long/work, unless named

Each is killed at N random moments of its life. What the capture says must agree with what the program has told until
then, miss at most a tick and 100 ms of the totals, and at most two seconds of single call paths. `make kill` runs it
with the packages of the gallery.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))

from harness import clean_environment  # noqa: E402
from killed import PROGRAM, EndedBeforeError, Killed, kill_after  # noqa: E402

#: What the program's blocks grow to.
MIB = "1024"

#: The tick is the default one.
TICK_NS = 100_000_000
TOTALS_NS = TICK_NS + 100_000_000
PATHS_NS = 2_000_000_000

#: What packages hold more or less of, while the program works.
SLACK_BYTES = 24 << 20


def life(name: str, folder: Path) -> float:
    """Return for how many seconds the program lives when nobody kills it."""
    capture = folder / "whole.heapsight"
    command = [sys.executable, "-m", "heapsight", "run", "-q", "--force", "-o", str(capture)]
    began = time.monotonic()
    subprocess.run([*command, str(PROGRAM), MIB, name], check=True, stdout=subprocess.DEVNULL, env=clean_environment())
    return time.monotonic() - began


def judged(killed: Killed) -> list[str]:
    """Return what is wrong."""
    wrong = []
    try:
        killed.check(SLACK_BYTES)
    except AssertionError as error:
        wrong.append(f"figures do not agree: {error}")
    if killed.totals_gap_ns > TOTALS_NS:
        wrong.append("too much of the totals is missing")
    if killed.paths_gap_ns > PATHS_NS:
        wrong.append("too much of the call paths is missing")
    return wrong


def main() -> None:
    """Kill, judge, and tell the gaps."""
    programs = sorted(path.stem for path in (HERE / "work").glob("work_*.py"))
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("names", nargs="*", default=programs)
    options = parser.parse_args()
    moment = random.Random(options.seed)
    failures = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in options.names:
            alive = life(name, folder)
            gaps: list[tuple[float, float]] = []
            while len(gaps) < options.kills:
                number = len(gaps)
                delay = moment.uniform(0.05, alive * 0.9)
                try:
                    killed = kill_after(0, delay, folder / "killed.heapsight", MIB, name)
                except EndedBeforeError:
                    # No life is as long as another on a busy machine: moments are those of the shorter.
                    alive = min(alive, delay)
                    continue
                gaps.append((killed.totals_gap_ns / 1e6, killed.paths_gap_ns / 1e6))
                for what in judged(killed):
                    failures += 1
                    print(f"{name}, kill {number} after {delay:.3f} s: {what}; gaps {gaps[-1]}", flush=True)
            totals, paths = sorted(total for total, _ in gaps), sorted(path for _, path in gaps)
            print(
                f"{name}: lives {alive:.1f} s, {len(gaps)} kills; totals miss {totals[len(totals) // 2]:.0f} ms (median), "
                f"{totals[-1]:.0f} at most; call paths {paths[len(paths) // 2]:.0f} ms, {paths[-1]:.0f} at most",
                flush=True,
            )
    raise SystemExit(1 if failures else 0)


main()

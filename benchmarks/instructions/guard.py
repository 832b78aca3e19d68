"""``benchmarks/instructions/check``: fail when the hot path takes more instructions than it did.

Times vary with the machine and with what else runs on it; the number of instructions does not. The
accepted numbers are in ``baseline.json``, one entry for each minor version that has one, with the
identifier that the linker wrote into the interpreter. What tracing adds hardly depends on how an
interpreter of that version was built: with another build it is compared all the same, less strictly.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import build_of
from benchmarks.environment import describe
from benchmarks.instructions.counting import CountingError, Counts, count_all

HERE = Path(__file__).resolve().parent
BASELINE = HERE / "baseline.json"
DEFAULT_PYTHON = HERE.parent.parent / ".venv" / "bin" / "python"

TOLERANCE = 0.03
"""How much more than the baseline is let through: a new compiler moves things a little."""

SLACK_INSTRUCTIONS = 1.0
"""The same in instructions per object, for counts so small that 3 % is less than one instruction."""

OTHER_BUILD_TOLERANCE = 0.10
"""The same where the interpreter is another build than that of the baseline: its allocators are inlined elsewhere."""

BY_CHANCE = {"sampled": 0.25}
"""The same for a mode whose counts hang on addresses. The hook of sampled frees looks at one bit for each 16 bytes,
modulo 8 MiB: whether code objects, whose bits are set, share some with the blocks that are counted is chance. One
wheel was seen to take 26.7 and 32.9 instructions for a freed list, with nothing changed but where the arenas lie."""

SAME_BUILD = 0.01
"""Further off than this without tracing, the interpreter is not the one of the baseline."""

_ASK = """
import json, sys
try:
    from heapsight import _testing
    profile = _testing.build_profile()
except ImportError:
    profile = ""
print(json.dumps(["%d.%d.%d" % sys.version_info[:3], profile]))
"""


@dataclass(frozen=True)
class Change:
    """A count that moved. ``mode`` and ``workload`` are those of events.py, counts are per object."""

    mode: str
    workload: str
    before: float
    now: float

    def __str__(self) -> str:
        """One line for people."""
        percent = f" ({(self.now / self.before - 1) * 100:+.1f} %)" if self.before > 0 else ""
        return f"{self.mode}, {self.workload}: {self.before:.1f} → {self.now:.1f} instructions per object{percent}"


def allowed(before: float, tolerance: float = TOLERANCE) -> float:
    """The highest count that is not a regression."""
    return before + max(abs(before) * tolerance, SLACK_INSTRUCTIONS)


def compare(
    before: dict[str, Counts], now: dict[str, Counts], tolerance: float = TOLERANCE
) -> tuple[list[Change], list[Change]]:
    """What got worse and what got better, by more than the tolerance. ``off`` is not compared."""
    worse, better = [], []
    for mode, counts in now.items():
        let_through = max(tolerance, BY_CHANCE.get(mode, 0))
        for workload, count in counts.items():
            old = before.get(mode, {}).get(workload)
            if mode == "off" or old is None:
                continue
            change = Change(mode, workload, old, count)
            if count > allowed(old, let_through):
                worse.append(change)
            elif old > allowed(count, let_through):
                better.append(change)
    return worse, better


def is_same_interpreter(before: Counts, now: Counts) -> bool:
    """Whether the interpreter alone takes as many instructions as when the baseline was made."""
    return before.keys() == now.keys() and all(
        abs(now[workload] - count) <= SAME_BUILD * abs(count) for workload, count in before.items()
    )


def is_same_build(baseline: dict[str, Any], build: str, now: Counts) -> bool:
    """Whether the interpreter is the one of the baseline: by its identifier, or by what it takes untraced."""
    if build and baseline.get("build"):
        return bool(baseline["build"] == build)
    return is_same_interpreter(baseline["counts"]["off"], now)


def ask(python: Path) -> tuple[str, str]:
    """The interpreter's version, and the profile heapsight was built with ("" if it is not installed)."""
    answer = subprocess.run([python, "-c", _ASK], capture_output=True, text=True, check=True).stdout
    version, profile = json.loads(answer)
    return str(version), str(profile)


def reason_to_skip(python: Path) -> str:
    """Why nothing can be counted here; empty if it can."""
    for program in ("valgrind", "setarch"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not python.exists():
        return f"{python.name} is not there: run `make demo` first, or give --python"
    _, profile = ask(python)
    if not profile:
        return "heapsight is not installed in this interpreter: run `make demo` first, or give --python"
    return "" if profile == "release" else f"heapsight is a {profile} build"


def show(counts: dict[str, Counts]) -> None:
    """Print all counts as a table."""
    modes = list(counts)
    print(f"{'instructions per object':<24}" + "".join(f"{mode:>10}" for mode in modes))
    for workload in counts[modes[0]]:
        print(f"{workload:<24}" + "".join(f"{counts[mode][workload]:>10.1f}" for mode in modes))


def accept(version: str, build: str, counts: dict[str, Counts], baselines: dict[str, Any]) -> None:
    """Make the counts the baseline of this interpreter's minor version."""
    rounded = {mode: {workload: round(count, 1) for workload, count in each.items()} for mode, each in counts.items()}
    baselines[_minor(version)] = {"version": version, "build": build, "counts": rounded}
    text = json.dumps(baselines, indent=2, sort_keys=True) + "\n"
    BASELINE.write_text(text, encoding="utf-8")


def _minor(version: str) -> str:
    return version.rsplit(".", 1)[0]


def judge(version: str, build: str, counts: dict[str, Counts], baseline: dict[str, Any]) -> int:
    """Compare with the baseline, say what moved, return the exit status."""
    is_same = is_same_build(baseline, build, counts["off"])
    tolerance = TOLERANCE if is_same else OTHER_BUILD_TOLERANCE
    if not is_same:
        print(
            f"instructions: this {version} is another build than the {baseline['version']} of the baseline: "
            f"up to {tolerance:.0%} more is let through"
        )
    worse, better = compare(baseline["counts"], counts, tolerance)
    for change in better:
        print(f"instructions: better: {change}")
    for change in worse:
        print(f"instructions: WORSE: {change}", file=sys.stderr)
    if worse:
        print(
            "instructions: the hot path got slower. If it is worth it: benchmarks/instructions/check --accept, "
            "commit baseline.json, and say why in the commit.",
            file=sys.stderr,
        )
        return 1
    hint = "; keep the gain with benchmarks/instructions/check --accept" if better else ""
    print(f"instructions: no regression on {version}{hint}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Status 0 if there is no regression or nothing to compare with, else 1."""
    parser = argparse.ArgumentParser(prog="benchmarks/instructions/check", description=__doc__)
    parser.add_argument("--python", type=Path, default=DEFAULT_PYTHON, help="an interpreter with heapsight installed")
    parser.add_argument("--accept", action="store_true", help="make what is counted now the baseline")
    parser.add_argument("--show", action="store_true", help="print all counts")
    parser.add_argument("--require", action="store_true", help="fail where the check would be skipped")
    options = parser.parse_args(arguments)

    baselines = json.loads(BASELINE.read_text(encoding="utf-8")) if BASELINE.exists() else {}
    reason = reason_to_skip(options.python)
    version = "" if reason else ask(options.python)[0]
    baseline = baselines.get(_minor(version)) if version else None
    if not reason and not options.accept and not options.show and not baseline:
        known = ", ".join(entry["version"] for entry in baselines.values()) or "none"
        reason = f"no baseline for Python {version} (there is: {known}); make one with --accept"
    if reason:
        print(f"instructions: SKIPPED: {reason}")
        return 1 if options.require or options.accept else 0

    try:
        counts = count_all(options.python)
    except CountingError as error:
        print(f"instructions: {error}", file=sys.stderr)
        return 1
    if options.show:
        show(counts)
    build = build_of.build_id(describe(options.python).facts)
    if options.accept:
        accept(version, build, counts, baselines)
        print(f"instructions: baseline.json now holds the counts of Python {version}")
        return 0
    return judge(version, build, counts, baseline) if baseline else 0

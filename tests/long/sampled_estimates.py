"""Compare sampled runs of every program of the benchmark with exact ones: do the estimates hold, and their ±.

    python tests/long/sampled_estimates.py [--python PYTHON] [--runs N] [--sample BYTES] [NAME ...]

Each program runs three times exactly and N times sampled. The exact runs differ a little from one another (addresses
decide the order of sets, threads take turns as they like): as much is allowed on top of every bound. Documented (`Mode`
in crates/capture/src/model.rs) are bounds of the standard errors of one run, sqrt(x R) for x bytes and sqrt(n R / 16)
for n blocks. Judged are, for what was allocated, freed and is live, in bytes and in blocks:

* the mean of all runs, in total and, unless paths were folded, of every call path: within five of its standard
  errors;
* single runs against the ± that reports print, for figures of 16 R bytes or more: 95 % of them are inside;
* the peak, an estimate from above: its mean is no more than 1.2 times the true one and its ±.

It runs in the environment of the benchmark, on the newest wheel in target/wheels or dist (`make wheel`).
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY))

from benchmarks.environment import Environment, describe, find_wheel  # noqa: E402
from benchmarks.overhead import WORKER  # noqa: E402
from benchmarks.process import clean_environment  # noqa: E402
from benchmarks.whole import ALL, SCRIPTS  # noqa: E402
from benchmarks.workloads import DEEP, PYPERFORMANCE  # noqa: E402

STANDARD_ERRORS = 5
PEAK_FACTOR = 1.2
INSIDE = 0.95
EXACT_RUNS = 3
TIMEOUT_SECONDS = 600

#: A program of `whole` runs for this share of the time that it is measured for.
SHARE = 8

#: Prints, for one capture, the peak and six figures for each call path: bytes and blocks allocated, freed, live.
READ = """
import collections, json, sys
from heapsight import _testing
(live, peak), paths = _testing.capture_counters(sys.argv[1])
figures = collections.defaultdict(lambda: [0] * 6)
for domain, frames, ((ab, an), (fb, fn), _, _) in paths:
    sums = figures[f"{domain} " + " ".join(f"{file}:{line}" for file, line in frames)]
    for index, figure in enumerate((ab, an, fb, fn, ab - fb, an - fn)):
        sums[index] += figure
print(json.dumps([peak, figures]))
"""

#: A path's place without file and line: paths that were folded.
FOLDED = ":0"

FIGURES = ("allocated bytes", "allocated blocks", "freed bytes", "freed blocks", "live bytes", "live blocks")


@dataclass
class Run:
    """What one capture says."""

    peak: int
    paths: dict[str, list[int]]

    def total(self, figure: int) -> int:
        """One figure of all paths together."""
        return sum(figures[figure] for figures in self.paths.values())


@dataclass
class Judged:
    """What was found of one program."""

    wrong: list[str] = field(default_factory=list)
    inside: Counter[bool] = field(default_factory=Counter)
    compared: int = 0


def standard_error(amount: float, figure: int, sample_bytes: int) -> float:
    """Return the documented bound of one run."""
    return math.sqrt(max(amount, 0) * sample_bytes / (16 if figure % 2 else 1))


def margin_bytes(estimate: float, sample_bytes: int) -> float:
    """Return what reports show behind ±."""
    return sample_bytes + 2 * math.sqrt(sample_bytes * (max(estimate, 0) + sample_bytes))


def judge(exact: list[Run], sampled: list[Run], sample_bytes: int) -> Judged:
    """Compare."""
    judged = Judged()

    def compare(name: str, figure: int, true: list[int], estimates: list[int]) -> None:
        own = max(true) - min(true)
        mean_true = sum(true) / len(true)
        bound = standard_error(mean_true, figure, sample_bytes)
        mean = sum(estimates) / len(estimates)
        # Means of few samples are not normal: where less than some 25 samples made one up, nothing is said.
        if (bound / sample_bytes * (4 if figure % 2 else 1)) ** 2 * len(estimates) >= 25:
            judged.compared += 1
            off = abs(mean - mean_true) - own
            if off > STANDARD_ERRORS * bound / math.sqrt(len(estimates)):
                judged.wrong.append(
                    f"{FIGURES[figure]} of {name}: {mean:.0f} on average, {mean_true:.0f} ± {own} were there, "
                    f"{off / bound * math.sqrt(len(estimates)):.1f} standard errors off"
                )
        # What is small is inside in nearly every run, and would hide the others.
        if figure % 2 == 0 and mean_true >= 16 * sample_bytes:
            for estimate in estimates:
                judged.inside[abs(estimate - mean_true) - own <= margin_bytes(estimate, sample_bytes)] += 1

    # Where an exact run made more paths than there is room for, it folded some, which a sampled run has no need to do.
    are_whole = not any(FOLDED in path.split() for run in exact for path in run.paths)
    for figure in range(6):
        true, estimates = ([run.total(figure) for run in runs] for runs in (exact, sampled))
        compare("all paths", figure, true, estimates)
        nothing = [0] * 6
        # Only paths that every exact run has: which of several the program takes may be a matter of addresses.
        common = set.intersection(*(set(run.paths) for run in exact)) if are_whole else set()
        for path in common:
            true = [run.paths[path][figure] for run in exact]
            if max(true) >= sample_bytes // 16:
                compare(path[:300], figure, true, [run.paths.get(path, nothing)[figure] for run in sampled])
    true = [run.peak for run in exact]
    mean = sum(run.peak for run in sampled) / len(sampled)
    if mean > PEAK_FACTOR * max(true) + margin_bytes(max(true), sample_bytes):
        judged.wrong.append(f"peak: {mean:.0f} on average, the true one is {max(true)}")
    if mean < min(true) - margin_bytes(min(true), sample_bytes):
        judged.wrong.append(f"peak: {mean:.0f} on average, less than the true one, {min(true)}")
    share = judged.inside[True] / max(1, sum(judged.inside.values()))
    if share < INSIDE:
        judged.wrong.append(f"only {share:.1%} of {sum(judged.inside.values())} figures are within the ± of their run")
    return judged


def commands(environment: Environment, folder: Path) -> dict[str, list[str]]:
    """Return the arguments of every program: what comes after the interpreter."""
    pyperformance = environment.pyperformance
    result = str(folder / "result.json")
    found = {}
    for workload in (*PYPERFORMANCE, *DEEP):
        script = str(workload.path(pyperformance))
        found[workload.name] = [str(WORKER), result, "1", "0", workload.task, script, *workload.arguments]
    for program in ALL:
        size = program.size if program.section == "paths" and program.size < 64 else program.size // SHARE
        if program.case != "new_path":
            found[program.case] = [str(SCRIPTS[program.section]), result, program.case, str(size)]
    return found


def run(python: Path, arguments: list[str], options: list[str], folder: Path) -> Run:
    """Record a program, and read its capture."""
    capture = folder / "of.heapsight"
    command = [str(python), "-m", "heapsight", "run", "-q", "--force", *options, "-o", str(capture), *arguments]
    environment = clean_environment(1)
    done = subprocess.run(
        command, env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=TIMEOUT_SECONDS
    )
    if done.returncode:
        raise RuntimeError((done.stderr.decode(errors="replace").strip().splitlines() or ["?"])[-1])
    read = subprocess.run(
        [str(python), "-c", READ, str(capture)], env=environment, check=True, stdout=subprocess.PIPE
    ).stdout
    peak, paths = json.loads(read)
    return Run(peak, paths)


def main() -> None:
    """Run and judge every program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--sample", type=int, default=32768)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    interpreter = describe(options.python)
    environment = Environment(interpreter)
    environment.prepare(find_wheel(interpreter))
    failures = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        known = commands(environment, folder)
        for name in options.names or known:
            try:
                exact = [run(environment.python, known[name], [], folder) for _ in range(EXACT_RUNS)]
                sample = [f"--sample={options.sample}"]
                sampled = [run(environment.python, known[name], sample, folder) for _ in range(options.runs)]
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                print(f"{name}: does not run: {error}", flush=True)
                continue
            judged = judge(exact, sampled, options.sample)
            failures += len(judged.wrong)
            peak = sum(run.peak for run in sampled) / len(sampled) / max(run.peak for run in exact)
            inside = judged.inside[True] / max(1, sum(judged.inside.values()))
            print(
                f"{name}: {judged.compared} means, {sum(judged.inside.values())} figures, {inside:.2%} within their ±, "
                f"peak {peak:.2f} times the true one, {len(judged.wrong)} wrong",
                flush=True,
            )
            for what in judged.wrong[:10]:
                print(f"  {what}", flush=True)
    raise SystemExit(1 if failures else 0)


main()

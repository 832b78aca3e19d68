"""The command line of ``benchmarks/run``: one command, one run, one folder of results."""

from __future__ import annotations

import argparse
import datetime
import json
import random
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import (
    blocks,
    dropin,
    machine,
    memory,
    overhead,
    reading,
    records,
    startup,
    table,
    threads,
    tools,
    whole,
    workloads,
)
from benchmarks.environment import (
    BENCHMARKS,
    Environment,
    RefusedError,
    alone,
    describe,
    file_digest,
    find_wheel,
)
from benchmarks.records import Store
from benchmarks.session import Session

SECTIONS = ("pyperformance", "deep", *whole.SCRIPTS, "blocks", "memory", "dropin", "threads", "startup", "reading")
BUSY_LOAD = 0.5


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    made = argparse.ArgumentParser(
        prog="benchmarks/run",
        description="Measure heapsight beside tracemalloc and memray; write table, samples, notes.",
    )
    size = made.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="8 workloads, 3 rounds: minutes, for a first impression")
    size.add_argument("--full", action="store_true", help="everything (the default): about an hour")
    made.add_argument(
        *("--only", "--programs"), metavar="NAME,…", type=_names, default=[], help="these workloads and nothing else"
    )
    made.add_argument("--tools", metavar="NAME,…", type=_names, default=[], help="these tools, beside untraced")
    made.add_argument("--sections", metavar="NAME,…", type=_names, default=[], help=f"some of {','.join(SECTIONS)}")
    made.add_argument(
        "--python", type=Path, default=Path(sys.executable), help="the interpreter to measure on (this one)"
    )
    made.add_argument("--wheel", type=Path, help="the heapsight wheel (default: the newest that `make wheel` built)")
    made.add_argument("--rounds", type=int, help="samples of each combination (5; 3 with --quick)")
    made.add_argument("--target", type=float, metavar="SECONDS", help="length of one untraced sample (0.4; 0.25)")
    made.add_argument("--budget", type=float, metavar="SECONDS", help="length of a slow tool's sample (1.5; 1.0)")
    made.add_argument("--timeout", type=float, default=180, metavar="SECONDS", help="limit for one process (180)")
    made.add_argument("--seed", type=int, default=0, help="of the random order (0)")
    made.add_argument("--output", type=Path, default=BENCHMARKS / "runs", help="where the run's folder is made")
    made.add_argument("--list", action="store_true", help="show workloads and tools, and measure nothing")
    return made


def show_list() -> None:
    """Print what can be named."""
    for group in ("pyperformance", "deep"):
        print(f"workloads, {group} (* with --quick):")
        for workload in workloads.select(group, quick=False, only=[]):
            print(f"  {workload.name}{' *' if workload.quick else ''}")
    for section in whole.SCRIPTS:
        print(f"programs, {section}:")
        for program in whole.select(section, []):
            print(f"  {program.case}")
    print("tools (* by default):")
    for tool in tools.TOOLS:
        print(f"  {tool.name:<18} {tool.label}{' *' if tool.default else ''}")


def check_names(options: argparse.Namespace) -> None:
    """Refuse unknown names before anything is installed or measured."""
    known = {
        "--only": (options.only, [*workloads.names(), *whole.names()]),
        "--tools": (options.tools, [tool.name for tool in tools.TOOLS]),
        "--sections": (options.sections, list(SECTIONS)),
    }
    for option, (given, names) in known.items():
        for name in given:
            if name not in names:
                raise RefusedError(f"{option}: unknown name {name!r}; `benchmarks/run --list` shows all")
    if options.rounds is not None and options.rounds < 1:
        raise RefusedError(f"--rounds: {options.rounds} is not a positive number")


def sections(options: argparse.Namespace) -> list[str]:
    """Which benchmarks run: those named, those that ``--only`` needs, or all."""
    if options.sections:
        return list(options.sections)
    if options.only:
        timed = [
            group for group in ("pyperformance", "deep") if workloads.select(group, quick=False, only=options.only)
        ]
        return timed + [section for section in whole.SCRIPTS if whole.select(section, options.only)]
    return list(SECTIONS)


def usable_tools(chosen: list[tools.Tool], environment: Environment, named: bool) -> list[tools.Tool]:
    """Without those that are not installed; heapsight may only be missing if others were asked for."""
    usable = []
    for tool in chosen:
        reason = environment.missing.get(tool.distribution or "")
        if reason is None:
            usable.append(tool)
        elif named or tool.distribution == "heapsight":
            raise RefusedError(f"{tool.name}: {reason}")
        else:
            print(f"left out: {tool.name}: {reason}", file=sys.stderr)
    return usable


def new_folder(parent: Path, tag: str) -> Path:
    """``DATE-PYTHON``, with a number if there is one already."""
    stem = f"{datetime.date.today():%Y-%m-%d}-{tag}"
    for name in (stem, *(f"{stem}-{number}" for number in range(2, 1000))):
        folder = parent / name
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise RefusedError(f"{parent} holds a thousand runs of today: remove some")


def run(options: argparse.Namespace) -> Path:
    """Prepare, measure, write. Returns the run's folder."""
    check_names(options)
    environment = Environment(describe(options.python))
    wheel = options.wheel or find_wheel(environment.interpreter)
    if wheel is not None and not wheel.is_file():
        raise RefusedError(f"--wheel: {wheel} is not a file")
    print(f"preparing the environment for {environment.interpreter.tag}", file=sys.stderr)
    environment.prepare(wheel)
    chosen = usable_tools(tools.select(options.tools), environment, named=bool(options.tools))
    if any(tool.distribution == "heapsight" for tool in chosen):
        environment.refuse_debug_extension()
    if machine.load_average() > BUSY_LOAD * machine.usable_cores():
        print(
            f"warning: load average {machine.load_average():.2f}: other work will blur the figures",
            file=sys.stderr,
        )

    folder = new_folder(options.output, environment.interpreter.tag)
    notes = machine.notes(environment, [tool.name for tool in chosen])
    session = Session(
        environment=environment,
        tools=chosen,
        store=Store(folder / records.PLAIN),
        scratch=environment.scratch(),
        rounds=options.rounds or (3 if options.quick else 5),
        quick=options.quick,
        target_seconds=options.target or (0.25 if options.quick else 0.4),
        budget_seconds=options.budget or (1.0 if options.quick else 1.5),
        timeout_seconds=options.timeout,
        shuffle=random.Random(options.seed),  # noqa: S311  # an order, not a secret
    )
    notes.update(
        date=f"{datetime.date.today():%Y-%m-%d}",
        tag=environment.interpreter.tag,
        wheel_sha256=file_digest(wheel) if wheel else "",
        rounds=session.rounds,
        quick=session.quick,
        target_seconds=session.target_seconds,
        budget_seconds=session.budget_seconds,
        seed=options.seed,
        sections=sections(options),
    )
    try:
        measure(session, sections(options), options.only)
    finally:
        # Also after ^C: what was measured is worth a table.
        finish(folder, notes)
        shutil.rmtree(session.scratch, ignore_errors=True)
    return folder


def measure(session: Session, chosen: list[str], only: list[str]) -> None:
    """Run the sections."""
    for group in ("pyperformance", "deep"):
        if group in chosen:
            overhead.measure(session, group, workloads.select(group, quick=session.quick, only=only))
    for section in whole.SCRIPTS:
        if section in chosen:
            whole.measure(session, section, only)
    if "blocks" in chosen:
        blocks.measure(session)
    if "memory" in chosen:
        memory.measure(session)
    if "dropin" in chosen:
        dropin.measure(session)
    if "threads" in chosen:
        threads.measure(session)
    if "startup" in chosen:
        startup.measure(session)
    if "reading" in chosen:
        reading.measure(session)


def finish(folder: Path, notes: dict[str, Any]) -> None:
    """Write the notes and the table."""
    notes["load_average_end"] = machine.load_average()
    (folder / "notes.json").write_text(json.dumps(notes, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    if (folder / records.PLAIN).exists():
        table.write(folder)
        records.compress(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Status 0 if heapsight did all that was asked, 1 if it failed somewhere or the run was refused."""
    options = parser().parse_args(arguments)
    if options.list:
        show_list()
        return 0
    try:
        with alone():
            folder = run(options)
    except RefusedError as error:
        print(f"benchmarks/run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmarks/run: interrupted; what was measured is in benchmarks/runs", file=sys.stderr)
        return 130
    samples = records.load(folder)
    if not samples:
        print("benchmarks/run: nothing was measured", file=sys.stderr)
        return 1
    print((folder / "table.md").read_text(encoding="utf-8"))
    print(f"written to {folder}", file=sys.stderr)
    # A peer that fails or takes too long is told in the table, but is not our failure.
    ours = ("heapsight", "untraced", "on", "off")
    return 1 if any(sample.problem and sample.tool.startswith(ours) for sample in samples) else 0

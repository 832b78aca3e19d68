"""Turn a run into Markdown.

python -m benchmarks.table RUN                  the full table of a run
python -m benchmarks.table RUN --short          the few lines that fit a README
python -m benchmarks.table RUN --update FILE    put those between FILE's two bench markers
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import blocks, dropin, memory, targets, whole
from benchmarks.records import Sample, load
from benchmarks.summary import Table, line, medians, paired_difference, ratios, scaling_loss
from benchmarks.tools import TOOLS

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
LABELS = {tool.name: tool.label for tool in TOOLS}
ORDER = [tool.name for tool in TOOLS]


def number(figure: float, digits: int = 2) -> str:
    """A figure for people, or a dash."""
    return "–" if math.isnan(figure) else f"{figure:.{digits}f}"


def with_unit(figure: float, unit: str, digits: int = 2) -> str:
    """A figure and its unit, or a dash alone: there is no such thing as no times as much."""
    return "–" if math.isnan(figure) else f"{number(figure, digits)}{unit}"


def quantity(seconds: float) -> str:
    """A time with the unit that suits it."""
    if math.isnan(seconds):
        return "–"
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table: first column to the left, figures to the right."""
    align = ["---", *("---:" for _ in header[1:])]
    return ["| " + " | ".join(row) + " |" for row in (header, align, *rows)] + [""]


def _tools(table: Table) -> list[str]:
    return [name for name in ORDER if name in table and name != "untraced"]


def overhead_summary(samples: list[Sample], kind: str) -> list[str]:
    """One line per tool: time, CPU, memory, file."""
    times = ratios(medians(samples, kind, "seconds"))
    cpu = ratios(medians(samples, kind, "cpu_seconds"))
    memory = ratios(medians(samples, kind, "peak_rss_bytes"))
    files = medians(samples, kind, "capture_bytes")
    relative = ratios(files, targets.FILE_YARDSTICK)
    rows = []
    for name in _tools(times):
        time, rss = line(times[name]), line(memory[name])
        size_mb = {case: size / 1e6 for case, size in files[name].items()}
        largest = max(size_mb.values())
        rows.append(
            [
                LABELS[name],
                str(time.count),
                with_unit(time.mean, "×"),
                with_unit(time.p90, "×"),
                f"{with_unit(time.worst, '×')} ({time.worst_case})",
                with_unit(line(cpu[name]).mean, "×"),
                with_unit(rss.mean, "×"),
                with_unit(rss.worst, "×"),
                with_unit(largest, " MB", 1) if largest else "–",
                with_unit(line(relative[name]).mean, "×", 4) if largest and name in relative else "–",
            ]
        )
    header = ["tool", "n", "time, geomean", "P90", "worst", "CPU", "peak RSS", "worst RSS", "largest file", "file"]
    return markdown(header, rows)


def per_case(samples: list[Sample], kind: str) -> list[str]:
    """One line per workload: its untraced time per loop, then each tool's ratio."""
    times = medians(samples, kind, "seconds")
    relative = ratios(times)
    names = _tools(relative)
    rows = [
        [case, quantity(seconds), *(number(relative[name].get(case, math.nan)) for name in names)]
        for case, seconds in sorted(times.get("untraced", {}).items())
    ]
    return markdown(["workload", "untraced, per loop", *names], rows)


def whole_table(samples: list[Sample], section: str) -> list[str]:
    """One line per program, one column per tool: CPU time of the whole process; the means below."""
    cpu = medians(samples, section, "cpu_seconds")
    relative = ratios(cpu)
    counted = whole.without_new_path(relative)
    names = _tools(relative)
    rows = [
        [program.case, quantity(seconds), *(number(relative[name].get(program.case, math.nan)) for name in names)]
        for program in whole.select(section, [])
        if (seconds := cpu.get("untraced", {}).get(program.case)) is not None
    ]
    lines = {name: line(counted[name]) for name in names}
    rows.append(["geometric mean", "", *(number(each.mean) for each in lines.values())])
    rows.append(["worst", "", *(number(each.worst) for each in lines.values())])
    if section == "paths":
        each_path = [whole.nanoseconds_per_new_path(samples, name) for name in names]
        rows.append([f"a new path ({whole.NEW_PATH})", "", *(with_unit(each, " ns", 0) for each in each_path)])
    memory = whole.without_new_path(ratios(medians(samples, section, "peak_rss_bytes")))
    rows.append(["peak RSS, geometric mean", "", *(number(line(memory[name]).mean) for name in names)])
    return markdown(["program", "untraced", *names], rows)


def block_table(samples: list[Sample]) -> list[str]:
    """One line per count and tool."""
    good = [sample for sample in samples if sample.kind == "blocks" and not sample.problem]
    rows = []
    for case in sorted({sample.case for sample in good}, key=int):
        plain = [sample.values for sample in good if sample.case == case and sample.tool == "untraced"]
        for tool in blocks.TOOLS:
            chosen = [sample for sample in good if sample.case == case and sample.tool == tool.name]
            if chosen:
                rows.append(_block_row(case, tool.label, chosen, plain))
    header = ["live blocks", "tool", "per allocation", "per free", "memory per block", "as it says itself"]
    return markdown(header, rows)


def question_table(samples: list[Sample]) -> list[str]:
    """How long answers take, one line per count and tool that answers."""
    good = [sample for sample in samples if sample.kind == "blocks" and not sample.problem]
    rows = []
    for case in sorted({sample.case for sample in good}, key=int):
        for tool in blocks.TOOLS:
            chosen = [sample for sample in good if sample.case == case and sample.tool == tool.name]
            figures = [_middle(chosen, step) for step in blocks.QUESTIONS.values()]
            if not all(map(math.isnan, figures)):
                rows.append([_thousands(case), tool.label, *map(quantity, figures)])
    return markdown(["live blocks", "tool", *blocks.QUESTIONS], rows)


def _middle(chosen: list[Sample], name: str) -> float:
    """The median of a value over samples of one tool and case; NaN if there is none."""
    found = [figure for cases in medians(chosen, "blocks", name).values() for figure in cases.values()]
    return found[0] if found else math.nan


def _thousands(case: str) -> str:
    return f"{int(case):,}".replace(",", " ")


def _block_row(case: str, label: str, chosen: list[Sample], plain: list[dict[str, float]]) -> list[str]:
    count = int(case)
    own = blocks.bytes_per_block([sample.values for sample in chosen], plain) if plain else math.nan
    traced = chosen[0].tool != "untraced"
    return [
        _thousands(case),
        label,
        quantity(_middle(chosen, "build_seconds") / count),
        quantity(_middle(chosen, "free_seconds") / count),
        with_unit(own, " B", 1) if traced else "–",
        with_unit(_middle(chosen, "own_growth_bytes") / count, " B", 1) if traced else "–",
    ]


def thread_table(samples: list[Sample]) -> list[str]:
    """One line per tool: what it loses of the untraced scaling, per kind of work."""
    table = medians(samples, "threads", "seconds")
    relative = ratios(table)
    rows = []
    for name in _tools(table):
        losses = [
            with_unit(scaling_loss(table, mode, name) * 100, " %", 1) if f"{mode}/2" in relative[name] else "–"
            for mode in targets.THREAD_MODES
        ]
        rows.append([LABELS[name], *losses])
    return markdown(["loss with two threads", *targets.THREAD_MODES], rows)


def reading_table(samples: list[Sample]) -> list[str]:
    """One line per answer: how long it takes, and how much memory."""
    good = [sample for sample in samples if sample.kind == "reading" and not sample.problem]
    times, memory = medians(good, "reading", "seconds"), medians(good, "reading", "peak_rss_bytes")
    rows = [
        [name, case, quantity(seconds), with_unit(memory[name][case] / 2**20, " MiB", 0)]
        for name in sorted(times)
        for case, seconds in times[name].items()
    ]
    return markdown(["answer", "of", "time", "peak memory"], rows)


def memory_table(samples: list[Sample]) -> list[str]:
    """One line per program and tool: how large, and whether the tracer knows how much of that is its own."""
    rows = []
    for case, title in memory.CASES.items():
        peaks = {
            name: cases.get(case, math.nan) for name, cases in medians(samples, "memory", "peak_rss_bytes").items()
        }
        held = {
            name: cases.get(case, math.nan) for name, cases in medians(samples, "memory", "anonymous_bytes").items()
        }
        told = {name: cases.get(case, math.nan) for name, cases in medians(samples, "memory", "own_bytes").items()}
        plain = peaks.get("untraced", math.nan)
        for tool in memory.TOOLS:
            peak = peaks.get(tool.name, math.nan)
            grown = held.get(tool.name, math.nan) - held.get("untraced", math.nan)
            is_plain = tool.name == "untraced"
            own = "–" if is_plain else f"{size(grown)}, {size(told.get(tool.name, math.nan))}"
            ratio = with_unit(peak / plain, "×")
            rows.append([title, tool.label, size(peak), ratio, own])
    return markdown(["program", "tool", "peak", "ratio", "grown by, says"], rows)


def startup_table(samples: list[Sample]) -> list[str]:
    """One line per way to start: how much more than without heapsight."""
    names = {sample.tool: None for sample in samples if sample.kind == "startup" and sample.tool != "absent"}
    rows = []
    for name in sorted(names):
        wall = paired_difference(samples, "startup", "seconds", name, "absent")
        cpu = paired_difference(samples, "startup", "cpu_seconds", name, "absent")
        rows.append([name, *(f"{each.middle * 1e3:+.2f} ± {each.half_width * 1e3:.2f} ms" for each in (wall, cpu))])
    return markdown(["start-up, more than absent", "wall", "CPU"], rows)


def dropin_table(samples: list[Sample]) -> list[str]:
    """One line per question, to `tracemalloc` and to the drop-in."""
    rows = []
    for step, title in dropin.STEPS.items():
        theirs, ours = dropin.figures(samples, step)
        show = size if step.endswith("_bytes") else quantity
        rows.append([title, show(theirs), show(ours), with_unit(theirs / ours, "×", 1) if ours else "–"])
    return markdown(["", dropin.TRACEMALLOC.label, dropin.DROP_IN.label, "less by"], rows)


def size(bytes_: float) -> str:
    """A size in megabytes."""
    return "–" if math.isnan(bytes_) else f"{bytes_ / 1e6:.3g} MB"


def target_table(samples: list[Sample], notes: dict[str, Any]) -> list[str]:
    """Every promise with what was measured."""
    rows = []
    for target in targets.judge(samples, notes):
        verdict = "met" if target.met else "**missed**"
        measured = with_unit(target.measured, f" {target.unit}")
        rows.append([target.what, f"≤ {target.limit:g} {target.unit}", measured, verdict])
    return markdown(["target", "limit", "measured", ""], rows) if rows else []


def problems(samples: list[Sample]) -> list[str]:
    """What was left out or failed, one line each."""
    seen = {(sample.case, sample.tool, sample.problem): None for sample in samples if sample.problem}
    return [f"* {case}, {tool}: {problem}" for case, tool, problem in seen]


def machine_lines(notes: dict[str, Any]) -> list[str]:
    """Where and with what a run was made."""
    versions = ", ".join(f"{name} {version}" for name, version in notes["versions"].items() if version)
    flags = " ".join(notes["python_build_flags"]) or "no options"
    size = ", quick" if notes["quick"] else ""
    cores = f"{notes['usable_cores']} of {notes['cores']} cores, {notes['memory_bytes'] / 2**30:.0f} GiB"
    load = f"{notes['load_average']:.2f} at the start, {notes['load_average_end']:.2f} at the end"
    return [
        f"* {notes['date']}, revision {notes['revision']}, {notes['rounds']} rounds{size}",
        f"* {notes['cpu']}, {cores}, {notes['kernel']}, governor {notes['governor']}, load average {load}",
        f"* Python {notes['python']}; configured with {flags}",
        f"* How it was built: {notes.get('python_build', notes['python_optimisation'])}",
        f"* {versions}",
        "",
    ]


SECTIONS = (
    (
        "pyperformance",
        "Whole programs",
        "Ratio to the same interpreter untraced, in the same run; 1.00 is free. *file*: size of the file, geometric mean of the ratio to "
        "memray's with Python allocators.",
    ),
    ("deep", "Deep stacks", "Recursion 150 frames deep that allocates."),
)

WHOLE = {
    "paths": ("Programs that make call paths", "On fresh data, nothing warmed up."),
    "everyday": ("Everyday programs", "Small scripts that nothing was tuned for."),
    "native": ("Native memory", "Programs whose memory is that of C code."),
}


def full(samples: list[Sample], notes: dict[str, Any]) -> str:
    """The whole table of a run."""
    kinds = {sample.kind for sample in samples}
    out = [f"# heapsight's cost on Python {notes['tag']}", "", *machine_lines(notes)]
    judged = target_table(samples, notes)
    if judged:
        out += ["## Targets", "", *judged]
    for kind, title, text in SECTIONS:
        if kind in kinds:
            out += [f"## {title}", "", text, "", *overhead_summary(samples, kind), *per_case(samples, kind)]
    for section, (title, text) in WHOLE.items():
        if section in kinds:
            text += " CPU time of whole processes, start and end included."
            out += [f"## {title}", "", text, "", *whole_table(samples, section)]
    if "blocks" in kinds:
        out += ["## Live blocks", "", "One-element tuples and their ints.", "", *block_table(samples)]
        out += ["How long one waits for an answer about them:", "", *question_table(samples)]
    if "memory" in kinds:
        text = "Peak resident memory of programs that make very many call paths."
        out += ["## Memory by call paths", "", text, "", *memory_table(samples)]
    if "dropin" in kinds:
        blocks_asked = next(sample.case for sample in samples if sample.kind == "dropin")
        text = (
            f"{int(blocks_asked):,} live blocks: one-element tuples and their ints. Each question asked once.".replace(
                ",", " "
            )
        )
        out += ["## `tracemalloc` and the drop-in", "", text, "", *dropin_table(samples)]
    if "threads" in kinds:
        out += ["## Two threads", "", *thread_table(samples)]
    if "startup" in kinds:
        out += ["## Start-up", "", *startup_table(samples)]
    if "reading" in kinds:
        sizes = medians(samples, "reading", "capture_bytes").values()
        megabytes = max((size for cases in sizes for size in cases.values()), default=math.nan) / 1e6
        text = f"A recording of {number(megabytes, 1)} MB; each command from its start to its end."
        out += ["## Reading", "", text, "", *reading_table(samples)]
    failed = problems(samples)
    if failed:
        out += ["## Left out and failed", "", *failed, ""]
    return "\n".join(out)


def short(samples: list[Sample], notes: dict[str, Any]) -> str:
    """The lines for a README."""
    times = ratios(medians(samples, "pyperformance", "seconds"))
    memory = ratios(medians(samples, "pyperformance", "peak_rss_bytes"))
    rows = []
    for name in _tools(times):
        if name == "control":
            continue
        time = line(times[name])
        rss = with_unit(line(memory[name]).mean, "×")
        rows.append(
            [LABELS[name], with_unit(time.mean, "×"), with_unit(time.p90, "×"), with_unit(time.worst, "×"), rss]
        )
    count = len(times.get("untraced", {}))
    build = f" ({notes['python_build']})" if "python_build" in notes else ""
    missing = "".join(f" {name} is not in it: {reason}." for name, reason in notes.get("missing", {}).items())
    caption = (
        f"{count} pyperformance programs, ratio to the same interpreter untraced, all tools in one run; "
        f"Python {notes['tag']}{build}, {notes['cpu']}, {notes['date']}.{missing}"
    )
    return "\n".join([*markdown(["", "time, geomean", "P90", "worst", "peak memory"], rows), caption])


def update(target: Path, text: str) -> None:
    """Replace what is between the two markers of a file. Raises ValueError if they are not there."""
    content = target.read_text(encoding="utf-8")
    if BEGIN not in content or END not in content:
        raise ValueError(f"{target}: no {BEGIN} and {END} to write between; add these two lines")
    before, rest = content.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    target.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def write(run: Path) -> Path:
    """Write ``table.md`` into a run's folder."""
    table = run / "table.md"
    notes = json.loads((run / "notes.json").read_text(encoding="utf-8"))
    table.write_text(full(load(run), notes), encoding="utf-8")
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description="Show a run as Markdown.")
    parser.add_argument("run", type=Path, help="a folder below benchmarks/runs")
    parser.add_argument("--short", action="store_true", help="only the lines for a README")
    parser.add_argument("--update", type=Path, metavar="FILE", help="put the short table into FILE")
    options = parser.parse_args(arguments)
    try:
        notes = json.loads((options.run / "notes.json").read_text(encoding="utf-8"))
        samples = load(options.run)
        if options.update:
            update(options.update, short(samples, notes))
        else:
            print((short if options.short else full)(samples, notes))
    except (OSError, ValueError) as error:
        print(f"benchmarks.table: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

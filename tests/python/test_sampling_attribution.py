"""A sampled block belongs to the code that allocated it, also where code comes and goes and addresses are used again."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from harness import Start
from harness import heapsight as heapsight_command

import heapsight
from heapsight import _testing

pytestmark = pytest.mark.usefixtures("untraced")

MODULES = 60
SAMPLE_BYTES = 65536

#: A module holds 2 MB: some thirty mean distances, so that none goes without a sample in 10 ** 12 runs.
MODULE = """
def make(count):
    return [bytes(1000) for _ in range(count)]
held = make(2000)
"""


def margin(size: int) -> float:
    """Give what reports show behind ±."""
    return float(SAMPLE_BYTES + 2 * (SAMPLE_BYTES * (size + SAMPLE_BYTES)) ** 0.5)


@pytest.mark.parametrize("limit", [1, None])
def test_each_block_is_attributed_to_the_file_that_allocated_it_although_its_code_is_dead(limit: int | None) -> None:
    heapsight.set_traceback_limit(limit)
    heapsight.enable(sample_bytes=1)
    kept: list[bytes] = []
    for number in range(300):
        source = "def append(): kept.append(bytes(100))\nappend()\nkept.append(bytes(200))\n"
        exec(compile(source, f"file{number}.py", "exec"), {"kept": kept})
    for number in range(300):
        for block, (line, name) in zip(kept[2 * number : 2 * number + 2], [(1, "append"), (3, "<module>")]):
            trace = heapsight.get_object_trace(block)
            assert trace is not None
            assert trace.traceback[0] == heapsight.Frame(f"file{number}.py", line, name)


def write_modules(folder: Path, prefix: str) -> list[str]:
    """Write the modules; return their names."""
    names = [f"{prefix}{number}" for number in range(MODULES)]
    for name in names:
        (folder / f"{name}.py").write_text(MODULE)
    return names


@pytest.mark.parametrize("limit", [1, None])
def test_all_imported_modules_that_hold_memory_are_named(
    limit: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = write_modules(tmp_path, f"held_with_limit_{limit}_")
    monkeypatch.syspath_prepend(tmp_path)
    heapsight.set_traceback_limit(limit)
    _testing.fix_sampling_seed(7)
    heapsight.enable(sample_bytes=SAMPLE_BYTES)
    _testing.fix_sampling_seed(None)
    modules = [__import__(name) for name in names]
    stats = heapsight.get_stats()
    true_size = 2000 * modules[0].held[0].__sizeof__()
    sizes = {name: stats.get(str(tmp_path / f"{name}.py"), {}) for name in names}
    for name, lines in sizes.items():
        size = sum(stat.size for stat in lines.values())
        assert abs(size - true_size) < 2 * margin(true_size), name


def test_all_imported_modules_that_hold_memory_are_named_in_a_recording(capture: Path) -> None:
    names = write_modules(capture.parent, "held")
    script = capture.with_name("program.py")
    script.write_text(f"modules = [__import__(name) for name in {names}]\n")
    done = Start([script]).traced(capture, "--quiet", f"--sample={SAMPLE_BYTES}")
    assert (done.status, done.errors) == (0, "")
    output = capture.with_suffix(".csv")
    told = heapsight_command("export", "--to", "csv", "--group-by", "filename", "-o", output, capture)
    assert told.status == 0, told.errors
    with output.open(newline="") as rows:
        named = {Path(row["filename"]).stem for row in csv.DictReader(rows)}
    assert not set(names) - named

"""`heapsight export`, checked with the programs that the formats are for."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from harness import ROOT, Start, heapsight

PROGRAM = """
def load(): return [bytes(1000) for _ in range(2000)]
def index(kept): return dict(map(lambda number: (number, str(number)), range(5000)))
kept = load()
names = index(kept)
dropped = load()
del dropped
"""

#: Release whose schema is asked for.
SPEEDSCOPE = "speedscope@1.25.0"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a capture of a small program."""
    folder = tmp_path_factory.mktemp("export")
    script = folder / "program.py"
    script.write_text(PROGRAM)
    capture = folder / "run.heapsight"
    done = Start([script]).traced(capture, "--quiet")
    assert (done.status, done.errors) == (0, "")
    return capture


@pytest.fixture(scope="module")
def totals(recording: Path) -> dict[str, int]:
    """Return bytes by metric, as `heapsight stats` has them."""
    metrics = json.loads(heapsight("stats", "--json", recording).text)["metrics"]
    return {name: metric["bytes"] for name, metric in metrics.items()}


def exported(recording: Path, form: str, *options: str) -> bytes:
    """Return an export, taken from standard output."""
    done = heapsight("export", "--to", form, "-o", "-", *options, recording)
    assert (done.status, done.errors) == (0, "")
    return done.stdout


def test_csv_adds_up(recording: Path, totals: dict[str, int]) -> None:
    rows = list(csv.DictReader(io.StringIO(exported(recording, "csv").decode())))
    for metric in ("live", "allocated", "freed", "peak", "temporary"):
        assert sum(int(row[f"{metric}_bytes"]) for row in rows) == totals[metric]


def test_collapsed_adds_up(recording: Path, totals: dict[str, int]) -> None:
    lines = exported(recording, "collapsed", "--metric", "peak").decode().splitlines()
    assert sum(int(line.rsplit(" ", 1)[1]) for line in lines) == totals["peak"]
    assert any(re.search(r"<module> \(.*program.py:4\);load \(.*program.py:2\)", line) for line in lines)


def test_go_tool_pprof_reads_pprof(recording: Path, totals: dict[str, int], tmp_path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed (Debian: golang-go)")
    path = tmp_path / "run.pb.gz"
    path.write_bytes(exported(recording, "pprof"))

    def pprof(*options: str) -> str:
        environment = {**os.environ, "PPROF_TMPDIR": str(tmp_path)}
        command = [go, "tool", "pprof", *options, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    raw = pprof("-raw")
    assert "alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes" in raw
    samples = re.findall(r"^ +(\d+) +(\d+) +(\d+) +(\d+): ", raw, re.MULTILINE)
    assert sum(int(sample[1]) for sample in samples) == totals["allocated"]
    assert sum(int(sample[3]) for sample in samples) == totals["live"]
    top = pprof("-top", "-sample_index=inuse_space", "-unit=b", "-lines")
    assert re.search(r"load.*program\.py:2", top)
    # It would show code that is named <module> without a name.
    cumulative = pprof("-top", "-cum", "-sample_index=alloc_space", "-unit=b")
    assert re.search(r" module program$", cumulative, re.MULTILINE)
    assert re.search(
        r" index\.<locals>\.<lambda>$" if sys.version_info >= (3, 11) else r" <lambda>$", cumulative, re.MULTILINE
    )
    assert re.search(r"domain:\[python\.mem\]", raw)


def test_polars_reads_parquet(recording: Path, totals: dict[str, int], tmp_path: Path) -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed (pip install polars)")
    path = tmp_path / "run.parquet"
    path.write_bytes(exported(recording, "parquet"))
    query = "SELECT SUM(live_bytes) AS live, SUM(peak_bytes) AS peak, SUM(allocated_bytes) AS allocated FROM run"
    with polars.SQLContext(run=polars.scan_parquet(path)) as sql:
        [row] = sql.execute(query, eager=True).to_dicts()
    assert row == {name: totals[name] for name in ("live", "peak", "allocated")}
    frame = polars.read_parquet(path)
    [biggest] = frame.sort("live_bytes", descending=True).head(1).to_dicts()
    assert biggest["line"] == 2
    assert biggest["call_path"][-1].startswith("<module> (")


def test_speedscope_json_fits_the_published_schema(recording: Path) -> None:
    schema = speedscope_schema()
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed (pip install jsonschema)")
    jsonschema.validate(json.loads(exported(recording, "speedscope")), schema)


def speedscope_schema() -> object:
    """Return the schema that speedscope publishes in its npm package, fetched once into the build folder."""
    folder = ROOT / "target" / "readers"
    path = folder / "package" / "dist" / "release" / "file-format-schema.json"
    npm = shutil.which("npm")
    if not path.exists():
        if npm is None:
            pytest.skip("npm is not installed, and the schema of speedscope comes from it")
        folder.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(
            [npm, "pack", "--silent", "--prefer-offline", "--fetch-retries=0", SPEEDSCOPE],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        if packed.returncode != 0:
            pytest.skip(f"{SPEEDSCOPE} cannot be fetched: {packed.stderr.strip().splitlines()[:1]}")
        shutil.unpack_archive(folder / packed.stdout.split()[-1], folder)
    return json.loads(path.read_text())


def test_firefox_profile_adds_up(recording: Path, totals: dict[str, int]) -> None:
    profile = json.loads(exported(recording, "firefox", "--metric", "peak"))
    [track] = [track for track in profile["threads"] if track["name"] == "peak bytes"]
    assert sum(track["samples"]["weight"]) == totals["peak"]
    [counter] = profile["counters"]
    assert counter["category"] == "Memory"


def test_json_names_every_frame(recording: Path, totals: dict[str, int]) -> None:
    everything = json.loads(exported(recording, "json"))
    assert everything["format"] == 2
    sites, paths, functions = everything["sites"], everything["call_paths"], everything["functions"]
    assert sum(sites["live_bytes"]) == totals["live"]
    path = sites["call_path"][sites["live_bytes"].index(max(sites["live_bytes"]))]
    names = []
    while path:
        names.append(functions[paths["function"][path]]["function"])
        path = paths["caller"][path]
    assert names[-2:] == ["load", "<module>"]


#: A recursion that has memory at each depth: spelled out, every path is as long as the recursion is deep.
RECURSION = """
import sys
sys.setrecursionlimit(10_000)

def descend(depth, kept):
    kept += [bytearray(depth), [], {}, str(depth) * 9]
    if depth < 1500:
        descend(depth + 1, kept)

kept = []
for number in range(3):
    exec("\\n" * number + "descend(0, kept)")  # on a line of its own, so with paths of its own
"""


@pytest.fixture(scope="module")
def recursion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a capture of a small file whose stacks, spelled out, are several hundred megabytes."""
    folder = tmp_path_factory.mktemp("recursion")
    script = folder / "recursion.py"
    script.write_text(RECURSION)
    capture = folder / "run.heapsight"
    done = Start([script]).traced(capture, "--quiet")
    assert (done.status, done.errors) == (0, "")
    assert capture.stat().st_size < 1_000_000
    return capture


@pytest.mark.parametrize("form", ["pprof", "collapsed", "speedscope", "firefox", "parquet", "csv", "json"])
def test_a_small_capture_is_exported_in_less_than_100_megabytes_of_memory(form: str, recursion: Path) -> None:
    command = [sys.executable, "-m", "heapsight", "export", "--to", form, "--force", "-o", "/dev/null", str(recursion)]
    measure = (
        f"import resource, subprocess; subprocess.run({command!r}, check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", measure], capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < 100_000
    is_told = "will have about " in done.stderr
    assert is_told == (form == "collapsed"), done.stderr


def test_what_spells_stacks_out_says_how_large_it_will_be(recursion: Path) -> None:
    done = heapsight("export", "--to", "collapsed", "-o", "-", recursion)
    assert done.status == 0
    told = re.fullmatch(
        r"heapsight: warning: the output will have about (\d+) MiB, for every call path is spelled out in it: .*\n",
        done.errors,
    )
    assert told is not None, done.errors
    written = len(done.stdout) / (1 << 20)
    assert written * 0.9 < int(told[1]) < written * 1.1
    for form in ("csv", "json", "pprof", "parquet", "firefox"):
        assert len(exported(recursion, form)) < 30_000_000, form
    by_function = heapsight("export", "--to", "collapsed", "--group-by", "filename", "-o", "-", recursion)
    assert by_function.errors == ""


@pytest.mark.parametrize("form", ["collapsed", "parquet"])
def test_a_reader_that_has_seen_enough_is_no_failure(form: str, recursion: Path) -> None:
    command = [sys.executable, "-m", "heapsight", "export", "--to", form, "-o", "-", str(recursion)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=False) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert len(running.stdout.read(10)) == 10
        running.stdout.close()
        errors = running.stderr.read().decode()
    assert running.returncode in (0, -signal.SIGPIPE)
    assert all("will have about" in line for line in errors.splitlines()), errors


def test_threads_are_labels_in_pprof_and_no_frames_in_collapsed(tmp_path: Path) -> None:
    script = tmp_path / "threads.py"
    script.write_text(
        "import threading\n"
        "def work(): kept.append(bytearray(100_000))\n"
        "kept = []\n"
        "thread = threading.Thread(target=work, name='worker')\n"
        "thread.start(); thread.join(); work()\n"
    )
    capture = tmp_path / "run.heapsight"
    Start([script]).traced(capture, "--quiet", "--threads")
    lines = exported(capture, "collapsed").decode().splitlines()
    assert all(" (" in frame or frame.startswith("<") for line in lines for frame in line.rsplit(" ", 1)[0].split(";"))
    assert not any("thread " in line.split(";")[0] for line in lines)
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed (Debian: golang-go)")
    path = tmp_path / "run.pb.gz"
    path.write_bytes(exported(capture, "pprof"))
    command = [go, "tool", "pprof", "-tags", "-sample_index=inuse_space", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PPROF_TMPDIR": str(tmp_path)})
    assert re.search(r"thread: Total", done.stdout), done.stdout


def test_filters_and_moments_apply_to_exports(recording: Path) -> None:
    only = exported(recording, "collapsed", "--at", "peak", "-I", "*program.py:6", "--group-by", "function").decode()
    stacks = only.splitlines()
    assert stacks
    assert all("<module> (" in stack and "load (" in stack for stack in stacks)


def test_a_file_is_written_beside_the_capture_and_kept(recording: Path) -> None:
    first = heapsight("export", "--to", "csv", recording)
    path = recording.with_suffix(".csv")
    assert first.status == 0
    assert str(path) in first.text
    path.write_text("precious")
    again = heapsight("export", "--to", "csv", recording)
    assert again.status == 2
    [line] = again.errors.splitlines()
    assert "--force" in line
    assert path.read_text() == "precious"
    assert heapsight("export", "--force", "--to", "csv", recording).status == 0
    assert path.read_text() != "precious"


def test_an_export_that_fails_leaves_nothing(recording: Path, tmp_path: Path) -> None:
    missing = heapsight("export", "--to", "json", "-o", tmp_path / "no" / "such" / "run.json", recording)
    assert missing.status == 2
    assert len(missing.errors.splitlines()) == 1
    full = heapsight("export", "--force", "--to", "json", "-o", "/dev/full", recording)
    assert full.status == 74
    assert len(full.errors.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []

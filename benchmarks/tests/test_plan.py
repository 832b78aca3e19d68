"""How much is run, and what is refused."""

from pathlib import Path

import pytest

from benchmarks import build_of, cli, table, tools, whole, workloads
from benchmarks.machine import build_flags
from benchmarks.overhead import next_loops, rounds_for, warmups_for
from benchmarks.records import COMPRESSED, PLAIN, Sample, Store, compress, load


def test_loops_aim_at_the_target_time() -> None:
    assert next_loops(10, timed_seconds=0.1, target_seconds=0.4) == 40


def test_loops_grow_a_hundredfold_at_most_and_never_reach_zero() -> None:
    assert next_loops(1, timed_seconds=1e-7, target_seconds=0.4) == 100
    assert next_loops(1, timed_seconds=60.0, target_seconds=0.4) == 1


def test_a_tenth_of_the_loops_warms_up_but_a_long_loop_warms_itself() -> None:
    assert [warmups_for(2000, 0.0002), warmups_for(4, 0.1), warmups_for(1, 2.0)] == [200, 1, 0]


def test_slow_combinations_are_measured_less_often_but_always_once() -> None:
    assert [rounds_for(seconds, 5) for seconds in (0.5, 10.0, 100.0)] == [5, 3, 1]
    assert rounds_for(10.0, 1) == 1


def test_there_are_thirty_workloads_and_eight_quick_ones() -> None:
    assert len(workloads.select("pyperformance", quick=False, only=[])) >= 30
    assert len(workloads.select("pyperformance", quick=True, only=[])) == 8


def test_names_are_unique() -> None:
    names = workloads.names()
    assert len(names) == len(set(names))


def test_the_untraced_interpreter_is_always_measured() -> None:
    assert [tool.name for tool in tools.select(["memray"])] == ["untraced", "memray"]


def test_a_tool_that_did_not_trace_is_not_believed(tmp_path: Path) -> None:
    capture = tmp_path / "capture"
    capture.write_bytes(bytes(2000))
    on = {"limit": 1, "peak_bytes": 10}
    by_name = {tool.name: tool for tool in tools.TOOLS}
    assert by_name["untraced"].objection({"memray": False}, capture) == ""
    assert by_name["untraced"].objection({"memray": False, "tracemalloc": on}, capture)
    assert by_name["tracemalloc-1"].objection({"tracemalloc": on}, capture) == ""
    assert by_name["tracemalloc-1"].objection({}, capture)
    assert "kept 1 frames" in by_name["tracemalloc-25"].objection({"tracemalloc": on}, capture)
    assert by_name["heapsight-1"].objection({"heapsight": on}, capture) == ""
    assert by_name["heapsight-1"].objection({"heapsight": {**on, "peak_bytes": 0}}, capture)
    assert "kept 7 frames" in by_name["heapsight-x1"].objection({"heapsight": {**on, "limit": 7}}, capture)
    assert by_name["heapsight-1"].objection({"heapsight": on}, tmp_path / "none") == "no capture file was written"
    assert by_name["heapsight-1"].objection({"heapsight": on, "tracemalloc": on}, capture)


def test_build_flags_name_no_folder() -> None:
    assert build_flags("'--prefix=/opt/x' '--enable-optimizations' 'LDFLAGS=-L/opt/x/lib'") == [
        "--enable-optimizations"
    ]


@pytest.mark.parametrize("over", [False, True], ids=["interrupted", "over"])
def test_samples_survive_the_disk(tmp_path: Path, over: bool) -> None:
    store = Store(tmp_path / PLAIN)
    store.add(Sample("deep", "deep_loop", "control", 2, {"seconds": 0.25}))
    store.add(Sample("deep", "deep_loop", "memray", 2, {}, "timed out after 180 s"))
    if over:
        compress(tmp_path)
        assert [file.name for file in tmp_path.iterdir()] == [COMPRESSED]
    assert load(tmp_path) == store.samples


def test_a_run_that_measured_nothing_has_no_samples(tmp_path: Path) -> None:
    assert load(tmp_path) == []


def test_a_second_run_of_a_day_gets_its_own_folder(tmp_path: Path) -> None:
    first, second = cli.new_folder(tmp_path, "3.12.1"), cli.new_folder(tmp_path, "3.12.1")
    assert second.name == first.name + "-2"


@pytest.mark.parametrize("arguments", [["--only", "nonsense"], ["--tools", "nonsense"], ["--sections", "nonsense"]])
def test_an_unknown_name_is_refused_before_anything_is_installed(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 1
    assert f"{arguments[0]}: unknown name 'nonsense'" in capsys.readouterr().err


def test_updating_a_readme_replaces_only_what_is_between_the_markers(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n", encoding="utf-8")
    table.update(readme, "new")
    assert readme.read_text(encoding="utf-8") == f"before\n{table.BEGIN}\nnew\n{table.END}\nafter\n"


def test_a_readme_without_markers_is_left_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("text\n", encoding="utf-8")
    with pytest.raises(ValueError, match="add these two lines"):
        table.update(readme, "new")
    assert readme.read_text(encoding="utf-8") == "text\n"


def test_a_table_says_what_failed() -> None:
    samples = [
        Sample("deep", "deep_loop", "untraced", 0, {"seconds": 1.0}),
        Sample("deep", "deep_loop", "memray", 0, {}, "timed out after 180 s"),
        Sample("deep", "deep_loop", "memray", 1, {}, "timed out after 180 s"),
    ]
    assert table.problems(samples) == ["* deep_loop, memray: timed out after 180 s"]


def test_one_name_is_enough_to_run_a_program_from_start_to_end() -> None:
    options = cli.parser().parse_args(["--programs", "parser,go"])
    cli.check_names(options)
    assert cli.sections(options) == ["pyperformance", "paths"]
    assert [program.case for program in whole.select("paths", options.only)] == ["parser"]


def test_names_of_programs_are_those_of_no_workload() -> None:
    assert len({*whole.names(), *workloads.names()}) == len(whole.names()) + len(workloads.names())


def test_what_sysconfig_says_of_the_build_is_told() -> None:
    facts = {"flags": ["'--enable-optimizations' '--with-lto'", "-g -O2 -Wall -O3"]}
    assert build_of.describe(facts) == "PGO, LTO, -O3, by its sysconfig"


def test_a_silent_sysconfig_is_not_taken_for_a_no(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_bytes(b"")
    facts = {"flags": ["-O2"], "executable": str(program), "library": "", "library_folder": ""}
    assert build_of.describe(facts) == "PGO and LTO not told by its sysconfig, -O2"
    assert build_of.build_id(facts) == ""

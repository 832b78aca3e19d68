"""When the instruction guard complains."""

from benchmarks.instructions.counting import per_object
from benchmarks.instructions.events import PASSES, WORKLOADS
from benchmarks.instructions.guard import allowed, compare, is_same_build, is_same_interpreter, judge


def test_more_than_three_percent_is_a_regression() -> None:
    worse, better = compare({"full": {"floats": 100.0}}, {"full": {"floats": 103.5}})
    assert [change.workload for change in worse] == ["floats"]
    assert not better


def test_less_than_three_percent_is_not() -> None:
    assert compare({"full": {"floats": 100.0}}, {"full": {"floats": 102.5}}) == ([], [])


def test_one_instruction_is_let_through_where_three_percent_is_less() -> None:
    assert allowed(3.0) == 4.0
    assert compare({"sampled": {"floats": 3.0}}, {"sampled": {"floats": 3.9}}) == ([], [])


def test_a_gain_is_reported_and_does_not_fail() -> None:
    worse, better = compare({"full": {"floats": 100.0}}, {"full": {"floats": 80.0}})
    assert not worse
    assert str(better[0]) == "full, floats: 100.0 → 80.0 instructions per object (-20.0 %)"


def test_the_interpreter_itself_and_new_workloads_are_not_compared() -> None:
    assert compare({"off": {"floats": 1.0}}, {"off": {"floats": 9.0}, "full": {"new": 5.0}}) == ([], [])


def test_another_build_of_the_same_version_is_noticed() -> None:
    assert is_same_interpreter({"floats": 600.0}, {"floats": 605.0})
    assert not is_same_interpreter({"floats": 600.0}, {"floats": 400.0})


def test_only_the_last_pass_is_counted() -> None:
    passes = [[1000] * (2 * len(WORKLOADS))] * (PASSES - 1)
    last = [number for workload in WORKLOADS for number in (workload.objects * 5, workload.objects * 2)]
    counts = per_object([77, *(number for each in passes for number in each), *last, 99])
    assert counts["floats"] == 5.0
    assert counts["floats, freed"] == 2.0
    assert counts["recursion, freed"] == 2.0
    assert "temporary, freed" not in counts


BASELINE = {
    "version": "3.14.1",
    "build": "aa",
    "counts": {"off": {"floats": 600.0}, "full": {"floats": 100.0}},
}


def test_a_build_is_known_by_its_identifier_and_by_its_counts_where_there_is_none() -> None:
    assert is_same_build(BASELINE, "aa", {"floats": 700.0})
    assert not is_same_build(BASELINE, "bb", {"floats": 600.0})
    assert is_same_build(BASELINE, "", {"floats": 601.0})
    assert not is_same_build(BASELINE, "", {"floats": 700.0})


def test_another_build_is_compared_less_strictly_and_not_left_out() -> None:
    def status(build: str, count: float) -> int:
        return judge("3.14.2", build, {"off": {"floats": 400.0}, "full": {"floats": count}}, BASELINE)

    assert [status("aa", 102.0), status("aa", 106.0)] == [0, 1]
    assert [status("bb", 106.0), status("bb", 112.0)] == [0, 1]

"""heapsight.tracemalloc has every name of `tracemalloc`, with the same parameters, messages and states."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import pytest
from harness import clean_environment

import heapsight
from heapsight import tracemalloc as drop_in

BOTH = pytest.mark.parametrize("module", [tracemalloc, drop_in], ids=["tracemalloc", "heapsight"])
#: What `tracemalloc`'s own file imports is no part of it, but tests reach for these.
REACHED_FOR = {"linecache", "pickle"}


@pytest.fixture(autouse=True)
def off() -> Iterator[None]:
    """Leave both tracers off."""
    yield
    tracemalloc.stop()
    drop_in.stop()


def public_names(module: ModuleType) -> set[str]:
    """Return what the module defines or reaches for."""
    names = {name for name in dir(module) if not name.startswith("_")}
    imported = {name for name in names if isinstance(getattr(module, name), ModuleType)}
    foreign = {"Sequence", "Iterable", "total_ordering"}
    return names - imported - foreign


def test_every_public_name_is_there_and_only_two_more() -> None:
    assert public_names(drop_in) - public_names(tracemalloc) == {"install", "uninstall"}
    assert public_names(tracemalloc) <= public_names(drop_in)
    for name in REACHED_FOR:
        assert getattr(drop_in, name) is getattr(tracemalloc, name)
    for name in ("_get_traces", "_get_object_traceback", "_Traces", "_format_size"):
        assert hasattr(drop_in, name), name


def parameters(value: Any) -> str:
    """Return names, kinds and defaults."""
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in inspect.signature(value).parameters.values()]
    return str(inspect.Signature(plain))


def signatures(module: Any) -> dict[str, str]:
    """Return the parameters of every public function, class and method."""
    found = {}
    for name in sorted(public_names(tracemalloc)):
        value = getattr(module, name)
        found[name] = parameters(value)
        if isinstance(value, type):
            for attribute, method in vars(value).items():
                if inspect.isfunction(method) and (
                    not attribute.startswith("_") or attribute in ("__init__", "_match")
                ):
                    found[f"{name}.{attribute}"] = parameters(method)
    return found


def test_parameters_are_the_same() -> None:
    mine, theirs = signatures(drop_in), signatures(tracemalloc)
    assert mine["start"] == "(nframe=1, /, *, extension_blocks=None)"
    mine["start"] = mine["start"].replace(", *, extension_blocks=None", "")
    assert {name: mine.get(name) for name in theirs} == theirs


def test_classes_are_related_alike() -> None:
    for name in ("Frame", "Traceback", "Trace", "Statistic", "StatisticDiff", "Filter", "DomainFilter", "_Traces"):
        mine, theirs = getattr(drop_in, name), getattr(tracemalloc, name)
        assert issubclass(mine, Sequence) == issubclass(theirs, Sequence), name
        assert [each.__name__ for each in mine.__mro__] == [each.__name__ for each in theirs.__mro__], name
        assert sorted(getattr(mine, "__slots__", [])) == sorted(getattr(theirs, "__slots__", [])), name


def refusal(ask: Callable[[], object]) -> str:
    """Return type and text of the error."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        ask()
    return f"{caught.type.__name__}: {caught.value}"


@pytest.mark.parametrize("limit", [0, -1, 65_536, 2**31 - 1, 2**31, -(2**40), 2**80, "1", None, 1.5, [], object])
def test_wrong_limits_are_refused_in_the_same_words(limit: Any) -> None:
    assert refusal(lambda: drop_in.start(limit)) == refusal(lambda: tracemalloc.start(limit))
    assert not drop_in.is_tracing()


@pytest.mark.parametrize(
    "call", ["start(nframe=1)", "start(1, 2)", "stop(1)", "get_traced_memory(1)", "_get_object_traceback()"]
)
def test_wrong_calls_are_type_errors(call: str) -> None:
    for module in (tracemalloc, drop_in):
        with pytest.raises(TypeError):
            eval(call, vars(module))


@BOTH
def test_a_snapshot_needs_tracing(module: Any) -> None:
    assert (
        refusal(module.take_snapshot)
        == "RuntimeError: the tracemalloc module must be tracing memory allocations to take a snapshot"
    )


@BOTH
def test_limits_true_and_index_count_as_numbers(module: Any) -> None:
    class Seven:
        def __index__(self) -> int:
            return 7

    module.start(True)
    assert module.get_traceback_limit() == 1
    module.stop()
    module.start(Seven())
    assert module.get_traceback_limit() == 7


@BOTH
def test_a_second_start_changes_nothing_and_the_limit_outlives_tracing(module: Any) -> None:
    module.start(3)
    module.start(9)
    assert module.get_traceback_limit() == 3
    module.stop()
    module.stop()
    assert (module.is_tracing(), module.get_traceback_limit(), module.get_traced_memory()) == (False, 3, (0, 0))


@BOTH
def test_nothing_is_known_and_nothing_fails_while_tracing_is_off(module: Any) -> None:
    module.clear_traces()
    module.reset_peak()
    assert module._get_traces() == []
    assert module._get_object_traceback([]) is None
    assert module.get_object_traceback([]) is None


@BOTH
def test_a_block_from_no_python_code_has_one_unknown_frame(module: Any) -> None:
    import ctypes

    malloc, free = ctypes.pythonapi.PyMem_RawMalloc, ctypes.pythonapi.PyMem_RawFree
    malloc.restype, free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    create, join = ctypes.CDLL(None).pthread_create, ctypes.CDLL(None).pthread_join
    module.start(5)
    thread = ctypes.c_ulong()
    # The thread's function is PyMem_RawMalloc itself, its argument the size: Python does not know of that thread.
    create(ctypes.byref(thread), None, ctypes.cast(malloc, ctypes.c_void_p), ctypes.c_void_p(54_321))
    block = ctypes.c_void_p()
    join(thread, ctypes.byref(block))
    assert (0, 54_321, (("<unknown>", 0),), 1) in module._get_traces()
    free(block)
    assert (0, 54_321, (("<unknown>", 0),), 1) not in module._get_traces()


@BOTH
def test_all_frames_are_counted_beyond_the_limit(module: Any) -> None:
    def deeper(depth: int) -> bytes:
        return deeper(depth - 1) if depth else bytes(70_001)

    module.start(1)
    kept = [deeper(0), deeper(20)]
    totals = [trace.traceback.total_nframe for trace in module.take_snapshot().traces if trace.size > 70_000]
    assert len(kept) == len(totals)
    assert abs(totals[0] - totals[1]) == 20
    assert all(len(module.get_object_traceback(each)) == 1 for each in kept)


@BOTH
def test_equal_tracebacks_of_one_call_are_one_object(module: Any) -> None:
    module.start(4)
    kept = [bytes(50_000 + number) for number in range(10)]
    found = {id(frames) for _domain, size, frames, _total in module._get_traces() if size >= 50_000}
    assert len(kept) == 10
    assert len(found) == 1


@pytest.mark.usefixtures("untraced")
def test_both_namespaces_of_heapsight_are_one_tracer() -> None:
    drop_in.start(6)
    assert heapsight.is_enabled()
    assert heapsight.get_traceback_limit() == 6
    heapsight.disable()
    assert not drop_in.is_tracing()
    heapsight.enable()
    assert drop_in.is_tracing()
    kept = bytes(4321)
    traceback = drop_in.get_object_traceback(kept)
    assert traceback is not None
    assert traceback[0].filename == __file__


def test_old_and_new_snapshot_may_be_those_of_tracemalloc() -> None:
    traces = [(0, 5, (("a.py", 1), ("b.py", 2)), 2), (0, 9, (("c.py", 1),), 1)]
    new = drop_in.Snapshot(traces, 2)
    old: Any = tracemalloc.Snapshot(traces[:1], 2)
    expected = drop_in.Snapshot(traces, 2).compare_to(drop_in.Snapshot(traces[:1], 2), "traceback")
    assert new.compare_to(old, "traceback") == expected


def test_files_of_python_3_8_have_three_values_for_each_block() -> None:
    snapshot = drop_in.Snapshot([(0, 5, (("a.py", 1),)), (0, 6, (("a.py", 1),))], 1)
    assert [str(each) for each in snapshot.statistics("lineno")] == ["a.py:1: size=11 B, count=2, average=6 B"]
    assert snapshot.traces[0].traceback.total_nframe is None
    kept = snapshot.filter_traces([drop_in.Filter(True, "a.py")])
    assert kept.traces == snapshot.traces


def test_traces_that_were_looked_at_as_tuples_can_be_changed() -> None:
    drop_in.start()
    snapshot = drop_in.take_snapshot()
    snapshot.traces._traces.append((7, 10**12, (("x.py", 1),), 1))
    assert str(snapshot.statistics("lineno")[0]) == "x.py:1: size=931 GiB, count=1, average=931 GiB"


def test_a_snapshot_takes_memory_by_call_paths_and_not_by_blocks() -> None:
    drop_in.start()
    kept = [[number] for number in range(1000, 101_000)]
    snapshot = drop_in.take_snapshot()
    assert len(snapshot.traces) >= 2 * len(kept)
    assert snapshot.traces._table.heap_bytes < 100_000


def test_a_program_that_is_traced_from_start_up_loads_the_parts_at_their_first_use() -> None:
    program = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import heapsight.tracemalloc as mine\n"
        "mine.start(); mine.stop()\n"
        "print(sorted(set(sys.modules) - before))\n"
        "mine.Filter(True, '*').filename_pattern\n"
        "print(sorted(name for name in set(sys.modules) - before if name.startswith('heapsight')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "heapsight", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment(),
    )
    at_import, with_filters = map(ast.literal_eval, done.stdout.splitlines())
    assert at_import == ["heapsight.tracemalloc"]
    assert with_filters == [
        "heapsight._tracemalloc",
        "heapsight._tracemalloc.filters",
        "heapsight._tracemalloc.home",
        "heapsight.tracemalloc",
    ]


def test_a_class_that_is_loaded_while_the_drop_in_replaces_tracemalloc_says_that_it_is_there() -> None:
    program = (
        "import heapsight.tracemalloc as mine, pickle\n"
        "frames = mine.Frame, mine.Traceback\n"
        "mine.install()\n"
        "print({each.__module__ for each in (*frames, mine.Snapshot, mine.StatisticDiff)})\n"
        "assert pickle.loads(pickle.dumps(mine.Snapshot)) is mine.Snapshot\n"
        "mine.uninstall()\n"
        "print({each.__module__ for each in (*frames, mine.Snapshot, mine.StatisticDiff, mine.Filter)})\n"
        "assert pickle.loads(pickle.dumps(mine.Snapshot)) is mine.Snapshot\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "heapsight", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment(),
    )
    assert done.stdout == "{'tracemalloc'}\n{'heapsight.tracemalloc'}\n"

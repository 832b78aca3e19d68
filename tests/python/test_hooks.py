"""The allocator hooks where features cross: threads without the GIL, other tools, forks, small stacks, locked memory, the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest
from harness import PROGRAMS, TIMEOUT_SECONDS, Outcome, Start, clean_environment

import heapsight

#: How tracing can be switched on: what to run before, and the argument of enable().
MODES = {
    "exact": ("set_traceback_limit(None)", ""),
    "one frame": ("set_traceback_limit(1)", ""),
    "sampled": ("set_traceback_limit(None)", "sample_bytes=512"),
}

MODE = pytest.mark.parametrize("mode", MODES)

#: Allocators that CPython can be told to use; each is called with a `ctx` of its own.
ALLOCATORS = ["default", "debug"] if sysconfig.get_config_var("Py_GIL_DISABLED") else ["default", "debug", "malloc"]


def run(code: str, mode: str = "exact", library: Path | None = None, **environment: str) -> Outcome:
    """Run a program that may say ENABLE, with `heapsight`, `ctypes` and the C library `raw` at hand."""
    setting, arguments = MODES[mode]
    program = textwrap.dedent(
        f"""
        import ctypes, gc, os, sys, threading
        import heapsight
        from heapsight import _testing
        raw = ctypes.CDLL({str(library)!r}) if {library is not None} else None
        def enable():
            heapsight.enable({arguments})
        heapsight.{setting}
        """
    ) + textwrap.dedent(code)
    return Start(["-c", program], environment=environment).plain()


def assert_quiet(outcome: Outcome, expected: str = "done") -> None:
    """Check that the program ended as it should and nobody complained."""
    assert (outcome.status, outcome.errors) == (0, "")
    assert outcome.text.strip() == expected


@MODE
@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_tracing_is_switched_while_threads_without_the_gil_allocate(
    mode: str, allocator: str, raw_threads: Path
) -> None:
    outcome = run(
        """
        raw.start_threads(3)
        for turn in range(150):
            enable()
            kept = [bytearray(50) for _ in range(50)]
            if turn % 3 == 0:
                heapsight.clear_traces()
            if turn % 5 == 0:
                heapsight.set_traceback_limit(1 + turn % 4)
            if turn % 7 == 0:
                heapsight.reset_peak()
            problems = _testing.audit()
            assert problems == [], problems
            heapsight.get_traces()
            heapsight.disable()
        raw.stop_threads()
        print("done")
        """,
        mode,
        raw_threads,
        PYTHONMALLOC=allocator,
    )
    assert_quiet(outcome)


#: What is live of blocks that no Python frame asked for, by the number of its domain: those of the threads in C.
LIVE_RAW = """
def live():
    sums = [0, 0]
    for domain, path, (allocated, freed, _, _) in _testing.get_counters()[1]:
        if domain == 0 and not path:
            sums = [sums[0] + allocated[0] - freed[0], sums[1] + allocated[1] - freed[1]]
    return sums
"""


@MODE
def test_no_block_of_threads_without_the_gil_is_missed_while_somebody_looks(mode: str, raw_threads: Path) -> None:
    outcome = run(
        LIVE_RAW
        + """
enable()
before = live()
raw.start_threads(2)
for _ in range(200):
    problems = _testing.audit()
    assert problems == [], problems
raw.stop_threads()
assert live() == before, (live(), before)
print("done")
""",
        mode,
        raw_threads,
    )
    assert_quiet(outcome)


@pytest.mark.parametrize("mode", ["exact", "one frame"])
def test_a_snapshot_is_of_one_moment_while_threads_without_the_gil_allocate(mode: str, raw_threads: Path) -> None:
    outcome = run(
        """
        enable()
        raw.start_threads(2)
        for _ in range(100):
            snapshot = heapsight.Snapshot.create(with_traces=True)
            blocks = [trace.size for trace in snapshot.traces.values()]
            places = [place for lines in snapshot.stats.values() for place in lines.values()]
            sums = sum(place.size for place in places), sum(place.count for place in places)
            assert sums == (sum(blocks), len(blocks)), (sums, sum(blocks), len(blocks))
            assert snapshot.traced_memory == sums[0], (snapshot.traced_memory, sums)
        raw.stop_threads()
        print("done")
        """,
        mode,
        raw_threads,
    )
    assert_quiet(outcome)


def test_no_block_of_threads_without_the_gil_is_missed_while_a_recorded_program_changes_its_view(
    raw_threads: Path, capture: Path
) -> None:
    code = (
        f"import ctypes, heapsight; from heapsight import _testing; raw = ctypes.CDLL({str(raw_threads)!r})"
        + LIVE_RAW
        + """
raw.start_threads(2)
for _ in range(200):
    heapsight.clear_traces()
raw.stop_threads()
assert live() == [0, 0], live()
print("done")
"""
    )
    assert_quiet(Start(["-c", code]).traced(capture, "--quiet"))
    stats = json.loads(Start(["-m", "heapsight", "stats", "--json", str(capture)]).plain().text)
    assert stats["lost_events"] == 0


@MODE
def test_a_fork_while_threads_without_the_gil_allocate_leaves_child_and_parent_whole(
    mode: str, raw_threads: Path
) -> None:
    outcome = run(
        """
        import warnings
        warnings.simplefilter("ignore")
        raw.start_threads(2)
        enable()
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                kept = [bytearray(100) for _ in range(100)]
                heapsight.clear_traces()
                kept = [bytearray(100) for _ in range(100)]
                os._exit(len(_testing.audit()))
            assert os.waitpid(pid, 0)[1] == 0
        raw.stop_threads()
        assert _testing.audit() == []
        print("done")
        """,
        mode,
        raw_threads,
    )
    assert_quiet(outcome)


@MODE
def test_no_event_of_another_thread_is_half_in_the_child_of_a_fork(mode: str, raw_threads: Path) -> None:
    outcome = run(
        """
        import warnings
        warnings.simplefilter("ignore")
        raw.start_threads(2)
        enable()
        for _ in range(150):
            pid = os.fork()
            if pid == 0:
                os._exit(len(_testing.audit()))
            assert os.waitpid(pid, 0)[1] == 0
        raw.stop_threads()
        assert _testing.audit() == []
        print("done")
        """,
        mode,
        raw_threads,
    )
    assert_quiet(outcome)


@MODE
def test_a_fork_handler_that_allocates_does_not_wait_for_itself(mode: str, raw_threads: Path) -> None:
    outcome = run(
        """
        raw.register_fork_handlers()
        enable()
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        print("done")
        """,
        mode,
        raw_threads,
    )
    assert_quiet(outcome)


@MODE
def test_a_hook_takes_at_most_four_kilobytes_of_stack(mode: str, raw_threads: Path) -> None:
    outcome = run(
        """
        raw.stack_used.restype = ctypes.c_long
        size = ctypes.c_size_t(1 << 18)
        raw.stack_used(size)
        untraced = raw.stack_used(size)
        enable()
        traced = max(raw.stack_used(size) for _ in range(20))
        assert untraced > 0
        assert traced - untraced <= 4096, (untraced, traced)
        print("done")
        """,
        mode,
        raw_threads,
    )
    assert_quiet(outcome)


@MODE
def test_threads_with_the_smallest_stack_are_traced(mode: str) -> None:
    outcome = run(
        """
        import _thread
        _thread.stack_size(64 * 1024 if sys.version_info < (3, 13) else 128 * 1024)
        enable()
        kept = []
        for turn in range(10):
            thread = threading.Thread(target=lambda: kept.append(bytearray(100_000)))
            thread.start()
            thread.join()
        assert heapsight.get_traced_memory() > 500_000
        print("done")
        """,
        mode,
    )
    assert_quiet(outcome)


@MODE
@pytest.mark.parametrize("hidden", [False, True])
def test_frames_whose_callers_go_round_in_a_ring_are_walked_once(mode: str, hidden: bool) -> None:
    """Up to Python 3.12, throwing into a generator that is passing an exception on makes it a caller of itself."""
    outcome = run(
        f"""
        if {hidden}:
            heapsight.add_exclude_filter("<string>")
        enable()
        def inner():
            try:
                yield
            except KeyError:
                try:
                    waiting.throw(IndexError)
                except ValueError as error:
                    assert str(error) == "generator already executing"
                kept = list(map(bytearray, [100_000] * 100))
                named = {{trace.traceback[0].name for trace in heapsight.get_traces().values()
                         if trace.size > 100_000 and trace.traceback}}
                assert named == (set() if {hidden} else {{"inner"}}), named
                assert (heapsight.get_traced_memory() > 10_000_000) is not {hidden}
                print("done", flush=True)
                os._exit(0)  # what the interpreter makes of its own stack is not to be seen here
        def outer():
            yield from inner()
        waiting = outer()
        next(waiting)
        waiting.throw(KeyError)
        """,
        mode,
    )
    assert_quiet(outcome)


def test_threads_that_enable_at_once_get_one_configuration() -> None:
    outcome = run(
        """
        for turn in range(30):
            barrier = threading.Barrier(4)
            def switch(sample):
                barrier.wait()
                heapsight.enable(sample_bytes=sample)
            threads = [threading.Thread(target=switch, args=(sample,)) for sample in (None, 1, None, 1)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            kept = [bytearray(100) for _ in range(100)]
            assert heapsight.is_enabled()
            assert _testing.audit() == []
            heapsight.disable()
        print("done")
        """
    )
    assert_quiet(outcome)


@MODE
@pytest.mark.parametrize("at_exit", ["kept", "cleared"])
def test_threads_in_c_at_interpreter_exit_do_not_read_freed_thread_states(
    mode: str, at_exit: str, raw_threads: Path
) -> None:
    outcome = run(
        f"""
        import atexit
        raw.rounds_so_far.restype = ctypes.c_long
        enable()
        def deep(depth):
            if depth:
                return deep(depth - 1)
            raw.churn_for_ever()
        for _ in range(3):
            threading.Thread(target=deep, args=(20,), daemon=True).start()
        while raw.rounds_so_far() < 2000:
            pass
        if {at_exit!r} == "cleared":
            atexit._clear()
        print("done", flush=True)
        """,
        mode,
        raw_threads,
        MALLOC_PERTURB_="165",
    )
    assert_quiet(outcome)


@MODE
def test_locked_memory_is_forgotten_as_any_other(mode: str) -> None:
    outcome = run(
        """
        libc = ctypes.CDLL(None)
        enable()
        kept = [bytearray(1000) for _ in range(1000)]
        if libc.mlockall(3) != 0:  # MCL_CURRENT | MCL_FUTURE
            print("done")
            sys.exit()
        for _ in range(3):
            heapsight.clear_traces()
            assert len(heapsight.get_traces()) < 100, len(heapsight.get_traces())
            assert _testing.audit() == []
            kept = [bytearray(1000) for _ in range(1000)]
            heapsight.disable()
            enable()
            assert heapsight.get_traced_memory() < 100_000
        libc.munlockall()
        print("done")
        """,
        mode,
    )
    assert_quiet(outcome)


@MODE
def test_a_block_is_named_by_the_code_that_allocated_it_although_code_dies(mode: str) -> None:
    outcome = run(
        """
        enable()
        kept = []
        for number in range(300):
            space = {"kept": kept}
            exec(compile("kept.append(bytes(20_000))", f"file{number}.py", "exec"), space)
            del space
        wrong = 0
        for number, block in enumerate(kept):
            trace = heapsight.get_object_trace(block)
            wrong += trace is None or trace.traceback[0].filename != f"file{number}.py"
        assert wrong == 0, wrong
        print("done")
        """,
        mode,
    )
    assert_quiet(outcome)


#: What two tools may do in turn. `memray` is not needed: `tracemalloc` hooks the same way.
STEPS = {
    "e": "enable()",
    "d": "heapsight.disable()",
    "c": "heapsight.clear_traces()",
    "s": "tracemalloc.start()",
    "t": "tracemalloc.stop()",
    "l": "heapsight.set_traceback_limit(3)",
}


@MODE
@pytest.mark.parametrize(
    "steps",
    ["esde", "esdet", "sete", "sed", "setde", "sedtes", "esdtes", "setsetset", "esdesdt", "seedtce", "slete"],
)
def test_two_tools_that_come_and_go_do_not_call_each_other_for_ever(mode: str, steps: str) -> None:
    lines = "\n".join(f"{STEPS[step]}; look()" for step in steps)
    outcome = run(
        "import tracemalloc\n"
        + textwrap.dedent(
            """
            def look():
                heapsight.is_enabled()  # puts hooks back
                objects = [object() for _ in range(1000)]
                block = bytes(1_000_000)
                if heapsight.is_enabled():
                    trace = heapsight.get_object_trace(block)
                    assert trace is not None
                    assert trace.size == sys.getsizeof(block)
                problems = _testing.audit()
                assert problems == [], problems
            """
        )
        + lines
        + "\nprint('done')\n",
        mode,
    )
    assert_quiet(outcome)


def test_hooks_that_another_tool_took_away_are_put_back_and_the_loss_is_told() -> None:
    outcome = run(
        """
        import tracemalloc
        tracemalloc.start()
        enable()
        tracemalloc.stop()
        lost = bytearray(1_000_000)
        heapsight.get_traced_memory()
        found = bytearray(2_000_000)
        assert 2_000_000 < heapsight.get_traced_memory() < 2_900_000, heapsight.get_traced_memory()
        print("done")
        """
    )
    assert_quiet(outcome)


def test_a_recording_whose_hooks_were_taken_away_does_not_call_itself_complete(capture: Path) -> None:
    code = textwrap.dedent(
        """
        import tracemalloc
        tracemalloc.stop()
        kept = bytearray(10_000_000)
        """
    )
    start = Start(["-c", code], environment={"PYTHONTRACEMALLOC": "5"})
    outcome = start.traced(capture)
    assert outcome.status == 0
    assert "nothing lost" not in outcome.errors
    assert "lost" in outcome.errors


@pytest.mark.parametrize("call", ["work()", "threading.Thread(target=work).start()"])
def test_a_recording_puts_hooks_back_at_a_tick_without_being_asked(capture: Path, call: str) -> None:
    code = textwrap.dedent(
        f"""
        import heapsight, os, signal, sys, threading, tracemalloc
        from heapsight import _testing

        def work():
            tracemalloc.stop()
            # Of this size: there may be a trace from before at any address.
            while getattr(heapsight.get_object_trace(bytes(12_345)), "size", 0) < 12_345:
                pass
            kept = bytearray(10_000_000)
            while _testing.capture_totals(sys.argv[1])[0] < len(kept):
                pass
            os.kill(os.getpid(), signal.SIGKILL)

        {call}  # a thread: the main thread waits for it, and runs nothing
        """
    )
    start = Start(["-c", code, capture], environment={"PYTHONTRACEMALLOC": "5"})
    outcome = start.traced(capture)
    assert outcome.status == -signal.SIGKILL, outcome
    top = Start(["-m", "heapsight", "top", str(capture)]).plain()
    assert "9.5 MiB" in top.text, top.text
    assert "nothing lost" not in top.text
    assert "lost" in top.text, top.text


#: What a sub-interpreter runs; the address of its block goes through a pipe.
IN_SUB_INTERPRETER = """
import ctypes, os
library = ctypes.PyDLL(None)
library.PyMem_RawMalloc.restype = ctypes.c_void_p
def allocate_in_sub():
    return library.PyMem_RawMalloc(ctypes.c_size_t(123_457))
os.write({writer}, str(allocate_in_sub()).encode())
"""


@MODE
def test_raw_blocks_of_a_sub_interpreter_are_named_by_its_own_frames(mode: str) -> None:
    outcome = run(
        f"""
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        enable()
        reader, writer = os.pipe()
        if sys.version_info >= (3, 13):
            which = interpreters.create("legacy")
        elif sys.version_info >= (3, 12):
            which = interpreters.create(isolated=False)
        else:
            which = interpreters.create()
        failed = interpreters.run_string(which, {IN_SUB_INTERPRETER!r}.format(writer=writer))
        assert failed is None, failed
        trace = heapsight.get_trace(int(os.read(reader, 100)))
        assert trace is not None
        assert trace.size == 123_457 or {mode!r} == "sampled", trace
        assert trace.traceback[0].filename.startswith("<"), trace
        assert trace.traceback[0].lineno == 6, trace
        interpreters.destroy(which)
        print("done")
        """,
        mode,
    )
    assert_quiet(outcome)


@pytest.mark.skipif(
    sys.version_info[:2] == (3, 12), reason="3.12 aborts when any PyO3 module is imported a second time"
)
def test_an_interpreter_that_is_initialised_again_is_traced_when_asked_and_not_before(tmp_path: Path) -> None:
    binary = sysconfig.get_config_var("BINDIR")
    config = Path(binary) / f"python{sysconfig.get_python_version()}-config"
    if not config.exists():
        pytest.skip("this interpreter cannot be embedded: python-config is missing")
    ask = [str(config), "--embed", "--cflags", "--ldflags"]
    flags = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.split()
    flags = [flag for flag in flags if not flag.startswith("-flto")]
    library = sysconfig.get_config_var("LIBDIR")
    embedded = tmp_path / "embedded"
    source = PROGRAMS / "embed_twice.c"
    command: list[str | Path] = ["cc", "-o", embedded, source, *flags, "-rdynamic", f"-Wl,-rpath,{library}"]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("this interpreter cannot be embedded: nothing to link with")
    package = Path(heapsight.__file__).parent.parent
    environment = {**clean_environment(), "PYTHONHOME": sys.base_prefix, "PYTHONPATH": os.fspath(package)}
    done = subprocess.run([embedded], capture_output=True, text=True, env=environment, timeout=TIMEOUT_SECONDS)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["False 0", "True True"] * 3

"""The timer and its process: a main thread that waits, forks, signals, the end of the interpreter."""

from __future__ import annotations

import re

import pytest
from harness import PROGRAMS, Outcome, Start, program

WAITS: list[str] = re.findall(r"^def (in_\w+)", (PROGRAMS / "timer_while_waiting.py").read_text(), re.MULTILINE)


def expected(wait: str) -> Outcome:
    """Return what the program does that waits so."""
    if wait == "in_join_to_interrupt":
        return Outcome(0, b"interrupted\nwent on\n", b"")
    return Outcome(7 if wait in ("in_sleep",) or wait.endswith("_to_exit") else 0, b"went on\n", b"")


@pytest.mark.parametrize("wait", WAITS)
def test_fires_while_the_main_thread_waits(wait: str) -> None:
    assert program("timer_while_waiting.py", wait).plain() == expected(wait)


def run(code: str, *flags: str) -> str:
    """Run a program that must end well and silently; return what it printed."""
    outcome = Start(["-c", code], flags=flags).plain()
    assert (outcome.status, outcome.errors) == (0, "")
    return outcome.text


FORKING = """
import os, warnings, heapsight
from heapsight import _testing
warnings.simplefilter("error")
calls = []
heapsight.start_timer(3600, calls.append, (1,))
for round in range(5):
    calls.clear()
    pid = os.fork()
    _testing.advance_timer(7200)
    kept = [bytes(1000) for _ in range(10)]
    assert calls == [1], calls
    assert heapsight.get_object_trace(kept[0]) is not None
    if pid == 0:
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
print("done")
"""


def test_goes_on_in_both_processes_after_a_fork_without_a_warning() -> None:
    assert run(FORKING) == "done\n"


#: The main thread waits until the function runs in the timer's thread.
ON_TIMER_THREAD = """
import os, signal, subprocess, sys, threading, warnings, heapsight
from heapsight import _testing
warnings.simplefilter("ignore")  # of a fork beside another thread
running, forever = threading.Event(), threading.Lock()
forever.acquire()
def move_clock():
    while not running.is_set():
        _testing.advance_timer(7200)
        _testing.advance_timer(1)
def run_on_timer_thread(function):
    def call():
        if threading.current_thread() is not threading.main_thread():
            function()
    heapsight.start_timer(3600, call)
    threading.Thread(target=move_clock, daemon=True).start()
    running.wait()
"""


def test_a_function_that_does_not_return_does_not_hold_up_the_end() -> None:
    code = "run_on_timer_thread(lambda: (running.set(), forever.acquire()))\nprint('end')"
    assert run(ON_TIMER_THREAD + code) == "end\n"


def test_a_function_that_does_not_return_does_not_hold_up_a_fork_and_the_child_has_a_timer() -> None:
    code = """
run_on_timer_thread(lambda: (running.set(), forever.acquire()))
pid = os.fork()
if pid:
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
else:
    calls = []
    heapsight.start_timer(3600, calls.append, (1,))
    _testing.advance_timer(7200)
    kept = [bytes(1000) for _ in range(10)]
    os._exit(7 if calls == [1] else 8)
print("end")
"""
    assert run(ON_TIMER_THREAD + code) == "end\n"


def test_a_function_may_fork() -> None:
    code = """
def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    running.set()
run_on_timer_thread(fork)
"""
    assert run(ON_TIMER_THREAD + code) == "7\n"


def test_what_a_function_starts_has_the_signals_blocked_that_the_program_has() -> None:
    code = """
ASK = "import signal; print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))"
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
def start():
    subprocess.run([sys.executable, "-c", ASK], check=True)
    running.set()
run_on_timer_thread(start)
subprocess.run([sys.executable, "-c", ASK], check=True)
"""
    first, second = run(ON_TIMER_THREAD + code).splitlines()
    assert first == second
    assert "SIGUSR2" in first


def test_the_timers_thread_takes_no_signal() -> None:
    code = """
import glob, pathlib, heapsight
heapsight.start_timer(3600, print)
def blocked():
    for status in glob.glob("/proc/self/task/*/status"):
        fields = dict(line.split(":", 1) for line in pathlib.Path(status).read_text().splitlines())
        if fields["Name"].strip() == "heapsight-timer":
            return int(fields["SigBlk"], 16)
while (mask := blocked()) is None:  # it takes its name when it begins to run
    pass
print(all(mask >> number - 1 & 1 for number in (1, 2, 10, 12, 15, 17)))
"""
    assert run(code) == "True\n"


def test_threads_are_those_of_the_program_until_a_timer_is_started() -> None:
    code = """
import os, threading, heapsight
heapsight.enable()
kept = [bytes(1000) for _ in range(1000)]
print(threading.enumerate() == [threading.main_thread()], len(os.listdir("/proc/self/task")))
heapsight.start_timer(3600, print)
heapsight.stop_timer()
print(threading.enumerate() == [threading.main_thread()])
"""
    assert run(code) == "True 1\nTrue\n"


def test_no_signal_is_handled_until_a_timer_is_started_and_none_that_has_a_handler_is_taken() -> None:
    code = """
import signal, heapsight
def handled():
    return [number for number in range(1, 65) if callable(signal.getsignal(number)) and number != signal.SIGINT]
heapsight.enable()
before = handled()
signal.signal(signal.SIGRTMAX - 5, lambda *arguments: None)
heapsight.start_timer(3600, print)
heapsight.start_timer(3600, print)
print(before, [signal.SIGRTMAX - number for number in handled()])
"""
    assert run(code) == "[] [6, 5]\n"


def test_process_ends_while_the_timer_is_armed() -> None:
    assert run("import heapsight; heapsight.start_timer(1, print); print('end')") == "end\n"


def test_a_timer_started_at_the_very_end_never_fires() -> None:
    code = """
import atexit
from heapsight import _testing
def late():
    heapsight.start_timer(3600, print, ("fired",))
    _testing.advance_timer(7200)
    kept = [bytes(1000) for _ in range(10)]
    print("late")
atexit.register(late)
import heapsight
heapsight.start_timer(3600, print, ("fired",))
"""
    assert run(code) == "late\n"

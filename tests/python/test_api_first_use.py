"""What is loaded at its first use is whole for whoever asks for it in the middle of that."""

from __future__ import annotations

import subprocess
import sys

import pytest
from harness import clean_environment


def run(program: str) -> str:
    """Run a program that was started with tracing on, so that most of heapsight is not loaded yet."""
    done = subprocess.run(
        [sys.executable, "-X", "heapsight", "-c", program],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=110,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


#: For each audit event of the first use (imports, files opened, code run) a child process in which the event raises a signal.
AT_EVERY_EVENT = """
import os, signal, sys
import heapsight

assert "heapsight._snapshot" not in sys.modules
calls = []

def handler(number, frame):
    calls.append(type(heapsight.Snapshot.create()))

def child(which):
    events = 0
    raised = []
    def hook(event, arguments):
        nonlocal events
        if event in EVENTS:
            events += 1
            if events == which:
                raised.append(event)
                RAISE
    sys.addaudithook(hook)
    FIRST_USE
    if not raised:
        return 3
    events = which
    assert calls == [heapsight.Snapshot], calls
    assert signal.getsignal(signal.SIGUSR1) is handler
    assert isinstance(heapsight.Snapshot.create(), heapsight.Snapshot)
    return 0

signal.signal(signal.SIGUSR1, handler)
which, status = 0, 0
while status == 0:
    which += 1
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = child(which)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert status == 3, (which, status)
print(which)
"""


def at_every(events: tuple[str, ...], first_use: str, signal: str = "signal.raise_signal(signal.SIGUSR1)") -> str:
    program = AT_EVERY_EVENT.replace("EVENTS", repr(events))
    return program.replace("FIRST_USE", first_use).replace("RAISE", signal)


@pytest.mark.parametrize(
    ("events", "first_use"),
    [
        (("import", "open", "exec", "marshal.loads"), "heapsight.DisplayTop"),
        (("import",), "heapsight.Snapshot.create()"),
        (("import",), "from heapsight import TakeSnapshot"),
        (("import",), "heapsight.get_process_memory(); heapsight.Snapshot"),
    ],
    ids=["DisplayTop", "create", "from", "get_process_memory"],
)
def test_a_signal_handler_may_use_a_snapshot_in_the_middle_of_its_first_import(
    events: tuple[str, ...], first_use: str
) -> None:
    assert int(run(at_every(events, first_use))) > 10


def test_a_signal_that_another_thread_gets_is_no_different() -> None:
    program = at_every(("import",), "heapsight.DisplayTop", "os.kill(os.getpid(), signal.SIGUSR1)")
    blocked = "    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n    sys.addaudithook"
    with_thread = """
    import threading, _thread
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
"""
    program = program.replace("    sys.addaudithook", f"{with_thread}{blocked}", 1)
    finish = """
    release.set()
    thread.join()
    if not raised:"""
    assert int(run(program.replace("\n    if not raised:", finish, 1))) > 10


EXCEPTIONS = """
import signal, sys
import heapsight

seen = []

def first(number, frame):
    seen.append(number)
    raise KeyError("of the handler")

def second(number, frame):
    seen.append(number)

signal.signal(signal.SIGUSR1, first)
signal.signal(signal.SIGUSR2, second)
signal.siginterrupt(signal.SIGUSR2, False)

def hook(event, arguments):
    if event == "import" and arguments[0] == "heapsight._snapshot" and not seen:
        seen.append("import")
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR2)
        signal.raise_signal(signal.SIGUSR2)

def flags(number):
    import ctypes
    action = (ctypes.c_ulong * 20)()
    assert ctypes.CDLL(None).sigaction(number, None, action) == 0
    return action[0], action[1], action[17] & 0xFFFF_FFFF  # handler, what the kernel fills of the mask, flags

before = flags(signal.SIGUSR2)
sys.addaudithook(hook)
try:
    heapsight.DisplayTop
except KeyError as error:
    print(error, seen == ["import", signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR2])
print(signal.getsignal(signal.SIGUSR1) is first, signal.getsignal(signal.SIGUSR2) is second)
print(flags(signal.SIGUSR2) == before, heapsight.DisplayTop.__name__)
"""


def test_handlers_run_afterwards_even_if_one_raises_and_stay_as_they_were() -> None:
    assert run(EXCEPTIONS).splitlines() == ["'of the handler' True", "True True", "True DisplayTop"]


TIMER = """
import sys
import heapsight
from heapsight import _testing

calls = []
heapsight.start_timer(3600, lambda: calls.append(heapsight.Snapshot.create()))
kept = []
sys.unraisablehook = lambda problem: print(problem.exc_value)

def hook(event, arguments):
    if event == "import" and not calls:
        _testing.advance_timer(7200)
        for _ in range(10):
            kept.append(bytes(1000))

sys.addaudithook(hook)
heapsight.DisplayTop
assert not calls
_testing.advance_timer(1)
kept.append([bytes(1000) for _ in range(10)])
print(isinstance(calls[0], heapsight.Snapshot))
"""


def test_the_timer_waits_until_the_first_import_is_over() -> None:
    assert run(TIMER) == "True\n"

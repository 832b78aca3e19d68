"""A process that leaves without any clean-up loses nothing of its recording."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from harness import TIMEOUT_SECONDS, Outcome, Start, clean_environment, heapsight

#: So long that no tick comes by itself.
NO_TICK = ("--tick", "3600000")

KEPT_LINE = 2
KEEP = "import os, signal, sys\nkept = [bytes(1000) for _ in range(2000)]\n"

#: As a status: what the shell makes of a signal is not asked here.
WAYS = {
    "os._exit(7)": 7,
    "os._exit(status=7)": 7,
    "os.execv(sys.executable, [sys.executable, '-c', 'raise SystemExit(7)'])": 7,
    "os.execve(sys.executable, [sys.executable, '-c', 'raise SystemExit(7)'], os.environ)": 7,
    "os.execlp(sys.executable, sys.executable, '-c', 'raise SystemExit(7)')": 7,
    "os.abort()": -signal.SIGABRT,
    "os.kill(os.getpid(), signal.SIGTERM)": -signal.SIGTERM,
}


def recorded(capture: Path, source: str, *options: str) -> Outcome:
    script = capture.with_name("program.py")
    script.write_text(source)
    return Start([script]).traced(capture, "--quiet", *NO_TICK, *options)


def kept_bytes(capture: Path) -> int:
    done = heapsight("stats", "--json", "-i", f"*program.py:{KEPT_LINE}", capture)
    assert (done.status, done.errors) == (0, "")
    told: dict[str, Any] = json.loads(done.text)
    return int(told["metrics"]["live"]["bytes"])


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_lost_by_the_ways_out_that_run_no_exit_function(way: str, capture: Path) -> None:
    done = recorded(capture, KEEP + way)
    assert done.status == WAYS[way], done.errors
    assert kept_bytes(capture) > 2_000_000


def test_a_way_out_that_fails_changes_nothing(capture: Path) -> None:
    source = KEEP + (
        "for wrong in (lambda: os._exit(), lambda: os._exit('seven'), lambda: os.execv('/nonexistent', ['x'])):\n"
        "    try:\n"
        "        wrong()\n"
        "    except (TypeError, OSError) as error:\n"
        "        print(error)\n"
        "more = [bytes(1000) for _ in range(2000)]\n"
    )
    plain = [sys.executable, str(capture.with_name("program.py"))]
    done = recorded(capture, source)
    assert done.status == 0
    assert done.text == Start(plain[1:]).plain().text
    told = json.loads(heapsight("stats", "--json", capture).text)
    assert told["is_complete"] is True
    assert told["metrics"]["live"]["bytes"] > 4_000_000


LOOK = """
import ctypes, gc, inspect, os, pathlib, pickle, posix, sys, types, weakref
for name in ("_exit", "execv", "execve", "execvp", "execvpe", "execl", "execle", "execlp", "execlpe", "abort"):
    function = getattr(os, name)
    print(repr(function).split(" at ")[0], type(function), function.__name__, function.__qualname__, function.__module__)
    print(function.__doc__, getattr(function, "__text_signature__", None), function == getattr(posix, name, function))
    print([each for each in dir(os) if isinstance(getattr(os, each), set) and function in getattr(os, each)])
    print(inspect.signature(function), inspect.isbuiltin(function), callable(function), sys.getsizeof(function))
    print(getattr(function, "__self__", None) is posix, weakref.ref(function)() is function, gc.is_tracked(function))
    assert pickle.loads(pickle.dumps(function)) is function
    assert len({function, getattr(posix, name, function)}) == 1
    if isinstance(function, types.BuiltinFunctionType):
        get = ctypes.pythonapi.PyCFunction_GetFunction
        get.restype, get.argtypes = ctypes.c_size_t, [ctypes.py_object]
        # What the hash is made of, and where that is: inside the interpreter.
        lines = pathlib.Path("/proc/self/maps").read_text().splitlines()
        info = [line for line in lines if int(line.split("-")[0], 16) <= get(function)][-1]
        print("python" in info.split("/")[-1], "heapsight" in info)
    try:
        function(1, 2, 3, 4, 5, 6)
    except (TypeError, ValueError, AttributeError, OSError) as error:
        print(type(error), error)
"""


def test_a_program_cannot_tell_the_functions_from_those_of_plain_python(capture: Path) -> None:
    done = recorded(capture, LOOK)
    plain = Start([capture.with_name("program.py")]).plain()
    assert (done.status, done.errors) == (0, "")
    assert done.text == plain.text
    assert "supports_fd" in done.text


def test_a_way_out_is_found_past_the_places_where_a_program_is_not(capture: Path) -> None:
    """`os.execvp` calls the same function for each folder of the path, from one instruction."""
    folders = [capture.parent / f"empty{number}" for number in range(50)]
    path = os.pathsep.join(map(str, [*folders, Path(sys.executable).parent]))
    name = Path(sys.executable).name
    way = f"os.environ['PATH'] = {path!r}\nos.execvp({name!r}, [{name!r}, '-c', 'raise SystemExit(7)'])"
    done = recorded(capture, KEEP + way)
    assert done.status == 7, done.errors
    assert kept_bytes(capture) > 2_000_000


def test_a_followed_child_that_leaves_at_once_is_recorded_to_its_end(capture: Path) -> None:
    source = (
        "import os\n"
        "child = os.fork()\n"
        "kept = [bytes(1000) for _ in range(2000)] if child == 0 else os.waitpid(child, 0)\n"
        "if child == 0:\n"
        "    os._exit(3)\n"
        "assert kept == (child, 3 << 8), kept\n"
    )
    done = recorded(capture, source, "--follow")
    assert (done.status, done.errors) == (0, "")
    [child] = capture.parent.glob("run-*.heapsight")
    found = heapsight("stats", "--json", "-i", "*program.py:3", child)
    assert json.loads(found.text)["metrics"]["live"]["bytes"] > 2_000_000


def test_an_unfollowed_child_that_leaves_at_once_writes_nothing(capture: Path) -> None:
    source = KEEP + (
        "child = os.fork()\n"
        "if child == 0:\n"
        "    own = [bytes(1000) for _ in range(5000)]\n"
        "    os._exit(3)\n"
        "assert os.waitpid(child, 0) == (child, 3 << 8)\n"
    )
    done = recorded(capture, source)
    assert (done.status, done.errors) == (0, "")
    told = json.loads(heapsight("stats", "--json", capture).text)
    assert told["is_complete"] is True
    of_the_child = json.loads(heapsight("stats", "--json", "-i", "*program.py:5", capture).text)
    assert of_the_child["metrics"]["allocated"]["bytes"] == 0
    assert kept_bytes(capture) > 2_000_000
    assert [path for path in capture.parent.iterdir() if path.suffix == ".heapsight"] == [capture]


PREEXEC = """
import os, subprocess, sys
def prepare():
    os.write(1, b"prepared\\n")
code = "kept = [bytes(1000) for _ in range(2000)]; print('child')"
subprocess.run([sys.executable, "-c", code], preexec_fn=prepare, check=True)
try:
    subprocess.run(["/nonexistent"], preexec_fn=prepare)
except FileNotFoundError as error:
    print(error)
subprocess.run(["/bin/sh", "-c", "echo shell"], preexec_fn=prepare, check=True)
"""


@pytest.mark.parametrize("options", [(), ("--follow",)], ids=["alone", "followed"])
def test_children_prepared_in_python_run_as_ever(options: tuple[str, ...], capture: Path) -> None:
    done = recorded(capture, PREEXEC, *options)
    plain = Start([capture.with_name("program.py")]).plain()
    assert (done.status, done.text, done.errors) == (plain.status, plain.text, plain.errors)
    children = sorted(capture.parent.glob("run-*.heapsight"))
    if not options:
        assert children == []
        return
    live = [json.loads(heapsight("stats", "--json", child).text)["metrics"]["live"]["bytes"] for child in children]
    assert sum(size > 2_000_000 for size in live) == 1
    merged = heapsight("merge", "--quiet", "-o", capture.with_name("all.heapsight"), capture, *children)
    assert (merged.status, merged.errors) == (0, "")


def test_pids_are_those_of_the_children(capture: Path) -> None:
    source = (
        "import os\n"
        "children = []\n"
        "for _ in range(3):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
        "    children.append(pid)\n"
        "print(*children)\n"
    )
    done = recorded(capture, source, "--follow")
    names = {f"run-{pid}.heapsight" for pid in done.text.split()}
    assert {path.name for path in capture.parent.glob("run-*.heapsight")} == names
    assert str(os.getpid()) not in done.text.split()


DISPOSITIONS = """
import os, signal, subprocess, sys, threading, time
name = {0: "default", 1: "ignored"}
def ask(where):
    print(where, [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)], flush=True)
ask("at the start")
code = "import signal; print('a child', signal.getsignal(signal.SIGTERM))"
subprocess.run([sys.executable, "-c", code], check=True)
for way in ("sleeps", "computes", "waits", "in a thread"):
    child = os.fork()
    if child == 0:
        if way == "in a thread":
            threading.Thread(target=lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
        elif way == "waits":
            print(signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]), flush=True)
            os.kill(os.getpid(), signal.SIGTERM)
            print(signal.sigwait([signal.SIGTERM]), flush=True)
            os._exit(3)
        else:
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(100)
    print(way, os.waitpid(child, 0)[1], flush=True)
seen = []
print(signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number)))
os.kill(os.getpid(), signal.SIGTERM)
print(seen, callable(signal.signal(signal.SIGTERM, signal.SIG_IGN)))
os.kill(os.getpid(), signal.SIGTERM)
ask("ignored")
child = subprocess.run([sys.executable, "-c", code], check=True)
if sys.argv[1:] == ["default"]:
    print(signal.signal(signal.SIGTERM, signal.SIG_DFL), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.parametrize("argument", ["default", "ignored"])
def test_a_program_cannot_tell_that_its_end_by_sigterm_waits_for_a_tick(argument: str, capture: Path) -> None:
    script = capture.with_name("program.py")
    script.write_text(DISPOSITIONS)
    plain = Start([script, argument]).plain()
    traced = Start([script, argument]).traced(capture, "--quiet", *NO_TICK)
    followed = Start([script, argument]).traced(capture, "--quiet", "--force", "--follow", *NO_TICK)
    assert plain.status == (-signal.SIGTERM if argument == "default" else 0), plain.errors
    assert (plain.status, plain.text, plain.errors) == (traced.status, traced.text, traced.errors)
    assert (plain.status, plain.text, plain.errors) == (followed.status, followed.text, followed.errors)


def test_an_ignored_sigterm_stays_ignored(capture: Path) -> None:
    script = capture.with_name("program.py")
    script.write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nprint(signal.getsignal(signal.SIGTERM))\n"
    )
    command = f"trap '' TERM; {sys.executable} -m heapsight run -q -o {capture} {script}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, env=clean_environment(), timeout=TIMEOUT_SECONDS)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().split()[-1] in {"1", "Handlers.SIG_IGN"}


def test_followed_children_that_are_terminated_are_recorded_to_their_end(capture: Path) -> None:
    source = (
        "import multiprocessing, signal, time\n"
        "def child(pipe):\n"
        "    kept = [bytes(1000) for _ in range(2000)]\n"
        "    pipe.send('ready')\n"
        "    signal.pause()\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('fork')\n"
        "    ours, theirs = context.Pipe()\n"
        "    process = context.Process(target=child, args=(theirs,))\n"
        "    process.start()\n"
        "    assert ours.recv() == 'ready'\n"
        "    process.terminate()\n"
        "    process.join()\n"
        "    assert process.exitcode == -signal.SIGTERM, process.exitcode\n"
    )
    done = recorded(capture, source, "--follow")
    assert (done.status, done.errors) == (0, "")
    [child] = capture.parent.glob("run-*.heapsight")
    found = heapsight("stats", "--json", "-i", "*program.py:3", child)
    assert json.loads(found.text)["metrics"]["live"]["bytes"] > 2_000_000


def test_sigterm_while_threads_allocate_ends_the_program_at_once(capture: Path) -> None:
    source = (
        "import os, signal, threading, time\n"
        "def churn():\n"
        "    while True:\n"
        "        eval('[bytes(600) for _ in range(100)]' + ' ' * (time.time_ns() % 1000))\n"
        "for _ in range(8):\n"
        "    threading.Thread(target=churn, daemon=True).start()\n"
        "kept = [bytes(1000) for _ in range(2000)]\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "time.sleep(100)\n"
    )
    done = recorded(capture, source)
    assert (done.status, done.errors) == (-signal.SIGTERM, "")
    found = heapsight("stats", "--json", "-i", "*program.py:7", capture)
    assert json.loads(found.text)["metrics"]["live"]["bytes"] > 2_000_000

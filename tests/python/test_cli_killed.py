"""The capture of a program that was killed is good up to its last tick, and every command says how far that is."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from harness import Outcome, Start, heapsight
from killed import kill_after

MODULES = ["argparse", "unittest", "http.server", "xml.dom.minidom", "email.parser", "asyncio", "json", "ctypes"]


@pytest.mark.parametrize("seed", range(6))
def test_what_a_killed_program_leaves_agrees_with_what_it_told(seed: int, capture: Path) -> None:
    moment = random.Random(seed)
    lines = moment.choice([moment.randint(1, len(MODULES) + 1), moment.randint(len(MODULES) + 2, 200)])
    kill_after(lines, 0, capture, "200", *MODULES).check()


#: Killed after a few ticks, with some memory left.
SUICIDE = """
import os, signal, sys
kept = []
while os.path.getsize(sys.argv[1]) < 25_000:
    source = "[[bytes(10) for _ in range(10)] for _ in range(10)]" + "\\n" * len(kept)
    kept.append(eval(source))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the capture of a program that has killed itself."""
    folder = tmp_path_factory.mktemp("killed")
    capture = folder / "killed.heapsight"
    script = folder / "program.py"
    script.write_text(SUICIDE)
    done = Start([script, capture]).traced(capture, "--quiet", "--tick=2")
    assert done.status == -9, done.errors
    return capture


@pytest.fixture(scope="module")
def whole(killed: Path) -> Path:
    """Return a capture that lacks nothing."""
    capture = killed.with_name("whole.heapsight")
    source = killed.with_name("other.py")
    source.write_text("kept = [bytes(10) for _ in range(1000)]\n")
    done = Start([source]).traced(capture, "--quiet")
    assert (done.status, done.errors) == (0, "")
    return capture


def says_what_is_missing(done: Outcome) -> bool:
    """Whether the command has said that its file is not whole."""
    assert done.status == 0, done.errors
    return "up to the last complete tick, at" in words(done)


def words(done: Outcome) -> str:
    """Return all that a command has said, on one line."""
    return " ".join((done.text + done.errors).split())


#: What is said of a capture that lacks nothing.
WHOLE = "none of their blocks lost"


COMMANDS = [
    ["top"],
    ["top", "--at", "peak"],
    ["top", "--range", "start..end"],
    ["top", "--group-by", "function", "--cumulative"],
    ["top", "-n", "1", "-i", "*program.py"],
    ["stats"],
    ["diff", "--range", "start..end"],
    ["export", "--to", "collapsed", "-o", "-"],
    ["export", "--to", "csv", "-o", "-"],
    ["export", "--to", "json", "-o", "-"],
    ["export", "--to", "pprof", "--force", "-o", "out"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_says_how_far_the_capture_of_a_killed_program_goes(command: list[str], killed: Path) -> None:
    done = heapsight(*command, killed, cwd=killed.parent)
    assert says_what_is_missing(done)
    assert WHOLE not in words(done)


@pytest.mark.parametrize("command", ["top", "diff", "merge"])
def test_commands_of_several_files_say_which_is_not_whole(command: str, killed: Path, whole: Path) -> None:
    options = ["--force", "-o", "merged.heapsight"] if command == "merge" else []
    done = heapsight(command, *options, killed, whole, cwd=killed.parent)
    assert says_what_is_missing(done)
    if command == "merge":
        assert says_what_is_missing(heapsight("top", "merged.heapsight", cwd=killed.parent))
        quiet = heapsight(command, "-q", *options, killed, whole, cwd=killed.parent)
        assert str(killed) in quiet.errors
        assert says_what_is_missing(quiet)


def test_a_whole_capture_is_called_whole(whole: Path) -> None:
    assert WHOLE in words(heapsight("top", whole))
    assert '"missing":null' in heapsight("stats", "--json", whole).text


@pytest.mark.parametrize("share", range(1, 10))
def test_a_file_that_was_cut_anywhere_is_never_called_whole(share: int, killed: Path, whole: Path) -> None:
    for of in (killed, whole):
        content = of.read_bytes()
        cut = of.with_name("cut.heapsight")
        cut.write_bytes(content[: max(len(content) * share // 10, 600)])
        for command in (["top"], ["stats"], ["export", "--to", "csv", "-o", "-"], ["diff", str(whole)]):
            said = words(heapsight(*command, cut))
            assert "unreadable from byte" in said or "has no end" in said, (command, said)
            # The other side of a difference is whole.
            assert said.count(WHOLE) == (command[0] == "diff")


#: The main thread waits for good, so that it runs nothing that is asked of it.
FORK_IN_A_THREAD = """
import os, signal, sys, threading, warnings
warnings.simplefilter("ignore")  # Since 3.12 a fork beside threads warns.
def worker():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    global kept
    kept = [bytes(1000) for _ in range(2000)]
    # Some ticks more.
    enough = os.path.getsize(sys.argv[1]) + 2000
    while os.path.getsize(sys.argv[1]) < enough:
        pass
    os.kill(os.getpid(), signal.SIGKILL)
threading.Thread(target=worker).start()
threading.Event().wait()
"""


@pytest.mark.parametrize("options", [(), ("--follow",)], ids=["alone", "followed"])
def test_a_fork_in_a_thread_does_not_end_the_recording(options: tuple[str, ...], capture: Path) -> None:
    script = capture.with_name("program.py")
    script.write_text(FORK_IN_A_THREAD)
    done = Start([script, capture]).traced(capture, "--quiet", "--tick=2", *options)
    assert (done.status, done.errors) == (-9, "")
    told = json.loads(heapsight("stats", "--json", "-i", "*program.py:10", capture).text)
    assert told["metrics"]["live"]["bytes"] > 2_000_000

"""The views in a real terminal, and what is said where there is none."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import TIMEOUT_SECONDS, Outcome, clean_environment, heapsight
from tmux import Terminal, command, needs_tmux

#: Holds 5 MB below two functions, and lets a file know.
HOLDER = """
def load():
    return list(map(bytes, [1000] * 5000))
def main():
    return load()
kept = main()
"""

#: Goes on when it is told to, and says what it reads.
ASKER = """
import os, sys
kept = []
def hold():
    kept.append(list(map(bytes, [1000] * 1000)))
print("terminals", *(os.isatty(number) for number in range(3)), *os.get_terminal_size(), flush=True)
while (line := input("more? ")) != "no":
    hold()
    print("held", len(kept), line, flush=True)
print("last words")
sys.exit(7)
"""


#: Holds 10 MB more for each line that it is sent.
PIPED = """
import sys
kept = []
print("ready", flush=True)
for line in sys.stdin:
    kept.append(bytes(10_000_000))
    print("held", flush=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with programs, and a recording of one."""
    folder = tmp_path_factory.mktemp("terminal")
    (folder / "holder.py").write_text(HOLDER)
    (folder / "asker.py").write_text(ASKER)
    (folder / "piped.py").write_text(PIPED)
    done = heapsight("run", "-q", "-o", "run.heapsight", "holder.py", cwd=folder)
    assert done.status == 0, done.errors
    return folder


def test_a_tree_in_a_pipe_is_text_and_all_open(folder: Path) -> None:
    text = heapsight("tree", "run.heapsight", cwd=folder).text
    [load] = [line for line in text.splitlines() if line.endswith(" load")]
    share, size, own = re.findall(r"(\d+\.\d) %\s+([\d.]+ \w+)\s+([\d.]+ \w+)", load)[0]
    assert float(share) > 90
    assert size == own
    assert text.index("main") < text.index(" load")
    turned = heapsight("tree", "--callers", "--functions", "run.heapsight", cwd=folder).text
    assert turned.index(" load") < turned.index("main")
    assert heapsight("tree", "--color", "run.heapsight", cwd=folder).text.count("\x1b[") > 10


def refusal(*words: str | Path, cwd: Path, **environment: str) -> str:
    """Return the line that a command is refused with."""
    done = heapsight(*words, cwd=cwd, environment=environment)
    assert (done.status, done.text) == (2, "")
    [line] = done.errors.splitlines()
    return line


def without_terminal(*words: str | Path, cwd: Path) -> Outcome:
    """Run a command in a session that has no terminal."""
    done = subprocess.run(
        command(*words), capture_output=True, cwd=cwd, env=clean_environment(), start_new_session=True, check=False
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def test_without_a_terminal_a_view_is_refused_before_anything_runs(folder: Path) -> None:
    done = without_terminal("live", "run.heapsight", cwd=folder)
    assert done.status == 2
    assert re.fullmatch(r"heapsight: there is no terminal to show it on \(.*\): 'heapsight top FILE' .*\n", done.errors)
    done = without_terminal("run", "--live", "-o", "none.heapsight", "holder.py", cwd=folder)
    assert done.status == 2
    assert "there is no terminal to show it on" in done.errors
    assert not (folder / "none.heapsight").exists()


@pytest.mark.parametrize(
    "words", [["tree", "run.heapsight"], ["live", "run.heapsight"], ["run", "--live", "holder.py"]]
)
def test_a_terminal_that_only_prints_is_refused_by_name(words: list[str], folder: Path) -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execvpe(sys.executable, [str(word) for word in command(*words)], {**clean_environment(), "TERM": "dumb"})
    said = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        said += piece
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert said.startswith(b"heapsight: this terminal cannot show it (TERM is dumb): "), said
    assert b"\x1b" not in said


def test_who_is_not_recorded_is_told_so_in_one_line(folder: Path) -> None:
    pid = os.getpid()
    expected = f"heapsight: process {pid} is not recorded: start it with 'heapsight run'"
    assert refusal("live", str(pid), cwd=folder) == expected
    assert refusal("live", "4194305", cwd=folder) == "heapsight: there is no process 4194305, and no file of that name"
    assert refusal("live", "none.heapsight", cwd=folder) == "heapsight: no such file: none.heapsight"
    assert "is no file" in refusal("live", "/dev/null", cwd=folder)


@pytest.fixture
def tree(folder: Path, tmp_path: Path) -> Iterator[Terminal]:
    """Return a terminal with the tree of the recording."""
    with Terminal(command("tree", folder / "run.heapsight"), tmp_path) as terminal:
        terminal.until("? help")
        yield terminal


@needs_tmux
def test_the_tree_opens_turns_and_searches(tree: Terminal) -> None:
    first = tree.until("live memory at exit: ")
    assert re.search(r"9\d\.\d % +(\S+ MiB) +\1 +╰ +load holder\.py:3", first)
    tree.keys("r")
    turned = tree.until(lambda screen: "callers" in screen.splitlines()[0])
    assert turned.index("load holder.py:3") < turned.index("main holder.py:5")
    tree.keys("/", "m", "a", "i", "n", "Enter")
    found = tree.until("/main  9")
    assert "▶ 5" in found, "the source of the line that was found"
    tree.keys("Escape", "m")
    tree.until("live memory at the peak: ")
    tree.keys("?")
    tree.until("any key closes this")
    tree.keys("x", "q")
    tree.until("status 0")


@needs_tmux
def test_the_tree_stays_on_its_feet_when_the_window_shrinks(tree: Terminal) -> None:
    for columns, rows in ((20, 5), (1, 1), (200, 60), (80, 24)):
        tree.resize(columns, rows)
        tree.keys("Down")
    tree.until("? help")
    tree.keys("q")
    tree.until("status 0")


@needs_tmux
@pytest.mark.parametrize("variable", ["NO_COLOR", None])
def test_colours_are_left_out_on_request(variable: str | None, folder: Path, tmp_path: Path) -> None:
    environment = {} if variable is None else {variable: "1"}
    words = command("tree", folder / "run.heapsight")
    with Terminal(words, tmp_path, environment=environment) as terminal:
        terminal.until("? help")
        codes = {
            int(code) for codes in re.findall(r"\x1b\[([\d;]*)m", terminal.screen("-e")) for code in codes.split(";")
        }
        colours = {code for code in codes if 30 <= code <= 49 and code not in (39, 49)}
        assert bool(colours) == (variable is None)
        assert 7 in codes, "the selected row is turned round"


@needs_tmux
def test_a_program_in_the_view_has_a_terminal_keys_and_its_own_status(folder: Path) -> None:
    words = command("run", "--live", "-q", "--force", "-o", "live.heapsight", "asker.py")
    with Terminal(words, folder) as terminal:
        first = terminal.until("more?")
        size = re.search(r"terminals True True True (\d+) (\d+)", first)
        assert size, "the program sees a terminal"
        assert int(size[1]) == 80
        assert 5 < int(size[2]) < 24
        terminal.keys("Tab")
        terminal.until("the program has the keys")
        terminal.keys("q", "Enter")
        terminal.until("held 1 q")
        shown = terminal.until("hold asker.py:5")
        assert re.search(r"\+\d+ KiB +hold asker\.py:5", shown)
        terminal.keys("C-]", "q")
        # Everything that it printed is there, and it runs on.
        of_the_view = ("the program has the keys", "? help")
        left = terminal.until(
            lambda screen: "held 1 q" in screen and not any(part in screen for part in of_the_view)
        )
        assert "terminals True True True" in left
        terminal.keys("b", "Enter")
        terminal.until("held 2 b")
        terminal.keys("n", "o", "Enter")
        last = terminal.until("status 7")
        assert "last words" in last
    assert heapsight("stats", folder / "live.heapsight").status == 0


@needs_tmux
def test_a_program_that_ends_in_the_view_stays_on_the_screen(tmp_path: Path) -> None:
    program = "import os, signal; print('here'); os.kill(os.getpid(), signal.SIGKILL)"
    words = command("run", "--live", "-q", "-o", tmp_path / "run.heapsight", "-c", program)
    with Terminal(words, tmp_path) as terminal:
        terminal.until("the program has ended: signal: 9 (SIGKILL)")
        terminal.keys("q")
        assert "here" in terminal.until(f"status {128 + signal.SIGKILL}")


@needs_tmux
def test_what_does_not_lead_to_a_terminal_stays_what_it_is(tmp_path: Path) -> None:
    program = "import os, sys; print(*(os.isatty(number) for number in range(3)), input()); print('x', file=sys.stderr)"
    words = command("run", "--live", "-q", "-o", tmp_path / "run.heapsight", "-c", program)
    script = f'"$@" < {tmp_path / "in"} > {tmp_path / "out"}'
    (tmp_path / "in").write_text("a line\n")
    with Terminal(["sh", "-c", script, "sh", *words], tmp_path) as terminal:
        terminal.until("the program has ended: exit status: 0")
        terminal.keys("q")
        terminal.until("status 0")
    assert (tmp_path / "out").read_text() == "False False True a line\n"


@needs_tmux
def test_a_process_is_found_by_its_id_and_left_alone(folder: Path, tmp_path: Path) -> None:
    words = command("run", "-q", "-o", tmp_path / "run.heapsight", folder / "piped.py")
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment()) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        with Terminal(command("live", str(program.pid)), tmp_path) as terminal:
            terminal.until(f"process {program.pid} (")
            program.stdin.write(b"more\n")
            program.stdin.flush()
            assert program.stdout.readline() == b"held\n"
            terminal.until(
                lambda screen: re.search(r"9\.5 MiB +\+9\.5 MiB +<module> \S*piped\.py:6", screen) is not None
            )
            terminal.keys("d")
            terminal.until("no change since ")
            terminal.keys("q")
            terminal.until("status 0")
            assert program.poll() is None, "it does not notice"
        program.stdin.close()
        assert program.wait() == 0


@needs_tmux
def test_a_file_is_followed_to_its_end(folder: Path, tmp_path: Path) -> None:
    with Terminal(command("live", folder / "run.heapsight"), tmp_path) as terminal:
        shown = terminal.until("the recording has ended")
        assert "load holder.py:3" in shown
        terminal.keys("q")
        terminal.until("status 0")


def test_a_view_whose_terminal_goes_away_ends_as_its_program_does(folder: Path) -> None:
    (folder / "waits.py").write_text("import signal\nprint('ready', flush=True)\nsignal.pause()\n")
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        words = [str(word) for word in command("run", "--live", "--quiet", "--force", "waits.py")]
        os.execvpe(sys.executable, words, {**clean_environment(), "TERM": "xterm-256color"})
    seen = b""
    while b"ready" not in seen:
        seen += os.read(terminal, 4096)
    os.close(terminal)
    ended, _, _ = select.select([os.pidfd_open(child)], [], [], TIMEOUT_SECONDS)
    if not ended:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert ended, "it goes on for ever"
    # The program got the signal that it gets without the view.
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGHUP

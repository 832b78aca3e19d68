"""A real terminal: programs run in tmux, keys are sent to them, and their screens are read.

Nothing sleeps. A client in tmux's control mode is told of every output of the pane; the screen is looked at again when
there was some.
"""

from __future__ import annotations

import os
import selectors
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import pytest
from harness import clean_environment

if TYPE_CHECKING:
    from typing_extensions import Self

#: No screen takes longer; what does not come at all must fail its test, not hang it.
DEADLINE_SECONDS = 60

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Terminal:
    """A pane of a tmux server of its own, with one command in it.

    When the command ends, `status N` is printed, and the pane stays.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        folder: Path,
        columns: int = 80,
        rows: int = 24,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._tmux = ["tmux", "-f", "/dev/null", "-S", str(folder / "tmux.socket")]
        words = shlex.join(map(str, command))
        variables = {"LC_ALL": "C.UTF-8", "TERM": "tmux-256color", **(environment or {})}
        setting = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
        script = f'env {setting} {words}; echo "status $?"; exec cat'
        self._environment = {**clean_environment(), "LC_ALL": "C.UTF-8"}
        size = ["-x", str(columns), "-y", str(rows)]
        self._run("new-session", "-d", "-s", "test", *size, "exec cat", cwd=folder)
        self._run("set-option", "-t", "test", "window-size", "manual")
        self._control = subprocess.Popen(
            [*self._tmux, "-C", "attach-session", "-t", "test"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment,
        )
        assert self._control.stdout is not None
        os.set_blocking(self._control.stdout.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._control.stdout, selectors.EVENT_READ)
        self._run("respawn-pane", "-k", "-t", "test", "-c", str(folder), "sh", "-c", script)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)
        self._control.communicate()
        self._selector.close()

    def _run(self, *words: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            [*self._tmux, *words], capture_output=True, text=True, check=False, cwd=cwd, env=self._environment
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def screen(self, *options: str) -> str:
        """Return what is on the screen now."""
        return self._run("capture-pane", "-p", "-t", "test", *options)

    def keys(self, *keys: str) -> None:
        """Press keys, by tmux's names of them."""
        self._run("send-keys", "-t", "test", *keys)

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size."""
        self._run("resize-window", "-t", "test", "-x", str(columns), "-y", str(rows))

    def until(self, condition: str | Callable[[str], bool]) -> str:
        """Wait until a text, or what a function looks for, is on the screen; return the screen."""
        is_there = condition if callable(condition) else lambda screen: condition in screen
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            screen = self.screen()
            if is_there(screen):
                return screen
            left = deadline - time.monotonic()
            if left <= 0 or not self._selector.select(left):
                pytest.fail(f"{condition!r} never came; the screen is\n{self.screen()}")
            assert self._control.stdout is not None
            assert self._control.stdout.read(1 << 20) != b"", "tmux has ended"


def command(*words: str | Path) -> list[str | Path]:
    """Return heapsight's command line."""
    return [sys.executable, "-m", "heapsight", *words]

"""Run one child process and say what it cost."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH")
"""What children inherit. Everything else could switch a tool on, or change the allocator."""

TAIL_CHARACTERS = 2000


@dataclass(frozen=True)
class Finished:
    """A child process that is over. ``cpu_seconds`` covers all its threads, user and system."""

    status: int
    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    timed_out: bool
    output_tail: str

    @property
    def problem(self) -> str:
        """Empty if the process ended well, else one line that says how it ended."""
        if self.timed_out:
            return f"timed out after {self.wall_seconds:.0f} s"
        if self.status != 0:
            lines = self.output_tail.strip().splitlines()
            return f"exit status {self.status}: {lines[-1] if lines else 'no output'}"
        return ""


def clean_environment(hash_seed: int, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a measured process: the same for every tool, nothing inherited by chance."""
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    environment.update(LC_ALL="C.UTF-8", PYTHONHASHSEED=str(hash_seed))
    environment.update(extra or {})
    return environment


def run_measured(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    timeout_seconds: float,
) -> Finished:
    """Run ``command`` to its end, or kill its process group after ``timeout_seconds``."""
    with tempfile.TemporaryFile(dir=directory) as output:
        started = time.perf_counter()
        child = subprocess.Popen(
            list(command),
            env=dict(environment),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            os.killpg(child.pid, signal.SIGKILL)

        timer = threading.Timer(timeout_seconds, expire)
        timer.start()
        try:
            # wait4 and not Popen.wait: it is the only way to get the CPU time of this child alone.
            _, wait_status, usage = os.wait4(child.pid, 0)
        finally:
            timer.cancel()
        wall_seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(wait_status)
        end = output.seek(0, os.SEEK_END)
        output.seek(max(0, end - TAIL_CHARACTERS))
        tail = output.read().decode("utf-8", "replace")
    return Finished(
        status=child.returncode,
        wall_seconds=wall_seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_rss_bytes=usage.ru_maxrss * 1024,
        timed_out=expired.is_set(),
        output_tail=tail,
    )

"""Runs one pyperformance script in this process, a fixed number of loops, and writes what it measured.

    python worker.py RESULT LOOPS WARMUPS TASK SCRIPT [ARGUMENTS...]

pyperf's own runner starts many processes and decides by itself how often to loop; here the number
of loops is given, so that every tool does the same work. The script stays as it is: only the three
methods of ``pyperf.Runner`` that run a task are replaced. TASK limits a script with several tasks
to one ('' runs them all). It runs under any tool and knows none of them: which one was active is
reported as evidence, and judged by the parent.
"""

import asyncio
import functools
import hashlib
import os.path
import sys
import time
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from benchmarks.programs.probe import memory_bytes, write_result
else:
    # The folder of a script is where its imports are looked for; the harness is not importable here.
    from probe import memory_bytes, write_result

PLAIN = (type(None), bool, int, float, str, bytes)


def is_plain(value: Any, depth: int = 6) -> bool:
    """Whether ``repr(value)`` depends on nothing but the value: no addresses, no order of a set."""
    if isinstance(value, PLAIN):
        return True
    if depth == 0:
        return False
    if isinstance(value, (tuple, list)):
        return all(is_plain(item, depth - 1) for item in value)
    if type(value) is dict:
        return all(is_plain(item, depth - 1) for pair in value.items() for item in pair)
    return False


def digest(value: Any) -> Optional[str]:
    """A short hash of a task's result, to compare between tools; None if it has no plain result."""
    if value is None or not is_plain(value):
        return None
    return hashlib.sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Recorder:
    """Stands in for pyperf's task methods: warms a task up, then times it once."""

    def __init__(self, loops: int, warmups: int, task: str) -> None:
        self.loops = loops
        self.warmups = warmups
        self.task = task
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self.wall_seconds = 0.0
        self.tasks: list[str] = []
        self.digests: list[Optional[str]] = []

    def record(self, name: str, timed: Callable[[int], float]) -> None:
        """Run ``timed(loops)``, which returns the seconds it counts itself, as pyperf does."""
        if self.task not in ("", name):
            return
        cpu_before = wall_before = seconds = 0.0
        # One line for both: a tracer of call paths takes the same work from another line for other paths, all of them new.
        for loops in filter(None, (self.warmups, self.loops)):
            cpu_before = time.process_time()
            wall_before = time.perf_counter()
            seconds = timed(loops)
        self.wall_seconds += time.perf_counter() - wall_before
        self.cpu_seconds += time.process_time() - cpu_before
        self.seconds += seconds
        self.tasks.append(name)

    def bench_time_func(self, _: Any, name: str, func: Any, *args: Any, **options: Any) -> None:
        """``func(loops, *args)`` returns its own time."""
        self.record(name, lambda loops: float(func(loops, *args)))

    def bench_func(self, _: Any, name: str, func: Any, *args: Any, **options: Any) -> None:
        """``func(*args)`` is one loop."""
        if self.task in ("", name) and self.warmups:
            self.digests.append(digest(func(*args)))
        call = functools.partial(func, *args)

        def timed(loops: int) -> float:
            local = call
            started = time.perf_counter()
            for _ in range(loops):
                local()
            return time.perf_counter() - started

        self.record(name, timed)

    def bench_async_func(self, _: Any, name: str, func: Any, *args: Any, **options: Any) -> None:
        """``await func(*args)`` is one loop; all loops share one event loop, as in pyperf."""

        async def main(loops: int) -> float:
            started = time.perf_counter()
            for _ in range(loops):
                await func(*args)
            return time.perf_counter() - started

        def timed(loops: int) -> float:
            factory = options.get("loop_factory") or asyncio.new_event_loop
            loop = factory()
            asyncio.set_event_loop(loop)
            try:
                return float(loop.run_until_complete(main(loops)))
            finally:
                asyncio.set_event_loop(None)
                loop.close()

        self.record(name, timed)


def main() -> None:
    """Read the arguments, run the script as ``__main__``, write the result file."""
    result_path, loops, warmups, task, script = sys.argv[1:6]
    recorder = Recorder(int(loops), int(warmups), task)

    import pyperf  # type: ignore[import-not-found]  # only in the benchmark's environment

    for method in ("bench_time_func", "bench_func", "bench_async_func"):
        bound = getattr(recorder, method)
        # A plain function, so that it becomes a method of Runner again.
        setattr(pyperf.Runner, method, lambda *args, _bound=bound, **kw: _bound(*args, **kw))

    sys.argv = [script, *sys.argv[6:]]
    sys.path[0] = os.path.dirname(script)
    module = types.ModuleType("__main__")
    module.__file__ = script
    sys.modules["__main__"] = module
    with open(script, encoding="utf-8") as source:
        code = compile(source.read(), script, "exec")
    rss_before = memory_bytes("VmRSS")
    # One frame, not runpy's four: full-depth tools pay per frame, and a user's program has none of ours.
    exec(code, module.__dict__)  # noqa: S102

    result = {
        "loops": recorder.loops,
        "seconds": recorder.seconds / recorder.loops,
        "cpu_seconds": recorder.cpu_seconds / recorder.loops,
        "timed_wall_seconds": recorder.wall_seconds,
        "rss_before_bytes": rss_before,
        "rss_bytes": memory_bytes("VmRSS"),
        "peak_rss_bytes": memory_bytes("VmHWM"),
        "tasks": recorder.tasks,
        "digests": recorder.digests,
    }
    write_result(result_path, result)


if __name__ == "__main__":
    main()

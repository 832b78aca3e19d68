"""Tracing from start-up in every way a Python program can be started."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import textwrap
import venv
import zipapp
from pathlib import Path

import pytest
from harness import clean_environment

STATE = "import heapsight; print(heapsight.is_enabled(), heapsight.get_traceback_limit())"


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """Run a command and return what it printed; it must not have complained."""
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**clean_environment(), **environment},
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_without_site_nothing_is_traced_and_the_program_runs() -> None:
    found = f"import sys; sys.path.append({sysconfig.get_path('platlib')!r}); {STATE}"
    assert run(sys.executable, "-S", "-X", "heapsight=5", "-c", found) == "False 1"
    assert run(sys.executable, "-S", "-c", found, PYTHONHEAPSIGHT="5") == "False 1"


def test_tracing_sees_what_site_and_its_customisation_allocate(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("kept = [bytes(100) for _ in range(1000)]\n")
    code = "import heapsight; print(sorted(k.rsplit('/')[-1] for k in heapsight.get_stats() if k and 'sitecustomize' in k))"
    assert run(sys.executable, "-X", "heapsight", "-c", code, PYTHONPATH=str(tmp_path)) == "['sitecustomize.py']"


def test_virtual_environment_with_heapsight_traces_and_one_without_does_not_notice(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    assert run(python, "-X", "heapsight=5", "-c", "print('runs')", PYTHONHEAPSIGHT="5") == "runs"
    target = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"))
    source = Path(sysconfig.get_path("purelib"))
    shutil.copytree(source / "heapsight", target / "heapsight")
    for name in ("heapsight.pth", "_heapsight_startup.py"):
        shutil.copy(source / name, target / name)
    assert run(python, "-X", "heapsight=5", "-c", STATE) == "True 5"
    assert run(python, "-c", STATE, PYTHONHEAPSIGHT="7") == "True 7"
    assert run(python, "-I", "-c", STATE, PYTHONHEAPSIGHT="7") == "False 1"


@pytest.mark.parametrize("left", [["heapsight.pth"], ["heapsight.pth", "_heapsight_startup.py"]])
def test_files_left_behind_by_a_removed_package_are_silent(left: list[str], tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    target = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"))
    for name in left:
        shutil.copy(Path(sysconfig.get_path("purelib")) / name, target / name)
    assert run(python, "-X", "heapsight=5", "-c", "print('runs')") == "runs"
    assert run(python, "-X", "utf8", "-c", "print('runs')") == "runs"
    assert run(python, "-X", "heapsight-replace", "-c", "print('runs')") == "runs"
    assert run(python, "-c", "print('runs')", PYTHONHEAPSIGHT="5") == "runs"


def test_a_package_that_is_there_but_broken_is_said(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    target = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"))
    for name in ("heapsight.pth", "_heapsight_startup.py"):
        shutil.copy(Path(sysconfig.get_path("purelib")) / name, target / name)
    (target / "heapsight").mkdir()
    (target / "heapsight" / "__init__.py").write_text("import no_such_module")
    done = subprocess.run(
        [python, "-X", "heapsight", "-c", "print('runs')"],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "runs\n")
    assert done.stderr == "heapsight: No module named 'no_such_module'; the program runs untraced\n"


def test_zip_application_is_traced(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__main__.py").write_text(STATE)
    zipapp.create_archive(tmp_path / "app", tmp_path / "app.pyz")
    assert run(sys.executable, "-X", "heapsight=5", tmp_path / "app.pyz") == "True 5"
    assert run(sys.executable, tmp_path / "app.pyz", PYTHONHEAPSIGHT="7") == "True 7"


MULTIPROCESSING = """
import multiprocessing, sys
import heapsight

def state(queue):
    kept = bytes(5000)
    known = heapsight.get_object_trace(kept)
    size = known and known.size - sys.getsizeof(b"")
    queue.put((heapsight.is_enabled(), heapsight.get_traceback_limit(), size))

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.SimpleQueue()
    child = context.Process(target=state, args=(queue,))
    child.start()
    print(*queue.get())
    child.join()
"""


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """Return a program that starts a child with multiprocessing and prints what that finds."""
    file = tmp_path / "parent.py"
    file.write_text(textwrap.dedent(MULTIPROCESSING))
    return file


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_inherit_the_variable(parent: Path, method: str) -> None:
    assert run(sys.executable, parent, method, PYTHONHEAPSIGHT="5") == "True 5 5000"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_option_is_for_the_processes_that_python_hands_it_on_to(parent: Path, method: str) -> None:
    """Up to some release of 3.13, Python hands only options that it knows on to processes that it starts; since then all."""
    handed_on = "import subprocess; print('heapsight=5' in subprocess._args_from_interpreter_flags())"
    inherits = method == "fork" or run(sys.executable, "-X", "heapsight=5", "-c", handed_on) == "True"
    expected = "True 5 5000" if inherits else "False 1 None"
    assert run(sys.executable, "-X", "heapsight=5", parent, method) == expected


def test_subprocess_inherits_the_variable_and_not_the_option() -> None:
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {STATE!r}], check=True)"
    assert run(sys.executable, "-c", code, PYTHONHEAPSIGHT="5") == "True 5"
    assert run(sys.executable, "-X", "heapsight=5", "-c", code) == "False 1"


def test_fork_counts_for_each_process_alone() -> None:
    code = textwrap.dedent("""
        import os, heapsight
        kept = bytes(1 << 20)
        before = heapsight.get_traced_memory()
        read, write = os.pipe()
        if os.fork() == 0:
            more = bytes(1 << 20)
            del kept
            os.write(write, str(heapsight.get_traced_memory()).encode())
            os._exit(0)
        os.wait()
        child = int(os.read(read, 100))
        print(abs(child - before) < 100_000, abs(heapsight.get_traced_memory() - before) < 100_000)
    """)
    assert run(sys.executable, "-X", "heapsight", "-c", code) == "True True"


def test_start_up_brings_in_no_module_that_a_program_may_time() -> None:
    code = (
        "import sys; print([n for n in ('datetime', 'json', 'typing', 'warnings', 'collections') if n in sys.modules])"
    )
    plain = run(sys.executable, "-I", "-c", code)
    assert run(sys.executable, "-I", "-X", "heapsight", "-c", code) == plain

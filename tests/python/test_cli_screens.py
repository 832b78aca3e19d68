"""What the screens say is so, and the first one answers: totals, imports, names, and the command to go on with."""

from __future__ import annotations

import io
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from harness import Outcome, Start, clean_environment, heapsight

from heapsight import DisplayTop, Snapshot

#: Holds 5 MB on one line, and what importing some modules of the standard library leaves.
PROGRAM = """
import asyncio, decimal, email.message, http.client, unittest.mock
def hold():
    return [bytes(1000) for _ in range(5000)]
kept = hold()
"""

#: A package beside the program, of which module-level code builds something large.
SETTINGS = "TABLE = [str(number) * 20 for number in range(5000)]\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a program and a recording of it."""
    folder = tmp_path_factory.mktemp("screens")
    (folder / "shop" / "store").mkdir(parents=True)
    (folder / "shop" / "store" / "settings.py").write_text(SETTINGS)
    (folder / "holder.py").write_text(PROGRAM + "import shop.store.settings\n")
    done = record(folder, "run.heapsight")
    (folder / "summary.txt").write_text(done.errors)
    return folder


def record(folder: Path, name: str, *options: str) -> Outcome:
    done = heapsight("run", "-o", name, *options, "holder.py", cwd=folder)
    assert done.status == 0, done.errors
    return done


def shown(folder: Path, *words: str, columns: int | None = None) -> str:
    """Return what a command prints."""
    environment = {} if columns is None else {"COLUMNS": str(columns)}
    done = heapsight(*words, cwd=folder, environment=environment)
    assert (done.status, done.errors) == (0, "")
    return done.text


SCREENS = [
    ["top", "run.heapsight"],
    ["top", "--group-by", "function", "--metric", "allocated", "run.heapsight"],
    ["top", "run.heapsight", "run.heapsight"],
    ["diff", "run.heapsight@0", "run.heapsight"],
    ["annotate", "run.heapsight"],
]


@pytest.mark.parametrize("words", SCREENS)
def test_memory_of_imports_is_one_line_unless_it_is_asked_for(words: list[str], folder: Path) -> None:
    text = shown(folder, *words)
    assert "importlib" not in text
    [line, *_] = [line for line in text.splitlines() if line.lstrip().startswith("imports: ")]
    assert re.search(r"\b\d\d+ modules; --imports to see\)?$", line)
    whole = shown(folder, *words, "--imports")
    assert "<frozen importlib" in whole or "_compile_bytecode" in whole
    assert "imports: " not in whole


def test_the_summary_has_imports_as_one_line_too(folder: Path) -> None:
    text = (folder / "summary.txt").read_text()
    assert "importlib" not in text
    assert re.search(r"^ +imports: .* in \d+ modules; --imports to see$", text, re.MULTILINE)
    done = record(folder, "again.heapsight", "--force", "--imports", "-n", "2")
    assert "_bootstrap_external>" in done.errors
    assert "imports: " not in done.errors


def test_what_the_programs_own_modules_build_while_they_are_imported_is_no_import(folder: Path) -> None:
    assert re.search(r"shop/store/settings\.py:1 <", shown(folder, "top", "-n2", "run.heapsight"))


def test_the_sentence_names_the_import_system_as_tables_do(folder: Path) -> None:
    (folder / "shop" / "rates.py").write_text(SETTINGS.replace("5000", "100_000"))
    done = heapsight("run", "-o", "rates.heapsight", "-c", "import shop.rates", cwd=folder)
    assert done.status == 0, done.errors
    [sentence] = [part for part in done.errors.split("\n\n") if "is on one path: " in part]
    words = " ".join(sentence.split())
    assert re.search(r"shop/rates\.py:1 <module> ← import \(\d+ frames\)", words), words
    assert "importlib" not in done.errors


def test_exports_have_imports_whole(folder: Path) -> None:
    assert "<frozen importlib" in shown(folder, "export", "--to", "collapsed", "-o", "-", "run.heapsight")


def test_a_list_of_a_snapshot_has_imports_as_one_line_and_one_of_statistics_has_all(folder: Path) -> None:
    snapshot = Snapshot.load(folder / "run.heapsight")
    file = io.StringIO()
    DisplayTop().display_snapshot(snapshot, 1000, file=file)
    lines = file.getvalue().splitlines()
    assert not any("<frozen importlib" in line for line in lines)
    [imports] = [line for line in lines if line.startswith("imports: size=")]
    assert re.fullmatch(r"imports: size=\d+ .iB, count=\d+, average=\d+ .*; display_top_stats shows them", imports)
    stats, file = snapshot.top_by("filename_lineno"), io.StringIO()
    DisplayTop().display_top_stats(stats, 100_000, file=file)
    assert "#1: " in file.getvalue()
    assert "<frozen importlib" in file.getvalue()
    assert "imports: " not in file.getvalue()
    sizes = re.findall(r"size=(\d+ \w+)", lines[-2])
    assert sizes == re.findall(r"size=(\d+ \w+)", file.getvalue().splitlines()[-2]), "one total"


@pytest.mark.parametrize("words", [["top", "run.heapsight"], ["stats", "run.heapsight"], *SCREENS[2:3]])
def test_memory_that_is_not_traced_is_said_on_one_line(words: list[str], folder: Path) -> None:
    text = shown(folder, *words) if words != ["run"] else (folder / "summary.txt").read_text()
    form = r"^ *resident ([\d.]+) (\wiB) = traced ([\d.<]+) \+ heapsight ([\d.<]+) \+ not traced ([\d.<]+): (.*)$"
    found = re.search(form, text, re.MULTILINE)
    assert found
    assert found[6] == "run --native sees memory of C extensions"
    resident, *parts = (float(found[group].lstrip("<")) for group in (1, 3, 4, 5))
    assert resident == pytest.approx(sum(parts), abs=1.01 if "<" in found[0] else 0.01)
    assert found[0] in (folder / "summary.txt").read_text() or words[0] != "top"


def test_a_file_that_is_cut_short_does_not_say_that_nothing_is_lost(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "run.heapsight").read_bytes()
    assert "none of their blocks lost" in shown(folder, "top", "run.heapsight")
    cut = tmp_path / "cut.heapsight"
    cut.write_bytes(whole[:-5])
    for command in (["top"], ["stats"], ["diff", folder / "run.heapsight"]):
        text = heapsight(*command, cut).text
        part = text.partition("Old ")[0].splitlines()[-4:] if command[0] == "diff" else text.splitlines()[:4]
        assert not any("lost" in line for line in part if "Warning" not in line), text
        assert "Warning: unreadable from byte" in text


@pytest.mark.parametrize(
    ("option", "count"),
    [
        ("-Iholder.py", 1),
        ("-Iholder.py:4", 1),
        ("-ishop/store", 1),
        ("-ishop", 1),
        ("-isettings.py", 1),
        ("-i.../store/settings.py", 1),
        ("-i…/store/settings.py", 1),
        ("-ish*/settings.py", 1),
        ("-isetting", 0),
        ("-itore/settings.py", 0),
    ],
)
def test_filters_match_names_as_they_are_shown(option: str, count: int, folder: Path) -> None:
    text = shown(folder, "top", "--metric=live", option, "run.heapsight")
    rows = re.findall(r"^ +\d+ .*(?:settings\.py:1|holder\.py:4) ", text, re.MULTILINE)
    assert bool(rows) == bool(count), text
    assert "; the filters keep " in text
    assert " kept by the filters)" in text


@pytest.mark.parametrize("option", ["-i", "-I", "-x", "-X"])
def test_a_filter_whose_line_is_no_number_is_refused_by_name(option: str, folder: Path) -> None:
    done = heapsight("top", option, "a.py:x", "run.heapsight", cwd=folder)
    assert (done.status, done.text) == (2, "")
    [line] = done.errors.splitlines()
    assert f"'{option} <FILENAME[:LINENO]>'" in line
    assert "'a.py:x'" in line
    assert "not 'x'" in line


def test_lines_are_as_long_as_the_variable_says_where_there_is_no_terminal(folder: Path) -> None:
    for columns in (60, 80):
        text = shown(folder, "top", "run.heapsight", columns=columns)
        assert max(map(len, text.splitlines())) <= columns
        assert re.search(r"hold\S* holder\.py:4$|<listcomp> holder\.py:4$", text, re.MULTILINE)
    assert max(map(len, shown(folder, "top", "-c", "--metric=live", "run.heapsight", columns=300).splitlines())) > 100


@pytest.mark.parametrize("name", ["plain.heapsight", "it's \x1b[31m \u2028 here.heapsight", "-odd.heapsight"])
def test_the_next_command_works_when_it_is_pasted(name: str, folder: Path) -> None:
    text = record(folder, f"./{name}", "--force", "-n1").errors
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u2028]", text)
    [command] = re.findall(r"^  Next +(.*)$", text, re.MULTILINE)
    assert command.startswith(f"{shlex.quote(sys.executable)} -m heapsight top ")
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "functions by live memory" in done.stdout


def test_the_next_command_is_that_of_the_script_that_was_used(folder: Path) -> None:
    script = Path(sys.executable).with_name("heapsight")
    if not script.exists():
        pytest.skip("the console script is not beside the interpreter")
    command = [str(script), "run", "-n1", "--force", "-o", "script.heapsight", "holder.py"]
    for path, expected in ((f"{script.parent}:/usr/bin:/bin", "heapsight"), ("/usr/bin:/bin", str(script))):
        environment = {**clean_environment(), "PATH": path}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
        assert f"  Next           {expected} top " in done.stderr


def test_a_peak_that_is_the_exit_is_shown_once(folder: Path) -> None:
    text = (folder / "summary.txt").read_text()
    assert len(re.findall("^Top ", text, re.MULTILINE)) == 1
    assert re.search("^Top .* live memory at exit(, and at|; at) the peak", text, re.MULTILINE)
    assert "live memory at the peak" in shown(folder, "top", "--metric=peak", "run.heapsight")


def test_the_moment_that_is_shown_is_that_of_a_tick(folder: Path) -> None:
    text = shown(folder, "top", "--metric=live", "--at", "1h", "run.heapsight")
    tick = re.search(r"at ([\d.]+ m?s), the last tick before 1 h 00 min", text)
    assert tick
    at_tick = shown(folder, "top", "--metric=live", "--at", tick[1].replace(" ", ""), "run.heapsight")
    assert at_tick == text.replace(", the last tick before 1 h 00 min", "")
    total = re.search(r"Traced memory +(\S+ \w+) in ([\d,]+) block", text)
    assert total
    by_diff = shown(folder, "diff", "run.heapsight@0", "run.heapsight@1h")
    assert f"New            {total[1]} in {total[2]} block" in by_diff
    assert "between 0 ms and 0 ms" not in by_diff
    assert f"Traced memory  {total[1]} in {total[2]} block" in shown(folder, "top", "run.heapsight")


def test_a_span_without_time_says_so(folder: Path) -> None:
    text = shown(folder, "top", "--range", "1h..2h", "run.heapsight")
    assert "No tick lies between the two moments" in text
    done = heapsight("top", "--range", "end..0", "run.heapsight", cwd=folder)
    assert (done.status, done.text) == (2, "")
    assert "comes before the first" in done.errors


THREADS = """
import os, threading, _thread
def work(size, done=None):
    kept.append(bytes(size))
    if done is not None:
        done.release()
kept = []
for name, size in (("loader", 2_000_000), ("parser (1)", 3_000_000)):
    thread = threading.Thread(target=work, args=(size,), name=name)
    thread.start(); thread.join()
lock = _thread.allocate_lock(); lock.acquire()
_thread.start_new_thread(work, (4_000_000, lock))
lock.acquire()
kept.append(bytes(1_100_000))
"""


def test_threads_have_the_names_that_the_program_gave_them(capture: Path) -> None:
    done = Start(["-c", THREADS]).traced(capture, "--quiet", "--threads")
    assert (done.status, done.errors) == (0, "")
    text = heapsight("top", "--metric=live", "--group-by=thread", capture).text
    rows = re.findall(r"^ +\d +([\d.]+ MiB).*  (\S.*) \((native )?thread \d+\)$", text, re.MULTILINE)
    assert [(size, name, native) for size, name, native in rows[1:]] == [
        ("2.9 MiB", "parser (1)", ""),
        ("1.9 MiB", "loader", ""),
        ("1.1 MiB", "MainThread", ""),
    ]
    assert (rows[0][0], rows[0][2]) == ("3.8 MiB", "native ")


def test_a_capture_that_was_removed_is_told_of_on_one_line_with_quiet_too(capture: Path) -> None:
    for options in (["-q"], []):
        code = f"import os; os.remove({str(capture)!r}); print('done')"
        done = Start(["-c", code]).traced(capture, "--force", *options)
        assert (done.status, done.text) == (0, "done\n")
        [line] = done.errors.splitlines()
        assert (
            line == f"heapsight: {capture} was removed or replaced while the program ran: there is no recording of it"
        )


def test_names_of_files_cannot_control_the_terminal(folder: Path) -> None:
    evil = "e\x1b]0;x\x07\u202e\u2028\x9b.heapsight"
    for command in ("top", "stats", "export --to csv", "diff run.heapsight", "merge -o all", "run"):
        done = heapsight(*command.split(), evil, cwd=folder)
        assert done.status in (1, 2)
        [line] = done.errors.splitlines()
        assert not re.search("[\x00-\x1f\x7f\x80-\x9f\u202e\u2028]", line)
        assert "\\u{1b}]0;x\\u{7}\\u{202e}\\u{2028}\\u{9b}" in line
    written = heapsight("export", "--to", "csv", "-o", evil.replace(".heapsight", ".csv"), "run.heapsight", cwd=folder)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\x80-\x9f\u202e\u2028]", written.text)
    assert written.text.startswith("  Written        e\\u{1b}]0;x")


def in_a_terminal(*words: str | Path) -> str:
    """Return what a command writes to a terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-m", "heapsight", *map(str, words)], clean_environment())
    written = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # EIO: the command has ended
            chunk = b""
        if not chunk:
            break
        written += chunk
    os.close(terminal)
    os.waitpid(pid, 0)
    return written.decode()


def test_text_for_programs_is_harmless_in_a_terminal(tmp_path: Path) -> None:
    capture = tmp_path / "run.heapsight"
    code = "exec(compile('kept = bytes(5000)', 'evil\\x1b]0;x\\x07\\u202e.py', 'exec'))"
    assert Start(["-c", code]).traced(capture, "--quiet").status == 0
    for form in ("csv", "collapsed", "json"):
        text = in_a_terminal("export", "--to", form, "-o", "-", capture)
        assert re.search(r"evil(\\u\{1b\}|\\u001b|_)\]0", text)
        assert "\x1b" not in text
        assert "\u202e" not in text
        raw = heapsight("export", "--to", form, "-o", "-", capture).text
        assert "\u202e" in raw, "programs get names as they are"
    assert "is no text, and standard output is a terminal" in in_a_terminal(
        "export", "--to", "parquet", "-o", "-", capture
    )


@pytest.mark.parametrize("words", [["--sample", "4K"], ["--sample=4K"]])
def test_the_number_of_a_sample_may_follow_a_space(words: list[str], folder: Path) -> None:
    assert "every 4.0 KiB" in record(folder, "sample.heapsight", "--force", *words).errors


def test_a_wrong_number_of_a_sample_is_refused_by_name(folder: Path) -> None:
    done = heapsight("run", "--sample", "4X", "holder.py", cwd=folder)
    assert (done.status, done.text) == (2, "")
    assert "invalid value '4X' for '--sample" in done.errors


@pytest.mark.parametrize(
    "words",
    [
        ["run", "--frames", "0", "x.py"],
        ["run", "--tick", "x", "x.py"],
        ["run", "-n", "0", "x.py"],
        ["top", "--metric", "dead", "x"],
        ["top", "-P", "0", "x"],
        ["top", "-b", "zz", "x"],
        ["stats", "--at", "soon", "x"],
        ["diff", "-n", "-1", "x", "y"],
        ["export", "--to", "doc", "x"],
        ["merge", "--group-by", "size", "-o", "a", "x"],
    ],
)
def test_a_wrong_value_is_status_2_on_every_command(words: list[str]) -> None:
    done = heapsight(*words)
    assert (done.status, done.text) == (2, "")
    [line] = done.errors.splitlines()
    assert line.startswith("heapsight: invalid value ")


@pytest.mark.parametrize("options", [[], ["--follow"]])
def test_a_program_whose_name_is_no_text_is_recorded(options: list[str], tmp_path: Path) -> None:
    name = os.fsdecode(b"n\x1b[31m\xff\n\xe2\x80\xa8.py")
    (tmp_path / name).write_text("import os, sys\nkept = [bytes(1000) for _ in range(5000)]\nprint(len(sys.argv))\n")
    done = heapsight("run", *options, "-o", "run.heapsight", name, os.fsdecode(b"\xfe"), cwd=tmp_path)
    assert (done.status, done.text.strip()) == (0, "2"), done.errors
    assert "untraced" not in done.errors
    assert r"n\u{1b}[31m" in done.errors
    assert "\x1b[31m" not in done.errors
    assert re.search(r"1  (4\.\d|5\.0) MiB", done.errors)


def test_a_name_in_a_message_is_on_one_line_and_whole(tmp_path: Path) -> None:
    done = heapsight("top", "no\nsuch\x1b\u2028.heapsight", cwd=tmp_path)
    assert (done.status, done.errors) == (2, "heapsight: no such file: no\\u{a}such\\u{1b}\\u{2028}.heapsight\n")

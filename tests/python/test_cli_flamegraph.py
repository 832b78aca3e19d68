"""`heapsight flamegraph`: pages, read without a browser. What they show in one is tested in web/test."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import zlib
from pathlib import Path

import pytest
from harness import Start, heapsight

PROGRAM = """
import time
SECRET_KEY = "hunter2"
def load(): return [bytes(1000) for _ in range(2000)]
def index(kept): return dict(map(lambda number: (number, str(number)), range(5000)))
kept = load()
time.sleep(0.15)
names = index(kept)
dropped = load()
time.sleep(0.15)
del dropped
"""

FIGURES = ("allocated", "freed", "peak", "temporary")


class Page:
    """A page, taken apart."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.about = json.loads(self._inside("about"))

    def _inside(self, name: str) -> str:
        found = re.search(rf'<script type="[\w/-]+" id="data-{name}"[^>]*>([^<]*)</script>', self.text)
        assert found, name
        return found[1]

    def section(self, name: str) -> bytes:
        """Return a section, unpacked."""
        return zlib.decompress(base64.b64decode(self._inside(name)))

    def numbers(self, name: str) -> list[int]:
        """Return the numbers of a section: seven bits to a byte."""
        numbers, number, shift = [], 0, 0
        for byte in self.section(name):
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                numbers.append(number)
                number = shift = 0
        return numbers


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a capture of a small program."""
    folder = tmp_path_factory.mktemp("page")
    script = folder / "program.py"
    script.write_text(PROGRAM)
    capture = folder / "run.heapsight"
    done = Start([script], cwd=folder).traced(capture, "--quiet", "--tick", "20")
    assert (done.status, done.errors) == (0, "")
    return capture


def page_of(*arguments: str | Path) -> Page:
    """Return the page that is printed."""
    done = heapsight("flamegraph", "-o", "-", *arguments)
    assert (done.status, done.errors) == (0, "")
    return Page(done.text)


def test_a_page_has_the_figures_of_the_recording(recording: Path) -> None:
    page = page_of(recording)
    metrics = json.loads(heapsight("stats", "--json", recording).text)["metrics"]
    for name in FIGURES:
        assert sum(page.numbers(f"{name}-bytes")) == metrics[name]["bytes"]
        assert sum(page.numbers(f"{name}-blocks")) == metrics[name]["blocks"]
    assert page.about["new"]["live"][0] == metrics["live"]["bytes"]
    strings = page.section("strings").decode().splitlines()
    assert {"load", "index", "program.py"} <= set(strings)


def test_a_page_asks_for_nothing_and_runs_its_own_script_only(recording: Path) -> None:
    page = page_of(recording)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page.text)
    assert policy
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    scripts = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy[1]
    assert not re.search(r"""(?:src|href)=["']?https?:""", page.text)


def test_a_page_is_written_beside_the_capture_and_not_over_another_file(recording: Path) -> None:
    done = heapsight("flamegraph", recording)
    path = recording.with_suffix(".html")
    assert done.status == 0
    assert str(path) in done.text
    assert path.read_text().startswith("<!doctype html>")
    again = heapsight("flamegraph", recording)
    assert again.status == 2
    assert "exists" in again.errors
    assert heapsight("flamegraph", "--force", recording).status == 0


def test_lines_that_look_like_secrets_are_left_out_and_said(recording: Path) -> None:
    done = heapsight("flamegraph", "--force", recording)
    assert "1 line of source left out because they look like secrets: program.py:3" in done.errors
    page = Page(recording.with_suffix(".html").read_text())
    source = page.section("source-lines").decode()
    assert "def load()" in source
    assert "hunter2" not in source
    assert 'id="data-source-lines"' not in page_of("--no-source", recording).text


def test_names_are_text_whatever_they_say(tmp_path: Path) -> None:
    name = "</script><script>alert(1)</script>\x1b[31m\u202e" + "x" * 10_000
    script = tmp_path / "hostile.py"
    script.write_text(
        f"name = {name!r}\nscope = {{}}\n"
        "exec(compile('def f(): return bytes(10_000_000)', name, 'exec'), scope)\n"
        "f = scope['f']\nf.__code__ = f.__code__.replace(co_name=name)\n"
        "if hasattr(f.__code__, 'co_qualname'): f.__code__ = f.__code__.replace(co_qualname=name)\n"
        "kept = f()\n"
    )
    capture = tmp_path / "&lt;b>.heapsight"
    assert Start([script]).traced(capture, "--quiet").status == 0
    page = page_of(capture)
    assert "<script>alert(1)" not in page.text
    assert page.about["sentence"]
    assert len(page.about["sentence"]) < 600
    assert "&amp;lt;b&gt;.heapsight" in page.text
    assert "alert(1)" in page.section("strings").decode()
    assert max(map(len, page.section("strings").decode().splitlines())) < 3000
    for hostile in ("\x1b", "\u202e"):
        assert hostile not in page.text
        assert hostile not in page.section("strings").decode()


def test_two_files_are_one_page_with_the_figures_of_both(recording: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.heapsight"
    script = tmp_path / "other.py"
    script.write_text("kept = [bytes(500) for _ in range(4000)]\n")
    assert Start([script]).traced(other, "--quiet").status == 0
    page = page_of("--no-source", other, recording)
    for prefix, path in (("", recording), ("old-", other)):
        metrics = json.loads(heapsight("stats", "--json", path).text)["metrics"]
        assert sum(page.numbers(f"{prefix}allocated-bytes")) == metrics["allocated"]["bytes"]
    assert page.about["old"]["name"] == "other.heapsight"


def test_the_moments_of_a_range_are_ends_of_spans(recording: Path) -> None:
    ticks = list(itertools.accumulate(page_of("--no-source", recording).numbers("tick-times")))
    # To the millisecond, as times are read and written.
    moments = [ticks[len(ticks) // 3] // 1000, ticks[len(ticks) * 2 // 3] // 1000]
    page = page_of("--range", f"{moments[0]}ms..{moments[1]}ms", "--no-source", recording)
    assert page.about["span_us"] == [moment * 1000 for moment in moments]
    ends = list(itertools.accumulate(page.numbers("span-ends")))
    for moment in moments:
        assert max(tick for tick in ticks if tick // 1000 <= moment) in ends


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--range", "1..2", "{run}", "{run}"], "--range is for two moments of one file"),
        (["-o", "-", "--open", "{run}"], "--open needs a file"),
        (["{run}", "{run}", "{run}"], "FILE"),
        (["--range", "2..1", "{run}"], "2..1"),
        (["missing.heapsight"], "missing.heapsight"),
        ([], "FILE"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(recording: Path, arguments: list[str], message: str) -> None:
    done = heapsight("flamegraph", *(argument.format(run=recording) for argument in arguments))
    assert done.status == 2
    assert message in done.errors
    assert not done.stdout


def test_the_sentence_on_top_is_that_of_the_summary_and_of_top(tmp_path: Path) -> None:
    script = tmp_path / "grows.py"
    script.write_text(
        "import time\n"
        "kept = []\n"
        "def hold():\n"
        "    kept.append(bytes(100_000))\n"
        "for _ in range(40):\n"
        "    hold()\n"
        "    time.sleep(0.01)\n"
    )
    capture = tmp_path / "run.heapsight"
    run = Start([script.name], cwd=tmp_path).traced(capture, "--tick", "20")
    page = heapsight("flamegraph", "-o", "-", capture, cwd=tmp_path).text
    sentence = Page(page).about["sentence"]
    growth = r"\d+ % of the growth since \d+ ms( beside imports)? \(.*\)"
    assert re.match(growth + r" is on one path: grows\.py:4 hold", sentence)
    for text in (run.errors, heapsight("top", capture, cwd=tmp_path).text):
        assert sentence in " ".join(text.split())
    # What is of another moment, or of a part, is not what the sentence is about.
    for words in (["--at", "peak"], ["--range", "start..end"], ["-i", "grows.py"], ["-n", "1", "-S"]):
        text = heapsight("top", *words, capture, cwd=tmp_path).text
        assert " % of the " not in " ".join(text.split()), words

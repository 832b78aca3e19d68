"""Draw the pictures of terminals: run commands in a terminal of their own, and draw what it shows as SVGs.

    make picture          (or: .venv/bin/python scripts/picture.py [NAME…])

The pictures are of real runs, so their figures differ from machine to machine: draw them again when the output's form
changes. Commands that fill the screen are run in tmux, which knows what is on it at a moment.
"""

from __future__ import annotations

import fcntl
import html
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
ARGUMENTS = "run --top 5 -o demo.heapsight index_stdlib.py > /dev/null"
COLUMNS = 110
ROWS = 60
#: Of what fills the screen.
SCREEN_ROWS = 30

#: Found on PATH, so that what it says of itself names no machine.
HEAPSIGHT = "heapsight"

#: A character's box, in the SVG's units, at a font size of 14.
WIDTH, HEIGHT, MARGIN = 8.43, 18, 16
FONTS = "ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace"

BACKGROUND, FOREGROUND = "#16181d", "#d8dce4"
#: The sixteen colours of a terminal: eight dark, eight bright.
PALETTE = (
    *("#3b4048", "#e0666b", "#8cc570", "#e0b466", "#61a8ec", "#c284d8", "#4fb8c2", "#c3c9d4"),
    *("#7f8794", "#f0868a", "#a6dd8a", "#f2cb86", "#84c0fa", "#d9a2ec", "#72d3dc", "#ffffff"),
)

SGR = re.compile(r"\x1b\[([\d;]*)m")
OTHER_ESCAPE = re.compile(r"\x1b(?:\[[\d;?]*[A-Za-ln-z]|\][^\x07]*\x07|[()][A-Z0-9])")


@dataclass(frozen=True)
class Style:
    """How a piece of text looks."""

    colour: str = FOREGROUND
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    background: str | None = None
    is_reversed: bool = False

    def shown(self) -> Style:
        """Return the style with the colours that are seen."""
        if not self.is_reversed:
            return self
        return replace(self, colour=self.background or BACKGROUND, background=self.colour, is_reversed=False)

    def attributes(self) -> str:
        """Return the SVG attributes that differ from the default."""
        found = [
            f'fill="{self.colour}"' if self.colour != FOREGROUND else "",
            'font-weight="bold"' if self.bold else "",
            'opacity="0.6"' if self.dim else "",
            'font-style="italic"' if self.italic else "",
            'text-decoration="underline"' if self.underline else "",
        ]
        return " ".join(filter(None, found))


def restyled(style: Style, codes: list[int]) -> Style:
    """Apply the numbers of one SGR sequence."""
    while codes:
        code = codes.pop(0)
        if code == 0:
            style = Style()
        elif code in (1, 2, 3, 4):
            style = replace(style, bold=style.bold or code == 1, dim=style.dim or code == 2)
            style = replace(style, italic=style.italic or code == 3, underline=style.underline or code == 4)
        elif code == 22:
            style = replace(style, bold=False, dim=False)
        elif code in (7, 27):
            style = replace(style, is_reversed=code == 7)
        elif 40 <= code <= 47 or 100 <= code <= 107:
            style = replace(style, background=PALETTE[code - 40 if code < 100 else code - 92])
        elif code == 49:
            style = replace(style, background=None)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style = replace(style, colour=PALETTE[code - 30 if code < 90 else code - 82])
        elif code == 39:
            style = replace(style, colour=FOREGROUND)
        elif code in (38, 48) and codes[:1] in ([5], [2]):
            length = 2 if codes[0] == 5 else 4
            colour = indexed_colour(codes[1]) if length == 2 else "#{:02x}{:02x}{:02x}".format(*codes[1:4])
            style = replace(style, colour=colour) if code == 38 else replace(style, background=colour)
            del codes[:length]
    return style


def indexed_colour(index: int) -> str:
    """Return a colour of the 256 that terminals number."""
    if index < 16:
        return PALETTE[index]
    if index >= 232:
        grey = 8 + 10 * (index - 232)
        return f"#{grey:02x}{grey:02x}{grey:02x}"
    steps = (0, 95, 135, 175, 215, 255)
    red, green, blue = (steps[(index - 16) // unit % 6] for unit in (36, 6, 1))
    return f"#{red:02x}{green:02x}{blue:02x}"


def pieces(line: str, style: Style) -> Iterator[tuple[str, Style]]:
    """Split a line into runs of one style; the last is empty and carries the style on to the next line."""
    parts = SGR.split(line)
    yield parts[0], style
    for codes, text in zip(parts[1::2], parts[2::2]):
        style = restyled(style, [int(code or 0) for code in codes.split(";")])
        yield text, style
    yield "", style


def svg(terminal_output: str) -> str:
    """Draw terminal output."""
    lines = OTHER_ESCAPE.sub("", terminal_output).replace("\r\n", "\n").rstrip("\n").split("\n")
    columns = max(len(SGR.sub("", line)) for line in lines)
    width, height = columns * WIDTH + 2 * MARGIN, len(lines) * HEIGHT + 2 * MARGIN
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
        f'viewBox="0 0 {width:.0f} {height}">',
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
        f'<g fill="{FOREGROUND}" font-family="{FONTS}" font-size="14" style="white-space: pre">',
    ]
    style = Style()
    for row, line in enumerate(lines):
        column, baseline = 0, MARGIN + row * HEIGHT + 13
        for text, its_style in pieces(line, style):
            style = its_style  # which goes on in the next line
            seen = style.shown()
            if seen.background is not None and text:
                drawn.append(
                    f'<rect x="{MARGIN + column * WIDTH:.2f}" y="{MARGIN + row * HEIGHT}" '
                    f'width="{len(text) * WIDTH:.2f}" height="{HEIGHT}" fill="{seen.background}"/>'
                )
            if text.strip():
                # The length is given too, so that any monospaced font keeps the columns.
                drawn.append(
                    f'<text x="{MARGIN + column * WIDTH:.2f}" y="{baseline}" textLength="{len(text) * WIDTH:.2f}" '
                    f'xml:space="preserve" {seen.attributes()}>{html.escape(text)}</text>'
                )
            column += len(text)
    return "\n".join([*drawn, "</g>", "</svg>", ""])


def shown_in_a_terminal(command: list[str], cwd: Path) -> str:
    """Run a command in a terminal of its own, and return all that it shows there."""
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.chdir(cwd)
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
        environment.pop("NO_COLOR", None)
        os.execve(command[0], command, environment)  # noqa: S606 - a list, so no shell
    shown = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # EIO: the command has ended
            chunk = b""
        if not chunk:
            break
        shown += chunk
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    text = shown.decode()
    if status != 0:
        sys.exit(f"{' '.join(command)} ended with status {os.waitstatus_to_exitcode(status)}:\n{text}")
    return text


def shown_on_a_screen(command: str, cwd: Path, until: str, keys: list[str]) -> str:
    """Run a command in tmux until a text is on its screen, press keys, and return the screen."""
    with tempfile.TemporaryDirectory() as directory:
        tmux = ["tmux", "-f", "/dev/null", "-S", f"{directory}/socket"]
        environment = {**os.environ, "TERM": "tmux-256color", "LC_ALL": "C.UTF-8", "COLORTERM": "truecolor"}
        environment.pop("NO_COLOR", None)

        def asked(*words: str) -> str:
            done = subprocess.run([*tmux, *words], env=environment, cwd=cwd, stdout=subprocess.PIPE, check=True)
            return done.stdout.decode()

        asked("new-session", "-d", "-x", str(COLUMNS - 10), "-y", str(SCREEN_ROWS), command)
        try:
            for key in ["", *keys]:
                if key:
                    asked("send-keys", key)
                    time.sleep(1)
                while until not in (screen := asked("capture-pane", "-e", "-p")):
                    time.sleep(0.1)
            return screen
        finally:
            asked("kill-server")


def demo(folder: Path) -> str:
    """Show what `heapsight run` prints when the program has ended."""
    copy = folder / "index_stdlib.py"
    copy.write_bytes((ROOT / "examples" / "index_stdlib.py").read_bytes())
    # What the program prints is not what the picture is about.
    return f"$ heapsight {ARGUMENTS}\n" + shown_in_a_terminal(["/bin/sh", "-c", f"{HEAPSIGHT} {ARGUMENTS}"], folder)


def tree(folder: Path) -> str:
    """Show the tree of the demo, with the source of the selected line."""
    demo(folder)
    keys = ["Right", "Right", "Down", "Down", "Right"]
    return shown_on_a_screen(f"{HEAPSIGHT} tree demo.heapsight", folder, "build_index", keys)


def live(folder: Path) -> str:
    """Show a program that is watched from another terminal."""
    orders = ROOT / "examples" / "live" / "orders.py"
    command = [HEAPSIGHT, "run", "-q", "-o", "orders.heapsight", shutil.copy(orders, folder)]
    program = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE)
    try:
        while program.stdout is not None and b" 700" not in program.stdout.readline():
            pass
        return shown_on_a_screen(f"{HEAPSIGHT} live orders.heapsight", folder, "  9.", ["d"])
    finally:
        program.terminate()
        program.wait()


def run_live(folder: Path) -> str:
    """Show a program that is watched where it runs."""
    shutil.copy(ROOT / "examples" / "live" / "orders.py", folder)
    return shown_on_a_screen(f"{HEAPSIGHT} run --live orders.py", folder, "orders so far: 1000", [])


PICTURES = {"demo": demo, "tree": tree, "live": live, "run-live": run_live}


def main() -> None:
    """Run, draw, write."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or PICTURES:
        with tempfile.TemporaryDirectory() as directory:
            text = PICTURES[name](Path(directory))
        picture = IMAGES / f"{name}.svg"
        picture.write_text(svg(text), encoding="utf-8")
        print(f"drew {picture}")


if __name__ == "__main__":
    main()

"""The command line: gathers what only Python knows, and hands over to Rust."""

from __future__ import annotations

# Little is imported here: every `heapsight run` waits for it. `signal` would bring `enum`, and `pathlib` `urllib`.
import _signal as signal  # type: ignore[import-not-found]
import os
import site
import sys
import warnings
import zipimport

from heapsight import _heapsight


def main() -> int:
    """Run the command that ``sys.argv`` asks for, and return its exit status.

    ``heapsight run`` does not return when all is well: the process becomes the traced program.
    """
    _restore_default_signals()
    return _heapsight.cli_main(
        sys.argv[1:],
        sys.executable,
        own_command(),
        interpreter_flags(),
        preloaded_library(),
        check_script,
        hand_over_problem,
    )


def preloaded_library() -> str:
    """Return the path of the library that ``--native`` has the loader load first."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "libheapsight_preload.so")


def own_command() -> list[str]:
    """Return the words that heapsight was called with, without its arguments: `python3 -m heapsight`, or a script."""
    if os.path.basename(sys.argv[0]) != "__main__.py":
        return sys.argv[:1]
    words = _original_words()
    return words[: len(words) - len(sys.argv) + 1] or [sys.executable, "-m", "heapsight"]


def interpreter_flags() -> list[str]:
    """Return the options this interpreter was started with, so that the traced program gets the same."""
    original = _original_words()
    before_arguments = original[1 : len(original) - len(sys.argv) + 1]
    if len(before_arguments) >= 2 and before_arguments[-1] == "heapsight":
        *flags, module_option, _ = before_arguments
        if module_option == "-m":
            return flags
        if not module_option.startswith("--") and module_option.endswith("m"):  # joined, as in -Im
            return [*flags, module_option[:-1]]
    elif before_arguments and not before_arguments[-1].startswith("-"):
        return before_arguments[:-1]  # the console script
    import subprocess

    # Private, but what multiprocessing starts its children with; not rebuilt here, for each version adds options.
    return list(subprocess._args_from_interpreter_flags())  # type: ignore[attr-defined]


def _original_words() -> list[str]:
    """Return the arguments of this process as they were given, the interpreter's own included."""
    known: list[str] | None = getattr(sys, "orig_argv", None)
    return known or _command_line()


def _command_line() -> list[str]:
    """Return the arguments of this process as the system knows them: what ``sys.orig_argv`` is from 3.10 on."""
    try:
        with open("/proc/self/cmdline", "rb") as words:
            return [os.fsdecode(word) for word in words.read().split(b"\0")[:-1]]
    except OSError:
        return []


def check_script(path: str) -> str | None:
    """Compile the script and return ``line: message`` if its syntax is wrong, else None.

    Anything else that stands in the way is left for the interpreter to report in its own words.
    """
    if _holds_no_source(path):
        return None
    try:
        with open(path, "rb") as file:
            source = file.read()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they come when the program is compiled for real
            compile(source, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        return f"{error.lineno or 0}: {error.msg}"
    except ValueError as error:  # null bytes, before 3.12
        return f"0: {error}"
    except (OSError, MemoryError, RecursionError):
        return None
    return None


def _holds_no_source(path: str) -> bool:
    """Tell whether Python would run this file other than by compiling it: a zip archive, or compiled already."""
    try:
        zipimport.zipimporter(path)
    except zipimport.ZipImportError:
        return path.endswith(".pyc")
    return True


def hand_over_problem() -> str | None:
    """Say why a new interpreter would not find the settings of ``heapsight run``; None when it would.

    Tracing begins in ``heapsight.pth``, which ``site`` reads in its own directories only.
    """
    if sys.flags.no_site:
        return "python was started with -S, so nothing can start tracing: leave -S out"
    directories = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        directories.append(site.getusersitepackages())
    if any(os.path.isfile(os.path.join(directory, "heapsight.pth")) for directory in directories):
        return None
    return f"heapsight.pth is in no site directory of {sys.executable}: install heapsight there with pip"


def _restore_default_signals() -> None:
    """Let Ctrl-C and a closed pipe end a command written in Rust as they end any other."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)

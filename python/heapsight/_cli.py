"""``python -m heapsight``: finds the command, a program of its own, and becomes it, with what only Python knows."""

from __future__ import annotations

# Little is imported here: every command waits for it. `signal` would bring `enum`, and `pathlib` `urllib`.
import _signal as signal  # type: ignore[import-not-found]
import os
import site
import sys


def main() -> int:
    """Run the command that ``sys.argv`` asks for. Returns only if there is no such command."""
    path = command_path()
    if path is None:
        print(f"heapsight: its command is not installed for {sys.executable}: install heapsight again", file=sys.stderr)
        return 1
    _restore_default_signals()
    told = [("executable", sys.executable), ("version", sys.version.split()[0])]
    told += [("command", word) for word in own_command()]
    told.append(("preload", preloaded_library()))
    told += [("flag", flag) for flag in interpreter_flags()]
    problem = hand_over_problem()
    if problem is not None:
        told.append(("problem", problem))
    words = [f"{name}={value}" for name, value in told]
    try:
        os.execv(path, [path, "--from-python", *words, "--", *sys.argv[1:]])
    except OSError as error:
        print(f"heapsight: cannot start {path}: {error.strerror}", file=sys.stderr)
        return 1


def command_path() -> str | None:
    """Return where the command is: in the folder for scripts of the environment that this package is in."""
    packages = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    prefix = os.path.dirname(os.path.dirname(os.path.dirname(packages)))  # PREFIX/lib/pythonX.Y/site-packages
    for folder in (os.path.join(prefix, "bin"), os.path.join(packages, "bin")):  # the second: pip install --target
        path = os.path.join(folder, "heapsight")
        if os.access(path, os.X_OK):
            return path
    import sysconfig

    path = os.path.join(sysconfig.get_path("scripts"), "heapsight")
    return path if os.access(path, os.X_OK) else None


def preloaded_library() -> str:
    """Return the path of the library that ``--native`` has the loader load first."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "libheapsight_preload.so")


def own_command() -> list[str]:
    """Return the words that heapsight was called with, without its arguments: `python3 -m heapsight`."""
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
    """Let a closed pipe end the command as it ends any other: what Python ignores would stay ignored."""
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)

"""Imported by ``heapsight.pth`` while the interpreter starts, only if something may have asked for tracing.

Nothing here may change what the program sees, and nothing may stop it: whatever goes wrong is one line on stderr. So it
imports only what every interpreter has already imported at this point, and it stands outside the package, whose import
may be what fails. (``from __future__ import annotations`` would import a module too: annotations are quoted.)
"""

import os
import sys

_HIGHEST_LIMIT = 65535

#: Value of ``PYTHONHEAPSIGHT`` when it is set only for ``heapsight.pth``, which looks at no other variable, to import this module.
_LOOK = "run"


def start() -> None:
    """Do what the environment or ``-X`` asks for, once for the process: site runs in each sub-interpreter, too."""
    spec = os.environ.get("HEAPSIGHT_RUN")
    try:
        if not _is_first_start():
            return
        _forget_request()
        if spec is not None:
            _begin_run(spec)
        else:
            _enable_from_switch()
        if "heapsight-replace" in sys._xoptions:
            _replace_tracemalloc()
    except BaseException as error:  # a Rust panic is no Exception, and the program must go on
        if isinstance(error, ImportError) and "subinterpreter" in str(error):
            return  # the process is traced from its main interpreter
        _forget_request()
        if spec is None and isinstance(error, ModuleNotFoundError) and error.name == "heapsight":
            return  # these two files were left behind when the package was removed
        _say(f"heapsight: {str(error) or type(error).__name__}; the program runs untraced")


def _is_first_start() -> bool:
    """Tell whether anything is asked for and this is the main interpreter's start, not what else may run this file."""
    asked = "HEAPSIGHT_RUN" in os.environ or "heapsight-replace" in sys._xoptions or _switch()[1] is not None
    if not asked:
        return False
    from heapsight import _heapsight

    return _heapsight.is_first_start()


def _forget_request() -> None:
    """Take what ``heapsight run`` says to this process out of the environment: the program and its children must not see it."""
    if os.environ.pop("HEAPSIGHT_RUN", None) is not None and os.environ.get("PYTHONHEAPSIGHT") == _LOOK:
        del os.environ["PYTHONHEAPSIGHT"]


def _begin_run(spec: str) -> None:
    """Record this process, from now until its last exit function has run."""
    from heapsight import _heapsight

    script = _heapsight.run_script(spec)
    problem = _syntax_problem(script) if script is not None else ""
    if problem:
        _heapsight.run_refuse(spec, problem)  # does not return
    for_children = _heapsight.run_begin(spec, getattr(sys, "argv", []))
    if _heapsight.run_replaces_tracemalloc():
        _replace_tracemalloc()
    if for_children is not None:  # --follow
        os.environ["HEAPSIGHT_RUN"] = for_children
        os.environ.setdefault("PYTHONHEAPSIGHT", _LOOK)
        os.register_at_fork(after_in_child=_follow_fork)
    os.register_at_fork(
        before=_heapsight.run_before_fork,
        after_in_parent=_heapsight.run_after_fork,
        after_in_child=_heapsight.run_after_fork_in_child,
    )
    # Registered before anything of the program's, so run after everything of the program's.
    import atexit

    atexit.register(_heapsight.run_end)


def _syntax_problem(script: str) -> str:
    """Compile the script, and return ``line: message`` if its syntax is wrong, else nothing.

    In a child process: compiling leaves things behind, and in this process the program's own are to be the first.
    Anything else that stands in the way is left for the interpreter to report in its own words.
    """
    try:
        reading, writing = os.pipe()
    except OSError:
        return ""
    try:
        child = os.fork()
    except OSError:
        child = -1
    if child == 0:
        try:
            os.write(writing, _compile(script).encode("utf-8", "backslashreplace")[:4096])
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb", buffering=0) as pipe:
        problem = pipe.read() if child > 0 else b""
    try:
        if child > 0:
            os.waitpid(child, 0)
    except OSError:  # whoever started this process has the system forget its children
        pass
    return problem.decode()


def _compile(script: str) -> str:
    """Return what is wrong with the syntax of a script, in a process where nothing else is to happen."""
    import _warnings  # `warnings` and `zipimport` would take longer than all the rest

    try:
        with open(script, "rb") as file:
            source = file.read()
        # Python runs other than by compiling it: an archive, which ends with this mark and a comment, and what is compiled already.
        if script.endswith(".pyc") or b"PK\5\6" in source[-65557:]:
            return ""
        # They come when the program is compiled for real.
        _warnings.filters.insert(0, ("ignore", None, Warning, None, 0))
        compile(source, script, "exec", dont_inherit=True)
    except SyntaxError as error:
        return f"{error.lineno or 0}: {error.msg}"
    except ValueError as error:  # null bytes, before 3.12
        return f"0: {error}"
    except BaseException:
        return ""
    return ""


def _follow_fork() -> None:
    """Record a forked child of a process that is recorded with --follow."""
    from heapsight import _heapsight

    problem = _heapsight.run_follow_fork()
    if problem is not None:
        _say(f"heapsight: {problem}; process {os.getpid()} runs untraced")
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        # Children of multiprocessing leave through os._exit, which runs no exit functions, but they run finalisers of their own.
        util.register_after_fork(_heapsight, lambda module: util.Finalize(None, module.run_end, exitpriority=-100))


def _enable_from_switch() -> None:
    """Trace without recording, for the program to ask."""
    origin, value = _switch()
    if value is None:
        return
    limit = _parse_limit(value)
    if limit is None:
        _warn(f"{origin}: invalid traceback limit {value!r}: give 1 to {_HIGHEST_LIMIT}; heapsight stays off")
        return
    from heapsight import _heapsight

    _heapsight.set_traceback_limit(limit)
    if "heapsight-replace" in sys._xoptions:
        _heapsight.tracemalloc_functions.start(limit)  # this one also knows how many frames there were beyond the limit
    else:
        _heapsight.enable(native="heapsight-native" in sys._xoptions)


def _replace_tracemalloc() -> None:
    """Put the drop-in in the place of `tracemalloc`."""
    if sys._xoptions.get("heapsight-replace", True) is not True:
        _warn("-X heapsight-replace takes no value: give a traceback limit with -X heapsight=N")
    from heapsight import tracemalloc

    tracemalloc.install()


def _switch() -> "tuple[str, str | None]":
    """Return where the traceback limit was asked for, and its text; None when heapsight is to stay off."""
    for name in ("heapsight-native", "heapsight"):
        option = sys._xoptions.get(name)
        if option is not None:
            return f"-X {name}", "1" if option is True else option
    variable = "" if sys.flags.ignore_environment else os.environ.get("PYTHONHEAPSIGHT", "")
    return "PYTHONHEAPSIGHT", variable if variable not in ("", "0") else None


def _parse_limit(text: str) -> "int | None":
    """Return the number that the text is, or None."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        return None
    limit = int(text)
    return limit if 1 <= limit <= _HIGHEST_LIMIT else None


def _warn(message: str) -> None:
    """Warn as Python does, if it can be heard."""
    import warnings

    try:
        warnings.warn_explicit(message, RuntimeWarning, "heapsight", 0)  # no line of the program's is to blame
    except RuntimeWarning:  # -W error: a start-up has nobody to raise to
        _say(f"RuntimeWarning: {message}")


def _say(line: str) -> None:
    """Write a line to standard error, if there is one."""
    if sys.stderr is not None:
        sys.stderr.write(f"{line}\n")


start()

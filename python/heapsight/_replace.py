"""Puts heapsight's ``tracemalloc`` in the place of the standard one, and takes it out again."""

import sys

from heapsight import _heapsight

__all__ = ["install", "uninstall"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable as _Iterable
    from types import ModuleType as _ModuleType

#: The names that are taken over, and what was there before; None while nothing is. A missing module is None, too.
_NAMES = ("tracemalloc", "_tracemalloc")
_before: "dict[str, _ModuleType | None] | None" = None


def install(module: "_ModuleType", classes: "_Iterable[type]") -> None:
    """Make ``module`` what ``import tracemalloc`` gives."""
    global _before
    if _before is not None:
        return
    limit = _stop_standard_tracing()
    _before = {name: sys.modules.get(name) for name in _NAMES}
    sys.modules["tracemalloc"] = module
    sys.modules["_tracemalloc"] = _heapsight.tracemalloc_functions
    for each in classes:
        each.__module__ = "tracemalloc"  # where pickles look for it
    if limit is not None:
        module.start(limit)
    _heapsight.adopt_tracing()


def uninstall(classes: "_Iterable[type]") -> None:
    """Put back what was there."""
    global _before
    if _before is None:
        return
    for name, module in _before.items():
        if module is None:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = module
    for each in classes:
        each.__module__ = "heapsight.tracemalloc"
    _before = None


def _stop_standard_tracing() -> "int | None":
    """Stop the interpreter's own tracer and return its limit; None when it is off."""
    import _tracemalloc

    if not _tracemalloc.is_tracing():
        return None
    limit = _tracemalloc.get_traceback_limit()
    _tracemalloc.stop()
    return limit

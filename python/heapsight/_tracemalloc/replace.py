"""Puts the drop-in in the place of `tracemalloc`, and takes it out again."""

import sys

from heapsight import _heapsight
from heapsight._tracemalloc import home

__all__ = ["install", "uninstall"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType as _ModuleType

#: The names that are taken over, and what was there before; None while nothing is. A missing module is None, too.
_NAMES = ("tracemalloc", "_tracemalloc")
_before: "dict[str, _ModuleType | None] | None" = None


def install(module: "_ModuleType") -> None:
    """Make ``module`` what ``import tracemalloc`` gives."""
    global _before
    if _before is not None:
        return
    limit = _stop_interpreters_tracer()
    _before = {name: sys.modules.get(name) for name in _NAMES}
    sys.modules["tracemalloc"] = module
    sys.modules["_tracemalloc"] = _heapsight.tracemalloc_functions
    home.move_to("tracemalloc")  # where pickles look for the classes
    if limit is not None:
        module.start(limit)
    _heapsight.adopt_tracing()


def uninstall() -> None:
    """Put back what was there."""
    global _before
    if _before is None:
        return
    for name, module in _before.items():
        if module is None:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = module
    home.move_to("heapsight.tracemalloc")
    _before = None


def _stop_interpreters_tracer() -> "int | None":
    """Stop the interpreter's own tracer and return its limit; None when it is off."""
    import _tracemalloc

    if not _tracemalloc.is_tracing():
        return None
    limit = _tracemalloc.get_traceback_limit()
    _tracemalloc.stop()
    return limit

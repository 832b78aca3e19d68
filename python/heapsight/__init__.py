"""heapsight: where the memory of a Python program is, by the call path that allocated it."""

import sys

from heapsight import _heapsight
from heapsight._heapsight import (
    Filter,
    Filters,
    Frame,
    Trace,
    TraceStats,
    __version__,
    add_filter,
    clear_filters,
    clear_traces,
    disable,
    get_budget,
    get_filters,
    get_object_address,
    get_traceback_limit,
    get_traced_memory,
    get_traced_peak,
    get_tracemalloc_size,
    is_enabled,
    reset_peak,
    set_budget,
    set_traceback_limit,
    start_timer,
    stop_timer,
)
from heapsight._lazy import load as _load
from heapsight._live import (
    add_exclude_filter,
    add_include_filter,
    enable,
    get_object_trace,
    get_process_memory,
    get_stats,
    get_trace,
    get_traces,
    process_report,
)

TYPE_CHECKING = False  # what the typing module says, without importing it at every start-up
if TYPE_CHECKING:
    from heapsight._display import DisplayTop, DisplayTopTask
    from heapsight._metrics import Metric, ProcessMemory, standard_metrics
    from heapsight._process import ProcessReport
    from heapsight._snapshot import Snapshot
    from heapsight._statistics import GroupedStats, StatsDiff
    from heapsight._take import TakeSnapshot
else:
    _HOMES = {
        "DisplayTop": "_display",
        "DisplayTopTask": "_display",
        "GroupedStats": "_statistics",
        "Metric": "_metrics",
        "ProcessMemory": "_metrics",
        "ProcessReport": "_process",
        "Snapshot": "_snapshot",
        "StatsDiff": "_statistics",
        "TakeSnapshot": "_take",
        "standard_metrics": "_metrics",
    }

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = _load(_HOMES[name], name)
        return value

    def __dir__():
        return sorted({*globals(), *__all__} - {"TYPE_CHECKING"})

    def _load_all():
        """Import what is still to be imported, before tracing begins: a program that reads its traces does not see that then.

        Not when tracing has begun with the interpreter: datetime, json and the like must not come before the program wants them.
        """
        if "_heapsight_startup" not in sys.modules:
            __getattr__("DisplayTop")
            __getattr__("TakeSnapshot")


__all__ = [
    "DisplayTop",
    "DisplayTopTask",
    "Filter",
    "Filters",
    "Frame",
    "GroupedStats",
    "Metric",
    "ProcessMemory",
    "ProcessReport",
    "Snapshot",
    "StatsDiff",
    "TakeSnapshot",
    "Trace",
    "TraceStats",
    "__version__",
    "add_exclude_filter",
    "add_filter",
    "add_include_filter",
    "clear_filters",
    "clear_traces",
    "disable",
    "enable",
    "get_budget",
    "get_filters",
    "get_object_address",
    "get_object_trace",
    "get_process_memory",
    "get_stats",
    "get_trace",
    "get_traceback_limit",
    "get_traced_memory",
    "get_traced_peak",
    "get_tracemalloc_size",
    "get_traces",
    "is_enabled",
    "process_report",
    "reset_peak",
    "set_budget",
    "set_traceback_limit",
    "standard_metrics",
    "start_timer",
    "stop_timer",
]

# Users do not ask what heapsight itself allocates.
_heapsight.leave_own_files_out(__file__[: -len("__init__.py")] + "*")

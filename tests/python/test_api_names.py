"""Every name that was asked for is there, with the parameters and defaults that were asked for, and nothing else is public."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import heapsight

SEED = Path(__file__).resolve().parents[3] / "shared" / "seed-api.md"

#: Functions and how they can be called.
SIGNATURES = {
    "add_exclude_filter": "(filename, lineno=None, traceback=False)",
    "add_filter": "(filter)",
    "add_include_filter": "(filename, lineno=None, traceback=False)",
    "clear_filters": "()",
    "clear_traces": "()",
    "disable": "()",
    "enable": "(*, sample_bytes=None, clear_free_lists=False, native=False)",
    "get_budget": "()",
    "get_filters": "()",
    "get_object_address": "(obj)",
    "get_object_trace": "(obj)",
    "get_process_memory": "()",
    "get_stats": "()",
    "get_trace": "(address)",
    "get_traceback_limit": "()",
    "get_traced_memory": "()",
    "get_traced_peak": "()",
    "get_tracemalloc_size": "()",
    "get_traces": "()",
    "is_enabled": "()",
    "process_report": "()",
    "reset_peak": "()",
    "set_budget": "(bytes)",
    "set_traceback_limit": "(limit)",
    "standard_metrics": "()",
    "start_timer": "(delay, func, args=(), kwargs={})",
    "stop_timer": "()",
    "DisplayTop": "()",
    "DisplayTop.display_snapshot": "(self, snapshot, count=10, group_by='filename_lineno', cumulative=False, file=None)",
    "DisplayTop.display_top_diff": "(self, top_diff, count=10, file=None)",
    "DisplayTop.display_top_stats": "(self, top_stats, count=10, file=None)",
    "DisplayTopTask": "(count=10, group_by='filename_lineno', cumulative=False, file=None, user_data_callback=None)",
    "DisplayTopTask.display": "(self)",
    "DisplayTopTask.start": "(self, delay)",
    "DisplayTopTask.stop": "(self)",
    "Filter": "(include, pattern, lineno=None, traceback=False)",
    "Filter.match": "(self, /, filename, lineno)",
    "Filter.match_filename": "(self, /, filename)",
    "Filter.match_lineno": "(self, /, lineno)",
    "Filter.match_trace": "(self, /, trace)",
    "Filters": "(filters=())",
    "Filters.add": "(self, /, filter)",
    "Filters.match": "(self, /, filename, lineno)",
    "Filters.match_trace": "(self, /, trace)",
    "Frame": "(filename=None, lineno=None, name=None)",
    "GroupedStats": "(stats, group_by, cumulative=False, timestamp=None, process_memory=None, tracemalloc_size=None)",
    "GroupedStats.compare_to": "(self, old_stats=None)",
    "Metric": "(name, value, format='int')",
    "ProcessMemory": "(rss, vms)",
    "ProcessReport": "(resident, parts, private, copy_on_write, huge, swapped, meaning, sentence, table)",
    "Snapshot.apply_filters": "(self, filters)",
    "Snapshot.create": "(*, with_traces=False, with_stats=True, user_data_callback=None)",
    "Snapshot.load": "(filename, traces=True, *, at='end')",
    "Snapshot.top_by": "(self, group_by, cumulative=False)",
    "Snapshot.write": "(self, filename)",
    "StatsDiff": "(differences, old_stats, new_stats)",
    "StatsDiff.sort": "(self)",
    "TakeSnapshot": "()",
    "TakeSnapshot.start": "(self, delay)",
    "TakeSnapshot.stop": "(self)",
    "TakeSnapshot.take_snapshot": "(self)",
    "Trace": "(size, traceback)",
    "TraceStats": "(size, count)",
}

#: Attributes of the objects of each class.
ATTRIBUTES = {
    "DisplayTop": "color compare_with_previous filename_parts previous_top_stats show_average show_count show_size",
    "DisplayTopTask": "count cumulative display_top file group_by user_data_callback",
    "Filter": "include lineno pattern traceback",
    "Filters": "",
    "Frame": "filename lineno name",
    "GroupedStats": "cumulative group_by process_memory stats timestamp tracemalloc_size",
    "Metric": "format name value",
    "ProcessMemory": "rss vms",
    "ProcessReport": "copy_on_write huge meaning parts private resident sentence swapped table",
    "Snapshot": "incomplete metrics pid process_memory stats timestamp traceback_limit traced_memory traced_peak tracemalloc_size traces "
    "user_data",
    "StatsDiff": "differences new_stats old_stats",
    "TakeSnapshot": "filename_template user_data_callback with_stats with_traces",
    "Trace": "size traceback",
    "TraceStats": "count size",
}


def find(name: str) -> Any:
    """Return what a dotted name of the module stands for."""
    found: Any = heapsight
    for part in name.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_can_be_called_as_listed(name: str) -> None:
    if sys.version_info < (3, 10) and inspect.isclass(find(name)) and find(name).__module__ == "heapsight":
        pytest.skip("this Python does not read the signatures of native classes")
    signature = inspect.signature(find(name))
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    assert str(inspect.Signature(bare)) == SIGNATURES[name]


def test_nothing_is_public_that_is_not_listed() -> None:
    listed = {name for name in [*SIGNATURES, *ATTRIBUTES] if "." not in name}
    assert set(heapsight.__all__) == listed | {"__version__"}
    assert len(heapsight.__all__) == len(set(heapsight.__all__))


@pytest.mark.parametrize("name", sorted(ATTRIBUTES))
def test_class_has_the_attributes_and_methods_listed_and_no_others(name: str) -> None:
    inherited = set(dir(tuple)) if issubclass(find(name), tuple) else set()
    public = {member for member in dir(find(name)) if not member.startswith("_")} - inherited
    methods = {listed.split(".")[1] for listed in SIGNATURES if listed.startswith(f"{name}.")}
    assert public == methods | set(ATTRIBUTES[name].split())


@pytest.mark.parametrize("name", sorted(set(SIGNATURES) | set(ATTRIBUTES)))
def test_is_documented(name: str) -> None:
    assert (find(name).__doc__ or "").strip()


def asked_for() -> set[str]:
    """Return every name that the page with the contract calls or defines, as far as its spelling tells."""
    if not SEED.is_file():
        pytest.skip("the page with the contract is not here: only the checked-in list of names is tested")
    text = SEED.read_text(encoding="utf-8").split("## Command line on snapshot files")[0]
    functions = re.findall(r"`(?:heapsight\.)?([a-z_]+)\(", text)
    classes = re.findall(r"[`*]([A-Z]\w+)(?:\(|`)", text)
    tasks = re.findall(r"[`.]([a-z_]+)\(", text)
    of_python = {"abs", "dict", "dumps", "func", "len", "list", "repr", "str"}
    of_python |= {"False", "None", "RuntimeError", "RuntimeWarning", "True", "TypeError", "ValueError"}
    other_words = {"NO_COLOR", "PYTHONHEAPSIGHT", "TTY"}
    ignored = of_python | other_words
    return {*functions, *classes, *tasks} - ignored


def test_everything_on_the_page_with_the_contract_is_listed() -> None:
    listed = {part for name in [*SIGNATURES, *ATTRIBUTES] for part in name.split(".")}
    listed |= {attribute for attributes in ATTRIBUTES.values() for attribute in attributes.split()}
    found = asked_for()
    assert len(found) > 40, "the page is not read as it should be"
    assert found <= listed, found - listed

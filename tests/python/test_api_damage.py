"""Snapshots' files that are damaged, cut short, or made by somebody who means harm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from harness import heapsight as heapsight_command

import heapsight
from heapsight import Snapshot

pytestmark = pytest.mark.usefixtures("untraced")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Return the file of a snapshot with single blocks and user data."""
    heapsight.enable()
    kept = [bytes(100 + number) for number in range(50)]
    snapshot = Snapshot.create(with_traces=True, user_data_callback=lambda: {"queue": len(kept)})
    heapsight.disable()
    snapshot.apply_filters([heapsight.Filter(True, __file__)])
    snapshot.write(tmp_path / "whole")
    assert Snapshot.load(tmp_path / "whole").incomplete is None
    return tmp_path / "whole"


def facts(snapshot: Snapshot) -> tuple[Any, ...]:
    return (snapshot.stats, snapshot.traces, snapshot.user_data, snapshot.metrics, snapshot.traced_memory)


def test_a_file_cut_anywhere_is_an_error_or_says_that_it_is_incomplete(written: Path) -> None:
    whole = written.read_bytes()
    expected = facts(Snapshot.load(written))
    cut = written.with_name("cut")
    refused = 0
    seen = set()
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        try:
            snapshot = Snapshot.load(cut)
        except ValueError as error:
            said = str(error)
            assert "\n" not in said
            assert said.startswith(f"{cut}: ")
            refused += 1
            continue
        assert snapshot.incomplete
        assert snapshot.stats == expected[0], "what is there is right"
        seen.add(snapshot.incomplete.split(":")[0])
    assert 0 < refused < len(whole)
    assert "the file ends before the snapshot does" in seen, "cut between two frames"
    assert len(seen) > 1, "and within one"


def test_a_file_with_a_changed_byte_is_an_error_or_incomplete_or_as_before(written: Path) -> None:
    whole = written.read_bytes()
    expected = facts(Snapshot.load(written))
    changed = written.with_name("changed")
    for place in range(len(whole)):
        changed.write_bytes(whole[:place] + bytes([whole[place] ^ 0x21]) + whole[place + 1 :])
        try:
            snapshot = Snapshot.load(changed)
        except ValueError as error:
            said = str(error)
            assert said.startswith(f"{changed}: ")
            continue
        assert snapshot.incomplete or facts(snapshot) == expected


def test_that_it_is_incomplete_outlives_writing_and_pickling(written: Path) -> None:
    import copy

    cut = written.with_name("cut")
    cut.write_bytes(written.read_bytes()[:-1])
    snapshot = Snapshot.load(cut)
    assert snapshot.incomplete
    snapshot.write(cut)
    assert Snapshot.load(cut).incomplete == snapshot.incomplete
    assert copy.deepcopy(snapshot).incomplete == snapshot.incomplete


NOTE: dict[str, Any] = {"traceback_limit": 1, "rss": 5, "vms": 6, "with_stats": True, "metrics": [], "user_data": None}


def with_note(text: str, file: Path) -> Path:
    """Write a sound snapshot whose note is this text."""
    heapsight.enable()
    Snapshot.create()._data.write(str(file), 0, text, True)
    heapsight.disable()
    return file


def metric(**fields: Any) -> dict[str, Any]:
    return {"metrics": [{"name": "a", "value": 1, "format": "int", **fields}]}


DAMAGED: list[Any] = [
    "",
    "{",
    "[]",
    "null",
    "7",
    "\ufffd",
    "[" * 100_000,
    '{"a":' * 100_000,
    '{"traceback_limit": ' + "9" * 10_000 + "}",
    {"traceback_limit": "1"},
    {"traceback_limit": 0},
    {"traceback_limit": 1 << 70},
    {"traceback_limit": True},
    {"traceback_limit": None},
    {"rss": "much"},
    {"rss": -1},
    {"rss": 1.5},
    {"vms": []},
    {"metrics": 5},
    {"metrics": None},
    {"metrics": {"a": 1}},
    {"metrics": [5]},
    {"metrics": [{}]},
    metric(name=5),
    metric(value="1"),
    metric(value=None),
    metric(value=10**400),
    metric(value={"$float": "much"}),
    metric(format="bytes"),
    metric(extra=1),
    {"incomplete": 5},
    {"user_data": {"$unknown": 1}},
    {"user_data": {"$": 1}},
    {"user_data": {"$tuple": [1], "more": 1}},
    {"user_data": {"$tuple": 5}},
    {"user_data": {"$set": [[1]]}},
    {"user_data": {"$dict": [[[], 1]]}},
    {"user_data": {"$dict": [[1]]}},
    {"user_data": {"$dict": {"a": 1}}},
    {"user_data": {"$bytes": "x"}},
    {"user_data": {"$bytes": 5}},
    {"user_data": {"$bytes": "é"}},
    {"user_data": {"$complex": [1]}},
    {"user_data": {"$complex": ["1", 2]}},
    {"user_data": {"$complex": [[1], 2]}},
    {"user_data": {"$int": "0xz"}},
    {"user_data": {"$int": 5}},
    {"user_data": {"$float": []}},
    {"user_data": {"$datetime": ["2026-01-01", 7]}},
    {"user_data": {"$datetime": ["2026-13-01T00:00:00", 0]}},
    {"user_data": {"$datetime": "2026-01-01"}},
    {"user_data": {"$date": 5}},
    {"user_data": {"$time": ["25:00", 0]}},
    {"user_data": {"$timedelta": [1e300, 0, 0]}},
    {"user_data": {"$timedelta": [10**12, 0, 0]}},
    {"user_data": {"$timedelta": [1]}},
    {"user_data": {"$metric": ["a", 1, "bytes"]}},
    {"user_data": {"$metric": ["a"]}},
    {"user_data": {"$metric": None}},
]


@pytest.mark.parametrize("damage", DAMAGED, ids=[str(number) for number in range(len(DAMAGED))])
def test_a_damaged_note_is_a_value_error_that_names_the_file(damage: Any, tmp_path: Path) -> None:
    text = damage if isinstance(damage, str) else json.dumps({**NOTE, **damage})
    file = with_note(text, tmp_path / "file")
    with pytest.raises(ValueError, match="damaged") as raised:
        Snapshot.load(file)
    assert type(raised.value) is ValueError
    assert str(raised.value).startswith(f"{file}: ")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_a_note_that_says_little_is_no_damage(tmp_path: Path) -> None:
    snapshot = Snapshot.load(with_note("{}", tmp_path / "file"))
    assert (snapshot.traceback_limit, snapshot.user_data, snapshot.metrics) == (1, None, {})


def test_nothing_in_a_note_is_run(tmp_path: Path) -> None:
    for name in ("__import__('os').abort()", "os.abort", "builtins.exec"):
        for tag in ("$int", "$float", "$date", "$bytes"):
            file = with_note(json.dumps({**NOTE, "user_data": {tag: name}}), tmp_path / "file")
            with pytest.raises(ValueError, match="damaged"):
                Snapshot.load(file)


def test_commands_show_what_there_is_of_a_snapshot_and_fail(written: Path) -> None:
    cut = written.with_name("cut")
    cut.write_bytes(written.read_bytes()[:-1])
    for words in (["top"], ["stats"], ["top", written]):
        done = heapsight_command(*words, cut)
        assert (done.status, "test_api_damage.py" in done.text or "snapshot" in done.text) == (1, True)
        [line] = done.errors.splitlines()
        assert f"{cut}: the snapshot is incomplete" in line
    assert heapsight_command("top", written).status == 0

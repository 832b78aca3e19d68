"""Switching tracing on and off from a program, and its counters."""

from __future__ import annotations

from typing import Any

import pytest

import heapsight

pytestmark = pytest.mark.usefixtures("untraced")

MEBIBYTE = 1 << 20


def test_enable_and_disable_switch_tracing_and_may_be_repeated() -> None:
    assert not heapsight.is_enabled()
    heapsight.enable()
    heapsight.enable()
    assert heapsight.is_enabled()
    heapsight.disable()
    heapsight.disable()
    assert not heapsight.is_enabled()


def test_traced_memory_follows_what_is_held_and_the_peak_stays() -> None:
    heapsight.enable()
    before = heapsight.get_traced_memory()
    held = bytearray(MEBIBYTE)
    assert heapsight.get_traced_memory() - before == pytest.approx(MEBIBYTE, rel=0.01)
    del held
    assert heapsight.get_traced_memory() - before < MEBIBYTE / 10
    assert heapsight.get_traced_peak() - before >= MEBIBYTE


def test_reset_peak_makes_the_peak_what_is_live() -> None:
    heapsight.enable()
    bytearray(MEBIBYTE)
    heapsight.reset_peak()
    assert heapsight.get_traced_peak() < MEBIBYTE


def test_clear_traces_forgets_what_is_held() -> None:
    heapsight.enable()
    held = bytearray(MEBIBYTE)
    heapsight.clear_traces()
    assert heapsight.get_traced_memory() < MEBIBYTE
    assert heapsight.get_traced_peak() < MEBIBYTE
    assert heapsight.is_enabled()
    del held  # a block that is no longer known
    assert heapsight.get_traced_memory() < MEBIBYTE


def test_disable_drops_everything() -> None:
    heapsight.enable()
    held = bytearray(MEBIBYTE)
    heapsight.disable()
    assert heapsight.get_traced_memory() == 0
    assert heapsight.get_traced_peak() == 0
    heapsight.enable()
    assert heapsight.get_traced_memory() < MEBIBYTE
    del held


def test_tracer_tells_what_it_holds_itself() -> None:
    heapsight.enable()
    held = [bytes(40) for _ in range(100_000)]
    assert 0 < heapsight.get_tracemalloc_size() < 100 * len(held)


@pytest.mark.parametrize("limit", [1, 2, 7, 65535])
def test_traceback_limit_reads_as_it_was_set(limit: int) -> None:
    heapsight.set_traceback_limit(limit)
    assert heapsight.get_traceback_limit() == limit


def test_limit_is_one_until_it_is_set() -> None:
    assert heapsight.get_traceback_limit() == 1


def test_unlimited_reads_as_the_highest_limit_so_that_it_can_be_set_again() -> None:
    heapsight.set_traceback_limit(None)
    assert heapsight.get_traceback_limit() == 65535
    heapsight.set_traceback_limit(heapsight.get_traceback_limit())


def test_setting_the_limit_clears_traces_and_keeps_tracing() -> None:
    heapsight.enable()
    held = bytearray(MEBIBYTE)
    heapsight.set_traceback_limit(5)
    assert heapsight.is_enabled()
    assert heapsight.get_traced_memory() < MEBIBYTE
    del held


@pytest.mark.parametrize("limit", [0, -3, 65536, 1 << 80, -(1 << 80)])
def test_limit_out_of_range_is_a_value_error_that_names_it(limit: int) -> None:
    heapsight.set_traceback_limit(9)
    with pytest.raises(ValueError, match=str(limit)):
        heapsight.set_traceback_limit(limit)
    assert heapsight.get_traceback_limit() == 9


@pytest.mark.parametrize("limit", ["5", 1.5, True, [3], b"1"])
def test_limit_of_another_type_is_a_type_error_that_names_it(limit: Any) -> None:
    with pytest.raises(TypeError) as raised:
        heapsight.set_traceback_limit(limit)
    assert repr(limit) in str(raised.value)
    assert heapsight.get_traceback_limit() == 1


@pytest.mark.parametrize("sample_bytes", [0, -1, 1 << 70])
def test_sampling_distance_out_of_range_is_a_value_error_before_anything_changes(sample_bytes: int) -> None:
    with pytest.raises(ValueError, match=str(sample_bytes)):
        heapsight.enable(sample_bytes=sample_bytes)
    assert not heapsight.is_enabled()


@pytest.mark.parametrize("sample_bytes", ["1", 2.5, False])
def test_sampling_distance_of_another_type_is_a_type_error(sample_bytes: Any) -> None:
    with pytest.raises(TypeError) as raised:
        heapsight.enable(sample_bytes=sample_bytes)
    assert repr(sample_bytes) in str(raised.value)
    assert not heapsight.is_enabled()


def test_sampling_distance_is_keyword_only() -> None:
    enable: Any = heapsight.enable
    with pytest.raises(TypeError):
        enable(1000)

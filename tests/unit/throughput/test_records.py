"""What a record of a speed says of the device's peak."""

from __future__ import annotations

import pytest

from archcheck.throughput.records import SpeedRecord


def record(macs_per_sec: float | None) -> SpeedRecord:
    return SpeedRecord("train", "cpu", 1, "fp32", 64, 1000.0, 0.064, macs_per_sec, 8e9, None, 0.0)


def test_utilization_is_the_share_of_the_peak_rate() -> None:
    assert record(2e9).utilization == pytest.approx(0.25)


def test_without_multiply_adds_there_is_none() -> None:
    assert record(None).utilization is None

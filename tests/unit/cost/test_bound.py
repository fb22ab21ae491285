"""The least time of a step, by published peaks and by measured ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from archcheck.cost.bound import bound_of, format_bound, with_bound
from archcheck.cost.peaks import PUBLISHED, find_peaks, measure_peaks
from archcheck.cost.records import CostRecord
from archcheck.errors import UsageError
from archcheck.throughput.plan import resolve_plan
from archcheck.throughput.records import SpeedRecord
from tests.unit.cost.measuring import spec_of

H200 = PUBLISHED["NVIDIA H200"]
SPEED = SpeedRecord("inference", "cpu", 1, "fp32", 2, 10.0, 0.2, None, 1e9, None, 0.0)


def record(sizes: dict[int, int], macs: dict[tuple[str, str], int]) -> CostRecord:
    return CostRecord({}, [], Counter(sizes), macs)


def test_what_fits_into_the_cache_takes_no_time() -> None:
    """Two operations of 1.05 GB, of which 50 MB may come from the cache, at 4.8 TB/s; a thousand that fit."""
    bound = bound_of(record({1_050_000_000: 2, 50_000_000: 1000}, {}), H200)
    assert bound.sec == pytest.approx(2 * 1e9 / 4.8e12)
    assert bound.is_memory_bound


def test_products_go_at_the_rate_of_their_precision() -> None:
    """Data sheets count a multiply-add as two operations: 67, 495 and 990 TFLOPS."""
    macs = {
        ("matmul", "float32"): 67 * 10**12,
        ("convolution", "float32"): 495 * 10**12,
        ("matmul", "bfloat16"): 99 * 10**12,
    }
    assert torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    bound = bound_of(record({}, macs), H200)
    assert bound.sec == pytest.approx(2 + 2 + 0.2)
    assert not bound.is_memory_bound


def test_a_device_without_tensor_cores_for_it_multiplies_in_float32() -> None:
    t4 = find_peaks("T4")
    assert bound_of(record({}, {("matmul", "bfloat16"): 81 * 10**11}), t4).sec == pytest.approx(2)


def test_a_bound_says_where_it_lies_and_by_what() -> None:
    bound = bound_of(record({1_050_000_000: 2}, {("matmul", "float32"): 67 * 10**9}), H200)
    memory = "memory 0.417 ms, products 2 ms"
    assert format_bound(bound) == f"2 ms on NVIDIA H200, compute-bound ({memory}; NVIDIA H200 data sheet, 2023)"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("nvidia h200", "NVIDIA H200"),
        ("L4", "NVIDIA L4"),
        ("A100 SXM4 80GB", "NVIDIA A100-SXM4-80GB"),
        ("4090", "NVIDIA GeForce RTX 4090"),
    ],
)
def test_a_device_is_found_by_words_that_only_it_has(name: str, found: str) -> None:
    assert find_peaks(name).name == found


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("A100", "'A100' may be NVIDIA A100-SXM4-80GB, NVIDIA A100 80GB PCIe, "),
        (
            "NVIDIA H20",
            "no peaks are known of 'NVIDIA H20'.*; known are NVIDIA H200, .*, and `here`",
        ),
        ("", "no peaks are known of ''"),
    ],
)
def test_no_device_or_several_are_refused_with_the_known_ones(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_peaks(name)


def test_this_machine_is_measured() -> None:
    peaks = measure_peaks(torch.device("cpu"))
    assert peaks.bandwidth > 0
    assert peaks.macs_per_sec("matmul", "float32") == peaks.fp32 > 0
    assert find_peaks("here").source == "measured just now"


def test_a_measured_speed_gets_its_bound() -> None:
    """An MLP's 2 x 320 multiply-adds at the rate that was measured beside it; all of it fits into a cache."""
    spec_file = spec_of("tests.unit.cost.test_measure:mlp", more="throughput: {mode: inference, batch_size: 2}")
    plan = resolve_plan(spec_file.spec, "full")
    found = with_bound(SPEED, spec_file, plan, torch.device("cpu"), Path.cwd())
    assert found.bound_sec is not None
    assert found.bound_sec >= 2 * (8 * 16 + 16 * 4) / 1e9
    assert found.share_of_bound == found.bound_sec / 0.2


def test_a_bound_that_cannot_be_known_is_left_out() -> None:
    spec_file = spec_of("tests.unit.cost.test_measure:Deciding", more="throughput: {mode: inference, batch_size: 2}")
    plan = resolve_plan(spec_file.spec, "full")
    assert with_bound(SPEED, spec_file, plan, torch.device("cpu"), Path.cwd()) == SPEED

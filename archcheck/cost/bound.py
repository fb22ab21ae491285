"""The least time that a step takes on a device, by what it moves and multiplies there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from archcheck.cost.measure import measure_without_values
from archcheck.cost.peaks import Peaks, peaks_of
from archcheck.cost.plan import CostPlan
from archcheck.cost.records import CostRecord
from archcheck.network.build import prepare_network
from archcheck.spec.models import Cost
from archcheck.spec.spec_file import SpecFile
from archcheck.throughput.plan import SpeedPlan
from archcheck.throughput.records import SpeedRecord


@dataclass(frozen=True, slots=True)
class Bound:
    """The least time of a step.

    memory_sec: what its operations take at least to read and write what fits into no cache, one after the other; None
    where the cache isn't known. compute_sec: what its products take at least.
    """

    peaks: Peaks
    memory_sec: float | None
    compute_sec: float

    @property
    def sec(self) -> float:
        """The least time."""
        return max(self.memory_sec or 0.0, self.compute_sec)

    @property
    def is_memory_bound(self) -> bool:
        """Return whether it's memory that takes the time."""
        return (self.memory_sec or 0.0) > self.compute_sec


def bound_of(record: CostRecord, peaks: Peaks) -> Bound:
    """Return the least time of a step, whose multiply-adds were counted, on a device."""
    memory_sec = None
    if peaks.cache_bytes is not None:
        cache = peaks.cache_bytes
        memory_sec = sum(max(0, size - cache) * number for size, number in record.sizes.items()) / peaks.bandwidth
    compute_sec = sum(number / peaks.macs_per_sec(*kind) for kind, number in record.macs.items())
    return Bound(peaks, memory_sec, compute_sec)


def format_bound(bound: Bound) -> str:
    """Describe a bound in a line."""
    what = "memory-bound" if bound.is_memory_bound else "compute-bound"
    memory = "not known" if bound.memory_sec is None else _milliseconds(bound.memory_sec)
    parts = f"memory {memory}, products {_milliseconds(bound.compute_sec)}"
    return f"{_milliseconds(bound.sec)} on {bound.peaks.name}, {what} ({parts}; {bound.peaks.source})"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"


def with_bound(
    record: SpeedRecord, spec_file: SpecFile, plan: SpeedPlan, device: torch.device, rootdir: Path | None
) -> SpeedRecord:
    """Return a measured speed with the least time of its step on this device, where that can be known.

    A compiled step moves less than its operations do one by one, so that only its products count.
    """
    try:
        make = prepare_network(spec_file.spec.build, plan.recipe.args, spec_file.path.resolve().parent, rootdir)
        recipe = replace(plan.recipe, compile=False, init=None)
        cost_plan = CostPlan(replace(plan, recipe=recipe), plan.make_inputs(), Cost(), plan.has_training)
        cost = measure_without_values(make, cost_plan, rootdir, with_macs=True)
    except Exception:  # the network runs, so this concerns the bound alone
        return record
    bound = bound_of(cost, peaks_of(device, record.peak_macs_per_sec))
    sec = bound.compute_sec if plan.recipe.compile else bound.sec
    return replace(record, bound_sec=sec or None)

"""The cost of a spec's network, measured without values where that is possible, and else with values on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from archcheck.cost.plan import CostPlan
from archcheck.cost.records import CostRecord
from archcheck.cost.step import measure_step
from archcheck.errors import NotMeasured
from archcheck.network.isolation import gc_paused
from archcheck.network.torch_state import seed_generators
from archcheck.network.warning_places import warnings_where_caused
from archcheck.structure.meta import failures
from archcheck.structure.meta.building import isolated_build
from archcheck.structure.records import StructureTrace
from archcheck.structure.trace import MAX_REAL_BYTES


def measure_cost(
    make: Callable[[], nn.Module],
    trace: StructureTrace,
    plan: CostPlan,
    rootdir: Path | None = None,
    *,
    with_macs: bool = False,
) -> CostRecord:
    """Measure a step of the network that `make()` builds; torch's settings and generators are as before afterwards.

    with_macs: count multiply-adds, too.

    Raises:
        RunFailed: network and plan don't go together.
        BuildError: the network can't be built.
        NotMeasured: it needs values, and is too large to have any.
    """
    reason = trace.fallback_reason or ("it starts threads" if "other threads" in trace.uncounted else None)
    if reason is None:
        try:
            return measure_without_values(make, plan, rootdir, with_macs=with_macs)
        except Exception as error:
            reason = failures.fallback_reason(error.__cause__ or error)
    num_bytes = 4 * trace.root.num_params
    if num_bytes > MAX_REAL_BYTES:
        raise NotMeasured(f"{reason}: with values, its parameters would take {num_bytes / 2**30:.0f} GiB")
    record = _measure(make, plan, rootdir, has_values=True, with_macs=with_macs)
    return replace(record, fallback_reason=reason)


def measure_without_values(
    make: Callable[[], nn.Module], plan: CostPlan, rootdir: Path | None = None, *, with_macs: bool = False
) -> CostRecord:
    """Measure a step without values. Raises whatever the network does where it needs some."""
    return _measure(make, plan, rootdir, has_values=False, with_macs=with_macs)


def _measure(
    make: Callable[[], nn.Module], plan: CostPlan, rootdir: Path | None, *, has_values: bool, with_macs: bool
) -> CostRecord:
    with isolated_build([plan.inputs]), gc_paused(), warnings_where_caused(), torch.autocast("cpu", enabled=False):
        seed_generators(plan.recipe.seed)
        return measure_step(make, plan, rootdir, has_values=has_values, with_macs=with_macs)

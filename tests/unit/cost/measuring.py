"""Small specs, and the cost of their networks: without values, and with values on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from archcheck.checks.network_under_test import build_and_trace
from archcheck.cost.measure import measure_cost
from archcheck.cost.plan import CostPlan, resolve_cost_plan
from archcheck.cost.records import CostRecord
from archcheck.cost.step import measure_step
from archcheck.findings import Mismatch
from archcheck.network.isolation import isolated_user_code
from archcheck.spec.spec_file import SpecFile, parse_spec


def spec_of(build: str, shape: str = "[B, 8]", cost: str = "{}", more: str = "") -> SpecFile:
    """Return a spec with a `cost` section."""
    return parse_spec(f"build: {build}\ninput: {shape}\ncost: {cost}\n{more}", "net.arch.yaml", Path("net.arch.yaml"))


def measured(spec_file: SpecFile, *, with_macs: bool = False) -> CostRecord:
    """Measure a spec's network as the check does."""
    network = build_and_trace(spec_file, Path.cwd())
    assert not isinstance(network, Mismatch)
    return measure_cost(network.make, network.trace, resolve_cost_plan(spec_file.spec), with_macs=with_macs)


def measured_with_values(spec_file: SpecFile) -> CostRecord:
    """Measure a spec's network with values on the CPU."""
    network = build_and_trace(spec_file, Path.cwd())
    assert not isinstance(network, Mismatch)
    with isolated_user_code():
        plan = resolve_cost_plan(spec_file.spec)
        return measure_step(network.make, plan, None, has_values=True, with_macs=False)


def cost_of(make: Callable[[], nn.Module], cost: str = "{batch_size: 2}", shape: str = "[B, 8]") -> CostRecord:
    """Measure a network that a function of a test makes; the spec's own is of no matter."""
    from archcheck.structure.trace import trace_structure

    plan: CostPlan = resolve_cost_plan(spec_of("torch.nn:Identity", shape, cost).spec)
    return measure_cost(make, trace_structure(make, [plan.inputs]), plan)


def figures(record: CostRecord) -> tuple[dict[str, int], int, int, int]:
    """Return the figures of a step."""
    return record.memory_by_kind, record.traffic, record.operations, record.syncs

"""The check `cost`: what a step of the network holds, moves, launches and waits for."""

from __future__ import annotations

import importlib.metadata
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archcheck.checks.check import CannotCheck, Check, CheckContext, Needs, Recording
from archcheck.checks.network_under_test import NetworkUnderTest
from archcheck.checks.outcome import Outcome, Unmeasured
from archcheck.cost.records import FIGURES, CostRecord, LayerCost
from archcheck.errors import BuildError
from archcheck.findings import Edit, Keys, Mismatch, build_failure
from archcheck.spec.lock import LOCK, LockFile
from archcheck.spec.models import Ceilings, Cost, CostKeys, MemoryByKind, Spec
from archcheck.spec.values import Rounded
from archcheck.text.units import format_amount

if TYPE_CHECKING:
    from archcheck.cost.plan import CostPlan

_SAYS = {
    "memory": "a step holds {}",
    "traffic": "a step reads and writes {}",
    "operations": "a step launches {}",
    "syncs": "a step waits for the device {} often",
}


def check_cost(
    section: Cost,
    record: CostRecord,
    recorded: Mapping[str, LayerCost] | None,
    accepted: Mapping[str, Any],
    other_step: str | None = None,
) -> list[Mismatch]:
    """Compare what a step costs with what the spec says, to the digits written; the first says which layers differ.

    What differs in `syncs` says where the step waits, behind others as well: no table of layers shows that.

    recorded: what each layer cost before, None where nobody knows. accepted: what an update records of the layers.
    other_step: what was recorded and what is measured, where these aren't the same step.
    """
    found = [*_differing(section, record, accepted), *_above(section, record)]
    if not found:
        return []
    return [
        replace(one, notes=(*one.notes, *_explanation(one, record, recorded, other_step)))
        if position == 0 or _figure(one) == "syncs"
        else one
        for position, one in enumerate(found)
    ]


def _differing(section: Cost, record: CostRecord, accepted: Mapping[str, Any]) -> Iterator[Mismatch]:
    for figure, keys, expected, actual in _figures(section, record, ("cost",)):
        if isinstance(expected, Rounded):
            if expected.matches(actual):
                continue
            text, exact = expected.reformat(actual), f"{actual:_}"
            edit = Edit(keys, actual if text == exact else text)
            told = expected.text
            shown = f"{exact}{' bytes' if expected.unit else ''}" if text == exact else f"{text} ({exact} bytes)"
        elif expected == actual:
            continue
        else:
            edit, told, shown = Edit(keys, actual), f"{expected:_}", f"{actual:_}"
        before = expected.value if isinstance(expected, Rounded) else expected
        problem = _SAYS[figure].format("more" if actual > before else "less")
        yield Mismatch(keys, str(keys[-1]), problem, told, shown, edits=(edit, Edit((LOCK, "cost"), accepted)))


def _above(section: Cost, record: CostRecord) -> Iterator[Mismatch]:
    if section.at_most is None:
        return
    for figure, keys, ceiling, actual in _figures(section.at_most, record, ("cost", "at_most")):
        limit = ceiling.value if isinstance(ceiling, Rounded) else ceiling
        if actual > limit:
            told = ceiling.text if isinstance(ceiling, Rounded) else f"{ceiling:_}"
            shown = format_amount(actual) if isinstance(ceiling, Rounded) else f"{actual:_}"
            yield Mismatch(keys, str(keys[-1]), _SAYS[figure].format("too much"), f"at most {told}", shown)


def _figures(section: CostKeys, record: CostRecord, place: Keys) -> Iterator[tuple[str, Keys, Any, int]]:
    """Yield the figures that a section has: which it is, its place, as written, and what it is."""
    for figure in FIGURES:
        written = getattr(section, figure)
        if isinstance(written, MemoryByKind):
            held = record.memory_by_kind
            for kind, amount in written:
                if amount is not None:
                    yield figure, (*place, figure, kind), amount, held.get(kind, 0)
        elif written is not None:
            yield figure, (*place, figure), written, getattr(record, figure)


def _figure(mismatch: Mismatch) -> str:
    return next(str(key) for key in mismatch.keys if key in FIGURES)


def _explanation(
    mismatch: Mismatch, record: CostRecord, recorded: Mapping[str, LayerCost] | None, other_step: str | None
) -> Iterator[tuple[str, str]]:
    from archcheck.cost.comparison import compare_layers, format_differences
    from archcheck.cost.table import format_largest, format_waits

    figure = _figure(mismatch)
    if figure == "syncs":
        if record.waits:
            yield "waits", format_waits(record.waits)
        return
    if other_step is not None:
        yield "note", other_step
        return
    differences = compare_layers(recorded, record.layers, figure) if recorded is not None else []
    if differences:
        yield "layers", format_differences(differences)
    else:
        yield "largest", format_largest(record, figure)
    if recorded is None:
        yield "note", "which layers have become larger can be told once they are recorded: --archcheck-update=new"


class CostCheck(Check):
    """Run a step without values, and compare what it holds, moves, launches and waits for."""

    name = "cost"
    needs = Needs.STRUCTURE

    def place(self, spec: Spec) -> Keys | None:
        """Return the place of `cost`."""
        return ("cost",) if spec.cost is not None else None

    def run(self, context: CheckContext) -> Outcome:
        """Measure a step and compare."""
        from archcheck.cost.plan import resolve_cost_plan

        section = context.spec.cost
        assert section is not None
        if not _has_figures(section):
            wrong = _wrong_optimizer(resolve_cost_plan(context.spec))
            if wrong is not None:
                return Outcome((wrong,))
            path = shlex.quote(context.spec_file.document.path)
            reason = f"nothing is recorded of the cost: pytest --archcheck {path} -k cost --archcheck-update=new"
            return Outcome(unmeasured=(Unmeasured(reason, ("cost",)),))
        measured = _measured(context)
        if isinstance(measured, Mismatch):
            return Outcome((measured,))
        plan, record = measured
        accepted, lock = recorded_section(plan, record), context.spec_file.lock()
        found = check_cost(section, record, _recorded_layers(lock, plan), accepted, _other_step(lock, plan))
        other = _other_torch(lock)
        if found and other is not None:
            found[0] = replace(found[0], notes=(*found[0].notes, ("note", other)))
        return Outcome(tuple(found), notes=_notes(record), memory=memory_by_layer(record))

    def record(self, context: CheckContext) -> Recording:
        """Record the figures that a `cost` section lacks and has no ceiling for, and the layers where they aren't.

        Raises:
            CannotCheck: there are no figures yet, and the step can't be measured: nothing else would tell why.
        """
        from archcheck.cost.plan import resolve_cost_plan

        section = context.spec.cost
        if section is None:
            return Recording()
        ceilings = section.at_most or Ceilings()
        absent = [one for one in FIGURES if getattr(section, one) is None and getattr(ceilings, one) is None]
        lock = context.spec_file.lock()
        has_layers = lock is not None and lock.lock.cost is not None
        if not absent and has_layers:
            return Recording()
        measured = _measured(context)
        if isinstance(measured, Mismatch):
            if _has_figures(section) or _wrong_optimizer(resolve_cost_plan(context.spec)) is not None:
                return Recording()  # told by `run`
            raise CannotCheck(f"{measured.subject}: {measured.problem}", measured.keys)
        plan, record = measured
        edits = [Edit(("cost", figure), as_written(record)[figure]) for figure in absent]
        if not has_layers:
            edits.append(Edit((LOCK, "cost"), recorded_section(plan, record)))
        return Recording(notes=_notes(record), edits=edits)


def _has_figures(section: Cost) -> bool:
    return any(getattr(one, figure) is not None for one in (section, section.at_most) for figure in FIGURES if one)


def _wrong_optimizer(plan: CostPlan) -> Mismatch | None:
    from archcheck.training.component_kinds import check_component

    return next(check_component("optimizer", plan.place("optimizer"), plan.recipe.optimizer), None)


def _measured(context: CheckContext) -> tuple[CostPlan, CostRecord] | Mismatch:
    return measure_spec_cost(context.spec, context.network, context.rootdir)


def measure_spec_cost(
    spec: Spec, network: NetworkUnderTest, rootdir: Path | None, *, with_macs: bool = False
) -> tuple[CostPlan, CostRecord] | Mismatch:
    """Measure a step of a network as a spec says; the mismatch says why that can't be done."""
    from archcheck.cost.measure import measure_cost
    from archcheck.cost.plan import resolve_cost_plan
    from archcheck.training.failures import RunFailed

    plan = resolve_cost_plan(spec)
    wrong = _wrong_optimizer(plan)
    if wrong is not None:
        return wrong
    try:
        return plan, measure_cost(network.make, network.trace, plan, rootdir, with_macs=with_macs)
    except RunFailed as failed:
        return Mismatch(plan.place(failed.fault.key), failed.fault.key, failed.fault.message)
    except BuildError as error:
        return build_failure(spec.args, ("args",), error)


def as_written(record: CostRecord) -> dict[str, Any]:
    """Return the figures of a step as a spec has them."""
    return {
        "memory": format_amount(record.memory),
        "traffic": format_amount(record.traffic),
        "operations": record.operations,
        "syncs": record.syncs,
    }


def memory_by_layer(record: CostRecord) -> dict[str, int]:
    """Return the bytes that each layer itself holds when the step holds most."""
    return {name: layer.total_memory for name, layer in record.layers.items() if layer.total_memory}


def recorded_section(plan: CostPlan, record: CostRecord) -> dict[str, Any]:
    """Return what a lock has of a step, layer by layer."""
    return {"step": plan.describe(), "layers": {name: layer.to_plain() for name, layer in record.layers.items()}}


def _other_torch(lock: LockFile | None) -> str | None:
    """Say that a cost was recorded with another release of torch, whose operations may be others."""
    recorded = None if lock is None or lock.lock.cost is None else lock.lock.recorded_with.get("torch")
    current = importlib.metadata.version("torch")
    if recorded in (None, current):
        return None
    return f"recorded with torch {recorded}, this is {current}: it may do the same by other operations"


def _recorded_layers(lock: LockFile | None, plan: CostPlan) -> dict[str, LayerCost] | None:
    """Return what each layer cost when it was recorded; None where it wasn't, or of another step."""
    recorded = None if lock is None else lock.lock.cost
    if recorded is None or recorded.step != plan.describe():
        return None
    return {name: LayerCost.from_recorded(one) for name, one in recorded.layers.items()}


def _other_step(lock: LockFile | None, plan: CostPlan) -> str | None:
    """Say what was recorded and what is measured, where these are different steps; None where they aren't."""
    recorded = None if lock is None or lock.lock.cost is None else lock.lock.cost.step
    if recorded in (None, plan.describe()):
        return None
    return f"another step was recorded, {recorded}; this is {plan.describe()}"


def _notes(record: CostRecord) -> tuple[str, ...]:
    return () if record.fallback_reason is None else (f"cost was measured on the CPU: {record.fallback_reason}",)


CHECK = CostCheck()

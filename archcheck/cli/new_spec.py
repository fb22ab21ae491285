"""The text of a new spec: everything that can be recorded of a network, such that it passes at once."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archcheck.checks.check import Needs
from archcheck.checks.function import record_function, record_initial
from archcheck.checks.health import check_health, excuses
from archcheck.checks.network_under_test import NetworkUnderTest
from archcheck.checks.registry import all_checks
from archcheck.cli.assumed_inputs import assume_input, assume_values, explain_refusal
from archcheck.cli.networks import (
    Network,
    build_errors_told,
    head_of,
    inputs_of,
    measure_network,
    spec_from_head,
    tell_assumption,
)
from archcheck.errors import LackOfMemory, NotMeasured, UsageError
from archcheck.findings import Edit, Mismatch
from archcheck.recording.lock_writer import changed_lock, format_lock
from archcheck.recording.spec_writer import format_spec
from archcheck.report.mismatches import format_mismatches
from archcheck.spec.file_names import SUFFIX
from archcheck.spec.lock import LOCK
from archcheck.spec.models import Cost
from archcheck.spec.spec_file import SpecFile, parse_spec
from archcheck.structure.records import StructureTrace
from archcheck.text.words import listed
from archcheck.text.yaml_flow import format_flow
from archcheck.verification import context_without_clock

if TYPE_CHECKING:
    from torch import nn

    from archcheck.discovery.assumption import Assumption
    from archcheck.function.records import HealthRecord

_WHY = {
    "allow_unused": "no gradient",
    "allow_random": "random numbers in eval mode",
    "allow_batch_dependent": "mixes the examples of a batch",
    "allow_updates": "written to in eval mode",
    "allow_unsaved": "not saved in a checkpoint",
    "allow_device": "mixes devices",
}


_OTHER_SEEDS = (1, 2, 3)  # of builds whose layers must put out the same
ALSO = ("cost", "compile", "export")  # sections that are recorded only if asked for, by an option of the same name


def also_recorded(options: argparse.Namespace) -> list[str]:
    """Return those of `ALSO` that the command line asks for."""
    return [name for name in ALSO if getattr(options, name)]


@dataclass(slots=True)
class NewSpec:
    """The text of a spec, what its author should know of it, and what stands in its lock: None where nothing does.

    has_function: whether the network could be run with fixed weights. lacks_memory: whether that was for want of it.
    """

    text: str
    notes: list[str]
    is_partial: bool = False
    lock: str | None = None
    has_function: bool = True
    lacks_memory: bool = False

    def leave_out(self, reason: str, instead: str = "") -> None:
        """Say in the spec itself that something couldn't be recorded, or not as a whole, behind what stands instead."""
        line = " ".join(reason.split())
        self.text += f"{instead}# {line}\n"
        self.notes.append(line)
        self.is_partial = True


def make_assumed_spec(
    target: str,
    build: str,
    values: Mapping[str, Any],
    folder: Path,
    depth: int | None,
    name: Mapping[str, str],
    also: Collection[str] = (),
) -> NewSpec:
    """Write a spec for a target of which nobody says what goes in: find out, and say so.

    With which values it runs is looked for only where it doesn't with any. `values` are the keys of the head besides
    `build` and what goes in, `name` what stands before them.

    Raises:
        UsageError: as `make_spec`, or nothing that was tried gets through.
    """

    def make(found: Assumption) -> NewSpec:
        inputs = {"args": values.get("args", {}), **inputs_of(found), **values}
        return make_spec({**name, **head_of(build, inputs)}, target, folder, depth, also)

    args = values.get("args", {})
    with build_errors_told(target):
        found = assume_input(target, build, args, folder, is_run=False)
    try:
        spec = make(found)
        other = None if spec.has_function else assume_values(found, build, args, folder)
        if other is not None:
            found, spec = other, make(other)
    finally:
        tell_assumption(target, found)
    return spec


def make_spec(
    head: Mapping[str, str], target: str, folder: Path, depth: int | None, also: Collection[str] = ()
) -> NewSpec:
    """Write a spec for a target; `head` is its first keys as text, and `folder` where it'll stand.

    also: the sections to record that are recorded only if asked for.

    Raises:
        UsageError: the network can't be built, or what goes in doesn't get through.
    """
    network = measure_network(spec_from_head(head, target, folder), target)
    _require_output(network, target)
    trace = _of_any_weights(network)
    try:
        text = format_spec(head, trace, depth)
    except UsageError as error:
        died = network.trace.died
        hint = None if died is None else network.built.domain_hint(network.spec_file, died[1].error)
        raise UsageError(f"{target}: {error}" if hint is None else f"{target}: {error}; {hint}") from None
    spec_file = parse_spec(text, target, folder / SUFFIX, Path.cwd())
    _require_passing(spec_file, network.built)
    spec = NewSpec(text, [])
    with contextlib.redirect_stdout(sys.stderr):
        edits = _add_cost(spec, spec_file, network.built) if "cost" in also else []
        health = _add_function(spec, spec_file, network.built, depth, edits)
        _add_health(spec, parse_spec(spec.text, target, folder / SUFFIX, Path.cwd()), network.built, health)
        _add_deployment(spec, spec_file, network.built, also)
    for reason in _gaps(trace, text):
        spec.leave_out(reason)
    if network.trace.fallback_reason:
        spec.notes.append(f"ran on {network.trace.device}: {network.trace.fallback_reason}")
    return spec


def _of_any_weights(network: Network) -> StructureTrace:
    """Return a network's trace with forwards of further builds where it ran with values: what holds of all is written.

    How many examples an expert gets is a matter of the weights, which start from other numbers in these.
    """
    from archcheck.network.torch_state import seed_generators
    from archcheck.structure.trace import trace_structure

    trace, spec = network.trace, network.spec_file.spec
    if trace.device == "meta":
        return trace

    def make_another(seed: int) -> nn.Module:
        seed_generators(seed)
        return network.built.make()

    with contextlib.redirect_stdout(sys.stderr):
        makes = [partial(make_another, seed) for seed in _OTHER_SEEDS]
        others = [trace_structure(make, spec.forward_inputs(), spec.one_example()) for make in makes]
    traces = [trace, *(one for one in others if one.died is None)]
    macs = trace.macs if all(one.macs == trace.macs for one in traces) else None
    return replace(trace, forwards=[forward for one in traces for forward in one.forwards], macs=macs)


def _require_output(network: Network, target: str) -> None:
    """Raise UsageError where the forward stopped, with what would get through if that can be found out."""
    died = network.trace.died
    if died is None:
        return
    told = explain_refusal(network.spec_file, died[1])
    if told is not None:
        raise UsageError(f"{target}: nothing to record: the forward stopped at {told}")


def _add_function(
    spec: NewSpec, spec_file: SpecFile, network: NetworkUnderTest, depth: int | None, others: Sequence[Edit]
) -> HealthRecord | None:
    """Record the function, and others in the same lock. Returns the network's health, which the same run shows."""
    try:
        recorded = record_function(spec_file, network, depth, with_health=True)
    except NotMeasured as error:
        spec.has_function, spec.lacks_memory = False, isinstance(error, LackOfMemory)
        advice = "; a spec of a smaller build beside it, of fewer layers, can have one" if spec.lacks_memory else ""
        spec.leave_out(f"no function is recorded: {error}{advice}", instead="function: off  ")
        if others:
            spec.lock = format_lock(changed_lock({}, spec_file.spec.build, others))
        return None
    sections = {"function": recorded.section, "initial": record_initial(network)}
    edits = [*(Edit((LOCK, name), section) for name, section in sections.items()), *others]
    spec.lock = format_lock(changed_lock({}, spec_file.spec.build, edits))
    for note in recorded.notes:
        spec.leave_out(note)
    return recorded.health


def _add_cost(spec: NewSpec, spec_file: SpecFile, network: NetworkUnderTest) -> list[Edit]:
    """Record what a step costs. Returns what goes into the lock; a step that can't be taken is told instead.

    Of one example, but of two where the network refuses one, as batch norm over `[B, C]` does in train mode.
    """
    from archcheck.checks.cost import as_written, measure_spec_cost, recorded_section

    of_two = spec_file.spec.model_copy(update={"cost": Cost(batch_size=2)})
    written: dict[str, Any] = {}
    try:
        measured = measure_spec_cost(spec_file.spec, network, Path.cwd())
        if isinstance(measured, Mismatch):
            other = measure_spec_cost(of_two, network, Path.cwd())
            if not isinstance(other, Mismatch):
                written["batch_size"] = 2
                spec.notes.append(f"cost: of two examples, as one is refused: {' '.join(measured.problem.split())}")
                measured = other
    except NotMeasured as error:
        spec.leave_out(f"no cost is recorded: {error}")
        return []
    if isinstance(measured, Mismatch):
        spec.leave_out(f"no cost is recorded: {measured.problem}")
        return []
    plan, record = measured
    figures = ", ".join(f"{figure}: {value}" for figure, value in {**written, **as_written(record)}.items())
    spec.text += f"cost: {{{figures}}}\n"
    return [Edit((LOCK, "cost"), recorded_section(plan, record))]


def _add_health(spec: NewSpec, spec_file: SpecFile, network: NetworkUnderTest, record: HealthRecord | None) -> None:
    """Excuse what the network's health check finds, exactly; where no excuse speaks of it, switch the check off."""
    if record is None:
        record = _measure_health(spec, spec_file, network)
    names, device = [*network.trace.modules, *network.trace.aliases], network.device_of(spec_file)
    if not check_health(spec_file, record, device, names):
        return
    allowed = excuses(record, device)
    why = ", ".join(_WHY[key] for key in allowed)
    excused = f"health: {format_flow(allowed)}  # {why}\n"
    excusing = parse_spec(spec.text + excused, path=spec_file.path, rootdir=spec_file.rootdir)
    left = check_health(excusing, record, device, names)
    if left:
        why = "; ".join(f"{found.subject} {found.problem}" for found in left)
        excused = f"health: off  # {' '.join(why.split())}\n"
    spec.text += excused
    told = "; ".join(f"{_WHY[key]}: {listed(patterns, 4)}" for key, patterns in allowed.items())
    if "allow_batch_dependent" in allowed:
        told += " (is B the batch in what goes in?)"
    spec.notes.append(f"health: switched off, as {why}" if left else f"health: excused: {told}")


def _add_deployment(spec: NewSpec, spec_file: SpecFile, network: NetworkUnderTest, also: Collection[str]) -> None:
    """Record what torch makes of the network when it compiles or exports it, as far as that is asked for."""
    from archcheck.checks.compile import record_compile
    from archcheck.checks.export import record_export

    context = context_without_clock(spec_file, network, Path.cwd())
    for name, record in (("compile", record_compile), ("export", record_export)):
        if name in also:
            try:
                spec.text += f"{name}: {format_flow(record(context))}\n"
            except NotMeasured as error:
                spec.leave_out(f"no {name} is recorded: {error}")


def _measure_health(spec: NewSpec, spec_file: SpecFile, network: NetworkUnderTest) -> HealthRecord | None:
    try:
        _, record = network.function_of(spec_file)
    except NotMeasured as error:
        spec.notes.append(f"health: can't be looked at: {error}")
        return None
    return record.health


def _gaps(trace: StructureTrace, text: str) -> Iterator[str]:
    """Yield what a new spec leaves open, and why."""
    if trace.uncounted:
        yield f"no macs are written, as nobody knows those of {', '.join(trace.uncounted)}"
    elif trace.macs is None:
        yield "no macs are written, as they depend on values"
    if "\noutput:" not in text:
        yield "no pattern fits the output, so the spec leaves it open"


def _require_passing(spec_file: SpecFile, network: NetworkUnderTest) -> None:
    """Raise UsageError unless the spec holds for the network: what is written passes at once, or isn't written."""
    context = context_without_clock(spec_file, network, Path.cwd())
    for check in all_checks():
        if check.needs is not Needs.STRUCTURE or check.place(spec_file.spec) is None:
            continue
        found = check.run(context).mismatches
        if found:
            raise UsageError(f"the spec would not hold:\n{format_mismatches(spec_file, found, network.trace)}")

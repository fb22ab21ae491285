"""The text of a new spec: everything that can be recorded of a network, such that it passes at once."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archcheck.checks.check import Needs
from archcheck.checks.function import record_function, record_initial
from archcheck.checks.health import check_health, excuses
from archcheck.checks.network_under_test import NetworkUnderTest
from archcheck.checks.registry import all_checks
from archcheck.cli.assumed_inputs import explain_refusal
from archcheck.cli.networks import Network, measure_network, spec_from_head
from archcheck.errors import NotMeasured, UsageError
from archcheck.findings import Edit
from archcheck.recording.lock_writer import changed_lock, format_lock
from archcheck.recording.spec_writer import format_spec
from archcheck.report.mismatches import format_mismatches
from archcheck.spec.file_names import SUFFIX
from archcheck.spec.lock import LOCK
from archcheck.spec.spec_file import SpecFile, parse_spec
from archcheck.structure.records import StructureTrace
from archcheck.text.words import listed
from archcheck.text.yaml_flow import format_flow
from archcheck.verification import context_without_clock

if TYPE_CHECKING:
    from archcheck.function.records import HealthRecord

_WHY = {
    "allow_unused": "no gradient",
    "allow_random": "random numbers in eval mode",
    "allow_batch_dependent": "mixes the examples of a batch",
    "allow_updates": "written to in eval mode",
    "allow_device": "mixes devices",
}


ALSO = ("compile", "export")  # sections that are recorded only if asked for, by an option of the same name


def also_recorded(options: argparse.Namespace) -> list[str]:
    """Return those of `ALSO` that the command line asks for."""
    return [name for name in ALSO if getattr(options, name)]


@dataclass(slots=True)
class NewSpec:
    """The text of a spec, what its author should know of it, and what stands in its lock: None where nothing does."""

    text: str
    notes: list[str]
    is_partial: bool = False
    lock: str | None = None

    def leave_out(self, reason: str, instead: str = "") -> None:
        """Say in the spec itself that something couldn't be recorded, or not as a whole, behind what stands instead."""
        line = " ".join(reason.split())
        self.text += f"{instead}# {line}\n"
        self.notes.append(line)
        self.is_partial = True


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
    try:
        text = format_spec(head, network.trace, depth)
    except UsageError as error:
        died = network.trace.died
        hint = None if died is None else network.built.domain_hint(network.spec_file, died[1].error)
        raise UsageError(f"{target}: {error}" if hint is None else f"{target}: {error}; {hint}") from None
    spec_file = parse_spec(text, target, folder / SUFFIX, Path.cwd())
    _require_passing(spec_file, network.built)
    spec = NewSpec(text, [])
    with contextlib.redirect_stdout(sys.stderr):
        health = _add_function(spec, spec_file, network.built, depth)
        _add_health(spec, parse_spec(spec.text, target, folder / SUFFIX, Path.cwd()), network.built, health)
        _add_deployment(spec, spec_file, network.built, also)
    for reason in _gaps(network.trace, text):
        spec.leave_out(reason)
    if network.trace.fallback_reason:
        spec.notes.append(f"ran on {network.trace.device}: {network.trace.fallback_reason}")
    return spec


def _require_output(network: Network, target: str) -> None:
    """Raise UsageError where the forward stopped, with what would get through if that can be found out."""
    died = network.trace.died
    if died is None:
        return
    told = explain_refusal(network.spec_file, died[1])
    if told is not None:
        raise UsageError(f"{target}: nothing to record: the forward stopped at {told}")


def _add_function(
    spec: NewSpec, spec_file: SpecFile, network: NetworkUnderTest, depth: int | None
) -> HealthRecord | None:
    """Record the function. Returns the network's health, which the same run shows."""
    try:
        recorded = record_function(spec_file, network, depth, with_health=True)
    except NotMeasured as error:
        spec.leave_out(f"no function is recorded: {error}", instead="function: off  ")
        return None
    sections = {"function": recorded.section, "initial": record_initial(network)}
    edits = [Edit((LOCK, name), section) for name, section in sections.items()]
    spec.lock = format_lock(changed_lock({}, spec_file.spec.build, edits))
    for note in recorded.notes:
        spec.leave_out(note)
    return recorded.health


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

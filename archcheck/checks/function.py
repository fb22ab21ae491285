"""The check `function`: the network still computes the function that was recorded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from archcheck.checks.check import Check, CheckContext, Needs, Recording
from archcheck.checks.network_under_test import NetworkUnderTest
from archcheck.checks.new_layers import new_layers
from archcheck.checks.outcome import Outcome, Unmeasured
from archcheck.checks.repacked_weights import find_repacked_weights, repacked_mismatches, without_parted
from archcheck.checks.shapes import find_moved
from archcheck.errors import BuildError, NotMeasured, UsageError
from archcheck.findings import Change, Edit, Keys, Mismatch, build_failure
from archcheck.function.comparison import FunctionDifference, compare_function
from archcheck.function.dtype_comparison import compare_dtypes
from archcheck.function.section import outdated_key, recorded_otherwise, with_dtypes
from archcheck.spec.file_names import lock_path
from archcheck.spec.layer_keys import parse_layer_key
from archcheck.spec.lock import LOCK, Lock, moved_lock, update_command
from archcheck.spec.models import Health, Spec
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.crashes import describe_crash

if TYPE_CHECKING:
    from archcheck.function.fingerprint.config import FingerprintConfig
    from archcheck.function.measure import RecordedSection

_GOES_BY = re.compile(r" too many\b| took the output of ")
CAUSE_SEC = 3.0  # that may be spent on why a function differs


class FunctionCheck(Check):
    """Compare what the network computes with what was recorded, and name the first layer that differs."""

    name = "function"
    needs = Needs.VALUES

    def place(self, spec: Spec) -> Keys | None:
        """Return the place of `function`, or of the whole spec where that says nothing of it."""
        if spec.function == "off":
            return None
        return () if spec.function is None else ("function",)

    def nothing_to_verify(self, spec_file: SpecFile) -> str | None:
        """Say how the function is recorded where it isn't, or how its lock is found. Raises SpecError."""
        lock, shown = spec_file.lock(), spec_file.document.path
        if lock is not None and lock.lock.function is not None:
            return None
        moved = _lock_left_behind(spec_file) if lock is None else None
        if moved is not None:
            return f"nothing is recorded; was the spec renamed? {moved[1]}"
        return f"nothing is recorded of the function: {update_command(shown, '=new')}"

    def run(self, context: CheckContext) -> Outcome:
        """Run the network with fixed weights and compare.

        Raises:
            SpecError: the lock can't be read.
            NotMeasured: the network can't be run with fixed weights.
        """
        spec_file, network = context.spec_file, context.network
        missing, lock = self.nothing_to_verify(spec_file), spec_file.lock()
        if missing is not None or lock is None:
            return Outcome(unmeasured=(Unmeasured(str(missing)),))
        try:
            outdated = outdated_key(spec_file)
            if outdated is not None:
                mismatch = recorded_otherwise(spec_file, outdated)
                section = record_function(spec_file, network).section
                return Outcome((replace(mismatch, edits=(Edit((LOCK, "function"), section),)),))
            _, record = network.function_of(spec_file)
            difference = compare_function(
                spec_file, record, network.trace, is_live=network.is_live, flow=network.flow,
                moved=lambda: find_moved(context).labels,
            )  # fmt: skip
            found = [] if difference is None else _told(difference, context, lock.lock)
            dtypes = compare_dtypes(spec_file, record, network.trace, is_live=network.is_live)
            found += [] if dtypes is None else [dtypes]
            found = _with_other_starts(_without_new_layers(found, context), context, lock.lock)
        except BuildError as error:
            return Outcome((build_failure(context.spec.args, ("args",), error),))
        return Outcome(tuple(found), notes=tuple(_unrecorded(spec_file, lock.lock)))

    def record(self, context: CheckContext) -> Recording:
        """Record the function, where it isn't.

        Raises:
            NotMeasured: the network can't be run such that it gives the same numbers twice.
            UsageError: there is a lock of the same build whose spec isn't there.
        """
        lock = context.spec_file.lock()
        moved = _lock_left_behind(context.spec_file) if lock is None else None
        if moved is not None:
            told = f"{moved[0]} beside it is of the same build: {moved[1]}, or delete it"
            raise UsageError(f"nothing was recorded, as this would be a new baseline; {told}")
        edits: list[Edit] = []
        notes: tuple[str, ...] = ()
        if lock is None or lock.lock.function is None:
            recorded = record_function(context.spec_file, context.network)
            edits, notes = [Edit((LOCK, "function"), recorded.section)], recorded.notes
        elif lock.lock.function.dtypes is None:
            _, record = context.network.function_of(context.spec_file)
            edits.append(Edit((LOCK, "function"), with_dtypes(lock.value["function"], record)))
        if lock is None or lock.lock.initial is None:
            edits.append(Edit((LOCK, "initial"), record_initial(context.network)))
        return Recording(notes=notes, edits=edits)


def _unrecorded(spec_file: SpecFile, lock: Lock) -> Iterator[str]:
    """Yield what a lock from before doesn't have, with the command that adds it."""
    command = update_command(spec_file.document.path, "=new")
    if lock.initial is None:
        yield f"how its weights start isn't recorded: {command}"
    if lock.function is not None and lock.function.dtypes is None:
        yield f"which dtypes its code names isn't recorded: {command}"


def _lock_left_behind(spec_file: SpecFile) -> tuple[str, str] | None:
    """Return the lock of a spec that was renamed, and the command by which it follows; None where there is none."""
    moved = moved_lock(spec_file.path, spec_file.spec.build)
    return None if moved is None else (moved.name, f"git mv {moved.name} {lock_path(spec_file.path).name}")


def record_function(
    spec_file: SpecFile, network: NetworkUnderTest, depth: int | None = None, *, with_health: bool = False
) -> RecordedSection:
    """Record the function of a network as it is, with the layers of the first `depth` levels, and its health if asked.

    Raises:
        NotMeasured: the network can't be run such that it gives the same numbers twice.
        BuildError: it can't be built for real.
    """
    from archcheck.function.measure import record_section

    died = network.trace.died
    if died is not None:
        raise NotMeasured(f"no function can be recorded: the forward stopped at {describe_crash(died[1])}")
    return record_section(spec_file, network.make, network.trace, depth, with_health=with_health)


def record_initial(network: NetworkUnderTest) -> dict[str, Any]:
    """Record what the drawn weights of a network start from; nothing of one that is too large to be drawn.

    Raises:
        BuildError: it can't be built for real.
    """
    from archcheck.function.initial_values import MAX_PARAMS, record_starts

    return record_starts(network.make) if network.trace.root.num_params <= MAX_PARAMS else {}


def _without_new_layers(found: list[Mismatch], context: CheckContext) -> list[Mismatch]:
    """Have an update record no layers that are new: once they are, nothing tells any more that they need a row."""
    if not found:
        return found
    trace = context.network.trace
    new = set(new_layers(context.spec_file, trace, find_moved(context))) if trace.died is None else set()
    return [replace(one, edits=tuple(_without(edit, new) for edit in one.edits)) for one in found]


def _without(edit: Change, names: set[str]) -> Change:
    if not isinstance(edit, Edit) or edit.keys != (LOCK, "function") or "layers" not in edit.value:
        return edit
    layers = {label: row for label, row in edit.value["layers"].items() if parse_layer_key(label).name not in names}
    return replace(edit, value={**edit.value, "layers": layers})


def _with_other_starts(found: list[Mismatch], context: CheckContext, lock: Lock) -> list[Mismatch]:
    """Add the parameters and buffers that start otherwise than they were recorded; a live network may be trained.

    Where a layer has other sizes now, an update that accepts its function records how its weights start, too.
    """
    network = context.network
    if lock.initial is None or network.is_live:
        return found
    from archcheck.function.initial_comparison import Start, compare_starts, confirmed, difference, start_mismatches
    from archcheck.function.initial_values import measure_starts

    def measured(seed: int) -> dict[str, Start]:
        return measure_starts(network.make, seed, recorded, finds_buffers=bool(found))

    plain = {name: one.model_dump() for name, one in lock.initial.items()}
    recorded = {name: Start.from_plain(one) for name, one in plain.items()}
    now = measured(0) if recorded or found else {}
    others = compare_starts(recorded, now)
    if others:
        others = confirmed(others, compare_starts(recorded, measured(1)))
    drawn = Counter(one.shape for one in now.values() if one.std)
    is_resized = drawn != Counter(one.shape for one in recorded.values())
    if not others and not (found and is_resized):
        return found
    section = record_initial(network)
    now_recorded = {name: Start.from_plain(one) for name, one in section.items()}
    alike = [name for name in section.keys() & plain if difference(recorded[name], now_recorded[name]) is None]
    edits = (Edit((LOCK, "initial"), {**section, **{name: plain[name] for name in alike}}),)
    found = [replace(one, edits=(*one.edits, *edits)) if one.edits else one for one in found]
    return found + start_mismatches(others, recorded, now, edits)


def _told(difference: FunctionDifference, context: CheckContext, lock: Lock) -> list[Mismatch]:
    """Return the mismatch with its cause; where weights are packed otherwise, that, and what differs beside it."""
    network, spec_file = context.network, context.spec_file
    config, _ = network.function_of(spec_file)
    labels = find_moved(context).labels
    repacking = find_repacked_weights(context, lock, labels) if difference.call is not None else None
    if repacking is None:
        return [_with_cause(difference, context, config)]
    edits = difference.mismatch.edits
    recorded = () if lock.function is None else lock.function.layers
    beside = compare_function(
        spec_file, repacking.record, network.trace, is_live=network.is_live, flow=network.flow,
        moved=lambda: without_parted(labels, recorded, repacking),
    )  # fmt: skip
    others = [] if beside is None else [replace(_with_cause(beside, context, repacking.config), edits=edits)]
    return [*others, *repacked_mismatches(context, repacking, edits, is_same=beside is None)]


def _with_cause(difference: FunctionDifference, context: CheckContext, config: FingerprintConfig) -> Mismatch:
    """Return the mismatch with the likely cause as a note, found by undoing one operation after the other."""
    from archcheck.function.diagnosis.likely_cause import DRAWS, likely_cause
    from archcheck.function.diagnosis.padding import other_padding

    mismatch = difference.mismatch
    if difference.call is None:
        return _with_values(mismatch, context)
    cause = likely_cause(context.network.make, config, difference.call, CAUSE_SEC)
    cause = cause or other_padding(context.network.make, config, difference.call, CAUSE_SEC)
    health = context.spec.health
    if cause == DRAWS and isinstance(health, Health) and health.allow_random:
        cause = None  # it drew when it was recorded, too
    if cause is not None and difference.is_behind_new and _GOES_BY.search(cause):
        cause = None  # what goes by the new layers brings back what was recorded, and isn't what was done
    return mismatch if cause is None else replace(mismatch, notes=(*mismatch.notes, ("cause", cause)))


def _with_values(mismatch: Mismatch, context: CheckContext) -> Mismatch:
    """Add to a run that died with what values of an input it doesn't."""
    _, record = context.network.function_of(context.spec_file)
    hint = context.network.domain_hint(context.spec_file, record.crash.error) if record.crash is not None else None
    return mismatch if hint is None else replace(mismatch, notes=(*mismatch.notes, ("values", hint)))


CHECK = FunctionCheck()

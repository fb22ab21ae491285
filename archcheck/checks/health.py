"""The check `health`: things that no sound network does, unless the spec allows them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from archcheck.checks.check import Check, CheckContext, Needs
from archcheck.checks.moved_layers import MovedLayers
from archcheck.checks.named_elsewhere import names_elsewhere
from archcheck.checks.outcome import Outcome, Unmeasured
from archcheck.checks.shapes import find_moved
from archcheck.deployment.records import DeviceMix, DeviceRecord
from archcheck.errors import BuildError, NotMeasured
from archcheck.findings import Keys, Mismatch, build_failure
from archcheck.function.records import HealthRecord, Unsaved
from archcheck.network.exceptions import absent_accelerator
from archcheck.spec.layer_keys import format_layer_key, parse_layer_key
from archcheck.spec.models import Health, Spec
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.crashes import describe_crash
from archcheck.text.words import close_names, listed
from archcheck.text.yaml_flow import format_flow

_SHOWN = 4
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")  # of a block, as in blocks.0.norm


def check_health(
    spec_file: SpecFile,
    record: HealthRecord | None,
    device: DeviceRecord,
    modules: Collection[str],
    moved: MovedLayers | None = None,
) -> list[Mismatch]:
    """Return a mismatch for everything that no sound network does and that the spec's `health` doesn't allow.

    An exception that speaks of none of the `modules` and of no tensor of theirs is a mismatch, too, and so is one of
    layers that have `moved`; it still excuses these. `record` is None where the network could not be run with fixed
    weights.
    """
    written = spec_file.spec.health
    allowed = written if isinstance(written, Health) else Health()
    renamed = [] if moved is None else _moved_exceptions(allowed, moved)
    allowed = allowed if moved is None else _with_moved(allowed, moved)
    keys: Keys = ("health",) if isinstance(written, Health) else ("build",)
    if record is None:
        mixed = _mixed_devices(device.mixes, allowed, keys)
        return [*renamed, *(_at_its_row(spec_file, one) for one in mixed)]
    # What a module holds without registering it is neither saved nor moved: one message is enough.
    unsaved = _not_excused(record.unsaved, allowed)
    held = [mix for mix in device.mixes if mix.is_attribute and unsaved is not None]
    mixed = _mixed_devices([mix for mix in device.mixes if mix not in held], allowed, keys)
    found = [
        *_random(record, allowed, keys),
        *_carried(record, keys),
        *_mixing(record, allowed, keys),
        *_changed_inputs(record, keys),
        *_updated(record, allowed, keys),
        *_unused(record, allowed, keys),
        *_not_finite(record, keys),
        *_unsaved(unsaved, held, record.tensors, keys),
        *mixed,
        *_idle_exceptions(allowed, {*modules, *record.tensors, *(record.unsaved.names if record.unsaved else ())}),
    ]
    return [*renamed, *(_at_its_row(spec_file, one) for one in found)]


def _moved_exceptions(allowed: Health, moved: MovedLayers) -> list[Mismatch]:
    """Return what is excused by a name that another layer has now; an update that mends it moves the rows as well."""
    changes = tuple(change for edits in moved.changes.values() for change in edits)
    return [
        Mismatch(
            edit.keys, getattr(allowed, str(edit.keys[1]))[edit.keys[2]], "was written for another layer",
            notes=(("note", f"that one is {edit.value} now"),), edits=changes,
        )
        for edit in moved.elsewhere if edit.keys[0] == "health"
    ]  # fmt: skip


def _with_moved(allowed: Health, moved: MovedLayers) -> Health:
    """Return the exceptions with the names that what they excuse has now."""
    texts: dict[str, list[str]] = allowed.model_dump()
    for edit in moved.elsewhere:
        section, *place = edit.keys
        if section == "health":
            texts[str(place[0])][int(place[1])] = edit.value
    return Health(**texts)


def _at_its_row(spec_file: SpecFile, mismatch: Mismatch) -> Mismatch:
    """Return a mismatch at the row of the layer that it speaks of, or of the nearest around it that has one.

    Where none has, it stands at the table, unless there is a section of its own.
    """
    name, row = mismatch.module, None
    while name and row is None:
        row, name = spec_file.row_of(name), name.rpartition(".")[0]
    if row is None and mismatch.module and mismatch.keys == ("build",) and spec_file.spec.layers:
        row = ("layers",)
    return mismatch if row is None else replace(mismatch, keys=row)


def _mixed_devices(found: Sequence[DeviceMix], allowed: Health, keys: Keys) -> Iterator[Mismatch]:
    """Yield what mixes devices, once for each line of code."""
    by_line: dict[tuple[str | None, str], list[DeviceMix]] = {}
    for mix in found:
        if not _is_allowed(mix.module, allowed.allow_device):
            by_line.setdefault((mix.where, mix.advice), []).append(mix)
    for mixes in by_line.values():
        first, modules = mixes[0], list(dict.fromkeys(mix.module for mix in mixes))
        at = f" at {first.where}" if first.where else ""
        also = [("also", f"in {listed(modules[1:], _SHOWN)}")] if len(modules) > 1 else []
        yield Mismatch(
            keys, _named(first.module), "mixes devices, which stops it on a GPU",
            "all tensors of an operation on the device that .to(device) moves the network to",
            f"{first.op}{at} takes {first.culprit}", first.module or None,
            (("write", first.advice), *also, _relax("allow_device", _module_patterns(modules))),
        )  # fmt: skip


def _random(record: HealthRecord, allowed: Health, keys: Keys) -> Iterator[Mismatch]:
    for module, draw in record.draws.items():
        if not _is_allowed(module, allowed.allow_random):
            yield Mismatch(
                keys, _named(module), "draws random numbers in eval mode", "the same output every time",
                f"{draw} was called", module or None,
                (("note", "dropout that stays on in eval mode? F.dropout needs training=self.training"),
                 _relax("allow_random", [format_layer_key(module) or "**"])),
            )  # fmt: skip
    if record.unrepeatable is not None and not record.draws:
        yield Mismatch(
            keys, _named(record.unrepeatable), "differs from run to run in eval mode", "the same output every time",
            "another output in a second run of the same input", record.unrepeatable or None,
            (("note", "random numbers that aren't torch's, or state that a forward pass leaves behind"),),
        )  # fmt: skip


def _carried(record: HealthRecord, keys: Keys) -> Iterator[Mismatch]:
    if record.carried is not None:
        yield Mismatch(
            keys, _named(record.carried), "goes on from the batch before, in eval mode", "the same output every time",
            "another output in a second run of the same input, which found what the first one had left",
            record.carried or None,
            (("note", "an attribute or a buffer that the forward sets and reads; make it an input and an output"),),
        )  # fmt: skip


def _updated(record: HealthRecord, allowed: Health, keys: Keys) -> Iterator[Mismatch]:
    excused = [*allowed.allow_updates, *allowed.allow_batch_dependent]  # statistics of the batch are told as such
    told = [] if record.mixing is None else [f"{record.mixing}.**" if record.mixing else "**"]
    updated = [name for name in record.updated if not _is_allowed(name, [*excused, *told])]
    if updated:
        yield Mismatch(
            keys, updated[0], "is written to in eval mode", "the values that train mode or a checkpoint gave it",
            f"other values after a run in eval mode: {listed(updated, _SHOWN)}", updated[0].rpartition(".")[0] or None,
            (("note", "update it under `if self.training:`"),
             _relax("allow_updates", _tensor_patterns(updated, record.tensors))),
        )  # fmt: skip


def _mixing(record: HealthRecord, allowed: Health, keys: Keys) -> Iterator[Mismatch]:
    module = record.mixing
    if module is not None and not _is_allowed(module, allowed.allow_batch_dependent):
        yield Mismatch(
            keys, _named(module), "mixes the examples of a batch in eval mode",
            "the output of an example to be the same alone and in a batch", "another output without the other examples",
            module or None,
            (("note", "statistics of the batch, or an axis that is the batch's?"),
             _relax("allow_batch_dependent", [format_layer_key(module) or "**"])),
        )  # fmt: skip


def _changed_inputs(record: HealthRecord, keys: Keys) -> Iterator[Mismatch]:
    if record.changed_inputs:
        yield Mismatch(
            keys, "forward", "writes to its input", "the input as it was",
            f"input {listed(record.changed_inputs, _SHOWN)} changed",
            notes=(("note", "an in-place operation on the input: inplace=True, +=, x[...] = ..."),),
        )  # fmt: skip


def _unused(record: HealthRecord, allowed: Health, keys: Keys) -> Iterator[Mismatch]:
    unused = [name for name in record.no_gradient if not _is_allowed(name, allowed.allow_unused)]
    if unused:
        first = unused[0]
        module = first.rpartition(".")[0]
        others = len(unused) - 1
        problem = "gets no gradient" + (
            f", nor do {others} more parameters" if others > 1 else ", nor does 1 more parameter" if others else ""
        )
        yield Mismatch(
            keys, first, problem, "a gradient in train mode or in eval mode", f"none for {listed(unused, _SHOWN)}",
            module or None,
            (("note", "never used by the forward, detached, or multiplied by 0"),
             _relax("allow_unused", _exact_patterns(unused, record.gradients))),
        )  # fmt: skip


def _not_finite(record: HealthRecord, keys: Keys) -> Iterator[Mismatch]:
    if record.not_finite:
        first = record.not_finite[0]
        yield Mismatch(
            keys, first, "has a gradient that isn't finite", "finite gradients",
            f"NaN or infinity for {listed(record.not_finite, _SHOWN)}", first.rpartition(".")[0] or None,
            (("note", "a square root or a logarithm of 0, a division by 0?"),),
        )  # fmt: skip


def _not_excused(unsaved: Unsaved | None, allowed: Health) -> Unsaved | None:
    """Return what isn't saved without the names that are excused; None where nothing is left."""
    if unsaved is None or not unsaved.names:
        return unsaved
    names = tuple(name for name in unsaved.names if not _is_allowed(name, allowed.allow_unsaved))
    return replace(unsaved, names=names) if names else None


def _unsaved(
    unsaved: Unsaved | None, held: Sequence[DeviceMix], tensors: frozenset[str], keys: Keys
) -> Iterator[Mismatch]:
    if unsaved is not None:
        actual, advice = unsaved.text, "register_buffer, nn.Parameter and nn.ModuleList make it part of the network"
        excuse: list[tuple[str, str]] = []
        if unsaved.names:
            verb = "isn't" if len(unsaved.names) == 1 else "aren't"
            actual += f" without {listed(unsaved.names, 3)}, which {verb} saved"
            advice = "register_buffer with persistent=True, the default, saves a buffer"
            if not tensors.issuperset(unsaved.names):
                advice = "a buffer is saved, and what get_extra_state returns; or compute it from the input each time"
            excuse = [_relax("allow_unsaved", _tensor_patterns(unsaved.names, tensors.union(unsaved.names)))]
        told = [("moved", f".to(device) leaves {mix.culprit}, on the CPU: {mix.where}") for mix in held[:_SHOWN]]
        yield Mismatch(
            keys, "state_dict", "doesn't bring the network back",
            "the same output after load_state_dict into a new instance", actual,
            notes=(("note", advice), *told, *excuse),
        )  # fmt: skip


def _idle_exceptions(allowed: Health, names: Collection[str]) -> Iterator[Mismatch]:
    for key, patterns in allowed.model_dump().items():
        for text in patterns:
            pattern = parse_layer_key(text)
            if not any(map(pattern.matches, names)):
                close = [format_layer_key(name) for name in _close_to(pattern.name, sorted(filter(None, names)))]
                hint = f"did you mean {' or '.join(close)}?" if close else "remove it, if what it was for is gone"
                yield Mismatch(
                    ("health", key), text, "excuses nothing", "a module, a parameter or a buffer", "no such name",
                    notes=(("note", hint),),
                )  # fmt: skip


def _close_to(name: str, names: Sequence[str]) -> list[str]:
    """Return the names that one may stand for, or else those that end as it does, as where a module is left out."""
    ends = {one: one.rpartition(".")[2] for one in names}
    close = close_names(name.rpartition(".")[2], ends.values())
    return close_names(name, names, limit=3) or [one for one, end in ends.items() if end in close][:3]


def _is_allowed(name: str, patterns: Sequence[str]) -> bool:
    """Return whether a module, a module around it or a parameter's own name is among those excused."""
    parts = name.split(".") if name else []
    names = [".".join(parts[: i + 1]) for i in range(len(parts))] or [""]
    return any(parse_layer_key(text).matches(one) for text in patterns for one in names) or (
        not parts and any(text in ("**", "*") for text in patterns)
    )


def _relax(key: str, patterns: Sequence[str]) -> tuple[str, str]:
    return "allow", f"health: {{{key}: {format_flow(list(patterns))}}}"


def _tensor_patterns(names: Sequence[str], tensors: frozenset[str]) -> list[str]:
    """Return the names of a few parameters and buffers, or patterns that excuse many and no others of `tensors`."""
    if len(names) <= _SHOWN:
        return [format_layer_key(name) for name in names]
    return _exact_patterns(names, tensors.difference(names))


def _exact_patterns(names: Sequence[str], others: Collection[str]) -> list[str]:
    """Return patterns that excuse these parameters and buffers and none of the others: whole modules, or names."""
    patterns: list[str] = []
    for name in names:
        parts = name.split(".")
        above = [".".join(parts[:depth]) for depth in range(1, len(parts))]
        free = next((one for one in above if not any(other.startswith(f"{one}.") for other in others)), None)
        many = sum(one.startswith(f"{free}.") for one in names) > 1
        pattern = f"{format_layer_key(free)}.**" if free is not None and many else format_layer_key(name)
        if pattern not in patterns:
            patterns.append(pattern)
    return _with_endings(_with_globs(patterns, others), others)


def _module_patterns(modules: Sequence[str]) -> list[str]:
    """Return patterns that excuse these modules, blocks that only differ in their number by one."""
    patterns = [format_layer_key(module) or "**" for module in modules]
    return _with_globs(patterns, ())


def _with_globs(patterns: Sequence[str], others: Collection[str]) -> list[str]:
    """Return patterns with one in the place of those that only differ in a number, where it excuses no other name."""
    alike: dict[str, list[str]] = {}
    for pattern in patterns:
        alike.setdefault(_NUMBER.sub("*", pattern), []).append(pattern)
    return [
        one
        for glob, same in alike.items()
        for one in ([glob] if len(same) > 1 and not any(_is_allowed(other, [glob]) for other in others) else same)
    ]


def _with_endings(patterns: Sequence[str], others: Collection[str]) -> list[str]:
    """Return patterns that are many with `**.NAME` in the place of those that end alike, where it excuses no other."""
    if len(patterns) <= _SHOWN:
        return list(patterns)
    alike: dict[str, list[str]] = {}
    for pattern in patterns:
        last = pattern.removesuffix(".**").rpartition(".")[2]
        alike.setdefault(f"**.{last}{'.**' if pattern.endswith('.**') else ''}", []).append(pattern)
    return [
        one
        for glob, same in alike.items()
        for one in ([glob] if len(same) > 1 and not any(_is_allowed(other, [glob]) for other in others) else same)
    ]


def excuses(record: HealthRecord | None, device: DeviceRecord) -> dict[str, list[str]]:
    """Return the exceptions that allow what was found and nothing else, by their keys in a spec's `health`.

    What no exception speaks of (an input that is written to, a gradient that isn't finite) isn't among them.
    """
    found = {**_excuses_of(record or HealthRecord()), "allow_device": [*dict.fromkeys(m.module for m in device.mixes)]}
    found["allow_device"] = _module_patterns(found["allow_device"])
    return {key: patterns for key, patterns in found.items() if patterns}


def _excuses_of(record: HealthRecord) -> dict[str, list[str]]:
    mixing = [] if record.mixing is None else [record.mixing]
    told = [f"{name}.**" if name else "**" for name in mixing]
    updated = [name for name in record.updated if not _is_allowed(name, told)]
    unsaved = () if record.unsaved is None else record.unsaved.names
    return {
        "allow_unused": _exact_patterns(record.no_gradient, record.gradients),
        "allow_random": [format_layer_key(module) or "**" for module in record.draws],
        "allow_batch_dependent": [format_layer_key(module) or "**" for module in mixing],
        "allow_updates": _tensor_patterns(updated, record.tensors),
        "allow_unsaved": _tensor_patterns(unsaved, record.tensors),
    }


def _named(module: str) -> str:
    return module or "the network itself"


class HealthCheck(Check):
    """Look for what no sound network does; asked of every spec that doesn't switch it off."""

    name = "health"
    needs = Needs.VALUES

    def place(self, spec: Spec) -> Keys | None:
        """Return the place of `health`, or else of `build`."""
        if spec.health == "off":
            return None
        return ("health",) if spec.health is not None else ("build",)

    def run(self, context: CheckContext) -> Outcome:
        """Run the network with fixed weights, and as on another device, and look at how it behaves.

        Raises:
            NotMeasured: it can't be run with fixed weights, and nothing else was found.
        """
        try:
            device = context.network.device_of(context.spec_file)
            record, reason = _record(context)
        except BuildError as error:
            return Outcome((build_failure(context.spec.args, ("args",), error),))
        trace = context.network.trace
        moved = find_moved(context) if names_elsewhere(context.spec) else None
        found = check_health(context.spec_file, record, device, [*trace.modules, *trace.aliases], moved)
        if record is None:
            if not found:
                raise NotMeasured(reason)
            return Outcome(tuple(found), (Unmeasured(reason),), device.unseen)
        if record.not_finite and (hint := context.network.domain_hint(context.spec_file, None)) is not None:
            found = [replace(one, notes=(*one.notes, ("values", hint))) for one in found]
        return Outcome(tuple(found), notes=(*record.unseen, *device.unseen))


def _record(context: CheckContext) -> tuple[HealthRecord | None, str]:
    """Return what was seen while the network ran with fixed weights, or None and why it couldn't. Raises BuildError."""
    try:
        _, record = context.network.function_of(context.spec_file)
    except NotMeasured as error:
        return None, str(error)
    if record.health is not None:
        return record.health, ""
    assert record.crash is not None  # nothing else keeps the health from being looked at
    hint = context.network.domain_hint(context.spec_file, record.crash.error)
    stopped = f"the forward stopped under fixed weights: {describe_crash(record.crash)}"
    return None, "; ".join(filter(None, (stopped, absent_accelerator(record.crash.error), hint)))


CHECK = HealthCheck()

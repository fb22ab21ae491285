"""The check `state_dict`: names, shapes and dtypes of what a checkpoint holds; published checkpoints still load.

A renamed module computes the same, and yet no checkpoint that was published before loads any more.
"""

from __future__ import annotations

import copy
import hashlib
import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from functools import partial
from typing import TYPE_CHECKING, Any

from archcheck.checks.check import CannotCheck, Check, CheckContext, Needs
from archcheck.checks.outcome import Outcome, Unmeasured
from archcheck.errors import BuildError, NotMeasured
from archcheck.findings import Change, Edit, Keys, Mismatch, Rename, build_failure
from archcheck.network.checkpoint_file import read_checkpoint
from archcheck.spec.models import Checkpoint, CheckpointAccuracy, Spec
from archcheck.spec.values import StateEntry
from archcheck.text.words import clip, counted, listed
from archcheck.training.recipe import resolve_evaluation
from archcheck.training.session import TrainingRefused

if TYPE_CHECKING:
    from torch import Tensor, nn

MAX_RENAMES = 6


class StateDictCheck(Check):
    """Compare the network's state_dict with the keys of the spec, and load the checkpoints that it names."""

    name = "state_dict"
    needs = Needs.VALUES

    def place(self, spec: Spec) -> Keys | None:
        """Return the place of `state_dict`."""
        return ("state_dict",) if spec.state_dict is not None else None

    def run(self, context: CheckContext) -> Outcome:
        """Compare the keys, then load one checkpoint after the other; one that isn't there is told, not failed."""
        section = context.spec.state_dict
        if section is None:
            return Outcome()
        mismatches: list[Mismatch] = []
        unmeasured: list[Unmeasured] = []
        parts: list[tuple[Keys, Callable[[], Outcome]]] = []
        if "keys" in section.model_fields_set:
            parts.append((("state_dict",), partial(_compare_keys, context, section.keys)))
        for position, checkpoint in enumerate(section.checkpoints):
            keys: Keys = ("state_dict", "checkpoints", position)
            parts.append((keys, partial(_check_checkpoint, context, checkpoint, keys)))
        for keys, part in parts:
            try:
                outcome = part()
            except NotMeasured as error:
                outcome = Outcome(unmeasured=(Unmeasured(str(error), keys),))
            except BuildError as error:
                outcome = Outcome((build_failure(context.spec.args, ("args",), error),))
            mismatches += [one for one in outcome.mismatches if one not in mismatches]
            unmeasured += outcome.unmeasured
        return Outcome(tuple(mismatches), tuple(unmeasured))


def _compare_keys(context: CheckContext, expected: Mapping[str, StateEntry | None] | None) -> Outcome:
    """Compare the network's own state_dict with the keys of the spec; None are those that are to be recorded."""
    actual = state_entries(context)
    if expected is None:
        path = shlex.quote(context.spec_file.document.path)
        reason = f"nothing is recorded yet; pytest --archcheck {path} -k state_dict --archcheck-update records it"
        return Outcome(unmeasured=(Unmeasured(reason, ("state_dict",), (_record_all(context, actual),)),))
    found = list(compare_states(expected, actual, ("state_dict", "keys")))
    if any(one.subject == "state_dict" for one in found):
        renames = _renames(expected, actual)
        if not renames:  # with other keys, all of them are recorded anew
            found = [replace(one, edits=(_record_all(context, actual),)) for one in found]
        else:
            found = [replace(one, edits=renames) if one.subject == "state_dict" else one for one in found]
    return Outcome(tuple(found))


def _renames(expected: Mapping[str, StateEntry | None], actual: Mapping[str, StateEntry]) -> tuple[Change, ...]:
    """Return the edits that give entries their new names, where names are all that differs; none where they aren't."""
    missing = [(name, entry) for name, entry in expected.items() if name not in actual]
    unexpected = [(name, entry) for name, entry in actual.items() if name not in expected]
    pairs = zip(missing, unexpected, strict=False)
    if len(missing) != len(unexpected) or any(old is None or not _is_same(old, new) for (_, old), (_, new) in pairs):
        return ()
    return tuple(
        Rename(("state_dict", "keys", old), new) for (old, _), (new, _) in zip(missing, unexpected, strict=True)
    )


# ------------------------------------------------------------------------------------------- the network's own


def state_entries(context: CheckContext) -> dict[str, StateEntry]:
    """Return the shape and dtype of everything in the network's state_dict, in its order.

    Raises:
        BuildError: the network can't be built.
        NotMeasured: a lazy layer has no shape yet.
    """
    from archcheck.network.torch_state import default_torch_settings
    from archcheck.structure.meta.building import build_on_meta

    with default_torch_settings():
        network = build_on_meta(context.network.make)
        _materialize(network, context, "meta")
        return _entries_of(network)


def _materialize(network: nn.Module, context: CheckContext, device: str) -> None:
    """Let lazy layers see their sizes in a forward pass, as they have no shape before it. Raises NotMeasured."""
    import torch
    from torch.nn.parameter import is_lazy

    from archcheck.network.exceptions import one_line
    from archcheck.structure.meta.inputs import make_inputs
    from archcheck.structure.meta.module_tree import named_buffers, named_network, named_params, set_training

    modules = named_network(network).modules
    tensors = {**named_params(modules), **named_buffers(modules)}
    lazy = [name for name, tensor in tensors.items() if is_lazy(tensor)]
    if not lazy:
        return
    args, kwargs = make_inputs(context.spec.forward_inputs()[0], device)
    try:
        with torch.no_grad():
            set_training(network, False)
            network(*args, **kwargs)
    except Exception as error:
        reason = f"{listed(lazy, 4)} of lazy layers have no shape before a forward pass, which raised {one_line(error)}"
        raise NotMeasured(reason) from None


def _entries_of(network: nn.Module) -> dict[str, StateEntry]:
    """Return the entries of a network's own state_dict. Raises CannotCheck where it gives none."""
    from archcheck.network.exceptions import one_line

    try:
        state = network.state_dict()
        return {str(name): _entry(value) for name, value in state.items()}
    except Exception as error:  # a network may have a state_dict of its own making
        raise CannotCheck(f"the network's state_dict() can't be read: {one_line(error)}", ("state_dict",)) from None


def _entry(value: Any) -> StateEntry:
    from torch import Tensor

    if not isinstance(value, Tensor):
        return StateEntry(None)
    return StateEntry(tuple(value.shape), str(value.dtype).removeprefix("torch."))


def _record_all(context: CheckContext, actual: Mapping[str, StateEntry]) -> Edit:
    """Return the edit that records all keys: as names where the spec has a list of names, else with their shapes."""
    written = context.spec_file.document.value["state_dict"]
    if isinstance(written, dict) and isinstance(written.get("keys"), list):
        return Edit(("state_dict", "keys"), list(actual))
    keys = {name: entry.as_written() for name, entry in actual.items()}
    return Edit(("state_dict", "keys"), keys) if isinstance(written, dict) else Edit(("state_dict",), {"keys": keys})


# ------------------------------------------------------------------------------------------- comparing


def compare_states(
    expected: Mapping[str, StateEntry | None], actual: Mapping[str, StateEntry], keys: Keys
) -> Iterator[Mismatch]:
    """Compare two state_dicts: first the names, then shape and dtype of each name that both have.

    expected: None for an entry of which only the name is known. keys: the place of `expected` in the spec.
    """
    missing = {name: entry for name, entry in expected.items() if name not in actual}
    unexpected = {name: entry for name, entry in actual.items() if name not in expected}
    if missing or unexpected:
        yield _names_mismatch(missing, unexpected, keys, guess_renames(missing, unexpected))
    for name, entry in expected.items():
        if entry is not None and name in actual and not _is_same(entry, actual[name]):
            problem = "shape differs" if entry.shape != actual[name].shape else "dtype differs"
            edits = (Edit((*keys, name), actual[name].as_written()),)
            yield Mismatch((*keys, name), name, problem, str(entry), str(actual[name]), edits=edits)


def _is_same(expected: StateEntry, actual: StateEntry) -> bool:
    return expected.shape == actual.shape and expected.dtype in (None, actual.dtype)


def _names_mismatch(
    missing: Mapping[str, StateEntry | None],
    unexpected: Mapping[str, StateEntry | None],
    keys: Keys,
    renames: Sequence[str],
) -> Mismatch:
    counts = [
        f"{counted(len(names), 'key')} {'is' if len(names) == 1 else 'are'} {what}"
        for names, what in ((missing, "missing"), (unexpected, "not expected"))
        if names
    ]
    notes = [
        (label, listed(list(names))) for label, names in (("missing", missing), ("unexpected", unexpected)) if names
    ]
    if renames:
        notes.append(("renamed?", f"{', '.join(renames)}: the same shapes in the same order"))
    first = next(iter(missing), None)
    return Mismatch((*keys, first) if first is not None else keys, "state_dict", ", ".join(counts), notes=tuple(notes))


def guess_renames(missing: Mapping[str, StateEntry | None], unexpected: Mapping[str, StateEntry | None]) -> list[str]:
    """Guess which names were renamed: runs of the same shapes in the same order; as `conv1.* -> stem.*` with counts.

    Files may have their names in alphabetical order, so that is tried, too.
    """
    in_order = _pairs_of_shapes(list(missing.items()), list(unexpected.items()))
    in_alphabet = _pairs_of_shapes(sorted(missing.items()), sorted(unexpected.items()))
    pairs = max(in_order, in_alphabet, key=len)
    counts = Counter(_without_common_end(clip(old), clip(new)) for old, new in pairs)
    texts = [f"{a} -> {b}" + (f" ({counted(count, 'key')})" if count > 1 else "") for (a, b), count in counts.items()]
    more = [f"and {len(texts) - MAX_RENAMES} more"] if len(texts) > MAX_RENAMES else []
    return [*texts[:MAX_RENAMES], *more]


def _pairs_of_shapes(
    missing: Sequence[tuple[str, StateEntry | None]], unexpected: Sequence[tuple[str, StateEntry | None]]
) -> list[tuple[str, str]]:
    """Return the names that stand side by side where the longest runs of the same shapes are aligned."""
    shapes = [[entry.shape if entry is not None else None for _, entry in names] for names in (missing, unexpected)]
    blocks = SequenceMatcher(a=shapes[0], b=shapes[1], autojunk=False).get_matching_blocks()
    return [(missing[block.a + i][0], unexpected[block.b + i][0]) for block in blocks for i in range(block.size)]


def _without_common_end(old: str, new: str) -> tuple[str, str]:
    """Return two names with a `*` for the parts at the end that they have in common."""
    left, right = old.split("."), new.split(".")
    shared = 0
    while shared < min(len(left), len(right)) and left[-1 - shared] == right[-1 - shared]:
        shared += 1
    if not shared:
        return old, new
    return tuple(".".join([*parts[: len(parts) - shared], "*"]) for parts in (left, right))  # type: ignore[return-value]


# ------------------------------------------------------------------------------------------- checkpoints


def _check_checkpoint(context: CheckContext, checkpoint: Checkpoint, keys: Keys) -> Outcome:
    """Load a checkpoint into the network, and evaluate it where the spec says how accurate it is.

    Raises:
        NotMeasured: the file isn't there, or something that it takes to read or evaluate it.
        BuildError: the network can't be built.
    """
    path = context.spec_file.path.resolve().parent / checkpoint.path
    if path.is_dir():
        return Outcome((Mismatch((*keys, "path"), "checkpoint", f"{checkpoint.path} is a folder, expected a file"),))
    if not path.is_file():
        raise NotMeasured(f"there is no file {os.path.relpath(path)}")
    if checkpoint.sha256 is not None:
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != checkpoint.sha256:
            problem = f"{checkpoint.path} is another file"
            return Outcome((Mismatch((*keys, "sha256"), "checkpoint", problem, checkpoint.sha256, actual),))
    try:
        state = read_checkpoint(path, checkpoint.key)
    except ValueError as error:
        return Outcome((Mismatch((*keys, "path"), "checkpoint", f"{checkpoint.path}: {error}"),))
    network = _build(context)
    found = _load(network, state, checkpoint, (*keys, "path"))
    if not found and checkpoint.accuracy is not None:
        found = _check_accuracy(context, network, checkpoint.accuracy, (*keys, "accuracy"))
    return Outcome(tuple(found))


def _build(context: CheckContext) -> nn.Module:
    """Build a network to load weights into; a copy, as a build may hand out one instance again and again."""
    from archcheck.network.torch_state import default_torch_settings
    from archcheck.structure.meta.building import build_on_cpu

    with default_torch_settings():
        network = build_on_cpu(context.network.make)
        try:
            network = copy.deepcopy(network)
        except Exception:  # it holds something that can't be copied
            if network is build_on_cpu(context.network.make):
                raise NotMeasured("the build hands out one network, which can't be copied to be loaded") from None
        _materialize(network, context, "cpu")
        return network


def _load(network: nn.Module, state: Mapping[str, Tensor], checkpoint: Checkpoint, keys: Keys) -> list[Mismatch]:
    """Load a state_dict as torch does, with what the network does itself about older ones; tell what doesn't fit."""
    from archcheck.network.exceptions import one_line

    own, theirs = _entries_of(network), {name: _entry(value) for name, value in state.items()}
    try:
        result: Any = network.load_state_dict(state, strict=False)
    except Exception as error:
        resized = [name for name, entry in theirs.items() if name in own and own[name].shape != entry.shape]
        if not resized:
            return [Mismatch(keys, "checkpoint", f"{checkpoint.path} can't be loaded: {one_line(error)}")]
        return [_resized_mismatch(checkpoint.path, resized, theirs, own, keys)]
    # A network's own load_state_dict may return nothing.
    absent = getattr(result, "missing_keys", [name for name in own if name not in theirs])
    foreign = getattr(result, "unexpected_keys", [name for name in theirs if name not in own])
    loads_something = not theirs or len(foreign) < len(theirs)
    if not (absent or foreign) or (not checkpoint.strict and loads_something):
        return []
    missing, unexpected = {name: own.get(name) for name in absent}, {name: theirs.get(name) for name in foreign}
    # Seen from the file: what it has and the network doesn't was renamed to what the network has and it doesn't.
    found = _names_mismatch(missing, unexpected, keys, guess_renames(unexpected, missing))
    problem = found.problem if loads_something else f"nothing in it fits: {found.problem}"
    return [replace(found, keys=keys, subject="checkpoint", problem=f"{checkpoint.path}: {problem}")]


def _resized_mismatch(
    path: str, names: Sequence[str], theirs: Mapping[str, StateEntry], own: Mapping[str, StateEntry], keys: Keys
) -> Mismatch:
    first = names[0]
    more = f", and {len(names) - 1} more" if len(names) > 1 else ""
    problem = f"{path}: {clip(first)} has another shape{more}"
    shapes = listed([f"{clip(name)} {theirs[name]} for {own[name]}" for name in names], 6)
    notes = (("shapes", shapes),) if more else ()
    return Mismatch(keys, "checkpoint", problem, str(own[first]), f"{theirs[first]} in the file", notes=notes)


def _check_accuracy(
    context: CheckContext, network: nn.Module, wanted: CheckpointAccuracy, keys: Keys
) -> list[Mismatch]:
    """Evaluate a network with its weights. Raises NotMeasured where the data or the device isn't there."""
    recipe = resolve_evaluation(context.spec, wanted)
    try:
        accuracy = context.training.evaluate(context.spec_file, recipe, network)
    except TrainingRefused as refused:
        return [replace(refused.mismatch, keys=keys)]
    if accuracy >= wanted.at_least:
        return []
    problem = f"{accuracy:.4g} on the test set of {wanted.dataset.name}"
    return [Mismatch((*keys, "at_least"), "accuracy", problem, f"at least {wanted.at_least:g}", f"{accuracy:.4g}")]


CHECK = StateDictCheck()

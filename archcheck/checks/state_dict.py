"""The check `state_dict`: names, shapes and dtypes of what a checkpoint holds; published checkpoints still load.

A renamed module computes the same, and yet no checkpoint that was published before loads any more.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archcheck.checks.check import Check, CheckContext, Needs
from archcheck.checks.outcome import Outcome, Unmeasured
from archcheck.errors import BuildError, NotMeasured
from archcheck.findings import Edit, Keys, Mismatch, build_failure
from archcheck.spec.models import Checkpoint, CheckpointAccuracy, Spec
from archcheck.spec.values import StateEntry
from archcheck.text.words import counted, listed
from archcheck.training.recipe import resolve_evaluation
from archcheck.training.session import TrainingRefused

if TYPE_CHECKING:
    from torch import Tensor, nn

_WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model",
)  # keys under which files keep the state_dict beside other things
_RENAMES_SHOWN = 6


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
        try:
            if "keys" in section.model_fields_set:
                self._compare_keys(context, section.keys, mismatches, unmeasured)
            for position, checkpoint in enumerate(section.checkpoints):
                keys = ("state_dict", "checkpoints", position)
                try:
                    mismatches += _check_checkpoint(context, checkpoint, keys)
                except NotMeasured as error:
                    unmeasured.append(Unmeasured(str(error), keys))
        except BuildError as error:
            return Outcome((build_failure(context.spec.args, ("args",), error),))
        return Outcome(tuple(mismatches), tuple(unmeasured))

    def _compare_keys(
        self,
        context: CheckContext,
        expected: Mapping[str, StateEntry | None] | None,
        mismatches: list[Mismatch],
        unmeasured: list[Unmeasured],
    ) -> None:
        actual = state_entries(context)
        if expected is None:
            path = shlex.quote(context.spec_file.document.path)
            reason = f"nothing is recorded yet; pytest --archcheck {path} -k state_dict --archcheck-update records it"
            unmeasured.append(Unmeasured(reason, ("state_dict",), (_record_all(context, actual),)))
            return
        found = list(compare_states(expected, actual, ("state_dict", "keys")))
        if any(one.subject == "state_dict" for one in found):  # with other keys, all of them are recorded anew
            edits = (_record_all(context, actual),)
            found = [replace(one, edits=edits) for one in found]
        mismatches += found


# ------------------------------------------------------------------------------------------- the network's own


def state_entries(context: CheckContext) -> dict[str, StateEntry]:
    """Return the shape and dtype of everything in the network's state_dict, in its order.

    Raises:
        BuildError: the network can't be built.
        NotMeasured: a lazy layer has no shape yet.
    """
    from torch.nn.parameter import is_lazy

    from archcheck.network.torch_state import default_torch_settings
    from archcheck.structure.meta.building import build_on_meta

    with default_torch_settings():
        state = build_on_meta(context.network.make).state_dict()
    lazy = [name for name, value in state.items() if is_lazy(value)]
    if lazy:
        raise NotMeasured(f"{listed(lazy, 4)} of lazy layers have no shape before the first forward pass")
    return {name: _entry(value) for name, value in state.items()}


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
    expected: Mapping[str, StateEntry | None], actual: Mapping[str, StateEntry], keys: Keys, *, strict: bool = True
) -> Iterator[Mismatch]:
    """Compare two state_dicts: first the names, then shape and dtype of each name that both have.

    expected: None for an entry of which only the name is known. keys: the place of `expected` in the spec. strict:
    whether names may be missing or not expected.
    """
    missing = {name: entry for name, entry in expected.items() if name not in actual}
    unexpected = {name: entry for name, entry in actual.items() if name not in expected}
    if strict and (missing or unexpected):
        yield _names_mismatch(missing, unexpected, keys)
    for name, entry in expected.items():
        if entry is not None and name in actual and not _is_same(entry, actual[name]):
            problem = "shape differs" if entry.shape != actual[name].shape else "dtype differs"
            edits = (Edit((*keys, name), actual[name].as_written()),)
            yield Mismatch((*keys, name), name, problem, str(entry), str(actual[name]), edits=edits)


def _is_same(expected: StateEntry, actual: StateEntry) -> bool:
    return expected.shape == actual.shape and expected.dtype in (None, actual.dtype)


def _names_mismatch(
    missing: Mapping[str, StateEntry | None], unexpected: Mapping[str, StateEntry | None], keys: Keys
) -> Mismatch:
    counts = [
        f"{counted(len(names), 'key')} {'is' if len(names) == 1 else 'are'} {what}"
        for names, what in ((missing, "missing"), (unexpected, "not expected"))
        if names
    ]
    notes = [
        (label, listed(list(names))) for label, names in (("missing", missing), ("unexpected", unexpected)) if names
    ]
    renames = guess_renames(missing, unexpected)
    if renames:
        notes.append(("renamed?", f"{', '.join(renames)}: the same shapes in the same order"))
    first = next(iter(missing), None)
    return Mismatch((*keys, first) if first is not None else keys, "state_dict", ", ".join(counts), notes=tuple(notes))


def guess_renames(missing: Mapping[str, StateEntry | None], unexpected: Mapping[str, StateEntry | None]) -> list[str]:
    """Guess which names were renamed: runs of the same shapes in the same order; as `conv1.* -> stem.*` with counts."""
    shapes = [
        [entry.shape if entry is not None else None for entry in names.values()] for names in (missing, unexpected)
    ]
    matcher = SequenceMatcher(a=shapes[0], b=shapes[1], autojunk=False)
    old, new = list(missing), list(unexpected)
    pairs = [(old[block.a + i], new[block.b + i]) for block in matcher.get_matching_blocks() for i in range(block.size)]
    counts = Counter(_without_common_end(*pair) for pair in pairs)
    texts = [f"{a} -> {b}" + (f" ({counted(count, 'key')})" if count > 1 else "") for (a, b), count in counts.items()]
    more = [f"and {len(texts) - _RENAMES_SHOWN} more"] if len(texts) > _RENAMES_SHOWN else []
    return [*texts[:_RENAMES_SHOWN], *more]


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


def _check_checkpoint(context: CheckContext, checkpoint: Checkpoint, keys: Keys) -> list[Mismatch]:
    """Load a checkpoint into the network, and evaluate it where the spec says how accurate it is.

    Raises:
        NotMeasured: the file isn't there, or what it takes to read or evaluate it.
        BuildError: the network can't be built.
    """
    path = context.spec_file.path.resolve().parent / checkpoint.path
    if not path.is_file():
        raise NotMeasured(f"there is no file {os.path.relpath(path)}")
    if checkpoint.sha256 is not None:
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != checkpoint.sha256:
            where = (*keys, "sha256")
            return [Mismatch(where, "checkpoint", f"{checkpoint.path} is another file", checkpoint.sha256, actual)]
    try:
        state = read_checkpoint(path, checkpoint.key)
    except ValueError as error:
        return [Mismatch((*keys, "path"), "checkpoint", f"{checkpoint.path}: {error}")]
    network = _build(context)
    found = _load(network, state, checkpoint, (*keys, "path"))
    if not found and checkpoint.accuracy is not None:
        found = _check_accuracy(context, network, checkpoint.accuracy, (*keys, "accuracy"))
    return found


def _build(context: CheckContext) -> nn.Module:
    from archcheck.network.torch_state import default_torch_settings
    from archcheck.structure.meta.building import build_seeded

    with default_torch_settings():
        return build_seeded(context.network.make)


def read_checkpoint(path: Path, key: str | None = None) -> dict[str, Tensor]:
    """Read the state_dict in a file of `torch.save` or of safetensors; nothing in the file is run.

    key: where in the file it is; without, the file itself or what it has under `state_dict`, `model_state_dict` or
    `model`.

    Raises:
        ValueError: the file holds no state_dict, in one line.
        NotMeasured: safetensors isn't installed.
    """
    from torch import Tensor

    from archcheck.network.exceptions import one_line

    try:
        content = _read_file(path)
    except NotMeasured:
        raise
    except Exception as error:  # of torch, pickle, zipfile or safetensors: whatever a broken file brings about
        if "GLOBAL" in str(error).upper():  # a name of Python's that unpickling would import
            raise ValueError("holds more than tensors, which is not loaded; save model.state_dict()") from None
        if isinstance(
            error, pickle.UnpicklingError | EOFError
        ):  # torch's own text says how to run whatever is in the file
            raise ValueError("is not a file of torch.save, or broken") from None
        raise ValueError(f"can't be read: {one_line(error)}") from None
    for name in (key,) if key is not None else _WRAPPERS:
        inner = content.get(name) if isinstance(content, Mapping) else None
        if key is not None and inner is None:
            raise ValueError(f"has no {key!r}; it has {_names_in(content)}")
        if isinstance(inner, Mapping):
            content = inner
            break
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"holds no state_dict; it has {_names_in(content)}")
    return dict(content)


def _read_file(path: Path) -> Any:
    if path.suffix == ".safetensors":
        try:
            from safetensors.torch import load_file
        except ImportError:
            raise NotMeasured(f"{path.name}: safetensors is not installed; pip install safetensors") from None
        return load_file(path)
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def _names_in(content: Any) -> str:
    if isinstance(content, Mapping):
        return listed([str(name) for name in content], 6)
    return f"a {type(content).__name__}"


def _load(network: nn.Module, state: Mapping[str, Tensor], checkpoint: Checkpoint, keys: Keys) -> list[Mismatch]:
    """Load a state_dict as torch does, with what the network does itself about older ones; tell what doesn't fit."""
    from archcheck.network.exceptions import one_line

    own = {name: _entry(value) for name, value in network.state_dict().items()}
    theirs = {name: _entry(value) for name, value in state.items()}
    try:
        result = network.load_state_dict(dict(state), strict=False)
    except Exception as error:
        resized = [name for name, entry in theirs.items() if name in own and own[name].shape != entry.shape]
        if not resized:
            return [Mismatch(keys, "checkpoint", f"{checkpoint.path} can't be loaded: {one_line(error)}")]
        return [_resized_mismatch(checkpoint.path, resized, theirs, own, keys)]
    if not checkpoint.strict or not (result.missing_keys or result.unexpected_keys):
        return []
    missing = {name: own.get(name) for name in result.missing_keys}
    unexpected = {name: theirs.get(name) for name in result.unexpected_keys}
    # Seen from the file: what it has and the network doesn't was renamed to what the network has and it doesn't.
    found = _names_mismatch(missing, unexpected, keys)
    renames = guess_renames(unexpected, missing)
    note = (("renamed?", f"{', '.join(renames)}: the same shapes in the same order"),) if renames else ()
    notes = (*(one for one in found.notes if one[0] != "renamed?"), *note)
    return [replace(found, keys=keys, subject="checkpoint", problem=f"{checkpoint.path}: {found.problem}", notes=notes)]


def _resized_mismatch(
    path: str, names: Sequence[str], theirs: Mapping[str, StateEntry], own: Mapping[str, StateEntry], keys: Keys
) -> Mismatch:
    first = names[0]
    more = f", and {len(names) - 1} more" if len(names) > 1 else ""
    problem = f"{path}: {first} has another shape{more}"
    notes = (("shapes", listed([f"{name} {theirs[name]} for {own[name]}" for name in names], 6)),) if more else ()
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

"""Defects that no sound network has, looked for while a network is run with fixed weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from archcheck.function.fingerprint.call_digests import CallOutput
from archcheck.function.fingerprint.config import OTHER_SEED
from archcheck.function.fingerprint.digests import digest, tensors_in
from archcheck.function.fingerprint.fingerprint import HealthProbe
from archcheck.function.fingerprint.fixed_inputs import make_fixed_inputs
from archcheck.function.fingerprint.forward_pass import PassResult, PassRunner
from archcheck.function.fingerprint.gradients import GradientStep, run_gradient_step
from archcheck.function.fingerprint.preparation import NetworkFactory, prepare_for_filling
from archcheck.function.fingerprint.weight_filler import WeightFiller
from archcheck.function.object_equality import are_surely_equal
from archcheck.function.records import HealthRecord
from archcheck.network.exceptions import type_and_first_line
from archcheck.spec.inputs import ForwardInput
from archcheck.spec.tree import map_leaves
from archcheck.structure.meta.network_snapshot import STANDARD_ATTRIBUTES

_TOLERANCE: Final = {torch.float64: 1e-7, torch.float32: 1e-3}  # sums of other lengths round differently
_MAX_COPIED: Final = 2**26  # weights: larger networks are not copied
_SAVING_METHODS: Final = (
    "state_dict",
    "_save_to_state_dict",
    "_load_from_state_dict",
    "get_extra_state",
    "set_extra_state",
)


def make_health_probe(build: NetworkFactory, one_example: ForwardInput | None) -> HealthProbe:
    """Make the probe of a network that `build` builds; `one_example` is None where the input has no batch."""

    def probe(runner: PassRunner, eval_pass: PassResult, step: GradientStep) -> HealthRecord:
        return _Examination(runner, build, one_example).run(eval_pass, step)

    return probe


class _Examination:
    """The examination of one network, after an eval pass and a step in train mode."""

    def __init__(self, runner: PassRunner, build: NetworkFactory, one_example: ForwardInput | None) -> None:
        self._runner, self._build, self._one_example = runner, build, one_example
        self._tolerance = _TOLERANCE[runner.config.dtype]

    def run(self, eval_pass: PassResult, step: GradientStep) -> HealthRecord:
        """Examine the network in every way."""
        draws = dict(self._runner.watcher.draws)
        with torch.no_grad():
            unsaved = self._unregistered() or (self._unsaved() if self._may_hold_unsaved_state() else None)
            unrepeatable, mixing = self._differences(eval_pass, step.forward)
        no_gradient, not_finite = self._gradients(step)
        changed = tuple(dict.fromkeys((*eval_pass.changed_inputs, *step.forward.changed_inputs)))
        return HealthRecord(draws, unrepeatable, mixing, changed, no_gradient, not_finite, unsaved)

    # ----------------------------------------------------------------------------------------- gradients

    def _gradients(self, step: GradientStep) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return parameters without a gradient, in train mode and in eval mode, and those whose isn't finite."""
        params = {name: one for name, one in self._runner.network.params.items() if one.requires_grad and one.numel()}
        found = dict(step.params)
        missing = [name for name in params if name not in found or found[name].rms == 0]
        if missing and self._runner.config.train:
            found |= run_gradient_step(self._runner, training=False, wanted=missing).params
        none = tuple(name for name in missing if name not in found or found[name].rms == 0)
        return none, tuple(name for name, one in found.items() if not math.isfinite(one.check))

    # ----------------------------------------------------------------------------------------- another run

    def _differences(self, eval_pass: PassResult, train_pass: PassResult) -> tuple[str | None, str | None]:
        """Return the first module whose output differs in a second run, and the first whose differs without a batch.

        An example that comes out alone as it did in the batch shows both at once that there are none. So does, where
        there's no batch, a step in train mode that gave what eval mode did.
        """
        if self._one_example is None:
            if self._first_difference(eval_pass.calls, train_pass.calls) is None:
                return None, None
            return self._unrepeatable(eval_pass), None
        num_examples = 1
        alone = self._forward_of(num_examples)
        if alone.crash is not None:  # batch norm in train mode refuses a single value
            num_examples = 2
            alone = self._forward_of(num_examples)
        has_examples = alone.crash is None and _has_examples(eval_pass, alone)
        if has_examples and self._alike(eval_pass.output, alone.output, ignores_same_shapes=True):
            return None, None
        unrepeatable = self._unrepeatable(eval_pass)
        if unrepeatable is not None or not has_examples or self._runner.watcher.draws:  # fewer examples draw others
            return unrepeatable, None
        return None, self._mixing(alone, num_examples)

    def _unrepeatable(self, eval_pass: PassResult) -> str | None:
        """Return the first module whose output differs in a second run."""
        again = self._runner.forward(training=False, seed=OTHER_SEED)
        return self._first_difference(eval_pass.calls, again.calls)

    def _mixing(self, alone: PassResult, num_examples: int) -> str:
        """Return the first module whose output for a few examples isn't what it was in the whole batch."""
        num_shares = len(next(tensors_in(self._runner.make_inputs()))) // num_examples
        shared = self._runner.forward(training=False, num_shares=num_shares)
        return self._first_difference(shared.calls, alone.calls) or ""

    def _forward_of(self, num_examples: int) -> PassResult:
        return self._runner.forward(training=False, inputs=self._first_examples(num_examples), seed=OTHER_SEED)

    def _first_examples(self, num_examples: int) -> tuple[Any, Any]:
        """Return the first examples of the usual inputs."""
        assert self._one_example is not None
        config = self._runner.config
        one_example = make_fixed_inputs(self._one_example, config.dtype, config.device)

        def cut(batch: Tensor, one: Tensor) -> Tensor:
            sizes = zip(one.shape, batch.shape, strict=True)
            return _cut(batch, [n * num_examples if n < full else full for n, full in sizes]).clone()

        inputs: tuple[Any, Any] = map_leaves(cut, self._runner.make_inputs(), one_example)
        return inputs

    def _alike(self, ours: Any, theirs: Any, *, ignores_same_shapes: bool = False) -> bool:
        """Return whether two outputs are the same, as far as both have them.

        With `ignores_same_shapes`, tensors that have no axis for examples, and so the same shape, aren't compared.
        """
        ours, theirs = list(tensors_in(ours)), list(tensors_in(theirs))
        if len(ours) != len(theirs):
            return False
        return all(
            (ignores_same_shapes and one.shape == other.shape) or _close(_cut(one, other.shape), other, self._tolerance)
            for one, other in zip(ours, theirs, strict=True)
        )

    def _first_difference(self, ours: Sequence[CallOutput], theirs: Sequence[CallOutput]) -> str | None:
        """Return the first module whose output differs in two passes, inner ones before those around them."""
        digests = {(one.name, one.index): one.digest for one in theirs}
        for one in ours:
            other = digests.get((one.name, one.index))
            if one.digest is None or other is None:
                continue
            difference = abs(one.digest.check - other.check)
            if not difference <= self._tolerance * max(abs(one.digest.check), abs(other.check)):
                return one.name
        return None

    # ----------------------------------------------------------------------------------------- saved and loaded

    def _may_hold_unsaved_state(self) -> bool:
        """Return whether the network may hold anything that its state_dict doesn't know of."""
        return any(map(_is_peculiar, self._runner.network.modules.values())) or self._runner.has_changed

    def _unsaved(self) -> str | None:
        """Tell how the network differs from one built anew and given its state_dict, after a step in train mode."""
        try:
            twin = self._make_twin(copied=False)
            if not self._runner.has_changed and _hold_the_same(self._runner.network.model, twin.network.model):
                return None
            if sum(one.numel() for one in twin.network.params.values()) <= _MAX_COPIED:
                twin = self._make_twin(copied=True)
        except Exception as error:
            return type_and_first_line(error)
        ours = self._runner.forward(training=False, inputs=self._fewest_examples(), reset=False)
        with twin.watcher.watching(twin.network.modules):
            theirs = twin.forward(training=False, inputs=self._fewest_examples())
        died = ours.crash is not None or theirs.crash is not None
        if died or self._alike(ours.output, theirs.output):
            return None
        name = self._first_difference(ours.calls, theirs.calls)
        return f"{name or 'the network'} computes with something that is no parameter and no buffer"

    def _fewest_examples(self) -> tuple[Any, Any]:
        return self._first_examples(1) if self._one_example is not None else self._runner.make_inputs()

    def _make_twin(self, *, copied: bool) -> PassRunner:
        """Build the network anew with this one's state_dict: copies of its values, or the very same tensors."""
        config = self._runner.config
        network = prepare_for_filling(self._build, replace(config, seed=OTHER_SEED), "twin")
        network.model.load_state_dict(self._runner.network.model.state_dict(), assign=not copied)
        return PassRunner(network, config, filler=WeightFiller((), (), {}))

    def _unregistered(self) -> str | None:
        """Tell of a layer or a weight that a module holds in a list of its own, where nothing trains or saves it."""
        network = self._runner.network
        known = set(map(id, network.modules.values())) | set(map(id, network.params.values()))
        for name, module in network.modules.items():
            for key, value in vars(module).items():
                if key.startswith("_") or not isinstance(value, list | tuple | dict | Tensor):
                    continue
                for one in (
                    value.values() if isinstance(value, dict) else [value] if isinstance(value, Tensor) else value
                ):
                    weights = isinstance(one, nn.Module) and next(one.parameters(), None) is not None
                    if (weights or (isinstance(one, Tensor) and one.requires_grad)) and id(one) not in known:
                        where = f"{name}.{key}" if name else key
                        return f"{where} holds a {type(one).__name__} that is no part of the network"
        return None


def _has_examples(together: PassResult, alone: PassResult) -> bool:
    """Return whether any output has an axis for examples; a loss, for one, is computed from all of them."""
    pairs = zip(tensors_in(together.output), tensors_in(alone.output), strict=False)
    return any(one.shape != other.shape for one, other in pairs)


def _is_peculiar(module: nn.Module) -> bool:
    """Return whether a module has tensors outside of parameters and buffers, or code of its own to save itself."""
    if module._non_persistent_buffers_set or any(
        getattr(type(module), name) is not getattr(nn.Module, name) for name in _SAVING_METHODS
    ):
        return True
    own = vars(module)
    return any(next(tensors_in(own[name]), None) is not None for name in own.keys() - STANDARD_ATTRIBUTES)


def _hold_the_same(ours: nn.Module, theirs: nn.Module) -> bool:
    """Return whether the parameters, buffers and all attributes of modules are surely the same in two networks."""

    def held(model: nn.Module) -> list[Any]:
        others = [{k: v for k, v in vars(one).items() if k not in STANDARD_ATTRIBUTES} for one in model.modules()]
        return [*model.parameters(), *model.buffers(), *map(type, model.modules()), *others]

    try:
        return are_surely_equal(held(ours), held(theirs))
    except Exception:  # an object that can't be compared may be another
        return False


def _cut(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the first part of each dimension in which a tensor is larger than `shape`."""
    if tensor.ndim != len(shape):
        return tensor
    for dim, size in enumerate(shape):
        if 0 < size < tensor.shape[dim]:
            tensor = tensor.narrow(dim, 0, size)
    return tensor


def _close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    if a.shape != b.shape:
        return False
    ours, theirs = digest(a), digest(b)
    if ours is None or theirs is None:
        return (ours is None) == (theirs is None)
    return abs(ours.check - theirs.check) <= tolerance * max(abs(ours.check), abs(theirs.check)) or not ours.is_finite

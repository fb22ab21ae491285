"""What no sound network does, looked for while one is run with fixed weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from types import CodeType, FunctionType, MethodType
from typing import Any, Final

import torch
from torch import Tensor, nn

from archcheck.function.fingerprint.digests import digest, tensors_in
from archcheck.function.fingerprint.passes import (
    OF_EVERY_MODULE,
    OTHER_SEED,
    CallOutput,
    Examine,
    Pass,
    Passes,
    make_fixed_inputs,
    prepare,
)
from archcheck.function.records import HealthRecord
from archcheck.network.exceptions import type_and_first_line
from archcheck.spec.inputs import ForwardInput

_TOLERANCE: Final = {torch.float64: 1e-7, torch.float32: 1e-3}  # sums of other lengths round differently
_MOST_COPIED: Final = 2**26  # weights: a copy of more of them is one too many
_MAX_DEPTH: Final = 8  # of what is compared part by part
_PLAIN: Final = (int, float, complex, str, bytes, type(None), set, frozenset, type, torch.dtype, torch.device, CodeType)
_NOTHING: Final = object()


def examiner(make: Callable[[], nn.Module], alone: ForwardInput | None) -> Examine:
    """What examines a network between two passes; `alone` are the inputs with one example, None where there's no batch.

    It's called after a step in train mode, with the eval pass that came before and that step.
    """

    def examine(passes: Passes, first: Pass, step: Pass) -> HealthRecord:
        return _Examination(passes, make, alone).run(first, step)

    return examine


class _Examination:
    def __init__(self, passes: Passes, make: Callable[[], nn.Module], alone: ForwardInput | None) -> None:
        self._passes, self._make, self._alone = passes, make, alone
        self._tolerance = _TOLERANCE[passes.how.dtype]

    def run(self, first: Pass, step: Pass) -> HealthRecord:
        draws = dict(self._passes.listener.draws)
        with torch.no_grad():
            unsaved = self._unregistered() or (self._unsaved() if self._passes.keeps_state else None)
            unrepeatable, mixing = self._differences(first, step)
        no_gradient, not_finite = self._gradients()
        changed = tuple(dict.fromkeys((*first.changed_inputs, *step.changed_inputs)))
        return HealthRecord(draws, unrepeatable, mixing, changed, no_gradient, not_finite, unsaved)

    # ----------------------------------------------------------------------------------------- gradients

    def _gradients(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Parameters without a gradient, in train mode and in eval mode, and those whose gradient isn't finite."""
        params = {name: one for name, one in self._passes.network.params.items() if one.requires_grad and one.numel()}
        found = dict(self._passes.gradients)
        missing = [name for name in params if name not in found or found[name].rms == 0]
        if missing and self._passes.how.train:
            kept = self._passes.gradients, self._passes.input_gradients
            self._passes.step(training=False, wanted=missing)
            found |= self._passes.gradients
            self._passes.gradients, self._passes.input_gradients = kept
        none = tuple(name for name in missing if name not in found or found[name].rms == 0)
        return none, tuple(name for name, one in found.items() if not math.isfinite(one.check))

    # ----------------------------------------------------------------------------------------- another run

    def _differences(self, first: Pass, step: Pass) -> tuple[str | None, str | None]:
        """The first module that computes something else in a second run, and the first that does so without a batch.

        An example that comes out alone as it did in the batch shows both at once that there are none. So does, where
        there's no batch, a step in train mode that gave what eval mode did.
        """
        alone, examples = None, 1
        if self._alone is None and step.crash is None and self._first_difference(first.heard, step.heard) is None:
            return None, None
        if self._alone is not None:
            alone = self._passes.forward(training=False, inputs=self._fewer(examples), seed=OTHER_SEED)
            if alone.crash is not None:  # batch norm in train mode refuses a single value
                examples = 2
                alone = self._passes.forward(training=False, inputs=self._fewer(examples), seed=OTHER_SEED)
            if alone.crash is None and self._has_examples(first, alone) and self._alike(first.output, alone.output):
                return None, None
        again = self._passes.forward(training=False, seed=OTHER_SEED)
        unrepeatable = self._first_difference(first.heard, again.heard)
        if alone is None or alone.crash is not None or unrepeatable is not None:
            return unrepeatable, None
        if self._passes.listener.draws or not self._has_examples(first, alone):  # fewer examples draw other numbers
            return None, None
        return None, self._mixing(alone, examples)

    def _has_examples(self, together: Pass, alone: Pass) -> bool:
        """Whether any output has an axis for examples; a loss, for one, is all of theirs by design."""
        pairs = zip(tensors_in(together.output), tensors_in(alone.output), strict=False)
        return any(one.shape != other.shape for one, other in pairs)

    def _mixing(self, alone: Pass, examples: int) -> str:
        """The first module whose output for some examples isn't what it was among all."""
        self._passes.listener.share = len(next(tensors_in(self._passes.inputs()))) // examples
        shared = self._passes.forward(training=False)
        self._passes.listener.share = 1
        return self._first_difference(shared.heard, alone.heard) or ""

    def _fewer(self, examples: int) -> tuple[Any, Any]:
        """The first examples of the usual inputs."""
        assert self._alone is not None
        how = self._passes.how
        sizes = (one.shape for one in tensors_in(make_fixed_inputs(self._alone, how.dtype, how.device)))

        def cut(value: Any) -> Any:
            if isinstance(value, Tensor):
                shape = [n * examples if n < full else full for n, full in zip(next(sizes), value.shape, strict=True)]
                return _cut(value, shape).clone()
            if isinstance(value, dict):
                return {key: cut(item) for key, item in value.items()}
            return type(value)(map(cut, value)) if isinstance(value, list | tuple) else value

        args, kwargs = self._passes.inputs()
        return cut(args), cut(kwargs)

    def _fewest(self) -> tuple[Any, Any]:
        """One example where there's a batch, else all there is."""
        return self._fewer(1) if self._alone is not None else self._passes.inputs()

    def _alike(self, together: Any, alone: Any, *, by_example: bool = True) -> bool:
        """Whether outputs are the same, as far as both have them; `by_example` leaves out what has no axis for them."""
        ours, theirs = list(tensors_in(together)), list(tensors_in(alone))
        if len(ours) != len(theirs):
            return False
        return all(
            (by_example and one.shape == other.shape) or _close(_cut(one, other.shape), other, self._tolerance)
            for one, other in zip(ours, theirs, strict=True)
        )

    def _first_difference(self, ours: list[CallOutput], theirs: list[CallOutput]) -> str | None:
        """The first module that computed something else in two passes, inner ones before those around them."""
        found = {(one.name, one.index): one.digest for one in theirs}
        for one in ours:
            other = found.get((one.name, one.index))
            if one.digest is None or other is None:
                continue
            difference = abs(one.digest.check - other.check)
            if not difference <= self._tolerance * max(abs(one.digest.check), abs(other.check)):
                return one.name
        return None

    # ----------------------------------------------------------------------------------------- saved and loaded

    def _unsaved(self) -> str | None:
        """How the network differs from one that was built anew and given its state_dict, after a step in train mode."""
        try:
            twin = self._twin(copied=False)
            if not self._passes.has_changed and _hold_the_same(self._passes.network.model, twin.network.model):
                return None
            if sum(one.numel() for one in twin.network.params.values()) <= _MOST_COPIED:
                twin = self._twin(copied=True)
        except Exception as error:
            return type_and_first_line(error)
        ours = self._passes.forward(training=False, inputs=self._fewest(), reset=False)
        with twin.listener.watching(twin.network.modules):
            theirs = twin.forward(training=False, inputs=self._fewest())
        died = ours.crash is not None or theirs.crash is not None
        if died or self._alike(ours.output, theirs.output, by_example=False):
            return None
        name = self._first_difference(ours.heard, theirs.heard)
        return f"{name or 'the network'} computes with something that is no parameter and no buffer"

    def _unregistered(self) -> str | None:
        """A layer or a weight that a module holds in a list of its own, where nothing trains or saves it."""
        known = set(map(id, self._passes.network.modules.values())) | set(map(id, self._passes.network.params.values()))
        for name, module in self._passes.network.modules.items():
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

    def _twin(self, *, copied: bool) -> Passes:
        """The network built anew, with this one's state_dict; copies of its values, or the very same."""
        how = self._passes.how
        twin = Passes(prepare(self._make, replace(how, seed=OTHER_SEED), "twin"), how)
        twin.network.model.load_state_dict(self._passes.network.model.state_dict(), assign=not copied)
        return twin.without_fills()


def _hold_the_same(ours: nn.Module, theirs: nn.Module) -> bool:
    """Whether two networks surely compute with the same: their parameters, buffers, and all that their modules hold."""

    def held(model: nn.Module) -> list[Any]:
        others = [{k: v for k, v in vars(one).items() if k not in OF_EVERY_MODULE} for one in model.modules()]
        return [*model.parameters(), *model.buffers(), *map(type, model.modules()), *others]

    try:
        return _same(held(ours), held(theirs))
    except Exception:  # an object that can't be compared may be another
        return False


def _same(one: Any, other: Any, depth: int = 0) -> bool:
    """Whether two values are surely the same; False where that can't be told."""
    if one is other or isinstance(one, nn.Module):  # modules are compared one by one
        return True
    if type(one) is not type(other) or depth > _MAX_DEPTH:
        return False
    if isinstance(one, Tensor):
        alike = one.dtype is other.dtype and one.shape == other.shape
        return alike and (one.data_ptr() == other.data_ptr() != 0 or torch.equal(one, other))
    if isinstance(one, list | tuple):
        pairs = zip_longest(one, other, fillvalue=_NOTHING)
        return all(_same(a, b, depth + 1) for a, b in pairs)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key], depth + 1) for key in one)
    if isinstance(one, _PLAIN):
        return bool(one == other)
    parts = _parts_of(one), _parts_of(other)
    return None not in parts and _same(*parts, depth + 1)


def _parts_of(value: Any) -> Any:
    """What a function, an array or an object is made of; None where that's unknown."""
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return [value.__code__, value.__defaults__, value.__kwdefaults__, cells]
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    if hasattr(value, "__array__"):
        return value.tolist()
    return getattr(value, "__dict__", None)


def _cut(tensor: Tensor, shape: Any) -> Tensor:
    """The first part of each dimension in which a tensor is larger."""
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

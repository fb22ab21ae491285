"""What no sound network does, looked for while one is run with fixed weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from archcheck.function.digests import digest, tensors_in
from archcheck.function.passes import Examine, Heard, Pass, Passes, make_fixed_inputs, prepare
from archcheck.meta import failures
from archcheck.records import ForwardInput, HealthRecord

_TOLERANCE: Final = {torch.float64: 1e-7, torch.float32: 1e-3}  # sums of other lengths round differently
_SHARED_WEIGHTS: Final = 2**26  # elements from which a copy of all weights is one too many


def examiner(make: Callable[[], nn.Module], alone: ForwardInput | None) -> Examine:
    """What examines a network between two passes; `alone` are the inputs with one example, None where there's no batch.

    It's called after a step in train mode, with the eval pass that came before, and leaves the network as it found it.
    """
    return lambda passes, first: _Examination(passes, make, alone).run(first)


class _Examination:
    def __init__(self, passes: Passes, make: Callable[[], nn.Module], alone: ForwardInput | None) -> None:
        self._passes, self._make, self._alone = passes, make, alone
        self._tolerance = _TOLERANCE[passes.how.dtype]

    def run(self, first: Pass) -> HealthRecord:
        draws = dict(self._passes.listener.draws)
        with torch.no_grad():
            unsaved = self._unsaved() if self._passes.keeps_state else None
            unrepeatable, mixing = self._differences(first)
        no_gradient, not_finite = self._gradients()
        return HealthRecord(draws, unrepeatable, mixing, first.changed_inputs, no_gradient, not_finite, unsaved)

    # ----------------------------------------------------------------------------------------- gradients

    def _gradients(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Parameters without a gradient, in train mode and in eval mode, and those whose gradient isn't finite."""
        params = {name: one for name, one in self._passes.network.params.items() if one.requires_grad and one.numel()}
        found = dict(self._passes.gradients)
        missing = [name for name in params if name not in found or found[name].rms == 0]
        if missing and self._passes.how.train:
            kept = self._passes.gradients
            self._passes.step(training=False)
            found |= {name: one for name, one in self._passes.gradients.items() if name in missing}
            self._passes.gradients = kept
        none = tuple(name for name in missing if name not in found or found[name].rms == 0)
        return none, tuple(name for name, one in found.items() if not math.isfinite(one.check))

    # ----------------------------------------------------------------------------------------- another run

    def _differences(self, first: Pass) -> tuple[str | None, str | None]:
        """The first module that computes something else in a second run, and the first that does so without a batch.

        An example that comes out alone as it did in the batch shows both at once that there are none.
        """
        alone = None
        if self._alone is not None:
            alone = self._passes.forward(training=False, inputs=self._one_example())
            if alone.crash is None and self._alike(first.output, alone.output):
                return None, None
        again = self._passes.forward(training=False)
        unrepeatable = self._first_difference(first.heard, again.heard)
        if alone is None or alone.crash is not None or unrepeatable is not None:
            return unrepeatable, None
        return None, self._mixing(alone)

    def _mixing(self, alone: Pass) -> str:
        self._passes.listener.share = len(next(tensors_in(self._passes.inputs())))
        shared = self._passes.forward(training=False)
        self._passes.listener.share = 1
        return self._first_difference(shared.heard, alone.heard) or ""

    def _one_example(self) -> tuple[Any, Any]:
        """The first example of the usual inputs."""
        assert self._alone is not None
        how = self._passes.how
        sizes = (one.shape for one in tensors_in(make_fixed_inputs(self._alone, how.dtype, how.device)))

        def cut(value: Any) -> Any:
            if isinstance(value, Tensor):
                return _cut(value, next(sizes)).clone()
            if isinstance(value, dict):
                return {key: cut(item) for key, item in value.items()}
            return type(value)(map(cut, value)) if isinstance(value, list | tuple) else value

        args, kwargs = self._passes.inputs()
        return cut(args), cut(kwargs)

    def _alike(self, together: Any, alone: Any) -> bool:
        """Whether outputs are the same, as far as both have them."""
        ours, theirs = list(tensors_in(together)), list(tensors_in(alone))
        if len(ours) != len(theirs):
            return False
        return all(
            _close(_cut(one, other.shape), other, self._tolerance) for one, other in zip(ours, theirs, strict=True)
        )

    def _first_difference(self, ours: list[Heard], theirs: list[Heard]) -> str | None:
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
        inputs = self._one_example() if self._alone is not None else self._passes.inputs()
        ours = self._passes.forward(training=False, inputs=inputs, reset=False)
        try:
            twin = self._twin()
        except Exception as error:
            return failures.text_of(error)
        inputs = self._one_example() if self._alone is not None else self._passes.inputs()
        theirs = twin.forward(training=False, inputs=inputs)
        if ours.crash is not None or theirs.crash is not None or self._alike(ours.output, theirs.output):
            return None
        name = self._first_difference(ours.heard, theirs.heard)
        return f"{name or 'the network'} computes with something that is no parameter and no buffer"

    def _twin(self) -> Passes:
        model = self._passes.network.model
        num_elements = sum(one.numel() for one in model.parameters())
        twin = Passes(prepare(self._make, replace(self._passes.how, seed=0)), self._passes.how)
        twin.network.model.load_state_dict(model.state_dict(), assign=num_elements > _SHARED_WEIGHTS)
        return twin.without_fills()


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

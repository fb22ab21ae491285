"""A pass in train mode at large values, which reach the bounds that some activations have (ReLU6, Hardtanh)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from archcheck.function.fingerprint.digests import Digest
from archcheck.function.fingerprint.forward_pass import PassResult, PassRunner
from archcheck.function.fingerprint.number_pool import squeezed_shape, uniform

LARGE_FACTORS: Final = (32.0, 8.0, 2.0)  # of biases and scales, the largest that is stable is taken
_FEW_CALLS: Final = 60  # of modules: with fewer of them rounding errors have no room to grow
_MANY_CALLS: Final = 300  # with as many of them the largest factor isn't tried
PERTURBATION: Final = 1e-10  # relative
_MAX_RMS: Final = 1e15  # of the output: more is an explosion, of exponentials above all
_MAX_GROWTH: Final = 1e5  # of a perturbation: a rounding error of 1e-14 then stays below every tolerance


class LargeValuePass:
    """A pass in train mode with biases and scales multiplied by a large factor.

    The factor is as large as can be: where a network hardly does anything but saturate, its rounding errors grow
    layer by layer until nothing else is left.

    Attributes:
        factor: the one of the last pass.
    """

    def __init__(self, runner: PassRunner, num_calls: int) -> None:
        """Remember the vectors among the weights; `num_calls` counts the calls of modules in a pass."""
        runner.state.restore()  # a step may have changed them
        self._runner, self._num_calls = runner, num_calls
        self._vectors = [(one, one.detach().clone()) for one in vectors_of(runner)]
        self.factor = LARGE_FACTORS[0]

    def run(self) -> PassResult:
        """Run with the configured factor, or with the largest at which rounding errors don't grow."""
        for factor in self._factors():
            self.factor = factor
            self._enlarge()
            result = self._runner.forward(training=True)
            if self._runner.config.large is not None or self._is_stable(result):
                break
        return result

    def _factors(self) -> Sequence[float]:
        if self._runner.config.large is not None:
            return (self._runner.config.large,)
        return LARGE_FACTORS if self._num_calls < _MANY_CALLS else LARGE_FACTORS[1:]

    def _enlarge(self, perturbation: float = 0.0) -> None:
        """Enlarge the vectors and negate half of the numbers, so that units which are always on are off for once.

        Which half is left to fixed numbers: what alternates could be in step with a network's own alternation. It's the
        same for a scale and a bias of one layer, so that some units get both positive, and large.
        """
        self._runner.state.restore()
        with torch.no_grad():
            for param, values in self._vectors:
                signs = uniform(values.shape, "sign", values.device).sign()
                made = values * signs.to(values.dtype) * self.factor
                if perturbation:
                    made *= 1 + perturbation * uniform(made.shape, "tremor", made.device)
                param.detach().copy_(made)
            self._runner.filler.derived.compute()

    def _is_stable(self, result: PassResult) -> bool:
        """Check by a perturbed pass that other rounding errors would make no difference; with few calls they don't."""
        if result.crash is not None or not result.calls:
            return True
        ours = result.calls[-1].digest
        if ours is not None and ours.rms > _MAX_RMS:
            return False
        if ours is None or len(result.calls) < _FEW_CALLS:
            return ours is None or ours.is_finite
        self._enlarge(PERTURBATION)
        theirs = self._runner.forward(training=True).calls[-1].digest
        self._enlarge()  # the passes behind this one go on from here, and a verifying run isn't perturbed
        return theirs is not None and is_steady(ours, theirs)


def vectors_of(runner: PassRunner) -> list[Tensor]:
    """Return biases, scales and other vectors among the weights that were filled."""
    params = [one for one in runner.network.params.values() if runner.filler.is_weight(one)]
    params += runner.filler.derived.sources.values()
    return [one for one in params if len(squeezed_shape(one.shape)) < 2]


def is_steady(ours: Digest, perturbed: Digest) -> bool:
    """Return whether a perturbation of what a pass starts from has hardly grown in it, as rounding errors wouldn't."""
    return abs(ours.check - perturbed.check) <= _MAX_GROWTH * PERTURBATION * abs(ours.check)

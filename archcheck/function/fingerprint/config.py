"""Settings by which a network is run to take its fingerprint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch

from archcheck.function.fingerprint.given_weights import GivenWeights
from archcheck.spec.inputs import ForwardInput, InputTree

CPU: Final = torch.device("cpu")
OTHER_SEED: Final = 1  # for a second run, so that numbers which torch doesn't draw come out different


@dataclass(frozen=True, slots=True)
class FingerprintConfig:
    """Settings of a run: its inputs, the precision, and what is known about its weights.

    Attributes:
        inputs: the sizes and types of the inputs.
        train_inputs: those of train mode, where it takes others.
        dtype: of the computation: float64 or float32.
        gains: by sizes and rank of a weight, the power of 2 that it's multiplied by; None to choose them.
        large: the factor of biases and scales in the pass at large values; None to choose it.
        train: whether the network can be run in train mode.
        bounds: whether it's run at very large and very small inputs; None to choose it.
        opened: the sets of weights that let gradients through where the usual ones shut a gate; None to choose them.
        knows_initial_values: whether the network's values are those that it's built with, and building it is observed.
        seed: of Python's and NumPy's generators; torch's draws are replaced.
        input_pattern: the pattern that the inputs were made from, where that isn't the spec's own.
        device: on which the network runs.
        given: weights of another network, which this one gets.
    """

    inputs: ForwardInput
    dtype: torch.dtype = torch.float64
    gains: Mapping[str, int] | None = None
    large: float | None = None
    train: bool = True
    bounds: bool | None = None
    opened: Sequence[int] | None = None
    knows_initial_values: bool = True
    seed: int = 0
    input_pattern: InputTree | None = None
    device: torch.device = CPU
    given: GivenWeights | None = None
    train_inputs: ForwardInput | None = None

    def inputs_in(self, training: bool) -> ForwardInput:
        """Return the inputs of eval mode, or of train mode."""
        if not training:
            return self.inputs
        return replace(self.inputs, train=True) if self.train_inputs is None else self.train_inputs

    @property
    def precision(self) -> str:
        """The dtype as a spec writes it."""
        return str(self.dtype).removeprefix("torch.")

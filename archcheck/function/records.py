"""What a network computes, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archcheck.structure.records import Crash


@dataclass(frozen=True, slots=True)
class CallDigest:
    """What one call of a module computed; `index` counts the calls of the same module from 0.

    `numbers` has, as far as there are any: mean and rms of the output; checks of the output in eval mode (`eval`), in
    train mode (`train`) and in train mode with large biases and scales (`large`); and of what is the module's own or
    lies below it: the gradients of its parameters (`gradient`), its buffers after a step (`buffers`), the constants
    that its parameters start from (`initial`). The network itself has `inputs`, the gradients of its inputs, too.
    """

    name: str
    index: int
    type_name: str
    numbers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class HealthRecord:
    """What is unusual about how a network runs; empty where nothing is.

    draws: what drew random numbers in eval mode, by the module that did. unrepeatable, mixing: the first module whose
    output differed in a second run, or without the other examples of the batch ("" is the network itself).
    changed_inputs: positions or names of inputs that were written to. no_gradient, not_finite: parameters.
    unsaved: how a network that was rebuilt from its state_dict differs.
    """

    draws: Mapping[str, str] = field(default_factory=dict)
    unrepeatable: str | None = None
    mixing: str | None = None
    changed_inputs: tuple[str, ...] = ()
    no_gradient: tuple[str, ...] = ()
    not_finite: tuple[str, ...] = ()
    unsaved: str | None = None


@dataclass(frozen=True, slots=True)
class FunctionRecord:
    """What a network computes for a fixed input under fixed weights.

    calls: in the order in which they returned in the eval pass, those of train mode only behind them; the network's own
    comes last. exponents: by position among the weights, in the order of first use. large: by what biases and scales
    were multiplied for large values. crash: where a pass died, with `stage`, the pass. weights: the parameters in the
    order of their first use: name, and the numbers that it got.
    """

    calls: tuple[CallDigest, ...]
    weights: Mapping[str, str] = field(default_factory=dict)
    exponents: Mapping[int, int] = field(default_factory=dict)
    large: float = 32.0
    health: HealthRecord | None = None
    crash: Crash | None = None
    stage: str = ""

    @property
    def root(self) -> CallDigest:
        """The network's own."""
        return self.calls[-1]

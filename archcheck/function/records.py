"""Records of what networks compute: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archcheck.structure.records import Crash


@dataclass(frozen=True, slots=True)
class CallDigest:
    """The digests of one call of a module; `index` counts the calls of the same module from 0.

    `numbers` has, as far as there are any: mean and rms of the output; checks of the output in eval mode (`eval`), in
    train mode (`train`), in train mode with large biases and scales (`large`), under other weights where the network's
    output has one sign (`other`), and under weights that open its gates (`opened`); and checks of the parameters and
    buffers in the module and below it: their gradients (`gradient`), the buffers after a step (`buffers`), the
    constants that parameters start from (`initial`). The network itself has `inputs`, the gradients of its inputs, too.
    """

    name: str
    index: int
    type_name: str
    numbers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class DifferingCall:
    """A call of a module that differs from what was recorded of it.

    Attributes:
        name: the module's, "" for the network itself.
        index: counts the calls of the same module from 0.
        kind: the first kind of number that differs.
        numbers: as they were recorded, by kind.
        inner: name and index of the first call before or inside it that differs, which has no numbers of its own.
        whole: the numbers that were recorded of the network as a whole.
    """

    name: str
    index: int
    kind: str
    numbers: Mapping[str, float]
    inner: tuple[str, int] | None = None
    whole: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unsaved:
    """How a network that was rebuilt from its state_dict differs; where that's for want of buffers or numbers, these.

    names: of buffers, or of attributes that hold a number or a text.
    """

    text: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HealthRecord:
    """The defects that were found while a network ran; empty where there are none.

    Attributes:
        draws: the functions that drew random numbers in eval mode, by the module that called them.
        unrepeatable: the first module whose output differed in a second run ("" is the network itself).
        mixing: the first module whose output differed without the other examples of the batch.
        changed_inputs: positions or names of inputs that were written to.
        carried: the first module whose output differed in a second run that went on from the first.
        updated: parameters and buffers that a run in eval mode has changed.
        no_gradient: parameters that got no gradient.
        gradients: parameters that got one.
        not_finite: parameters whose gradient isn't finite.
        unsaved: how a network that was rebuilt from its state_dict differs.
        unseen: what could not be looked at, each in a line.
        tensors: the names of all parameters and buffers.
    """

    draws: Mapping[str, str] = field(default_factory=dict)
    unrepeatable: str | None = None
    mixing: str | None = None
    changed_inputs: tuple[str, ...] = ()
    carried: str | None = None
    updated: tuple[str, ...] = ()
    no_gradient: tuple[str, ...] = ()
    gradients: tuple[str, ...] = ()
    not_finite: tuple[str, ...] = ()
    unsaved: Unsaved | None = None
    unseen: tuple[str, ...] = ()
    tensors: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FunctionRecord:
    """The digests of what a network computes for a fixed input under fixed weights.

    Attributes:
        calls: in the order in which they returned in the eval pass, those of another pass before what returned after
            them there; the network's own comes last.
        weights: the parameters in the order of their first use: name, and the key of the numbers that it got.
        gains: by a weight's sizes and how many of these were used before it, the power of 2 that it's multiplied by.
        large: the factor of biases and scales in the pass at large values.
        opened: the sets of weights that let gradients through where the usual ones don't.
        crash: where a pass died.
        stage: the pass that died: "eval", "train" or "backward".
        opaque: the types of what comes out and can't be looked into.
        made_inputs: a number for the inputs that a source has made, None without one.
        untrainable: why neither train mode nor gradients can be had, where eval mode can.
        filled: what `weights` has, and the buffers that got numbers, in the order of their first use.
        shapes: the sizes of the parameters in `weights`.
        tied: by a parameter's further names, the one that it has in `weights`.
        dtypes: by module, the floating-point dtypes that its own code names, or its own tensors have, and how often.
    """

    calls: tuple[CallDigest, ...]
    weights: Mapping[str, str] = field(default_factory=dict)
    gains: Mapping[str, int] = field(default_factory=dict)
    large: float = 32.0
    opened: tuple[int, ...] = ()
    health: HealthRecord | None = None
    crash: Crash | None = None
    stage: str = ""
    untrainable: Crash | None = None
    opaque: tuple[str, ...] = ()
    made_inputs: float | None = None
    filled: Mapping[str, str] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    tied: Mapping[str, str] = field(default_factory=dict)
    dtypes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def root(self) -> CallDigest:
        """The network's own call."""
        return self.calls[-1]

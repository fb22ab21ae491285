"""What was measured: plain values without tensors, so that they can be compared, pickled and printed anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

# ---------------------------------------------------------------------------------------------- values that flow


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """A tensor that was seen: its sizes and its dtype without the `torch.` prefix."""

    shape: tuple[int, ...]
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class OpaqueRecord:
    """A value that holds no tensor (None, a number, a cache object), known by its type's name only."""

    type_name: str


@dataclass(frozen=True, slots=True)
class SequenceRecord:
    """A tuple or list; `fields` names the positions where it is a namedtuple."""

    items: tuple[ValueRecord, ...]
    fields: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class MappingRecord:
    """A dict, a dataclass or anything else with named parts, in its own order."""

    items: Mapping[str, ValueRecord]


ValueRecord: TypeAlias = TensorRecord | SequenceRecord | MappingRecord | OpaqueRecord


# ---------------------------------------------------------------------------------------------- what goes in


@dataclass(frozen=True, slots=True)
class TensorInput:
    """A tensor to make: its sizes, its dtype and, for integers, the exclusive upper bound of its values."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    below: int | None = None


InputValue: TypeAlias = "TensorInput | Sequence[InputValue] | Mapping[str, InputValue]"


@dataclass(frozen=True, slots=True)
class ForwardInput:
    """The arguments of one forward pass, and the values of the free dimensions they were made with."""

    args: tuple[InputValue, ...] = ()
    kwargs: Mapping[str, InputValue] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)


# ---------------------------------------------------------------------------------------------- what was seen


@dataclass(frozen=True, slots=True)
class ModuleRecord:
    """One module of the network, by its first `named_modules()` path ("" is the network itself).

    Counts are numbers of elements in the module and everything below it; a shared tensor counts once.
    """

    name: str
    type_name: str
    qualified_type: str
    num_params: int
    num_trainable_params: int
    num_buffers: int
    is_container: bool = False  # has no forward of its own (ModuleList, ModuleDict): never called by design
    has_children: bool = False

    @property
    def num_frozen_params(self) -> int:
        """Elements of parameters that don't require a gradient."""
        return self.num_params - self.num_trainable_params


@dataclass(slots=True)
class CallRecord:
    """One call of a module's forward; `index` counts the calls of the same module from 0.

    `output` stays None where the forward died before the module returned. `macs` includes the modules called within.
    `finished` counts the calls of the pass in the order in which they returned: a child returns before its parent.
    """

    name: str
    index: int
    output: ValueRecord | None = None
    macs: int = 0
    finished: int | None = None


@dataclass(frozen=True, slots=True)
class Crash:
    """A forward that died: the innermost module that was running, the error, and the user's line that raised it."""

    module: str
    error: str
    where: str | None = None


@dataclass(slots=True)
class ForwardRecord:
    """One forward pass: the calls in the order in which they were entered, the output, the multiply-adds of all."""

    sizes: Mapping[str, int]
    calls: list[CallRecord] = field(default_factory=list)
    output: ValueRecord | None = None
    macs: int = 0
    crash: Crash | None = None

    def num_calls(self) -> dict[str, int]:
        """How often each module was called."""
        return {call.name: call.index + 1 for call in self.calls}


@dataclass(slots=True)
class StructureTrace:
    """Everything that the structure checks compare: modules, counts, and one `ForwardRecord` for each input tried.

    `modules` is in `named_modules()` order; `aliases` maps a further name of a module to the name it has there.
    `macs` is for one example at the first size, None where no forward got through. `device` is where the forwards
    ran: "meta", or "cpu" with `fallback_reason` saying why meta would not do. `uninitialized` lists the lazy modules
    that no forward reached, whose parameters therefore can't be counted. `uncounted` lists the operations whose
    multiply-adds nobody knows a formula for, so that `macs` is without them.
    """

    modules: dict[str, ModuleRecord]
    aliases: dict[str, str]
    forwards: list[ForwardRecord]
    macs: int | None
    device: str = "meta"
    fallback_reason: str | None = None
    uninitialized: tuple[str, ...] = ()
    uncounted: tuple[str, ...] = ()
    descriptions: Mapping[str, str] = field(default_factory=dict)  # name -> "Conv2d(6, 16, kernel_size=(5, 5))"

    @property
    def root(self) -> ModuleRecord:
        """The network itself."""
        return self.modules[""]

    @property
    def died(self) -> tuple[ForwardRecord, Crash] | None:
        """The first forward that did not get through, and why; None where all did."""
        return next(((forward, forward.crash) for forward in self.forwards if forward.crash is not None), None)


# ---------------------------------------------------------------------------------------------- a training run


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch of training: mean loss, accuracy on both sets, and the training steps' wall-clock rate.

    Accuracies are top-1 from 0 to 1, or R² where the loss is a regression's. `first_step_sec` is what the rate leaves
    out: the run's first step with its compilation and allocations, 0 in every epoch but the first.
    """

    epoch: int
    loss: float
    train_accuracy: float
    test_accuracy: float
    examples_per_sec: float
    duration_sec: float
    first_step_sec: float = 0.0


@dataclass(frozen=True, slots=True)
class TrainingFault:
    """Why a run ended before its time, in one line; `key` is the part of the recipe that it is about."""

    message: str
    key: str


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """A training run: its curve and its circumstances.

    `kind` is the recipe's, quick or full. `reached` is true where the run stopped early, the minimum reached and
    confirmed. `fault` is None for a run that came to its end.
    """

    epochs: tuple[EpochRecord, ...]
    kind: str
    seed: int
    device: str
    precision: str
    num_threads: int = 1
    metric: str = "accuracy"
    reached: bool = False
    fault: TrainingFault | None = None

    @property
    def final_accuracy(self) -> float | None:
        """The last epoch's accuracy on the test set; None where no epoch came to its end."""
        return self.epochs[-1].test_accuracy if self.epochs else None

    @property
    def examples_per_sec(self) -> float | None:
        """The rate over all epochs, by wall clock."""
        rated = [epoch for epoch in self.epochs if epoch.examples_per_sec > 0]
        spent = sum(epoch.duration_sec for epoch in rated)
        return sum(epoch.examples_per_sec * epoch.duration_sec for epoch in rated) / spent if spent else None


# ---------------------------------------------------------------------------------------------- speed


@dataclass(frozen=True, slots=True)
class SpeedRecord:
    """How fast a network is: medians of one step's time, and what goes with it.

    macs_per_sec: a step of training counts as three forward passes, since its backward pass computes two products for
    each of the forward's; None where nobody knows the multiply-adds. utilization: of `peak_macs_per_sec`, the device's
    own best at multiplying matrices at that moment. peak_memory_bytes: the most that is held during a step, None where
    the device doesn't tell. compile_sec: what the first step took longer, where it compiled. num_threads: of the CPU,
    None on other devices.
    """

    mode: str
    device: str
    num_threads: int | None
    precision: str
    batch_size: int
    examples_per_sec: float
    step_sec: float
    macs_per_sec: float | None
    peak_macs_per_sec: float
    peak_memory_bytes: int | None
    compile_sec: float

    @property
    def utilization(self) -> float | None:
        """From 0 to 1."""
        return None if self.macs_per_sec is None else self.macs_per_sec / self.peak_macs_per_sec


# ---------------------------------------------------------------------------------------------- a function


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

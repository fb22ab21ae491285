"""Records of a traced structure: plain values without tensors, to be compared, pickled and printed anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

# ---------------------------------------------------------------------------------------------- values that flow


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """A tensor's sizes, and its dtype without the `torch.` prefix."""

    shape: tuple[int, ...]
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class OpaqueRecord:
    """A value in which no tensor is seen (None, a number, a generator), known by its type's name only."""

    type_name: str


@dataclass(frozen=True, slots=True)
class EmptyRecord:
    """A list, tuple or dict with nothing in it: `[]`, `()` or `{}`."""

    kind: str


@dataclass(frozen=True, slots=True)
class SequenceRecord:
    """A tuple or list; `fields` names the positions where it is a namedtuple."""

    items: tuple[ValueRecord, ...]
    fields: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class MappingRecord:
    """A dict, a dataclass or anything else with named parts, in its own order.

    `type_name` is that of an object which is no container, such as a cache: `items` are its attributes with tensors.
    """

    items: Mapping[str, ValueRecord]
    type_name: str | None = None


ValueRecord: TypeAlias = TensorRecord | SequenceRecord | MappingRecord | EmptyRecord | OpaqueRecord


def holds_tensor(value: ValueRecord) -> bool:
    """Return whether there is a tensor anywhere in a value."""
    if isinstance(value, MappingRecord):
        return any(map(holds_tensor, value.items.values()))
    if isinstance(value, SequenceRecord):
        return any(map(holds_tensor, value.items))
    return isinstance(value, TensorRecord)


# ---------------------------------------------------------------------------------------------- what was seen


@dataclass(frozen=True, slots=True)
class ModuleRecord:
    """One module of the network, by its first `named_modules()` path ("" is the network itself).

    Counts are numbers of elements in the module and everything below it; a shared tensor counts once.
    is_parametrization: whether it's no layer but a part of one, which computes a weight (torch's `parametrize`).
    dtypes: how many of its own parameters and buffers have which floating-point dtype other than float32.
    """

    name: str
    type_name: str
    qualified_type: str
    num_params: int
    num_trainable_params: int
    num_buffers: int
    is_container: bool = False  # has no forward of its own (ModuleList, ModuleDict): never called by design
    has_children: bool = False
    is_parametrization: bool = False
    dtypes: Mapping[str, int] = field(default_factory=dict)

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
        """Count how often each module was called."""
        return {call.name: call.index + 1 for call in self.calls}

    def depths(self) -> list[int]:
        """Return for each call how many others it is inside of."""
        found: list[int] = []
        running: list[CallRecord] = []
        for call in self.calls:
            while running and _has_returned_before(running[-1], call):
                running.pop()
            found.append(len(running))
            running.append(call)
        return found


def _has_returned_before(a: CallRecord, b: CallRecord) -> bool:
    return a.finished is not None and (b.finished is None or a.finished < b.finished)


@dataclass(slots=True)
class StructureTrace:
    """All that the structure checks compare: modules, counts, and one `ForwardRecord` for each input tried.

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


def layers_only(trace: StructureTrace) -> StructureTrace:
    """Return a trace without the calls of parametrizations, whose parameters are their layers'.

    Nobody has written these modules, and what torch makes of them changes with its versions.
    """
    names = {name for name, module in trace.modules.items() if module.is_parametrization}
    if not names:
        return trace
    forwards = [replace(one, calls=[call for call in one.calls if call.name not in names]) for one in trace.forwards]
    return replace(trace, forwards=forwards)


# ---------------------------------------------------------------------------------------------- the flow of data

INPUT: Final = -1  # among the sources of a call: what goes into the network


@dataclass(frozen=True, slots=True)
class JoinRecord:
    """What joins the results of several calls outside of any layer: an addition, a concatenation.

    operation: its name, several ones where nothing else takes what they hand on. before: how many calls had begun;
    depth: how many of them, without the network's own, it is inside of. output: at each size.
    """

    operation: str
    before: int
    depth: int
    sources: tuple[int, ...]
    output: tuple[ValueRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class FlowRecord:
    """Where what each call of a forward pass takes comes from.

    Calls are numbered as in the forward pass, and joins behind them. sources: by call, those of what it takes, through
    whatever no layer does; of a call with others inside only where their outputs are not what comes out of it. A call
    that hands on the very tensor that it takes, as dropout does in eval mode, is the source of what is taken later.
    output: the sources of the network's.
    """

    sources: Mapping[int, tuple[int, ...]]
    joins: tuple[JoinRecord, ...]
    output: tuple[int, ...]

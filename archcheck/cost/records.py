"""What a step costs, as plain values without tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from archcheck.spec.lock import RecordedLayerCost

PARAMETERS, BUFFERS, GRADIENTS, OPTIMIZER_STATE, ACTIVATIONS, INPUTS = KINDS = (
    "parameters",
    "buffers",
    "gradients",
    "optimizer",
    "activations",
    "inputs",
)
FIGURES: Final = ("memory", "traffic", "operations", "syncs")


class Wait(NamedTuple):
    """A place where the host waits for the device: in which layer, on which line, for what, and how often."""

    layer: str
    line: tuple[str, int] | None
    what: str
    times: int


@dataclass(slots=True)
class LayerCost:
    """What a layer itself costs in a step, without the layers in it.

    calls: how often its forward runs. memory: the bytes that it holds at the peak, by kind. traffic: the bytes that its
    operations read and write. operations: how many, by name. kept: of what it holds at the peak, the bytes that its
    forward pass made, by operation. lines: the first line of each operation.
    """

    calls: int = 0
    memory: dict[str, int] = field(default_factory=dict)
    traffic: int = 0
    operations: dict[str, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    lines: dict[str, tuple[str, int] | None] = field(default_factory=dict)

    @property
    def total_memory(self) -> int:
        """The bytes that it holds at the peak."""
        return sum(self.memory.values())

    @property
    def num_operations(self) -> int:
        """The number of operations that it launches."""
        return sum(self.operations.values())

    @property
    def kept_memory(self) -> int:
        """The bytes that its forward pass made and that are there at the peak."""
        return sum(self.kept.values())

    def to_plain(self) -> dict[str, Any]:
        """Return what is recorded of it, without what is as usual."""
        plain = {
            "calls": self.calls,
            "memory": self.total_memory,
            "kept": self.kept_memory,
            "traffic": self.traffic,
            "operations": format_operations(self.operations),
        }
        usual = {"calls": 1, "memory": 0, "kept": 0, "traffic": 0, "operations": ""}
        return {key: value for key, value in plain.items() if value != usual[key]}

    @staticmethod
    def from_recorded(recorded: RecordedLayerCost) -> LayerCost:
        """Return what was recorded of a layer, in which kinds of memory are one."""
        operations = dict(map(_parse_operation, recorded.operations.split(", "))) if recorded.operations else {}
        kept = {"": recorded.kept} if recorded.kept else {}
        return LayerCost(recorded.calls, {"": recorded.memory}, recorded.traffic, operations, kept)


def format_operations(operations: Mapping[str, int]) -> str:
    """Return operations as a lock has them: `convolution, 2 add_`."""
    return ", ".join(name if number == 1 else f"{number} {name}" for name, number in operations.items())


def _parse_operation(text: str) -> tuple[str, int]:
    number, _, name = text.partition(" ")
    return (name, int(number)) if number.isdecimal() else (text, 1)


@dataclass(frozen=True, slots=True)
class CostRecord:
    """What a step costs.

    layers: in the order of execution; besides them `(loss)`, `(inputs)` and `(optimizer)`. waits: where the host waits
    for the device. sizes: how many operations move how many bytes, the optimizer's all in one. macs: multiply-adds by
    what does them and in which dtype, where they were counted. fallback_reason: why it was measured with values, None
    where it was measured without.
    """

    layers: Mapping[str, LayerCost]
    waits: list[Wait]
    sizes: Counter[int]
    macs: Mapping[tuple[str, str], int]
    fallback_reason: str | None = None

    @property
    def memory_by_kind(self) -> dict[str, int]:
        """The bytes that are held at the peak, by kind."""
        held = {kind: sum(one.memory.get(kind, 0) for one in self.layers.values()) for kind in KINDS}
        return {kind: size for kind, size in held.items() if size}

    @property
    def memory(self) -> int:
        """The bytes that are held at the peak."""
        return sum(self.memory_by_kind.values())

    @property
    def traffic(self) -> int:
        """The bytes that operations read and write."""
        return sum(one.traffic for one in self.layers.values())

    @property
    def operations(self) -> int:
        """The number of operations that are launched."""
        return sum(one.num_operations for one in self.layers.values())

    @property
    def syncs(self) -> int:
        """How often the host waits for the device."""
        return sum(one.times for one in self.waits)

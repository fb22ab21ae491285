"""What was found of where a network may go, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class DeviceMix:
    """An operation that takes tensors of two devices, which a GPU refuses.

    Attributes:
        module: the name of the module whose forward called it, "" for the network itself.
        where: the line that called it, as `net.py:12`; None where no line of Python did.
        op: the operation, as `torch.add`.
        culprit: what is on the CPU, and where it was made.
        advice: what to write instead.
        is_attribute: whether the culprit is held by a module, which doesn't move it.
    """

    module: str
    where: str | None
    op: str
    culprit: str
    advice: str
    is_attribute: bool = False


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """The operations that mix devices, each once for a culprit and a module; and why more can't be known, if so."""

    mixes: tuple[DeviceMix, ...] = ()
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A place that can't be taken into a graph: why, and the line, as `net.py:12`."""

    reason: str
    where: str | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}" if self.where else self.reason


@dataclass(frozen=True, slots=True)
class Recompile:
    """A forward pass that had something compiled again: its sizes, and the guard that didn't hold."""

    sizes: str
    reason: str


@dataclass(frozen=True, slots=True)
class CompileRecord:
    """A network under torch.compile, in one mode.

    Attributes:
        num_graphs: what the first forward pass was compiled to.
        breaks: why they are several.
        recompiles: the later passes that had something compiled again.
        refused: why it can't be compiled at all.
        differs: what comes out otherwise than without being compiled.
        stopped: why it doesn't run even without.
    """

    mode: str = "eval"
    num_graphs: int = 0
    breaks: tuple[Refusal, ...] = ()
    recompiles: tuple[Recompile, ...] = ()
    refused: Refusal | None = None
    differs: str | None = None
    stopped: str | None = None

    def having(self, **changes: Any) -> CompileRecord:
        """Return the record with some values replaced."""
        return replace(self, **changes)

    def with_troubles_of(self, records: Sequence[CompileRecord]) -> CompileRecord:
        """Return the record with what any of these says that no compiled network should do."""
        refused = next((one.refused for one in records if one.refused is not None), None)
        differs = next((f"{one.differs} ({one.mode} mode)" for one in records if one.differs is not None), None)
        return replace(self, refused=refused, differs=differs)


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """A network through torch.export, and on from there to ONNX.

    Attributes:
        precision: the dtype that it was exported in.
        refused: why it can't be exported.
        unsaved: why what was exported can't be saved and loaded.
        differs: what comes out of the loaded one otherwise, and at which sizes.
        onnx_refused: why there's no ONNX file, or none that runs.
        onnx_differs: what comes out of it otherwise, and at which sizes.
    """

    precision: str = "float64"
    refused: Refusal | None = None
    unsaved: Refusal | None = None
    differs: str | None = None
    onnx_refused: Refusal | None = None
    onnx_differs: str | None = None

    def having(self, **changes: Any) -> ExportRecord:
        """Return the record with some values replaced."""
        return replace(self, **changes)

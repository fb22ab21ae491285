"""What was found of where a network may go, as plain values."""

from __future__ import annotations

from dataclasses import dataclass


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

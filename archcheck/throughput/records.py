"""Records of measured speeds, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SpeedRecord:
    """The speed of a network: the median time of a step, and what was measured with it.

    macs_per_sec: a step of training counts as three forward passes, since its backward pass computes two products for
    each of the forward's; None where the multiply-adds aren't known. peak_macs_per_sec: the device's best rate at
    multiplying matrices at that moment. peak_memory_bytes: the most that is held during a step; None where the device
    doesn't tell. compile_sec: how much longer the first step took, where it compiled. num_threads: of the CPU; None on
    other devices. bound_sec: the least time of a step on this device; None where nobody knows.
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
    bound_sec: float | None = None

    @property
    def utilization(self) -> float | None:
        """The share of the peak rate that was reached, from 0 to 1."""
        return None if self.macs_per_sec is None else self.macs_per_sec / self.peak_macs_per_sec

    @property
    def share_of_bound(self) -> float | None:
        """The least time of a step as a share of the time that it takes, from 0 to 1."""
        return None if self.bound_sec is None else self.bound_sec / self.step_sec


@dataclass(frozen=True, slots=True)
class SpeedComparison:
    """A speed held against another one.

    speedup: how many times as fast it is; against: what it was compared with, in short; verdict: slower, not slower,
    can't tell. speedup_low, speedup_high: the confidence interval; least_speedup: what counts as slower below it.
    """

    speedup: float
    against: str
    verdict: str
    speedup_low: float | None = None
    speedup_high: float | None = None
    least_speedup: float | None = None


@dataclass(frozen=True, slots=True)
class SavedSpeed:
    """A saved run under the same conditions: when, of which commit (`-` where nobody knows), and what became of it."""

    date: str
    commit: str
    examples_per_sec: float
    verdict: str | None = None


@dataclass(frozen=True, slots=True)
class SpeedFigures:
    """A network's speed, how it compares where it was compared, and the saved runs like it, oldest first."""

    record: SpeedRecord
    comparison: SpeedComparison | None = None
    history: tuple[SavedSpeed, ...] = ()

    def figures(self) -> dict[str, Any]:
        """Return what a table shows by name, as one map of plain values."""
        compared = {}
        if (held := self.comparison) is not None:
            compared = {"speedup": held.speedup, "against": held.against, "verdict": held.verdict}
        return (
            asdict(self.record)
            | {"utilization": self.record.utilization, "share_of_bound": self.record.share_of_bound}
            | compared
        )

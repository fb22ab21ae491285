"""The result of a check, as one typed record that travels as plain values."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from archcheck.findings import Change, Keys, Mismatch
from archcheck.throughput.records import SpeedFigures
from archcheck.training.records import TrainingRecord


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """Something that could not be measured: why, and the place in the spec to tell it at (None: the check's own).

    `edits` are the changes by which an update records it; empty where an update can't.
    """

    reason: str
    keys: Keys | None = None
    edits: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkCounts:
    """The size of a network: parameters, None where they can't be counted, and multiply-adds of one example."""

    num_params: int | None
    macs: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one check.

    mismatches: the lines of the spec that aren't true; the check failed if there are any.
    unmeasured: what could not be measured; a check that has any, and no mismatch, is skipped.
    notes: what the reader of the result should know.
    counts, training, speed: figures of the network, its training run with the curve, its speed; None where the check
        measures none.
    edits: changes by which an update accepts what was measured.
    additions: sections that an update adds to the spec, as text by key.
    memory: bytes that each layer itself holds when a step holds most; empty where the check measures none.
    """

    mismatches: tuple[Mismatch, ...] = ()
    unmeasured: tuple[Unmeasured, ...] = ()
    notes: tuple[str, ...] = ()
    counts: NetworkCounts | None = None
    training: TrainingRecord | None = None
    speed: SpeedFigures | None = None
    edits: tuple[Change, ...] = ()
    additions: Mapping[str, str] = field(default_factory=dict)
    memory: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_update(self) -> bool:
        """Return whether an update changes the spec."""
        return bool(self.edits or self.additions)

    def figures(self) -> dict[str, Any]:
        """Return the figures by name, without those that nobody knows; for JUnit files and the like."""
        found: dict[str, Any] = {}
        if self.counts is not None:
            found |= {"params": self.counts.num_params, "macs": self.counts.macs}
        if self.training is not None and self.training.final_accuracy is not None:
            found |= self.training.figures()
        if self.speed is not None:
            found |= self.speed.figures()
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The outcome of one check of one spec.

    spec: the spec's path as messages call it; path: the same, absolute. build: the spec's build target, empty where the
    spec could not be read.
    """

    spec: str
    path: str
    check: str
    build: str = ""
    outcome: Outcome = Outcome()

    def to_plain(self) -> dict[str, Any]:
        """Return plain values (maps, lists, text, numbers), as xdist and JSON need them."""
        plain: dict[str, Any] = _adapter().dump_python(self, mode="json")
        return plain

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> CheckReport:
        """Return the record that `to_plain` made the values of."""
        return _adapter().validate_python(plain)


@functools.cache
def _adapter() -> TypeAdapter[CheckReport]:
    return TypeAdapter(CheckReport)

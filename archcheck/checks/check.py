"""The interface of a check: where it stands in a spec, what it needs, how it is run, what an update records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import ClassVar

from archcheck.checks.network_under_test import NetworkUnderTest
from archcheck.checks.outcome import Outcome
from archcheck.errors import ArchcheckError
from archcheck.findings import Change, Keys, Mismatch
from archcheck.spec.models import Spec
from archcheck.spec.spec_file import SpecFile
from archcheck.throughput.session import SpeedSession, Stopwatch
from archcheck.training.session import TrainingSession


class Needs(Enum):
    """The needs of a check, from what takes milliseconds to what takes minutes."""

    STRUCTURE = "the network traced, without weights and values"
    VALUES = "the network run with values"
    TRAINING = "the network trained"
    QUIET_PROCESSOR = "the network timed while nothing else runs"

    @property
    def is_instant(self) -> bool:
        """Return whether it needs neither training nor a clock; `archcheck.verify` runs the checks that don't."""
        return self in (Needs.STRUCTURE, Needs.VALUES)


@dataclass(frozen=True, slots=True)
class CheckContext:
    """The input of a check: the spec, its network, and what a session shares among its checks.

    rootdir: where modules that a spec names are looked for first.
    """

    spec_file: SpecFile
    network: NetworkUnderTest
    training: TrainingSession
    speed: SpeedSession
    stopwatch: Stopwatch
    rootdir: Path | None = None

    @property
    def spec(self) -> Spec:
        """The spec itself."""
        return self.spec_file.spec


@dataclass(frozen=True, slots=True)
class Recording:
    """Sections to add to a spec, as text by key, what their reader should know, and entries to add to others."""

    sections: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    edits: Sequence[Change] = ()


class CannotCheck(ArchcheckError):  # noqa: N818 - a verdict, not a fault
    """A check can't be made as the spec asks; `keys` is the place in the spec to tell it at."""

    def __init__(self, message: str, keys: Keys) -> None:
        super().__init__(message)
        self.keys = keys


class Check(ABC):
    """One check.

    name: the item's, the marker's and the module's.
    needs: what it takes to run.
    recorded: the keys of a spec that an update adds where they are absent.
    """

    name: ClassVar[str]
    needs: ClassVar[Needs]
    recorded: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def place(self, spec: Spec) -> Keys | None:
        """Return where the check stands in a spec; None where the spec doesn't ask for it."""

    @abstractmethod
    def run(self, context: CheckContext) -> Outcome:
        """Hold the network against the spec.

        Raises:
            NotMeasured: what the check needs isn't there.
            ArchcheckError: the check can't be made as the spec or the command line asks.
        """

    def nothing_to_verify(self, spec_file: SpecFile) -> str | None:
        """Return why there is nothing to hold the network against, as far as that is known without the network.

        Raises:
            SpecError: what would say so can't be read.
        """
        del spec_file  # a check may need it
        return None

    def refuse_update(self, context: CheckContext, mismatches: Sequence[Mismatch]) -> list[Mismatch]:
        """Return the mismatches that an update can't accept."""
        del context  # a check may need it
        return [mismatch for mismatch in mismatches if not mismatch.edits]

    def may_be_added(self, spec: Spec) -> bool:
        """Return whether an update may add a section of this check."""
        return any(getattr(spec, key) != "off" for key in self.recorded)

    def absent(self, spec: Spec) -> list[str]:
        """Return the keys of `recorded` that the spec lacks."""
        return [key for key in self.recorded if not getattr(spec, key)]

    def record(self, context: CheckContext) -> Recording:
        """Record the sections of `recorded` that the spec lacks; none for a check that has no such sections.

        Raises:
            ArchcheckError: there is something in the network that can't be recorded.
        """
        del context  # a check that records needs it
        return Recording()

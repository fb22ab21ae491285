"""Which checks of a run would come out as they did when they last passed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from archcheck.dependencies.conditions import Conditions
from archcheck.dependencies.facts import Surroundings, file_fact
from archcheck.dependencies.store import Comparison, SpecRecord, Store

MEASURED = ("accuracy", "throughput", "claims")  # on another processor they come out otherwise


@dataclass
class Selection:
    """Tells what is unchanged, by what earlier runs have kept.

    never: checks that are never unchanged. is_off: nothing is. reasons: by spec, what has changed first.
    """

    store: Store
    surroundings: Surroundings
    conditions: Conditions
    never: Collection[str] = ()
    is_off: bool = False
    reasons: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._comparison = Comparison(self.surroundings, self.conditions)

    def record(self, path: str) -> SpecRecord | None:
        """Return what is known of the spec at a path."""
        return self.store.specs.get(path)

    def unchanged_checks(self, path: str) -> list[tuple[str, int]]:
        """Return a spec's checks and their lines, where all have passed and would again; none where it must be read."""
        content = self.surroundings.value(file_fact(path))  # before it is read
        record = self.record(path)
        if record is None or record.content != content:
            return []
        return record.checks if all(self.is_unchanged(path, name) for name, _ in record.checks) else []

    def is_unchanged(self, path: str, check: str) -> bool:
        """Whether a check of the spec at a path has passed and would again."""
        record = self.record(path)
        green = record.green.get(check) if record is not None else None
        if green is None or self.is_off or check in self.never:
            return False
        difference = self._comparison.difference(green, is_measured=check in MEASURED)
        if difference is not None:
            self.reasons.setdefault(path, difference)
        return difference is None

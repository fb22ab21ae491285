"""What something has used: facts, source files and libraries that it imported, and what nobody can follow."""

from __future__ import annotations

from dataclasses import dataclass, field

from archcheck.dependencies.facts import Fact


@dataclass(slots=True)
class Used:
    """What a check, or a module while it was executed, has used.

    facts: facts with the values that they had at first. files: source files of the user's that were imported, each of
    which has used more. libraries: top-level names of installed modules. unknown: what can't be known, in words.
    unseen: what processes of archcheck's own did, which nobody but this check knows of, in words.
    """

    facts: dict[Fact, str] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    libraries: set[str] = field(default_factory=set)
    unknown: dict[str, None] = field(default_factory=dict)
    unseen: dict[str, None] = field(default_factory=dict)

    def add(self, other: Used) -> None:
        """Add what another one has used."""
        for fact, value in other.facts.items():
            self.facts.setdefault(fact, value)
        self.files |= other.files
        self.libraries |= other.libraries
        self.unknown |= other.unknown
        self.unseen |= other.unseen

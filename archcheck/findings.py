"""Findings about a network: mismatches, and the edits by which an update accepts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from archcheck.errors import BuildError

Keys: TypeAlias = tuple[str | int, ...]
AFTER_ALL = 1 << 60  # sorts what has no place in the order of execution behind everything that has one


@dataclass(frozen=True, slots=True)
class Edit:
    """A value of the spec to replace or add: where it stands, and what was measured (text is written as it is)."""

    keys: Keys
    value: Any


@dataclass(frozen=True, slots=True)
class Rename:
    """An entry of a map of the spec that is to have another key."""

    keys: Keys
    new_key: str


@dataclass(frozen=True, slots=True)
class Removal:
    """An entry of a map of the spec that is to go; `removed` is where it stands.

    `into` is the key of the entry that says what it said, where there is one: then nothing is lost.
    """

    removed: Keys
    into: str | None = None


@dataclass(frozen=True, slots=True)
class Addition:
    """An entry to add to a map of the spec once others have their new keys, such as one that another had before.

    `behind` is the entry behind which it goes, by its new key; None where it comes first.
    """

    added: Keys
    entry: Any
    behind: str | None


# No two have the same fields, so that each can be told from plain values.
Change: TypeAlias = Edit | Rename | Removal | Addition


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One line of a spec that isn't true, with what would make it so.

    `keys` is its place in the spec, `subject` what it speaks of, `module` the module to describe beside it, `notes`
    further labelled lines. `edits` are the changes by which an update would accept what was measured; empty where an
    update can't, and one that removes only where that is asked for. `order` sorts mismatches so that the first one
    explains the others. `follows` says that it's proven to be nothing but a consequence of those before it; `behind`
    names further layers that differ, and have no mismatch of their own.
    """

    keys: Keys
    subject: str
    problem: str
    expected: str | None = None
    actual: str | None = None
    module: str | None = None
    notes: tuple[tuple[str, str], ...] = ()
    edits: tuple[Change, ...] = ()
    order: int = AFTER_ALL
    follows: bool = False
    behind: tuple[str, ...] = ()

    @property
    def is_removal(self) -> bool:
        """Return whether accepting it removes something from the spec."""
        return any(isinstance(edit, Removal) and edit.into is None for edit in self.edits)


def build_failure(args: Mapping[str, Any], place: Keys, error: BuildError) -> Mismatch:
    """Return why a network can't be built, at the argument at fault, or the key in it; `place` is that of `args`."""
    keys: Keys = (error.key,)
    if error.keys and args:
        keys = (*place, *error.keys) if error.arg in args else place
    notes = (("raised", error.where),) if error.where else ()
    return Mismatch(keys, error.key, str(error), notes=notes)

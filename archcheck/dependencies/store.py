"""What was verified and what it depended on, in one file; and which of it would come out the same again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from archcheck.dependencies.conditions import OF_MEASURED, Conditions
from archcheck.dependencies.facts import KINDS, Fact, Signature, Surroundings, describe
from archcheck.errors import ArchcheckError
from archcheck.system.files import written_at_once

FORMAT = 2
Known: TypeAlias = tuple[tuple[Fact, str], ...]  # facts with their values


class StoreError(ArchcheckError):
    """A file that isn't what archcheck has written."""


@dataclass(frozen=True, slots=True)
class Green:
    """A check that would come out as it did: what its result depended on, and when it came out (UTC, to the minute).

    is_skipped: nothing is recorded that it could verify; otherwise it has passed.
    """

    facts: Known
    conditions: Mapping[str, str]
    passed_at: str
    is_skipped: bool = False


@dataclass(slots=True)
class SpecRecord:
    """What is known of a spec.

    content: the file's. checks: the checks that it has, with the line of each. green: those that have passed.
    build, num_params, macs: what a table says of it. unknown: why it runs every time, in words.
    """

    content: str = ""
    checks: list[tuple[str, int]] = field(default_factory=list)
    green: dict[str, Green] = field(default_factory=dict)
    build: str = ""
    num_params: int | None = None
    macs: int | None = None
    unknown: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Store:
    """The records of specs by their paths; `ran` are the checks that a run has brought about, passed or not."""

    specs: dict[str, SpecRecord] = field(default_factory=dict)
    large: dict[str, tuple[Signature, str]] = field(default_factory=dict)
    ran: list[tuple[str, str]] = field(default_factory=list)

    def merge(self, newer: Store) -> None:
        """Take over what a later run has found."""
        for path, check in newer.ran:
            if path in self.specs:
                self.specs[path].green.pop(check, None)
        for path, record in newer.specs.items():
            known = self.specs.get(path)
            if known is not None:
                names = {name for name, _ in record.checks}
                kept = {name: green for name, green in known.green.items() if name in names}
                record.green = kept | record.green
                record.num_params = known.num_params if record.num_params is None else record.num_params
                record.macs = known.macs if record.macs is None else record.macs
            self.specs[path] = record
        self.large |= newer.large

    def forget_absent(self) -> None:
        """Forget specs that are no longer there."""
        self.specs = {path: record for path, record in self.specs.items() if Path(path).is_file()}

    # --------------------------------------------------------------------------------------- as plain values

    def to_plain(self) -> dict[str, Any]:
        """Return plain values, in which what many checks depend on is written once."""
        facts, groups, conditions = _Table(), _Table(), _Table()
        places: dict[int, int] = {}  # by the identity of what the checks of a spec share

        def place(known: Known) -> int:
            if id(known) not in places:
                places[id(known)] = groups.place(tuple(facts.place((*fact, value)) for fact, value in known))
            return places[id(known)]

        specs = {
            path: {
                "content": record.content,
                "checks": record.checks,
                "build": record.build,
                "counts": [record.num_params, record.macs],
                "unknown": record.unknown,
                "green": {
                    name: [
                        place(green.facts),
                        conditions.place(tuple(sorted(green.conditions.items()))),
                        green.passed_at,
                        green.is_skipped,
                    ]
                    for name, green in record.green.items()
                },
            }
            for path, record in self.specs.items()
        }
        return {
            "format": FORMAT, "facts": facts.rows, "groups": groups.rows, "conditions": conditions.rows,
            "large": self.large, "ran": self.ran, "specs": specs,
        }  # fmt: skip

    @staticmethod
    def from_plain(plain: Any) -> Store:
        """Return what `to_plain` made the values of.

        Raises:
            StoreError: they are something else.
        """
        if not isinstance(plain, dict) or plain.get("format") != FORMAT:
            found = plain.get("format") if isinstance(plain, dict) else None
            raise StoreError(f"expected format {FORMAT}, found {'none' if found is None else found}")
        try:
            facts = [_fact(row) for row in plain["facts"]]
            groups = [tuple(facts[place] for place in row) for row in plain["groups"]]
            conditions = [dict(row) for row in plain["conditions"]]
            specs = {path: _record(value, groups, conditions) for path, value in plain["specs"].items()}
            large = {path: (list(signature), found) for path, (signature, found) in plain["large"].items()}
            return Store(specs, large, [(path, check) for path, check in plain["ran"]])
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise StoreError(f"not what archcheck writes: {type(error).__name__}") from error


class _Table:
    """Rows that are kept once each."""

    def __init__(self) -> None:
        self._places: dict[Any, int] = {}

    def place(self, row: Any) -> int:
        return self._places.setdefault(row, len(self._places))

    @property
    def rows(self) -> list[Any]:
        return list(self._places)


def _fact(row: list[Any]) -> tuple[Fact, str]:
    if len(row) != KINDS[row[0]] + 1 or not all(isinstance(one, str) for one in row):
        raise ValueError(f"no fact: {row}")
    return tuple(row[:-1]), row[-1]


def _record(value: Mapping[str, Any], groups: Sequence[Known], conditions: Sequence[Conditions]) -> SpecRecord:
    num_params, macs = value["counts"]
    return SpecRecord(
        content=value["content"],
        checks=[(name, line) for name, line in value["checks"]],
        green={
            name: Green(groups[group], conditions[place], passed_at, is_skipped)
            for name, (group, place, passed_at, is_skipped) in value["green"].items()
        },
        build=value["build"],
        num_params=num_params,
        macs=macs,
        unknown=list(value["unknown"]),
    )


def read_store(path: Path) -> Store:
    """Read what earlier runs have written; nothing where there were none.

    Raises:
        StoreError: the file can't be read, or is something else.
    """
    try:
        return Store.from_plain(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return Store()
    except OSError as error:
        raise StoreError(f"can't be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise StoreError("not JSON") from error


def write_store(path: Path, store: Store) -> None:
    """Write a store at once. Raises OSError where it can't be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    store.ran = []
    with written_at_once(path) as file:
        file.write(json.dumps(store.to_plain(), separators=(",", ":")).encode())


class Comparison:
    """Holds what checks depended on against what is there now, each fact once."""

    def __init__(self, surroundings: Surroundings, now: Conditions) -> None:
        self._surroundings = surroundings
        self._now = now
        self._known: dict[tuple[int, int], str | None] = {}

    def difference(self, green: Green, *, is_measured: bool) -> str | None:
        """Return what is another by now, in words; None where a check would come out as it did.

        is_measured: whether the result depends on the processor.
        """
        condition = self._condition(green.conditions, is_measured=is_measured)
        return condition if condition is not None else self._fact(green.facts)

    def _condition(self, before: Mapping[str, str], *, is_measured: bool) -> str | None:
        key = (id(before), is_measured)
        if key not in self._known:
            names = [name for name in {**before, **self._now} if is_measured or name not in OF_MEASURED]
            changed = (name for name in names if before.get(name) != self._now.get(name))
            self._known[key] = next(changed, None)
        return self._known[key]

    def _fact(self, facts: Iterable[tuple[Fact, str]]) -> str | None:
        key = (id(facts), 2)
        if key not in self._known:
            value = self._surroundings.value
            changed = (describe(fact) for fact, before in facts if value(fact) != before)
            self._known[key] = next(changed, None)
        return self._known[key]

"""The exception tree.

    ArchcheckError
    ├── SpecError      a spec file that can't be read or doesn't say something valid; carries every problem found
    ├── DimError       a shape pattern that can't be parsed or evaluated
    ├── BuildError     a build target that can't be imported, called, or that returns no network
    ├── DataError      a data set that is there and broken, or asked for in a way that can't be met
    ├── NotMeasured    what a gate needs isn't there (data, a device, a baseline): skipped, never green
    │   └── LackOfMemory  more memory is needed than is free just now
    └── UsageError     a command line or a call from Python that asks for something impossible

A forward pass that dies is no exception but a finding: `structure.records.Crash`.
"""

from __future__ import annotations

from dataclasses import dataclass


class ArchcheckError(Exception):
    """The base of what archcheck tells its user as a message rather than as a traceback."""


@dataclass(frozen=True, slots=True)
class SourceLoc:
    """A place in a file as users see it: lines and columns count from 1."""

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a spec file, and where."""

    loc: SourceLoc
    message: str

    def __str__(self) -> str:
        return f"{self.loc}: {self.message}"


class SpecError(ArchcheckError):
    """A spec file is unreadable or invalid; `problems` lists everything found, in file order."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class DimError(ArchcheckError):
    """A shape pattern can't be parsed, or has no value at the sizes given."""


class BuildError(ArchcheckError):
    """A build target can't be imported or called, or returns no `nn.Module`.

    `arg` names the key of the spec's `args` at fault, where one is, and `keys` the way from there to the value within
    it; `where` is the line of the user's code that raised. `key` is the spec's key that names the target.
    """

    key = "build"

    def __init__(
        self, message: str, *, arg: str | None = None, keys: tuple[str | int, ...] = (), where: str | None = None
    ) -> None:
        super().__init__(message)
        self.keys = keys if arg is None else (arg,)
        self.where = where

    @property
    def arg(self) -> str | None:
        """The key of the spec's `args` at fault."""
        return str(self.keys[0]) if self.keys else None


class DataError(ArchcheckError):
    """A data set is corrupt, of the wrong form, or can't be loaded; the message names the file.

    `arg` names the argument of the spec's `dataset` at fault, where one is.
    """

    def __init__(self, message: str, *, arg: str | None = None) -> None:
        super().__init__(message)
        self.arg = arg


class NotMeasured(ArchcheckError):  # noqa: N818 - a verdict, not a fault
    """Something that a gate needs isn't there; the message says what, and the way to get it."""


class LackOfMemory(NotMeasured):
    """Something needs more memory than is free just now."""


class UsageError(ArchcheckError):
    """A request that can't be met as it was put."""

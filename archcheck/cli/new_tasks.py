"""One spec of `archcheck new` at a time: made of a target or of a manifest's entry, and written."""

from __future__ import annotations

import argparse
import shlex
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from archcheck.cli.manifest import write_entry
from archcheck.cli.networks import (
    given_inputs,
    given_train_input,
    json_map,
    make_head,
    report_error,
    say,
    seen_from,
    with_place,
)
from archcheck.cli.new_spec import NewSpec, also_recorded, make_assumed_spec, make_spec
from archcheck.errors import ArchcheckError, UsageError
from archcheck.network.exceptions import one_line
from archcheck.recording.edits import write_atomically
from archcheck.spec.file_names import SUFFIX, lock_path, spec_name
from archcheck.spec.manifest import Entry
from archcheck.text.words import clip

_MAX_REASON: Final = 120


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one task: where its spec was written, or why it wasn't."""

    label: str
    path: str
    told: str
    is_written: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What was made of a task: a spec, or why there is none; neither where the one that is there says the same."""

    spec: NewSpec | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task: its result, notes for the spec's author, why there is none, and what is to be printed."""

    result: Result
    notes: tuple[str, ...] = ()
    refusal: str | None = None
    printed: str = ""


class Task(Protocol):
    """One spec to write; it can be sent to another process."""

    @property
    def label(self) -> str:
        """Return what the table calls it."""

    @property
    def subject(self) -> str:
        """Return what messages are about."""

    @property
    def path(self) -> Path | None:
        """Return where the spec goes; None where it's printed."""

    def make_spec(self) -> NewSpec | None:
        """Make the spec; None where the one that is there says the same. Raises ArchcheckError where it can't be."""

    def reason(self, refusal: str) -> str:
        """Return a refusal without what the label says already."""


@dataclass(frozen=True, slots=True)
class TargetTask:
    """The spec of one target, built with the arguments in `options`.

    name: of the spec. is_named: whether the spec says it, as arguments are in it. output: where it goes. printed_to:
    the folder that it's printed into, as far as it's known. is_alone: whether no other is printed.
    """

    target: str
    options: argparse.Namespace
    name: str
    is_named: bool
    output: Path | None = None
    printed_to: Path | None = None
    is_alone: bool = True

    @property
    def label(self) -> str:
        """Return the target, with its arguments if there are any."""
        return f"{self.target} {self.options.args}" if self.is_named else self.target

    @property
    def subject(self) -> str:
        """Return the target alone."""
        return self.target

    @property
    def path(self) -> Path | None:
        """Return where the spec goes; None where it's printed."""
        return self.output

    def make_spec(self) -> NewSpec:
        """Make the spec. Raises ArchcheckError where it can't be."""
        for one in () if self.output is None or self.options.force else (self.output, lock_path(self.output)):
            if one.exists():
                raise UsageError(f"{one}: exists; --force overwrites it")
        folder = (self.printed_to or Path.cwd()) if self.output is None else self.output.parent
        # Whoever named the file has named the spec.
        says_name = self.is_named and (self.output is None or spec_name(self.output) == self.name)
        spec = self._spec(folder, {"name": self.name} if says_name else {})
        if self.output is None and not self.is_alone:
            spec.text = f"# {self.label}\n{spec.text}"
        return spec

    def _spec(self, folder: Path, name: Mapping[str, str]) -> NewSpec:
        options = self.options
        if options.interactive or given_inputs(options, folder) is not None:
            head = {**name, **make_head(self.target, options, folder)}
            return make_spec(head, self.target, folder, options.depth, also_recorded(options))
        values = {"args": json_map(options.args), **given_train_input(options)}
        build = seen_from(self.target, folder)
        return make_assumed_spec(self.target, build, values, folder, options.depth, name, also_recorded(options))

    def reason(self, refusal: str) -> str:
        """Return a refusal without the target before it."""
        return refusal.removeprefix(f"{self.target}: ")


@dataclass(frozen=True, slots=True)
class EntryTask:
    """The spec of one network of a manifest, in a folder."""

    entry: Entry
    options: argparse.Namespace
    folder: Path

    @property
    def label(self) -> str:
        """Return the name of the network."""
        return self.entry.name

    @property
    def subject(self) -> str:
        """Return the name of the network."""
        return self.entry.name

    @property
    def path(self) -> Path:
        """Return where the spec goes."""
        return self.folder / f"{self.entry.name}{SUFFIX}"

    def make_spec(self) -> NewSpec | None:
        """Make the spec; None where the one that is there says the same. Raises UsageError at the entry's line."""
        try:
            return write_entry(self.entry, self.options, self.folder)
        except ArchcheckError as error:
            raise UsageError(f"{self.entry.loc}: {with_place(error)}") from None

    def reason(self, refusal: str) -> str:
        """Return a refusal without the place in the manifest."""
        return refusal.removeprefix(f"{self.entry.loc}: ")


def make(task: Task) -> Made:
    """Make the spec of a task, or say why there is none; a mistake of ours keeps no other from being made."""
    try:
        return Made(task.make_spec())
    except ArchcheckError as error:
        return Made(refusal=with_place(error))
    except OSError as error:
        return Made(refusal=f"{task.subject}: {error.strerror or error}")
    except Exception as error:
        traceback.print_exc()
        return Made(refusal=f"{task.subject}: {one_line(error)}")


def deliver(task: Task, made: Made) -> Outcome:
    """Write a spec that was made, and first its lock, which only a spec in a file has."""
    if made.refusal is not None:
        return Outcome(_refused(task, made.refusal), refusal=made.refusal)
    if made.spec is None:
        return Outcome(Result(task.label, str(task.path), "up to date", is_written=True))
    notes = tuple(made.spec.notes)
    told = clip("; ".join(["written in part" if made.spec.is_partial else "written", *notes]), _MAX_REASON)
    try:
        printed = made.spec.text if task.path is None else _write(made.spec, task.path)
    except ArchcheckError as error:
        return Outcome(_refused(task, str(error)), notes, str(error))
    return Outcome(Result(task.label, str(task.path or "-"), told, is_written=True), notes, printed=printed)


def tell(task: Task, outcome: Outcome) -> Result:
    """Tell of a task: notes for the spec's author, or why there is none, and then what is printed."""
    for note in outcome.notes:
        say(f"{task.subject}: {note}")
    if outcome.refusal is not None:
        report_error(UsageError(outcome.refusal))
    print(outcome.printed, end="", flush=True)
    return outcome.result


def _refused(task: Task, refusal: str) -> Result:
    return Result(task.label, "-", clip(task.reason(refusal), _MAX_REASON))


def _write(spec: NewSpec, path: Path) -> str:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path.parent}: can't be created: {error.strerror}") from None
    if spec.lock is not None:
        write_atomically(lock_path(path), spec.lock)
    else:
        lock_path(path).unlink(missing_ok=True)  # that of a spec that is overwritten
    write_atomically(path, spec.text)
    return f"{path}: written; verify it: pytest --archcheck {shlex.quote(str(path))}\n"

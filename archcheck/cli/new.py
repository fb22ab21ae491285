"""`archcheck new`: specs written from live models."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from archcheck.cli.manifest import read_entries, tell_surplus, write_entry
from archcheck.cli.networks import (
    FAILED,
    INTERRUPTED,
    add_build_options,
    add_depth_option,
    json_map,
    make_head,
    report_error,
    say,
)
from archcheck.cli.new_spec import NewSpec, also_recorded, make_spec
from archcheck.cli.spec_names import distinct_names, spec_name_for
from archcheck.errors import ArchcheckError, UsageError
from archcheck.recording.edits import write_atomically
from archcheck.spec.file_names import SUFFIX, lock_path, spec_name
from archcheck.spec.manifest import Entry
from archcheck.spec.target import TARGET_FORMS, parse_target
from archcheck.text.tables import format_table
from archcheck.text.words import clip

EXAMPLES = """\
archcheck new nets.py:LeNet --output specs/
archcheck new "timm:resnet1*" "mypackage.nets:*" --output specs/
archcheck new mypackage.nets:resnet --input B,3,H,W --size H=224,96 --size W=224,96 --args '{"num_classes": 10}'
archcheck new nets.py:Tagger --input "ids=B,T:int64<100" --input mask=B,T:bool --size T=12,7
archcheck new --manifest zoo.yaml
"""
MANY: Final = 50  # networks of one pattern, from which on it has to be meant
_MAX_REASON: Final = 120


@dataclass(frozen=True, slots=True)
class Job:
    """One spec to write: its target and how it's built, and what to call it; `is_named` says so in the spec, too."""

    target: str
    options: argparse.Namespace
    name: str
    is_named: bool

    @property
    def label(self) -> str:
        """Return what messages call it: the target, with its arguments if there are any."""
        return f"{self.target} {self.options.args}" if self.is_named else self.target


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one target: where its spec was written, or why it wasn't."""

    label: str
    path: str
    told: str
    is_written: bool = False


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    command: argparse.ArgumentParser = commands.add_parser("new", help="write specs from live models")
    command.add_argument("targets", nargs="*", metavar="TARGET", help=f"{TARGET_FORMS}; or a pattern, timm:resnet*")
    command.add_argument("--output", metavar="FILE|DIR", help="a file, or a folder for NAME.arch.yaml (default: print)")
    command.add_argument("--manifest", metavar="FILE", help="a list of networks; a spec is written for each, or kept")
    command.add_argument("--force", action="store_true", help="overwrite files that exist")
    command.add_argument("--yes", action="store_true", help=f"write a pattern's networks even if they're over {MANY}")
    command.add_argument("--interactive", action="store_true", help="ask on the terminal what goes in")
    command.add_argument("--compile", action="store_true", help="record the graphs that torch.compile makes, too")
    command.add_argument("--export", action="store_true", help="record which dimensions torch.export keeps free, too")
    add_build_options(command, several=True)
    add_depth_option(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write a spec for every target; one that can't be written doesn't keep the others from it."""
    if options.manifest:
        return _run_manifest(options)
    if not options.targets:
        raise UsageError("which network? Name a TARGET, or a --manifest FILE")
    output = Path(options.output) if options.output else None
    is_folder = output is not None and (output.is_dir() or options.output.endswith(os.sep) or output.suffix == "")
    if output is not None and not is_folder and not output.name.endswith(SUFFIX):
        raise UsageError(f"{output}: a spec's name ends in {SUFFIX}, such as {output.stem.split('.')[0]}{SUFFIX}")
    targets, results = _expanded(options)
    jobs = _jobs(targets, options)
    if output is not None and not is_folder and len(jobs) > 1:
        raise UsageError(f"{output}: several targets need a folder: --output {output.parent}{os.sep}")
    written: set[str] = set()
    to_do = list(jobs)
    try:
        while to_do:
            job = to_do[0]
            path = output / f"{job.name}{SUFFIX}" if output is not None and is_folder else output
            results.append(_result(job, path, written, is_alone=len(jobs) == 1))
            del to_do[0]
    except KeyboardInterrupt:
        results += [Result(job.label, "-", "not tried: interrupted") for job in to_do]
    if len(results) > 1:
        print(_summary(results), file=sys.stderr if output is None else sys.stdout)
    if to_do:
        return INTERRUPTED
    return 0 if all(result.is_written for result in results) else FAILED


def _run_manifest(options: argparse.Namespace) -> int:
    """Write a spec for every network of a manifest that has none yet."""
    entries, folder = read_entries(options)
    results: list[Result] = []
    to_do = list(entries)
    try:
        while to_do:
            results.append(_entry_result(to_do[0], options, folder))
            del to_do[0]
    except KeyboardInterrupt:
        results += [Result(entry.name, "-", "not tried: interrupted") for entry in to_do]
    print(_summary(results, "have their spec"))
    tell_surplus(entries, folder, options.manifest)
    if to_do:
        return INTERRUPTED
    return 0 if all(result.is_written for result in results) else FAILED


def _entry_result(entry: Entry, options: argparse.Namespace, folder: Path) -> Result:
    path = folder / f"{entry.name}{SUFFIX}"
    try:
        spec = write_entry(entry, options, folder)
        if spec is None:
            return Result(entry.name, str(path), "up to date", is_written=True)
        _deliver(spec, spec.text, path)
    except ArchcheckError as error:
        report_error(UsageError(f"{entry.loc}: {error}"))
        return Result(entry.name, "-", clip(str(error), _MAX_REASON))
    for note in spec.notes:
        say(f"{entry.name}: {note}")
    return Result(entry.name, str(path), _told(spec), is_written=True)


def _expanded(options: argparse.Namespace) -> tuple[list[str], list[Result]]:
    """Return the targets that are asked for, those of patterns one by one, and the patterns that name none.

    Raises:
        UsageError: a pattern names so many that it has to be meant.
    """
    from archcheck.network.target_patterns import expand_target, is_pattern

    targets: list[str] = []
    failed: list[Result] = []
    for target in options.targets:
        if not is_pattern(target):
            targets.append(target)
            continue
        try:
            with contextlib.redirect_stdout(sys.stderr):
                found = expand_target(target, Path.cwd(), Path.cwd())
        except ArchcheckError as error:
            report_error(error)
            failed.append(Result(target, "-", clip(str(error), _MAX_REASON)))
            continue
        if len(found) > MANY and not options.yes:
            raise UsageError(f"{target} names {len(found)} networks: --yes writes them all, a narrower pattern fewer")
        targets += found
    return list(dict.fromkeys(targets)), failed


def _jobs(targets: Sequence[str], options: argparse.Namespace) -> list[Job]:
    """Return the specs to write: of every target with every map of arguments, each with a name of its own."""
    jobs = []
    for target in targets:
        for text in options.args or ["{}"]:
            args = json_map(text)
            name = spec_name_for(parse_target(target), args)
            jobs.append(Job(target, argparse.Namespace(**{**vars(options), "args": text}), name, bool(args)))
    targets_of_jobs = [parse_target(job.target) for job in jobs]
    names = distinct_names([job.name for job in jobs], targets_of_jobs, [json_map(job.options.args) for job in jobs])
    return [replace(job, name=name) for job, name in zip(jobs, names, strict=True)]


def _result(job: Job, path: Path | None, written: set[str], *, is_alone: bool) -> Result:
    """Write one spec, and tell of it."""
    try:
        if path is not None:
            _refuse_overwriting(path, written, job.options.force)
        folder = path.parent if path is not None else Path.cwd()
        head = make_head(job.target, job.options, folder)
        if job.is_named and (path is None or spec_name(path) == job.name):  # else whoever named the file has named it
            head = {"name": job.name, **head}
        spec = make_spec(head, job.target, folder, job.options.depth, also_recorded(job.options))
    except ArchcheckError as error:
        report_error(error)
        return Result(job.label, "-", clip(str(error).removeprefix(f"{job.target}: "), _MAX_REASON))
    for note in spec.notes:
        say(f"{job.target}: {note}")
    _deliver(spec, spec.text if is_alone or path is not None else f"# {job.label}\n{spec.text}", path)
    written.add(str(path).casefold())
    return Result(job.label, str(path or "-"), _told(spec), is_written=True)


def _told(spec: NewSpec) -> str:
    return clip("; ".join(["written in part" if spec.is_partial else "written", *spec.notes]), _MAX_REASON)


def _summary(results: Sequence[Result], done: str = "written") -> str:
    """Return a table of what was written, and what wasn't and why."""
    rows = [(result.label, result.path, result.told.partition("\n")[0]) for result in results]
    number = sum(result.is_written for result in results)
    return f"\n{format_table(rows, ('target', 'spec', ''), ('left',) * 3, 'simple')}\n{number} of {len(results)} {done}"


def _refuse_overwriting(path: Path, written: set[str], force: bool) -> None:
    if str(path).casefold() in written:
        raise UsageError(f"{path}: two targets of one name; write them one by one with --output FILE")
    for one in (path, lock_path(path)):
        if one.exists() and not force:
            raise UsageError(f"{one}: exists; --force overwrites it")


def _deliver(spec: NewSpec, text: str, path: Path | None) -> None:
    """Print a spec, or write it and first its lock, which only a spec in a file has."""
    if path is None:
        print(text, end="")
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path.parent}: can't be created: {error.strerror}") from None
    if spec.lock is not None:
        write_atomically(lock_path(path), spec.lock)
    else:
        lock_path(path).unlink(missing_ok=True)  # that of a spec that is overwritten
    write_atomically(path, text)
    print(f"{path}: written; verify it: pytest --archcheck {path}")

"""`archcheck new`: specs written from live models."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TextIO

from archcheck.cli.manifest import read_entries, tell_surplus
from archcheck.cli.networks import FAILED, INTERRUPTED, add_build_options, add_depth_option, json_map, report_error, say
from archcheck.cli.new_pool import default_num_jobs
from archcheck.cli.new_run import Interrupted, write_specs
from archcheck.cli.new_tasks import EntryTask, Result, TargetTask, Task
from archcheck.cli.spec_names import distinct_names, spec_name_for
from archcheck.errors import ArchcheckError, UsageError
from archcheck.recording.ignored_locks import ignored_locks
from archcheck.spec.file_names import SUFFIX
from archcheck.spec.target import TARGET_FORMS, parse_target
from archcheck.system.printed_results import file_of_output
from archcheck.text.tables import format_table
from archcheck.text.words import clip

EXAMPLES = """\
archcheck new nets.py:LeNet --output specs/
archcheck new nets.py:LeNet --cost --output specs/
archcheck new "timm:resnet1*" "mypackage.nets:*" --output specs/
archcheck new mypackage.nets:resnet --input B,3,H,W --size H=224,96 --size W=224,96 --args '{"num_classes": 10}'
archcheck new nets.py:Tagger --input "ids=B,T:int64<100" --input mask=B,T:bool --size T=12,7
archcheck new --manifest zoo.yaml
"""
MANY: Final = 50  # networks of one pattern, from which on it has to be meant
_MAX_REASON: Final = 120


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    command: argparse.ArgumentParser = commands.add_parser("new", help="write specs from live models")
    command.add_argument("targets", nargs="*", metavar="TARGET", help=f"{TARGET_FORMS}; or a pattern, timm:resnet*")
    command.add_argument("--output", metavar="FILE|DIR", help="a file, or a folder for NAME.arch.yaml (default: print)")
    command.add_argument("--manifest", metavar="FILE", help="a list of networks; a spec is written for each, or kept")
    command.add_argument("--force", action="store_true", help="overwrite files that exist")
    command.add_argument("--yes", action="store_true", help=f"write a pattern's networks even if they're over {MANY}")
    command.add_argument("--cost", action="store_true", help="record what a step costs, too, by SGD on one example")
    command.add_argument(
        "-j", "--jobs", type=_num_jobs, metavar="N", help="processes that make the specs (default: one per processor)"
    )
    command.add_argument("--interactive", action="store_true", help="ask on the terminal what goes in")
    command.add_argument("--compile", action="store_true", help="record the graphs that torch.compile makes, too")
    command.add_argument("--export", action="store_true", help="record which dimensions torch.export keeps free, too")
    add_build_options(command, several=True)
    add_depth_option(command)
    command.set_defaults(run=run)


def _num_jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text!r}")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Write a spec for every target; one that can't be written doesn't keep the others from it."""
    if options.interactive and (options.jobs or 1) > 1:
        raise UsageError("--interactive asks for one network after the other: leave out --jobs")
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
    tasks = [_with_output(one, output, is_folder=is_folder, is_alone=len(jobs) == 1) for one in jobs]
    printed = file_of_output() if output is None else None
    if printed is not None and printed.name.endswith(SUFFIX):
        tasks = _printed_to(printed, tasks)
    return _write_all(tasks, options, results, sys.stderr if output is None else sys.stdout)


def _printed_to(path: Path, tasks: Sequence[TargetTask]) -> list[TargetTask]:
    """Return the task of a spec that is printed into a file, and counts paths from there."""
    if len(tasks) > 1:
        raise UsageError(f"{path.name}: holds one spec; several targets need a folder: --output {path.parent}{os.sep}")
    say(f"{path.name}: printed without its lock, which holds the function: --output FILE, not > FILE, writes both")
    return [replace(one, printed_to=path.parent) for one in tasks]


def _with_output(task: TargetTask, output: Path | None, *, is_folder: bool, is_alone: bool) -> TargetTask:
    path = output / f"{task.name}{SUFFIX}" if output is not None and is_folder else output
    return replace(task, output=path, is_alone=is_alone)


def _write_all(
    tasks: Sequence[Task], options: argparse.Namespace, results: list[Result], out: TextIO, done: str = "written"
) -> int:
    """Write all specs, and a table of them if there are several; an interrupt keeps what is written."""
    num_jobs = 1 if options.interactive else options.jobs or default_num_jobs(len(tasks))
    try:
        results += write_specs(tasks, num_jobs)
        status = 0 if all(result.is_written for result in results) else FAILED
    except Interrupted as interrupted:
        results += interrupted.results
        status = INTERRUPTED
    if len(results) > 1 or options.manifest:
        print(_summary(results, done), file=out, flush=True)
    ignored = ignored_locks(Path(result.path) for result in results if result.is_written)
    if ignored is not None:
        say(f"{ignored.loc.path}: {ignored.message}")
    return status


def _run_manifest(options: argparse.Namespace) -> int:
    """Write a spec for every network of a manifest that has none yet."""
    entries, folder = read_entries(options)
    tasks = [EntryTask(entry, options, folder) for entry in entries]
    status = _write_all(tasks, options, [], sys.stdout, "have their spec")
    tell_surplus(entries, folder, options.manifest)
    return status


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


def _jobs(targets: Sequence[str], options: argparse.Namespace) -> list[TargetTask]:
    """Return the specs to write: of every target with every map of arguments, each with a name of its own."""
    jobs = []
    for target in targets:
        for text in options.args or ["{}"]:
            args = json_map(text)
            name = spec_name_for(parse_target(target), args)
            jobs.append(TargetTask(target, argparse.Namespace(**{**vars(options), "args": text}), name, bool(args)))
    targets_of_jobs = [parse_target(job.target) for job in jobs]
    names = distinct_names([job.name for job in jobs], targets_of_jobs, [json_map(job.options.args) for job in jobs])
    return [replace(job, name=name) for job, name in zip(jobs, names, strict=True)]


def _summary(results: Sequence[Result], done: str = "written") -> str:
    """Return a table of what was written, and what wasn't and why."""
    rows = [(result.label, result.path, result.told.partition("\n")[0]) for result in results]
    number = sum(result.is_written for result in results)
    return f"\n{format_table(rows, ('target', 'spec', ''), ('left',) * 3, 'simple')}\n{number} of {len(results)} {done}"

"""`archcheck new`: specs written from live models."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archcheck.checks.check import Needs
from archcheck.checks.function import record_function
from archcheck.checks.network_under_test import NetworkUnderTest
from archcheck.checks.registry import all_checks
from archcheck.cli.networks import (
    FAILED,
    add_build_options,
    add_depth_option,
    make_head,
    measure_network,
    report_error,
    say,
    spec_from_head,
)
from archcheck.errors import ArchcheckError, NotMeasured, UsageError
from archcheck.recording.edits import write_atomically
from archcheck.recording.spec_writer import format_function, format_spec
from archcheck.report.mismatches import format_mismatches
from archcheck.spec.file_names import SUFFIX
from archcheck.spec.spec_file import SpecFile, parse_spec
from archcheck.spec.target import TARGET_FORMS, parse_target
from archcheck.structure.records import StructureTrace
from archcheck.verification import context_without_clock

EXAMPLES = """\
archcheck new nets.py:LeNet --input B,1,28,28 --output specs/
archcheck new mypackage.nets:resnet --input B,3,H,W --size H=224,96 --size W=224,96 --args '{"num_classes": 10}'
archcheck new nets.py:Tagger --input "ids=B,T:int64<100" --input mask=B,T:bool --size T=12,7
archcheck new torchvision:resnet18 timm:vit_tiny_patch16_224 --input B,3,224,224 --output specs/
"""


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    command: argparse.ArgumentParser = commands.add_parser("new", help="write specs from live models")
    command.add_argument("targets", nargs="+", metavar="TARGET", help=TARGET_FORMS)
    command.add_argument("--output", metavar="FILE|DIR", help="a file, or a folder for NAME.arch.yaml (default: print)")
    command.add_argument("--force", action="store_true", help="overwrite files that exist")
    add_build_options(command)
    add_depth_option(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write a spec for every target; one that can't be written doesn't keep the others from it."""
    output = Path(options.output) if options.output else None
    is_folder = output is not None and (output.is_dir() or options.output.endswith(os.sep) or output.suffix == "")
    if output is not None and not is_folder and not output.name.endswith(SUFFIX):
        raise UsageError(f"{output}: a spec's name ends in {SUFFIX}, such as {output.stem.split('.')[0]}{SUFFIX}")
    if output is not None and not is_folder and len(options.targets) > 1:
        raise UsageError(f"{output}: several targets need a folder: --output {output.parent}{os.sep}")
    failed = False
    written: set[Path] = set()
    for target in options.targets:
        try:
            path = _output_path(target, output, is_folder)
            if path is not None:
                _refuse_overwriting(path, written, options.force)
            text = _new_spec(target, options, path.parent if path else Path.cwd())
            if path is None and len(options.targets) > 1:
                text = f"# {target}\n{text}"
            _deliver(text, path, written)
        except ArchcheckError as error:
            failed = True
            report_error(error)
    return FAILED if failed else 0


def _output_path(target: str, output: Path | None, is_folder: bool) -> Path | None:
    if output is None or not is_folder:
        return output
    parsed = parse_target(target)
    return output / f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', parsed.short_name)}{SUFFIX}"


def _refuse_overwriting(path: Path, written: set[Path], force: bool) -> None:
    if path in written:
        raise UsageError(f"{path}: two targets of one name; write them one by one with --output FILE")
    if path.exists() and not force:
        raise UsageError(f"{path}: exists; --force overwrites it")


def _new_spec(target: str, options: argparse.Namespace, folder: Path) -> str:
    """Return the text of a spec that holds for the target as it is."""
    head = make_head(target, options, folder)
    network = measure_network(spec_from_head(head, target, folder), target)
    try:
        text = format_spec(head, network.trace, options.depth)
    except UsageError as error:
        died = network.trace.died
        hint = None if died is None else network.built.domain_hint(network.spec_file, died[1].error)
        raise UsageError(f"{target}: {error}" if hint is None else f"{target}: {error}; {hint}") from None
    spec_file = parse_spec(text, target, folder / SUFFIX, Path.cwd())
    _require_passing(spec_file, network.built)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            recorded = record_function(spec_file, network.built, options.depth)
        text += f"\n{format_function(recorded.section)}\n"
        for note in recorded.notes:
            say(f"{target}: {note}")
    except NotMeasured as error:
        say(f"{target}: no function is recorded: {error}")
    for note in _notes(network.trace, text):
        say(f"{target}: {note}")
    return text


def _notes(trace: StructureTrace, text: str) -> Iterator[str]:
    """Yield what the author of a new spec should know of how it came about, and of what it leaves open."""
    if trace.fallback_reason:
        yield f"ran on {trace.device}: {trace.fallback_reason}"
    if trace.uncounted:
        yield f"no macs are written, as nobody knows those of {', '.join(trace.uncounted)}"
    if "\noutput:" not in text:
        yield "no pattern fits the output, so the spec leaves it open"


def _require_passing(spec_file: SpecFile, network: NetworkUnderTest) -> None:
    """Raise UsageError unless the spec holds for the network: what is written passes at once, or isn't written."""
    context = context_without_clock(spec_file, network, Path.cwd())
    for check in all_checks():
        if check.needs is not Needs.STRUCTURE or check.place(spec_file.spec) is None:
            continue
        found = check.run(context).mismatches
        if found:
            raise UsageError(f"the spec would not hold:\n{format_mismatches(spec_file, found, network.trace)}")


def _deliver(text: str, path: Path | None, written: set[Path]) -> None:
    if path is None:
        print(text, end="")
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path.parent}: can't be created: {error.strerror}") from None
    write_atomically(path, text)
    written.add(path)
    print(f"{path}: written; verify it: pytest --archcheck {path}")

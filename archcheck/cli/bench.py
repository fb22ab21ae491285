"""`archcheck bench`: examples per second of specs' networks, here and now."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archcheck.cli.networks import FAILED, INTERRUPTED, report_error, say
from archcheck.errors import ArchcheckError
from archcheck.report.mismatches import format_mismatches
from archcheck.spec.spec_file import read_spec

EXAMPLES = """\
archcheck bench specs/LeNet.arch.yaml specs/AlexNet.arch.yaml
archcheck bench specs/LeNet.arch.yaml --train full --device cuda:1
"""


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    command: argparse.ArgumentParser = commands.add_parser(
        "bench", help="examples per second of specs' networks, here and now"
    )
    command.add_argument("specs", nargs="+", metavar="SPEC", help="a spec file, with `throughput` or without")
    kinds = ("auto", "quick", "full")
    command.add_argument("--train", choices=kinds, default="auto", help="auto: full on an accelerator, quick elsewhere")
    command.add_argument(
        "--device", default="auto", metavar="D", help="auto, or any that torch knows: cpu, cuda, cuda:1"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Time every spec; one that can't be timed doesn't keep the others from it."""
    from archcheck.cost.bound import with_bound
    from archcheck.report.summary_tables import Room, format_speed_table
    from archcheck.throughput.records import SpeedFigures
    from archcheck.throughput.session import SpeedRefused, SpeedSession
    from archcheck.throughput.speed_measurement import time_calls
    from archcheck.training.options import RunOptions

    speed, timed, status = SpeedSession(RunOptions(options.train, options.device), Path.cwd()), [], 0
    for name in options.specs:
        try:
            spec_file = read_spec(Path(name), rootdir=Path.cwd())
            with _stdout_to_stderr():
                plan = speed.plan(spec_file)
                record = speed.figures(spec_file, plan, time_calls)
                record = with_bound(record, spec_file, plan, speed.device(), Path.cwd())
            timed.append((name, SpeedFigures(record)))
        except SpeedRefused as refused:
            status = FAILED
            print(format_mismatches(spec_file, [refused.mismatch], None), file=sys.stderr)
        except ArchcheckError as error:
            status = FAILED
            report_error(error)
        except KeyboardInterrupt:
            say("interrupted")
            status = INTERRUPTED
            break
    if timed:
        print("\n".join(format_speed_table(timed, Room(_terminal_width()))))
    return status


def _terminal_width() -> int | None:
    """Return how wide a line may be: as the terminal is, or COLUMNS says; in a pipe as wide as it takes."""
    return shutil.get_terminal_size((0, 0)).columns or None


@contextlib.contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Send to stderr what a network prints, be it from C: it is no part of the command's output."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)

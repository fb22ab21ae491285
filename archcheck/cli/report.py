"""`archcheck report`: pages, summaries and data from the JSON of runs; that of several shards as one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from archcheck.checks.registry import CHECKS
from archcheck.errors import UsageError
from archcheck.report.files import read_report, require_report_name, write_report
from archcheck.report.joining import merge_runs

EXAMPLES = """\
archcheck report run.json --output page.html
archcheck report shard-*.json --output page.html --output summary.md
"""


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    command: argparse.ArgumentParser = commands.add_parser(
        "report", help="a page or a summary from the JSON of a run, or of several shards"
    )
    command.add_argument("runs", metavar="RUN", nargs="+", help="what pytest --archcheck-report RUN.json wrote")
    command.add_argument(
        "--output",
        metavar="FILE",
        action="append",
        required=True,
        help="the file to write: .html, .md or .json; may be given several times",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the reports."""
    for name in options.output:
        require_report_name(Path(name), f"--output {name}")
    record = merge_runs([read_report(name) for name in options.runs], list(CHECKS))
    for name in options.output:
        try:
            write_report(record, Path(name).expanduser())
        except OSError as error:
            raise UsageError(f"{name}: can't be written: {error.strerror or error}") from None
        print(f"{name}: written")
    return 0

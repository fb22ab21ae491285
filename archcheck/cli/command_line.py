"""The `archcheck` command line: its commands, and what becomes of errors."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Sequence

from archcheck import __version__
from archcheck.cli import bench, calibrate, diff, history, lint, new, report, schema, show
from archcheck.cli.networks import FAILED, report_error
from archcheck.errors import ArchcheckError
from archcheck.system.printed_results import only_what_is_printed
from archcheck.system.processors import let_waiting_threads_yield

COMMANDS = (new, show, diff, calibrate, bench, history, lint, report, schema)
EXAMPLES = """\
archcheck new nets.py:LeNet --output specs/
pytest --archcheck
archcheck new --help
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status.

    0; 1, `diff` found differences, or `lint` something wrong; 2, something could not be done.
    """
    options = make_parser().parse_args(argv)
    let_waiting_threads_yield()
    try:
        with only_what_is_printed():
            return int(options.run(options))
    except ArchcheckError as error:
        report_error(error)
        return FAILED
    except BrokenPipeError:  # `archcheck show … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"archcheck: error: {error.strerror or error}", file=sys.stderr)
        return FAILED


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line, with all its commands."""
    parser = argparse.ArgumentParser(prog="archcheck", description="Spec files for neural network architectures.")
    _show_examples(parser, EXAMPLES)
    parser.add_argument("--version", action="version", version=f"archcheck {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
        _show_examples(commands.choices[command.__name__.rpartition(".")[2]], command.EXAMPLES)
    return parser


def _show_examples(parser: argparse.ArgumentParser, examples: str) -> None:
    """End a command's help with lines to copy, as they stand."""
    parser.epilog = f"examples:\n{textwrap.indent(examples, '  ')}"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter

"""`archcheck history`: the saved runs of a spec."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from archcheck.cli.networks import say
from archcheck.errors import UsageError

EXAMPLES = """\
pytest --archcheck -m archcheck_throughput --benchmark-autosave
archcheck history specs/LeNet.arch.yaml
"""


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    command: argparse.ArgumentParser = commands.add_parser(
        "history", help="a spec's saved runs, and how fast it was in each"
    )
    command.add_argument("spec", metavar="SPEC", help="a spec file with `throughput`")
    storage = "where pytest-benchmark keeps its runs (default: .benchmarks)"
    command.add_argument("--storage", type=Path, default=Path(".benchmarks"), metavar="DIR", help=storage)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the saved runs of a spec, wherever pytest was started: their names end in its path."""
    from archcheck.throughput.regression.history import format_history
    from archcheck.throughput.regression.saved_runs import read_saved

    path = Path(options.spec).resolve()
    if not path.is_file():
        raise UsageError(f"{options.spec}: no such file")
    if not options.storage.is_dir():
        raise UsageError(
            f"{options.storage}: no folder of saved runs; pytest --archcheck --benchmark-autosave makes one"
        )

    def is_wanted(fullname: str) -> bool:
        own, separator, check = fullname.rpartition("::")
        return bool(separator) and check == "throughput" and path.parts[-len(Path(own).parts) :] == Path(own).parts

    runs, problems = read_saved(options.storage, is_wanted)
    for problem in problems:
        say(problem)
    if not runs:
        raise UsageError(f"{options.storage} has no run of {options.spec}; save one with --benchmark-autosave")
    print(format_history(runs))
    return 0

"""`archcheck diff`: what differs between two networks."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import Any

from archcheck.cli.networks import (
    DIFFERENT,
    Network,
    add_build_options,
    is_spec,
    load_network,
    refuse_build_options,
)
from archcheck.report.mismatches import format_difference
from archcheck.spec.spec_file import read_spec
from archcheck.spec.target import TARGET_FORMS
from archcheck.structure.diff import format_comparison

EXAMPLES = """\
archcheck diff specs/LeNet.arch.yaml nets.py:LeNet --args '{"num_classes": 5}'
archcheck diff torchvision:resnet18 timm:resnet18 --input B,3,224,224 --function
"""


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    command: argparse.ArgumentParser = commands.add_parser(
        "diff", help="what differs between two networks, the first divergence first"
    )
    command.add_argument("left", metavar="A", help=f"a spec file, or {TARGET_FORMS}")
    command.add_argument("right", metavar="B", help="the same")
    command.add_argument("--function", action="store_true", help="what they compute under the same weights, too")
    add_build_options(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the differences; the exit status says whether there are any."""
    refuse_build_options(options, [options.left, options.right])
    specs = [name for name in (options.left, options.right) if is_spec(name)]
    like = read_spec(Path(specs[0]), rootdir=Path.cwd()) if specs else None
    left, right = (load_network(name, options, like) for name in (options.left, options.right))
    text, differs = format_comparison(left.trace, right.trace, (left.label, right.label))
    print(text)
    if options.function:
        computes = _diff_functions(left, right)
        print(f"\n{computes or 'no difference in function: the same outputs and gradients under the same weights'}")
        differs = bool(computes)  # names and containers make no difference here
    return DIFFERENT if differs else 0


def _diff_functions(left: Network, right: Network) -> str:
    """Describe the first pair of layers that compute something else; return an empty text where there is none."""
    from archcheck.function.equivalence import compare_functions, fingerprint_alike
    from archcheck.function.measure import fingerprint_as_planned

    with contextlib.redirect_stdout(sys.stderr):
        config, ours = fingerprint_as_planned(left.spec_file, left.built.make, left.trace)
        theirs = fingerprint_alike(right.built.make, config, ours)
    found = compare_functions(theirs, ours, config, (right.label, left.label), ())
    return format_difference(found[0], right.trace) if found else ""

"""`archcheck show`: the layer table of a network."""

from __future__ import annotations

import argparse
from typing import Any

from archcheck.cli.networks import (
    add_build_options,
    add_depth_option,
    load_network,
    refuse_build_options,
)
from archcheck.spec.target import TARGET_FORMS
from archcheck.structure.layer_table import format_layers

EXAMPLES = """\
archcheck show specs/LeNet.arch.yaml
archcheck show torchvision:resnet18 --input B,3,224,224 --depth 2
"""


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    command: argparse.ArgumentParser = commands.add_parser(
        "show", help="the layer table of a spec's network, or of a target's"
    )
    command.add_argument("spec", metavar="SPEC", help=f"a spec file, or {TARGET_FORMS}")
    add_build_options(command)
    add_depth_option(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the layer table."""
    refuse_build_options(options, [options.spec])
    network = load_network(options.spec, options)
    print(format_layers(network.trace, options.depth))
    return 0

"""`archcheck show`: the layer table of a network."""

from __future__ import annotations

import argparse
from typing import Any

from archcheck.cli.networks import (
    Network,
    add_build_options,
    add_depth_option,
    load_network,
    measure_network_cost,
    refuse_build_options,
)
from archcheck.errors import UsageError
from archcheck.spec.target import TARGET_FORMS
from archcheck.structure.layer_table import format_layers

EXAMPLES = """\
archcheck show specs/LeNet.arch.yaml
archcheck show torchvision:resnet18 --input B,3,224,224 --depth 2
archcheck show specs/LeNet.arch.yaml --cost --on "NVIDIA H200"
"""


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    command: argparse.ArgumentParser = commands.add_parser(
        "show", help="the layer table of a spec's network, or of a target's"
    )
    command.add_argument("spec", metavar="SPEC", help=f"a spec file, or {TARGET_FORMS}")
    add_build_options(command)
    add_depth_option(command)
    command.add_argument("--cost", action="store_true", help="what a step holds, moves, launches and waits for, too")
    command.add_argument("--on", metavar="DEVICE", help="with --cost: the least time of a step on a device, or `here`")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the layer table."""
    refuse_build_options(options, [options.spec])
    if options.on is not None and not options.cost:
        raise UsageError("--on says where the step of --cost is run: give both")
    network = load_network(options.spec, options)
    print(_format_cost(network, options) if options.cost else format_layers(network.trace, options.depth))
    return 0


def _format_cost(network: Network, options: argparse.Namespace) -> str:
    """Return the layer table with costs; with a device, the least time of the step on it."""
    from archcheck.cost.bound import bound_of, format_bound
    from archcheck.cost.peaks import find_peaks
    from archcheck.cost.table import format_cost

    peaks = find_peaks(options.on) if options.on is not None else None
    plan, record = measure_network_cost(network, with_macs=peaks is not None)
    text = format_cost(network.trace, record, plan.describe(), options.depth)
    return text if peaks is None else f"{text}\nleast time  {format_bound(bound_of(record, peaks))}"

"""`archcheck show`: the layer table of a network."""

from __future__ import annotations

import argparse
from typing import Any

from archcheck.cli.networks import (
    Network,
    add_build_options,
    add_depth_option,
    add_html_option,
    load_network,
    measure_network_cost,
    refuse_build_options,
    write_page,
)
from archcheck.errors import UsageError
from archcheck.spec.target import TARGET_FORMS
from archcheck.structure.layer_table import format_layers

EXAMPLES = """\
archcheck show specs/LeNet.arch.yaml
archcheck show torchvision:resnet18 --input B,3,224,224 --depth 2
archcheck show specs/LeNet.arch.yaml --cost --on "NVIDIA H200"
archcheck show torchvision:resnet50 --input B,3,224,224 --html resnet50.html
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
    add_html_option(command)
    command.add_argument("--on", metavar="DEVICE", help="with --cost: the least time of a step on a device, or `here`")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the layer table, or write a page of it."""
    refuse_build_options(options, [options.spec])
    if options.on is not None and not options.cost:
        raise UsageError("--on says where the step of --cost is run: give both")
    network = load_network(options.spec, options)
    cost = _Cost(network, options) if options.cost else None
    if options.html is not None:
        write_page(_page(network, cost, options.depth), options.html)
    else:
        print(format_layers(network.trace, options.depth) if cost is None else cost.table(options.depth))
    return 0


class _Cost:
    """What a step of a network costs, with the least time of it on a device where one is given."""

    def __init__(self, network: Network, options: argparse.Namespace) -> None:
        from archcheck.cost.peaks import find_peaks

        self._trace = network.trace
        self._peaks = find_peaks(options.on) if options.on is not None else None
        self._plan, self.record = measure_network_cost(network, with_macs=self._peaks is not None)

    def table(self, depth: int | None) -> str:
        """Return the layer table with costs."""
        from archcheck.cost.table import format_cost

        return "\n".join([format_cost(self._trace, self.record, self._plan.describe(), depth), *self._least_time()])

    def figures(self) -> str:
        """Return the costs of the whole step."""
        from archcheck.cost.table import format_figures

        figures = format_figures({"": self.record})
        return "\n".join([f"cost of {self._plan.describe()}:", figures, *self._least_time()])

    def _least_time(self) -> list[str]:
        from archcheck.cost.bound import bound_of, format_bound

        return [] if self._peaks is None else [f"least time  {format_bound(bound_of(self.record, self._peaks))}"]


def _page(network: Network, cost: _Cost | None, depth: int | None) -> str:
    from archcheck.checks.cost import memory_by_layer
    from archcheck.report.network_page import ShownNetwork, format_networks

    memory = None if cost is None else memory_by_layer(cost.record)
    shown = ShownNetwork.of(network.label, network.trace, network.built.flow(), memory=memory, depth=depth)
    return format_networks(network.label, [shown], text="" if cost is None else cost.figures())

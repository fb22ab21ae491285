"""`archcheck diff`: what differs between two networks."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archcheck.cli.networks import (
    DIFFERENT,
    Network,
    add_build_options,
    add_html_option,
    is_spec,
    json_map,
    load_network,
    measure_network_cost,
    refuse_build_options,
    say,
    write_page,
)
from archcheck.errors import UsageError
from archcheck.report.mismatches import format_difference
from archcheck.spec.spec_file import read_spec
from archcheck.spec.target import TARGET_FORMS, parse_target
from archcheck.spec.weight_expressions import parse_weight_expression
from archcheck.structure.diff import Comparison, compare_networks

EXAMPLES = """\
archcheck diff specs/LeNet.arch.yaml nets.py:LeNet --args '{"num_classes": 5}'
archcheck diff torchvision:resnet18 timm:resnet18 --input B,3,224,224 --function
archcheck diff torchvision:resnet50 torchvision:convnext_tiny --input B,3,224,224 --cost
archcheck diff specs/LeNet.arch.yaml nets.py:LeNet --args '{"num_classes": 5}' --html diff.html
"""


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    command: argparse.ArgumentParser = commands.add_parser(
        "diff", help="what differs between two networks, the first divergence first"
    )
    command.add_argument("left", metavar="A", help=f"a spec file, or {TARGET_FORMS}")
    command.add_argument("right", metavar="B", help="the same")
    command.add_argument("--function", action="store_true", help="what they compute under the same weights, too")
    command.add_argument("--cost", action="store_true", help="what a step of them costs, and which layers differ, too")
    command.add_argument(
        "--weights", metavar="JSON", help="with --function: what B's parameters are made of, as in `equivalent_to`"
    )
    add_html_option(command)
    add_build_options(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the differences; the exit status says whether there are any."""
    refuse_build_options(options, [options.left, options.right])
    specs = [name for name in (options.left, options.right) if is_spec(name)]
    like = read_spec(Path(specs[0]), rootdir=Path.cwd()) if specs else None
    left = load_network(options.left, options, like)
    right = load_network(options.right, options, like or left.spec_file)
    if specs and _build_of(left) == _build_of(right):
        say(
            "both sides are built from the same code, as it is now; what was recorded of it is compared by "
            f"pytest --archcheck {' '.join(dict.fromkeys(specs))}"
        )
    comparison = compare_networks(left.trace, right.trace)
    differs, more = comparison.differs, []
    if options.function:
        computes = _diff_functions(left, right, _weights_of(options, left))
        more.append(computes or "no difference in function: the same outputs and gradients under the same weights")
        differs = bool(computes)  # names and containers make no difference here
    if options.cost:
        costs = _diff_costs(left, right)
        more.append(costs or "no difference in cost")
        differs = differs or bool(costs)
    if options.html is not None:
        write_page(_page(comparison, left, right, "\n\n".join(more)), options.html)
    else:
        print("\n\n".join([comparison.text((left.label, right.label)), *more]))
    return DIFFERENT if differs else 0


def _build_of(network: Network) -> tuple[Any, ...]:
    """Return what a network is built by and from, as seen from the working directory."""
    spec_file = network.spec_file
    target = parse_target(spec_file.spec.build).seen_from(Path.cwd(), spec_file.path.parent.resolve())
    return target, spec_file.spec.args


def _page(comparison: Comparison, left: Network, right: Network, text: str) -> str:
    from archcheck.report.network_page import ShownNetwork, format_comparison, said_by_other

    def shown(one: Network, other: Network) -> ShownNetwork:
        is_left = one is left
        said = said_by_other(comparison.divergences, other.label, is_left=is_left)
        first = next(iter(comparison.divergences), None)
        own = None if first is None else first.left if is_left else first.right
        name = None if own is None else own.name
        return ShownNetwork.of(one.label, one.trace, one.built.flow(), said, first_difference=name)

    return format_comparison(comparison, shown(left, right), shown(right, left), text)


def _diff_costs(left: Network, right: Network) -> str:
    """Return what a step of the left network, as its spec has it, costs of either, and which layers differ."""
    from archcheck.cost.comparison import compare_layers, format_differences
    from archcheck.cost.table import format_figures

    plan, ours = measure_network_cost(left)
    _, theirs = measure_network_cost(right, left.spec_file)
    found = compare_layers(ours.layers, theirs.layers, "memory" if ours.memory != theirs.memory else "traffic")
    if not found and ours.syncs == theirs.syncs:
        return ""
    figures = format_figures({left.label: ours, right.label: theirs})
    return f"cost of {plan.describe()}:\n{figures}" + (f"\n\n{format_differences(found)}" if found else "")


def _weights_of(options: argparse.Namespace, left: Network) -> dict[str, str]:
    """Return what is said of the other's weights: by `--weights`, or by a spec that names the other itself."""
    if options.weights is not None:
        weights = json_map(options.weights, "--weights", '{"attn.qkv.weight": "concat(q.weight, k.weight)"}')
        for name, text in weights.items():
            try:
                parse_weight_expression(text)
            except ValueError as error:
                raise UsageError(f"--weights: {name}: {error}") from None
        return weights
    other = left.spec_file.spec.equivalent_to
    if other is None or is_spec(options.right):
        return {}
    folder = left.spec_file.path.parent.resolve()
    named = parse_target(other.build).seen_from(folder, folder)
    return dict(other.weights) if parse_target(options.right).seen_from(folder, Path.cwd()) == named else {}


def _diff_functions(left: Network, right: Network, weights: Mapping[str, str]) -> str:
    """Describe the first pair of layers that compute something else; return an empty text where there is none."""
    from archcheck.function.equivalence import Twin, compare_at_common_sizes
    from archcheck.function.measure import fingerprint_as_planned

    twin = Twin(right.built.make, (left.label, right.label), (), weights, is_subject=True)
    with contextlib.redirect_stdout(sys.stderr):
        config, ours = fingerprint_as_planned(left.spec_file, left.built.make, left.trace)
        found = compare_at_common_sizes(left.spec_file, left.built.make, config, ours, twin)
    if found and found[0].keys:  # the others speak of no place in a spec
        raise UsageError("; ".join(f"--weights: {one.subject}: {one.problem}" for one in found))
    return format_difference(found[0], right.trace) if found else ""

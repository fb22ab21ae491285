"""The networks that a command looks at: specs and build targets with `--input`, `--size` and `--args`."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archcheck.checks.network_under_test import NetworkUnderTest, build_and_trace
from archcheck.cli.assumed_inputs import ask_for_input, assume_input
from archcheck.errors import ArchcheckError, BuildError, NotMeasured, SpecError, UsageError
from archcheck.findings import Mismatch
from archcheck.spec.file_names import SUFFIX
from archcheck.spec.input_option import parse_input_option, parse_size_option
from archcheck.spec.spec_file import SpecFile, parse_spec, read_spec
from archcheck.spec.target import parse_target
from archcheck.structure.records import StructureTrace
from archcheck.text.yaml_flow import format_flow

if TYPE_CHECKING:
    from archcheck.cost.plan import CostPlan
    from archcheck.cost.records import CostRecord
    from archcheck.discovery.assumption import Assumption

DIFFERENT, FAILED, INTERRUPTED = 1, 2, 130  # exit statuses


@dataclass(frozen=True, slots=True)
class Network:
    """A network to look at: the spec that describes it (a small one made for a target), and the network built."""

    label: str
    spec_file: SpecFile
    built: NetworkUnderTest

    @property
    def trace(self) -> StructureTrace:
        """Return the structure of the network."""
        return self.built.trace


def add_build_options(command: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add the options that say how a build target is built and what goes in; in several ways, where that is asked."""
    command.add_argument(
        "--input",
        action="append",
        metavar="SHAPE",
        help='such as "B,3,224,224" or "B,12:int64<100"; for an argument that is a list or a map, JSON such as '
        '\'[["B",3,8,8],["B",5]]\'; NAME=SHAPE for a keyword; repeat for more',
    )
    command.add_argument(
        "--inputs-from", metavar="TARGET", help="module:callable that makes what goes in, instead of --input"
    )
    command.add_argument(
        "--train-input", action="append", metavar="SHAPE", help="as --input, of train mode where that takes more"
    )
    command.add_argument(
        "--size", action="append", default=[], metavar="NAME=N,N", help="values of a free dimension: H=224,96"
    )
    args = "keyword arguments of the target, as a JSON map"
    if several:
        command.add_argument("--args", action="append", metavar="JSON", help=f"{args}; repeat for more specs")
    else:
        command.add_argument("--args", default="{}", metavar="JSON", help=args)


def add_depth_option(command: argparse.ArgumentParser) -> None:
    """Add the option for how deep a layer table goes."""
    command.add_argument("--depth", type=_depth, metavar="N", help="levels of modules in the layer table")


def add_html_option(command: argparse.ArgumentParser) -> None:
    """Add the option for a page instead of text."""
    command.add_argument("--html", type=Path, metavar="FILE", help="write a page with pictures instead of text")


def write_page(text: str, path: Path) -> None:
    """Write a page, and say so. Raises UsageError where it can't be written."""
    from archcheck.report.files import write_text

    try:
        write_text(text, path.expanduser())
    except OSError as error:
        raise UsageError(f"{path}: can't be written: {error.strerror or error}") from None
    print(f"{path}: written")


def _depth(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text!r}")
    return int(text)


def make_head(target: str, options: argparse.Namespace, folder: Path, like: SpecFile | None = None) -> dict[str, str]:
    """Return the first keys of a spec for a target, as text by key; file targets count from the spec's folder.

    Without `--input` the target takes the inputs and sizes of `like`, or what is found out from the network itself.
    """
    args, build = json_map(options.args), seen_from(target, folder)
    inputs = given_inputs(options, folder, like)
    if inputs is None:
        inputs = assumed_inputs(target, build, args, folder, ask=getattr(options, "interactive", False))
    return head_of(build, {"args": args, **inputs, **given_train_input(options)})


def given_inputs(options: argparse.Namespace, folder: Path, like: SpecFile | None = None) -> dict[str, Any] | None:
    """Return the inputs and sizes that options give, or else those of `like`; None where neither is there."""
    sizes = {"sizes": dict(map(parse_size_option, options.size))}
    if options.inputs_from and options.input:
        raise UsageError("--inputs-from makes what goes in, as --input says: leave out one of the two")
    if options.inputs_from:
        return {"inputs_from": seen_from(options.inputs_from, folder), **sizes}
    if options.input:
        return {"input": parse_input_option(options.input), **sizes}
    if like is not None:
        return {key: like.document.value.get(key) for key in ("input", "inputs_from", "train_input", "sizes")}
    return None


def given_train_input(options: argparse.Namespace) -> dict[str, Any]:
    """Return the input of train mode that an option gives, by its key in a spec."""
    return {"train_input": parse_input_option(options.train_input)} if options.train_input else {}


def head_of(build: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the first keys of a spec as text by key; `values` are those besides `build`."""
    # No sizes or arguments need no line; an input without dimensions is one all the same.
    written = {key: format_flow(value) for key, value in values.items() if value or (key == "input" and value == [])}
    return {"build": build, **written}


def assumed_inputs(
    target: str, build: str, args: Mapping[str, Any], folder: Path, *, ask: bool = False
) -> dict[str, Any]:
    """Return the inputs and sizes that were found out, and say so, or ask. Raises UsageError where there are none."""
    with build_errors_told(target):
        if ask:
            return ask_for_input(target, build, args, folder)
        found = assume_input(target, build, args, folder)
    return tell_assumption(target, found)


@contextlib.contextmanager
def build_errors_told(target: str) -> Iterator[None]:
    """Raise UsageError where the network can't be built that is looked into."""
    try:
        yield
    except BuildError as error:
        raise _build_usage_error(target, str(error), _place_of(error)) from None


def tell_assumption(target: str, found: Assumption) -> dict[str, Any]:
    """Say what was found out about what goes in. Returns it as the inputs and sizes of a spec."""
    say(f"{target}: assumed {found.options} from {found.source}")
    for doubt in found.doubts:
        say(f"{target}: in doubt: {doubt}")
    return inputs_of(found)


def inputs_of(found: Assumption) -> dict[str, Any]:
    """Return what was found out as the inputs and sizes of a spec."""
    return {"input": found.value, "sizes": found.sizes}


def seen_from(target: str, folder: Path) -> str:
    """Return a target as a spec in a folder names it."""
    return parse_target(target).seen_from(folder.resolve(), Path.cwd())


def json_map(text: str, option: str = "--args", example: str = '{"num_classes": 10}') -> dict[str, Any]:
    """Return the map that an option holds. Raises UsageError for what is none."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{option}: not valid JSON ({error}); such as {option} '{example}'") from None
    if not isinstance(value, dict):
        raise UsageError(f"{option}: expected a JSON map, such as {option} '{example}'")
    return value


def measure_network(spec_file: SpecFile, label: str) -> Network:
    """Build and trace the network of a spec. Raises UsageError where it can't be built."""
    with contextlib.redirect_stdout(sys.stderr):  # what a network prints is no part of what we print
        built = build_and_trace(spec_file, Path.cwd())
    if isinstance(built, Mismatch):
        raise _build_usage_error(label, built.problem, "".join(f" ({name} {text})" for name, text in built.notes))
    return Network(label, spec_file, built)


def _build_usage_error(label: str, problem: str, notes: str) -> UsageError:
    about = problem if problem.startswith(label) else f"{label}: {problem}"
    return UsageError(f"{about}{notes}")


def spec_from_head(head: Mapping[str, str], label: str, folder: Path) -> SpecFile:
    """Read the head of a spec as a spec of its own; tell what is wrong with it in the command line's words."""
    text = "\n".join(f"{key}: {value}" for key, value in head.items())
    try:
        return parse_spec(text, label, folder / SUFFIX, Path.cwd())
    except SpecError as error:
        reasons = "; ".join(problem.message for problem in error.problems)
        raise UsageError(f"{label}: {_in_options(reasons)}") from None


def _in_options(message: str) -> str:
    """Reword a message about a spec's `sizes`, or its texts, in terms of the options that write them."""
    message = re.sub(
        r"expected sizes: \{(\w+): \[(.*?)\]\}", lambda m: f"--size {m[1]}={m[2].replace(' ', '')}", message
    )
    return re.sub(
        r", or (\w+: )?(\w+) if that is a text",
        lambda m: f"; a text stands in quotes: --input '{(m[1] or '').replace(': ', '=')}\"{m[2]}\"'",
        message,
    )


def load_network(name: str, options: argparse.Namespace, like: SpecFile | None = None) -> Network:
    """Build the network of a spec file or of a target; without `--input` a target takes the inputs of `like`."""
    if is_spec(name):
        return measure_network(read_spec(Path(name), rootdir=Path.cwd()), name)
    folder = Path.cwd()
    return measure_network(spec_from_head(make_head(name, options, folder, like), name, folder), name)


def measure_network_cost(
    network: Network, like: SpecFile | None = None, *, with_macs: bool = False
) -> tuple[CostPlan, CostRecord]:
    """Measure what a step of a network costs, as its spec says, or that of another. Raises UsageError."""
    from archcheck.checks.cost import measure_spec_cost

    spec_file = network.spec_file if like is None else like
    try:
        with contextlib.redirect_stdout(sys.stderr):
            measured = measure_spec_cost(spec_file.spec, network.built, Path.cwd(), with_macs=with_macs)
    except NotMeasured as error:
        raise UsageError(f"{network.label}: {error}") from None
    if isinstance(measured, Mismatch):
        raise UsageError(f"{network.label}: {measured.problem}")
    return measured


def is_spec(name: str) -> bool:
    """Return whether an argument names a spec file rather than a build target."""
    return name.endswith((".yaml", ".yml"))


def refuse_build_options(options: argparse.Namespace, names: Sequence[str]) -> None:
    """Raise UsageError for options that a spec would ignore, as it brings its own inputs and arguments."""
    if all(is_spec(name) for name in names) and (
        options.input or options.inputs_from or options.train_input or options.size or options.args != "{}"
    ):
        raise UsageError(f"{names[0]}: a spec has its own input, sizes and args: leave out --input, --size and --args")


def say(message: str) -> None:
    """Print a message beside the output of the command."""
    print(f"archcheck: {message}", file=sys.stderr, flush=True)


def report_error(error: ArchcheckError) -> None:
    """Print an error that doesn't end the command."""
    print(f"archcheck: error: {with_place(error)}", file=sys.stderr)


def with_place(error: ArchcheckError) -> str:
    """Return what an error says, and the line of the user's code that raised it, where it stopped a build."""
    return f"{error}{_place_of(error)}"


def _place_of(error: ArchcheckError) -> str:
    return f" (raised {error.where})" if isinstance(error, BuildError) and error.where else ""

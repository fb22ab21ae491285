"""What goes into a target where no option says it, or where what the options say doesn't get through."""

from __future__ import annotations

import contextlib
import io
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archcheck.errors import ArchcheckError, UsageError
from archcheck.spec.input_option import parse_input_option, parse_size_option
from archcheck.spec.inputs import InputTree, parse_input
from archcheck.spec.spec_file import SpecFile
from archcheck.text.words import quoted

if TYPE_CHECKING:
    from archcheck.discovery.assumption import Assumption
    from archcheck.structure.records import Crash


def assume_input(target: str, build: str, args: Mapping[str, Any], folder: Path, *, is_run: bool = True) -> Assumption:
    """Find out from the network itself what goes into it.

    `build` is the target as a spec in `folder` names it. `is_run` says to run the network with values, too, as it may
    stop for some; `assume_values` does that later.

    Raises:
        BuildError: it can't be built.
        UsageError: nothing that was tried gets through; says how far the best of it got.
    """
    from archcheck.discovery.search import find_input
    from archcheck.discovery.values import with_values_that_run

    with _looking_into(build, args, folder) as (make, arguments):
        found = find_input(make, arguments)
        candidate = found.assumption or found.nearest
        stopped = None if found.assumption is not None else found.closest
        is_tried = candidate is not None and (is_run or stopped is not None)
        other = with_values_that_run(make, found.modules[""], candidate, stopped) if is_tried and candidate else None
    if other is not None:
        return other
    if found.assumption is None:
        closest = f" (closest: {found.closest})" if found.closest else ""
        tried = f"Nothing that was tried gets through{closest}"
        raise UsageError(f"{target}: what goes in? {tried}; {found.advice}")
    return found.assumption


def assume_values(found: Assumption, build: str, args: Mapping[str, Any], folder: Path) -> Assumption | None:
    """Return an input with values for which a network runs that doesn't with others; None where none are found.

    Raises:
        BuildError: it can't be built.
    """
    from archcheck.discovery.trial import Trials
    from archcheck.discovery.values import with_values_that_run

    with _looking_into(build, args, folder) as (make, _):
        return with_values_that_run(make, Trials(make).model, found)


def explain_refusal(spec_file: SpecFile, crash: Crash) -> str | None:
    """Return what a layer would take where a forward stopped, and an input that gets through; None if nobody knows."""
    from archcheck.discovery.refusal import describe_refusal
    from archcheck.discovery.search import find_input

    spec, folder = spec_file.spec, spec_file.path.parent
    try:
        with _looking_into(spec.build, spec.args, folder) as (make, arguments):
            found = find_input(make, {**arguments, **_sides_of(spec_file)})
    except ArchcheckError:
        return None
    refusal = describe_refusal(crash, found.modules.get(crash.module))
    if refusal is None or found.assumption is None:
        return refusal
    likely = parse_input(found.assumption.value)
    has_more = isinstance(likely, dict) and isinstance(spec.input, dict) and likely.keys() > spec.input.keys()
    if not has_more and _num_arguments(likely) != _num_arguments(spec.input):
        return refusal  # another way to call the network mends nothing of this one
    return f"{refusal}: {found.assumption.options}"


def _num_arguments(tree: InputTree) -> int:
    return len(tree) if isinstance(tree, (tuple, dict)) else 1


def _sides_of(spec_file: SpecFile) -> dict[str, Any]:
    """Return the sides of the image that goes in, as a hint by its usual name."""
    inputs = spec_file.spec.forward_inputs()[0]
    shapes = [getattr(value, "shape", ()) for value in (*inputs.args, *inputs.kwargs.values())]
    return next(({"image_size": list(shape[2:])} for shape in shapes if len(shape) == 4), {})


@contextlib.contextmanager
def _looking_into(build: str, args: Mapping[str, Any], folder: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Import a target for its network to be built, and say with which arguments.

    What importing prints is no output; what a network prints for one guess after another, nobody asked for.
    """
    from archcheck.discovery.hints import constructor_arguments
    from archcheck.network.build import prepare_network, resolve_target

    with contextlib.redirect_stdout(sys.stderr):
        make = prepare_network(build, args, folder.resolve(), Path.cwd())
        arguments = constructor_arguments(resolve_target(build, folder.resolve(), Path.cwd()), args)
    with contextlib.redirect_stdout(io.StringIO()):
        yield make, arguments


def ask_for_input(target: str, build: str, args: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Ask on the terminal what goes in. Returns a spec's `input` and `sizes`: what was found, if nothing is answered.

    Raises:
        BuildError: the target can't be built.
        UsageError: there is no terminal, or nothing was found and nothing is answered.
    """
    if not sys.stdin.isatty():
        raise UsageError("--interactive asks on the terminal, and there is none: leave it out, or give --input")
    try:
        assumed: Assumption | None = assume_input(target, build, args, folder)
    except UsageError:
        assumed = None
    default = f" [{assumed.options}]" if assumed else ""
    print(f"archcheck: what goes into {target}?{default} ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if answer.strip():
        return parse_answer(answer)
    if assumed is None:
        raise UsageError(f'{target}: what goes in? Give its shape: --input "B,3,224,224"')
    return {"input": assumed.value, "sizes": assumed.sizes}


def parse_answer(answer: str) -> dict[str, Any]:
    """Return the `input` and `sizes` that an answer stands for: shapes, or the options as they'd be typed.

    Raises:
        UsageError: it can't be understood.
    """
    try:
        words = shlex.split(answer)
    except ValueError as error:
        raise UsageError(f"input {quoted(answer.strip())}: {error}") from None
    sizes = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "--size"]
    inputs = [word for i, word in enumerate(words) if not word.startswith("--") and words[i - 1] != "--size"]
    return {"input": parse_input_option(inputs), "sizes": dict(map(parse_size_option, sizes))}

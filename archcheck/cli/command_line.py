"""The `archcheck` command: new, show, diff, calibrate, bench, history, schema."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archcheck import __version__
from archcheck.errors import ArchcheckError, NotMeasured, SpecError, UsageError
from archcheck.recording.edits import format_diff, write_atomically
from archcheck.recording.spec_writer import format_function, format_spec
from archcheck.report.mismatches import format_difference, format_mismatches
from archcheck.spec.input_option import parse_input_option
from archcheck.spec.json_schema import spec_json_schema
from archcheck.spec.spec_file import SUFFIX, SpecFile, parse_spec, read_spec
from archcheck.spec.target import Target, parse_target
from archcheck.structure.diff import format_comparison
from archcheck.structure.layer_table import format_layers
from archcheck.structure.records import StructureTrace
from archcheck.text.yaml_flow import format_flow
from archcheck.verification import STRUCTURE, Measured, measure, recorded_function, run_check, sections_present

if TYPE_CHECKING:
    from archcheck.training.calibration import CalibrationRuns

DIFFERENT, FAILED, INTERRUPTED = 1, 2, 130
_STORAGE = "where pytest-benchmark keeps its runs (default: .benchmarks)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit status: 0; 1, `diff` found differences; 2, something could not be done."""
    options = _parser().parse_args(argv)
    try:
        return int(options.run(options))
    except ArchcheckError as error:
        print(f"archcheck: error: {error}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # `archcheck show … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"archcheck: error: {error.strerror or error}", file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="archcheck", description="Spec files for neural network architectures.")
    parser.add_argument("--version", action="version", version=f"archcheck {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    target = "module:callable, path/file.py:callable, torchvision:NAME or timm:NAME"
    new = commands.add_parser("new", help="write specs from live models")
    new.add_argument("targets", nargs="+", metavar="TARGET", help=target)
    new.add_argument("--output", metavar="FILE|DIR", help="a file, or a folder for NAME.arch.yaml (default: print)")
    new.add_argument("--force", action="store_true", help="overwrite files that exist")
    new.set_defaults(run=_new)
    show = commands.add_parser("show", help="the layer table of a spec's network, or of a target's")
    show.add_argument("spec", metavar="SPEC", help=f"a spec file, or {target}")
    show.set_defaults(run=_show)
    diff = commands.add_parser("diff", help="what differs between two networks, the first divergence first")
    diff.add_argument("left", metavar="A", help=f"a spec file, or {target}")
    diff.add_argument("right", metavar="B", help="the same")
    diff.add_argument("--function", action="store_true", help="what they compute under the same weights, too")
    diff.set_defaults(run=_diff)
    for command in (new, show, diff):
        _add_build_options(command)
    for command in (new, show):
        command.add_argument("--depth", type=_depth, metavar="N", help="levels of modules in the layer table")
    _add_calibrate(commands.add_parser("calibrate", help="set a spec's minimum accuracy from several seeds"))
    _add_bench(commands.add_parser("bench", help="examples per second of specs' networks, here and now"))
    history = commands.add_parser("history", help="a spec's saved runs, and how fast it was in each")
    history.add_argument("spec", metavar="SPEC", help="a spec file with `throughput`")
    history.add_argument("--storage", type=Path, default=Path(".benchmarks"), metavar="DIR", help=_STORAGE)
    history.set_defaults(run=_history)
    schema = commands.add_parser("schema", help="print the JSON Schema of spec files, for editors")
    schema.set_defaults(run=_schema)
    return parser


def _add_calibrate(command: argparse.ArgumentParser) -> None:
    command.add_argument("spec", metavar="SPEC", help="a spec file with `training`")
    command.add_argument("--seeds", type=int, default=5, metavar="N", help="runs, 2 at least (default: 5)")
    kinds = ("auto", "quick", "full")
    command.add_argument("--train", choices=kinds, default="auto", help="auto: full on an accelerator, quick elsewhere")
    command.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:N or mps")
    command.add_argument("--data", type=Path, metavar="DIR", help="where the data sets are")
    command.add_argument("--download", action="store_true", help="download a data set that isn't there")
    command.add_argument("--compile", action="store_true", help="try torch.compile too, which takes a minute")
    command.add_argument(
        "--no-speed", action="store_true", help="keep precision, memory_format and compile as they are"
    )
    command.add_argument("--check-precision", action="store_true", help="where bf16 is chosen, train in fp32 too")
    command.add_argument("--dry-run", action="store_true", help="print the diff, write nothing")
    command.set_defaults(run=_calibrate)


def _add_bench(command: argparse.ArgumentParser) -> None:
    command.add_argument("specs", nargs="+", metavar="SPEC", help="a spec file, with `throughput` or without")
    kinds = ("auto", "quick", "full")
    command.add_argument("--train", choices=kinds, default="auto", help="auto: full on an accelerator, quick elsewhere")
    command.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:N or mps")
    command.set_defaults(run=_bench)


def _depth(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text!r}")
    return int(text)


def _add_build_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--input",
        action="append",
        metavar="SHAPE",
        help='such as "B,3,224,224" or "B,12:int64<100"; for an argument that is a list or a map, JSON such as '
        '\'[["B",3,8,8],["B",5]]\'; NAME=SHAPE for a keyword; repeat for more',
    )
    command.add_argument(
        "--size", action="append", default=[], metavar="NAME=N,N", help="values of a free dimension: H=224,96"
    )
    command.add_argument("--args", default="{}", metavar="JSON", help="keyword arguments of the target, as a JSON map")


# ------------------------------------------------------------------------------------------- networks


@dataclass(frozen=True, slots=True)
class _Network:
    """A network to look at: the spec that describes it (a small one made for a target) and what was measured."""

    label: str
    spec_file: SpecFile
    trace: StructureTrace
    measured: Measured


def _head(target: str, options: argparse.Namespace, folder: Path, like: SpecFile | None = None) -> dict[str, str]:
    """The first keys of a spec for a target, as text by key; file targets count from the spec's folder.

    Without `--input` the target takes the inputs and sizes of `like`.
    """
    inputs: dict[str, Any] = {}
    if options.input:
        inputs = {"input": parse_input_option(options.input), "sizes": dict(map(_parse_size, options.size))}
    elif like is not None:
        inputs = {key: like.document.value.get(key) for key in ("input", "sizes")}
    else:
        raise UsageError(f'{target}: what goes in? Give its shape: --input "B,3,224,224"')
    values = {"args": _json_map(options.args), **inputs}
    build = _relative_target(parse_target(target), folder)
    # No sizes or arguments need no line; an input without dimensions is one all the same.
    written = {key: format_flow(value) for key, value in values.items() if value or key == "input"}
    return {"build": build, **written}


def _relative_target(target: Target, folder: Path) -> str:
    if target.kind != "path":
        return target.text
    return f"{Path(os.path.relpath(Path.cwd() / target.source, folder.resolve())).as_posix()}:{target.attribute}"


def _json_map(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--args: not valid JSON ({error}); such as --args '{{\"num_classes\": 10}}'") from None
    if not isinstance(value, dict):
        raise UsageError("--args: expected a JSON map, such as --args '{\"num_classes\": 10}'")
    return value


def _parse_size(text: str) -> tuple[str, list[int]]:
    match = re.fullmatch(r"(\w+)=(\d+(?:,\d+)*)", text.replace(" ", ""))
    if match is None:
        raise UsageError(f"--size {text!r}: expected NAME=N,N, such as H=224,96")
    return match[1], [int(size) for size in match[2].split(",")]


def _measured(spec_file: SpecFile, label: str) -> _Network:
    with contextlib.redirect_stdout(sys.stderr):  # what a network prints is no part of what we print
        measured = measure(spec_file, Path.cwd())
    if measured.trace is None:
        assert measured.failure is not None
        notes = "".join(f" ({label} {text})" for label, text in measured.failure.notes)
        problem = measured.failure.problem
        about = problem if problem.startswith(label) else f"{label}: {problem}"
        raise UsageError(f"{about}{notes}{_hint_at_src(problem)}")
    return _Network(label, spec_file, measured.trace, measured)


def _hint_at_src(problem: str) -> str:
    """A package below src/ is found by pytest's `pythonpath`, not by this command."""
    match = re.search(r"no module named '(\w+)", problem)
    if match is None or not any(Path("src").glob(f"{match[1]}*")):
        return ""
    return f"; it is in src/: PYTHONPATH=src archcheck {' '.join(sys.argv[1:2])} ..."


def _from_head(head: Mapping[str, str], label: str, folder: Path) -> SpecFile:
    """The head of a spec as a spec of its own; what is wrong with it is told in the command line's words."""
    text = "\n".join(f"{key}: {value}" for key, value in head.items())
    try:
        return parse_spec(text, label, folder / SUFFIX)
    except SpecError as error:
        reasons = "; ".join(problem.message for problem in error.problems)
        raise UsageError(f"{label}: {_in_options(reasons)}") from None


def _in_options(message: str) -> str:
    """A message about a spec's `sizes` in terms of the option that writes them."""
    return re.sub(r"expected sizes: \{(\w+): \[(.*?)\]\}", lambda m: f"--size {m[1]}={m[2].replace(' ', '')}", message)


def _load(name: str, options: argparse.Namespace, like: SpecFile | None = None) -> _Network:
    """The network of a spec file or of a target; without `--input` a target takes the inputs of `like`."""
    if _is_spec(name):
        return _measured(read_spec(Path(name)), name)
    folder = Path.cwd()
    return _measured(_from_head(_head(name, options, folder, like), name, folder), name)


def _is_spec(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _refuse_build_options(options: argparse.Namespace, names: Sequence[str]) -> None:
    """A spec brings its own inputs and arguments: ours would be ignored without a word."""
    if all(_is_spec(name) for name in names) and (options.input or options.size or options.args != "{}"):
        raise UsageError(f"{names[0]}: a spec has its own input, sizes and args: leave out --input, --size and --args")


# ------------------------------------------------------------------------------------------- commands


def _new(options: argparse.Namespace) -> int:
    """Write a spec for every target; one that can't be written doesn't keep the others from it."""
    output = Path(options.output) if options.output else None
    is_folder = output is not None and (output.is_dir() or options.output.endswith(os.sep) or output.suffix == "")
    if output is not None and not is_folder and not output.name.endswith(SUFFIX):
        raise UsageError(f"{output}: a spec's name ends in {SUFFIX}, such as {output.stem.split('.')[0]}{SUFFIX}")
    if output is not None and not is_folder and len(options.targets) > 1:
        raise UsageError(f"{output}: several targets need a folder: --output {output.parent}{os.sep}")
    failed = False
    written: set[Path] = set()
    for target in options.targets:
        try:
            path = _output_path(target, output, is_folder)
            if path is not None:
                _refuse_overwriting(path, written, options.force)
            text = _new_spec(target, options, path.parent if path else Path.cwd())
            if path is None and len(options.targets) > 1:
                text = f"# {target}\n{text}"
            _deliver(text, path, written)
        except ArchcheckError as error:
            failed = True
            print(f"archcheck: error: {error}", file=sys.stderr)
    return FAILED if failed else 0


def _output_path(target: str, output: Path | None, is_folder: bool) -> Path | None:
    if output is None or not is_folder:
        return output
    parsed = parse_target(target)
    return output / f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', parsed.attribute)}{SUFFIX}"


def _refuse_overwriting(path: Path, written: set[Path], force: bool) -> None:
    if path in written:
        raise UsageError(f"{path}: two targets of one name; write them one by one with --output FILE")
    if path.exists() and not force:
        raise UsageError(f"{path}: exists; --force overwrites it")


def _new_spec(target: str, options: argparse.Namespace, folder: Path) -> str:
    """The text of a spec that holds for the target as it is."""
    head = _head(target, options, folder)
    network = _measured(_from_head(head, target, folder), target)
    try:
        text = format_spec(head, network.trace, options.depth)
    except UsageError as error:
        raise UsageError(f"{target}: {error}") from None
    spec_file = parse_spec(text, target, folder / SUFFIX)
    _require_passing(spec_file, network.trace)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            recorded = recorded_function(spec_file, network.measured, options.depth)
        text += f"\n{format_function(recorded.section)}\n"
        for note in recorded.notes:
            print(f"archcheck: {target}: {note}", file=sys.stderr)
    except NotMeasured as error:
        print(f"archcheck: {target}: no function is recorded: {error}", file=sys.stderr)
    for note in _notes(network.trace, text):
        print(f"archcheck: {target}: {note}", file=sys.stderr)
    return text


def _notes(trace: StructureTrace, text: str) -> Iterator[str]:
    """What the author of a new spec should know of how it came about, and of what it leaves open."""
    if trace.fallback_reason:
        yield f"ran on {trace.device}: {trace.fallback_reason}"
    if trace.uncounted:
        yield f"no macs are written, as nobody knows those of {', '.join(trace.uncounted)}"
    if "\noutput:" not in text:
        yield "no pattern fits the output, so the spec leaves it open"


def _require_passing(spec_file: SpecFile, trace: StructureTrace) -> None:
    """What is written passes at once, or isn't written."""
    for check in STRUCTURE & sections_present(spec_file.spec).keys():
        found = run_check(check, spec_file, Measured(trace))
        if found:
            raise UsageError(f"the spec would not hold:\n{format_mismatches(spec_file, found, trace)}")


def _deliver(text: str, path: Path | None, written: set[Path]) -> None:
    if path is None:
        print(text, end="")
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path.parent}: can't be created: {error.strerror}") from None
    write_atomically(path, text)
    written.add(path)
    print(f"{path}: written; verify it: pytest --archcheck {path}")


def _show(options: argparse.Namespace) -> int:
    _refuse_build_options(options, [options.spec])
    network = _load(options.spec, options)
    print(format_layers(network.trace, options.depth))
    return 0


def _diff(options: argparse.Namespace) -> int:
    _refuse_build_options(options, [options.left, options.right])
    specs = [name for name in (options.left, options.right) if _is_spec(name)]
    like = read_spec(Path(specs[0])) if specs else None
    left, right = (_load(name, options, like) for name in (options.left, options.right))
    text, differs = format_comparison(left.trace, right.trace, (left.label, right.label))
    print(text)
    if options.function:
        computes = _diff_functions(left, right)
        print(f"\n{computes or 'no difference in function: the same outputs and gradients under the same weights'}")
        differs = bool(computes)  # names and containers make no difference here
    return DIFFERENT if differs else 0


def _diff_functions(left: _Network, right: _Network) -> str:
    """The first pair of layers that compute something else, as text; empty where there is none."""
    from archcheck.function.equivalence import compare_functions, run_like
    from archcheck.function.measure import run_best

    assert left.measured.make is not None
    assert right.measured.make is not None
    with contextlib.redirect_stdout(sys.stderr):
        how, ours = run_best(left.spec_file, left.measured.make, left.trace)
        theirs = run_like(right.measured.make, how, ours)
    found = compare_functions(theirs, ours, how, (right.label, left.label), ())
    return format_difference(found[0], right.trace) if found else ""


def _calibrate(options: argparse.Namespace) -> int:
    """Train with several seeds and write the minimum that they give; what was measured is shown in any case."""
    from archcheck.training import calibration as calibrate

    spec_file, quoted = read_spec(Path(options.spec)), shlex.quote(options.spec)
    try:
        runs = _calibration_runs(spec_file, options)
    except KeyboardInterrupt:
        print("archcheck: interrupted, nothing was written", file=sys.stderr)
        return INTERRUPTED
    print(calibrate.format_runs(runs))
    minimum = calibrate.set_minimum(runs)
    print(f"\n{calibrate.format_minimum(runs, minimum)}\n")
    old, new = calibrate.calibrated_text(spec_file, runs, minimum)
    print(format_diff(options.spec, old, new))
    if calibrate.quick_takes_over(spec_file.spec, runs):
        _say(f"quick runs take this minimum over; one of their own: archcheck calibrate {quoted} --train quick")
    if not options.dry_run:
        write_atomically(spec_file.path, new)
        print(f"\n{options.spec}: written; verify it: pytest --archcheck {quoted} -k accuracy")
    return 0


def _calibration_runs(spec_file: SpecFile, options: argparse.Namespace) -> CalibrationRuns:
    from archcheck.training.calibration import Choices, calibrate
    from archcheck.training.options import RunOptions
    from archcheck.training.trainer import Trainer, choose_recipe

    if spec_file.spec.training is None:
        raise UsageError(f"{options.spec}: no `training` to calibrate; add one, such as training: {{dataset: NAME}}")
    choices = Choices(options.seeds, not options.no_speed, options.compile, options.check_precision)
    how = RunOptions(options.train, options.device, data_dir=options.data, download=options.download)
    recipe = choose_recipe(spec_file.spec, how)
    with contextlib.redirect_stdout(sys.stderr):  # what a network prints is no part of what we print
        trainer = Trainer(spec_file, recipe, how, Path.cwd())
        _say(f"the {recipe.kind} recipe with {options.seeds} seeds on {trainer.device}")
        return calibrate(spec_file, trainer, recipe, choices, _say)


def _say(message: str) -> None:
    print(f"archcheck: {message}", file=sys.stderr, flush=True)


def _bench(options: argparse.Namespace) -> int:
    """Time every spec; one that can't be timed doesn't keep the others from it."""
    from archcheck.report.terminal import format_speed_table
    from archcheck.throughput.figures import time_plainly
    from archcheck.throughput.session import SpeedRefused, SpeedSession, speed_facts
    from archcheck.training.options import RunOptions

    speed, timed, status = SpeedSession(RunOptions(options.train, options.device), Path.cwd()), [], 0
    for name in options.specs:
        try:
            spec_file = read_spec(Path(name))
            with _stdout_to_stderr():
                record = speed.figures(spec_file, speed.plan(spec_file), time_plainly)
            timed.append((name, speed_facts(record)))
        except SpeedRefused as refused:
            status = FAILED
            print(format_mismatches(spec_file, [refused.mismatch], None), file=sys.stderr)
        except ArchcheckError as error:
            status = FAILED
            print(f"archcheck: error: {error}", file=sys.stderr)
        except KeyboardInterrupt:
            print("archcheck: interrupted", file=sys.stderr)
            status = INTERRUPTED
            break
    if timed:
        print(format_speed_table(timed))
    return status


@contextlib.contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """What a network prints, be it from C, is no part of what we print."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _history(options: argparse.Namespace) -> int:
    """The saved runs of a spec, whatever it was called from: their names end in its path."""
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
        print(f"archcheck: {problem}", file=sys.stderr)
    if not runs:
        raise UsageError(f"{options.storage} has no run of {options.spec}; save one with --benchmark-autosave")
    print(format_history(runs))
    return 0


def _schema(_: argparse.Namespace) -> int:
    print(json.dumps(spec_json_schema(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

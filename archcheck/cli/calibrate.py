"""`archcheck calibrate`: a minimum accuracy from several seeds, written into a spec."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archcheck.cli.networks import INTERRUPTED, say
from archcheck.errors import UsageError
from archcheck.recording.edits import format_diff, write_atomically
from archcheck.spec.spec_file import SpecFile, read_spec

if TYPE_CHECKING:
    from archcheck.training.calibration import CalibrationRuns

EXAMPLES = """\
archcheck calibrate specs/LeNet.arch.yaml --dry-run
archcheck calibrate specs/LeNet.arch.yaml --train quick --seeds 8
"""


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    command: argparse.ArgumentParser = commands.add_parser(
        "calibrate", help="set a spec's minimum accuracy from several seeds"
    )
    command.add_argument("spec", metavar="SPEC", help="a spec file with `training`")
    command.add_argument("--seeds", type=int, default=5, metavar="N", help="runs, 2 at least (default: 5)")
    kinds = ("auto", "quick", "full")
    command.add_argument("--train", choices=kinds, default="auto", help="auto: full on an accelerator, quick elsewhere")
    command.add_argument(
        "--device", default="auto", metavar="D", help="auto, or any that torch knows: cpu, cuda, cuda:1"
    )
    command.add_argument("--data", type=Path, metavar="DIR", help="where the data sets are")
    command.add_argument("--download", action="store_true", help="download a data set that isn't there")
    command.add_argument("--compile", action="store_true", help="try torch.compile too, which takes a minute")
    command.add_argument(
        "--no-speed", action="store_true", help="keep precision, memory_format, compile and graph as they are"
    )
    command.add_argument("--check-precision", action="store_true", help="where bf16 is chosen, train in fp32 too")
    command.add_argument("--dry-run", action="store_true", help="print the diff, write nothing")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train with several seeds and write the minimum that they give; what was measured is shown in any case."""
    from archcheck.recording.calibration import calibrated_text, quick_inherits_minimum
    from archcheck.report.calibration import format_minimum, format_runs
    from archcheck.training.calibration import set_minimum

    spec_file, quoted = read_spec(Path(options.spec), rootdir=Path.cwd()), shlex.quote(options.spec)
    try:
        runs = _calibration_runs(spec_file, options)
    except KeyboardInterrupt:
        say("interrupted, nothing was written")
        return INTERRUPTED
    print(format_runs(runs))
    minimum = set_minimum(runs)
    print(f"\n{format_minimum(runs, minimum)}\n")
    old, new = calibrated_text(spec_file, runs, minimum)
    print(format_diff(options.spec, old, new))
    if quick_inherits_minimum(spec_file.spec, runs):
        say(f"quick runs take this minimum over; one of their own: archcheck calibrate {quoted} --train quick")
    if not options.dry_run:
        write_atomically(spec_file.path, new)
        print(f"\n{options.spec}: written; verify it: pytest --archcheck {quoted} -k accuracy")
    return 0


def _calibration_runs(spec_file: SpecFile, options: argparse.Namespace) -> CalibrationRuns:
    from archcheck.recording.calibration import check_editable
    from archcheck.training.calibration import Choices, calibrate
    from archcheck.training.options import RunOptions
    from archcheck.training.tolerance_bound import one_sided_factor
    from archcheck.training.trainer import Trainer, check_recipe, choose_recipe

    if spec_file.spec.training is None:
        raise UsageError(f"{options.spec}: no `training` to calibrate; add one, such as training: {{dataset: NAME}}")
    choices = Choices(options.seeds, not options.no_speed, options.compile, options.check_precision)
    how = RunOptions(options.train, options.device, data_dir=options.data, download=options.download)
    recipe = choose_recipe(spec_file.spec, how)
    with contextlib.redirect_stdout(sys.stderr):  # what a network prints is no part of what we print
        trainer = Trainer(spec_file, recipe, how, Path.cwd())
        say(f"the {recipe.kind} recipe with {options.seeds} seeds on {trainer.device}")
        one_sided_factor(choices.num_seeds)  # refuses fewer than two
        for wrong in check_recipe(spec_file, Path.cwd()):
            raise UsageError(f"{spec_file.locate(wrong.keys)}: {wrong.subject}: {wrong.problem}")
        check_editable(spec_file, recipe, with_settings=choices.measure_speed and recipe.loop is None)
        return calibrate(spec_file, trainer, recipe, choices, say)

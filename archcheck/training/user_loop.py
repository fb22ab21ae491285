"""The user's own training loop: what a spec's `loop` names is imported, checked, and called with what it takes."""

from __future__ import annotations

import copy
import inspect
import sys
import unittest
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archcheck.data.epoch_loader import EpochLoader
from archcheck.errors import BuildError, DataError, NotMeasured
from archcheck.findings import Mismatch
from archcheck.network.build import resolve_target
from archcheck.network.call_arguments import check_arguments
from archcheck.network.exceptions import one_line, raised_at
from archcheck.network.imports import importing
from archcheck.network.signatures import signature_of
from archcheck.spec.target import parse_target
from archcheck.spec.values import LIGHTNING
from archcheck.training.callbacks import TrainingCallbacks
from archcheck.training.failures import RunFailed, errors_attributed_to
from archcheck.training.interrupt_recorder import InterruptRecorder
from archcheck.training.kept_process import kept_process
from archcheck.training.lightning_loop import fit_by_lightning
from archcheck.training.loop_report import LoopEnded, LoopReport
from archcheck.training.recipe import Recipe
from archcheck.training.records import TrainingRecord
from archcheck.training.untrained import ParameterWatch

# What a loop is given of these, by the names that it takes.
GIVEN = ("model", "device", "seed", "epochs", "data_dir", "report")
GIVEN_OF_DATASET = ("train_loader", "test_loader")
_LATER = (
    "trains nothing when it's called, as it's a coroutine or a generator: expected a function that has trained when it "
    "returns, such as one that calls asyncio.run(...)"
)
_ARCHCHECK_GIVES = f"archcheck gives {', '.join(GIVEN)}, with a `dataset` also {' and '.join(GIVEN_OF_DATASET)}"


@dataclass(frozen=True, slots=True)
class LoopContext:
    """The circumstances of a run by a loop: its device, where its code is looked for, and the data that it's given.

    loaders: of the training and the test set; None without a `dataset`.
    """

    device: torch.device
    base_dir: Path
    rootdir: Path | None
    data_dir: Path
    loaders: tuple[EpochLoader, EpochLoader] | None


# ------------------------------------------------------------------------------------------- checking


def check_user_loop(recipe: Recipe, base_dir: Path, rootdir: Path | None) -> Iterator[Mismatch]:
    """Check that a recipe's loop is there and takes what it has to; it is imported, not called."""
    assert recipe.loop is not None
    try:
        function = resolve_target(recipe.loop, base_dir, rootdir)
        if _runs_later(function):
            yield Mismatch(recipe.place("loop"), "loop", f"{recipe.loop} {_LATER}")
            return
        accepted = _accepted(function)
        given = _given_names(recipe)
        for arg in recipe.loop_args:
            if arg in given:
                yield Mismatch(recipe.place(f"loop_args.{arg}"), "loop_args", f"archcheck gives `{arg}` itself")
        named = {arg: None for arg in given if accepted is None or arg in accepted}
        check_arguments(function, {**named, **recipe.loop_args}, recipe.loop)
    except BuildError as error:
        key = f"loop_args.{error.arg}" if error.arg in recipe.loop_args else "loop"
        where = f" (at {error.where})" if error.where else ""
        more = f"; {_ARCHCHECK_GIVES}, `loop_args` gives the rest" if error.arg else ""
        yield Mismatch(recipe.place(key), key.partition(".")[0], f"{error}{where}{more}")
        return
    if accepted is not None:
        yield from _ignored(recipe, accepted)


def _ignored(recipe: Recipe, accepted: frozenset[str]) -> Iterator[Mismatch]:
    """Yield what a loop can't do without, and what the spec says that it would never hear of."""
    if "model" not in accepted:
        problem = f"{recipe.loop} takes no `model`, the network to train: {_ARCHCHECK_GIVES}"
        yield Mismatch(recipe.place("loop"), "loop", problem)
    if recipe.gives_epochs and "epochs" not in accepted:
        problem = f"{recipe.loop} takes no `epochs`: leave it out, or let the loop take it"
        yield Mismatch(recipe.place("epochs"), "epochs", problem)
    if recipe.dataset is not None and not accepted & set(GIVEN_OF_DATASET):
        problem = f"{recipe.loop} takes neither `train_loader` nor `test_loader`: leave the data set out"
        yield Mismatch(recipe.place("dataset"), "dataset", problem)


def _runs_later(function: Callable[..., Any]) -> bool:
    """Return whether a call of a function runs nothing of it."""
    kinds = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    return any(is_one(function) for is_one in kinds)


def _given_names(recipe: Recipe) -> tuple[str, ...]:
    return GIVEN if recipe.dataset is None else GIVEN + GIVEN_OF_DATASET


def _accepted(function: Callable[..., Any]) -> frozenset[str] | None:
    """Return the names of the arguments that a function takes; None where it takes any."""
    try:
        parameters = signature_of(function).parameters.values()
    except (ValueError, TypeError):  # builtins may have none
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))


# ------------------------------------------------------------------------------------------- running


def train_by_loop(
    network: nn.Module, recipe: Recipe, context: LoopContext, callbacks: TrainingCallbacks
) -> TrainingRecord:
    """Train a network by the loop that the recipe names; the record's `fault` says what ended it early.

    The caller seeds the random generators and restores torch's global state.

    Raises:
        NotMeasured: the loop says by `pytest.skip` or `unittest.SkipTest` that something it needs isn't here.
    """
    assert recipe.loop is not None
    run = fit_by_lightning if recipe.loop == LIGHTNING else _call_loop
    num_epochs = recipe.epochs if _takes_epochs(recipe, context) else None
    returned = None
    with torch.enable_grad(), kept_process(), InterruptRecorder() as interrupts:
        report = LoopReport(recipe.loop, recipe, network, callbacks, num_epochs, interrupts)
        parameters = ParameterWatch(network)
        try:
            returned = run(network, recipe, context, report)
        except LoopEnded:
            pass
        except RunFailed as failed:
            report.fail(failed.fault.key, failed.fault.message)
        except DataError as error:
            report.fail("dataset", str(error))
        except BaseException as error:
            interrupts.raise_if_interrupted()
            if _is_skip(error):
                raise NotMeasured(f"{recipe.loop}: {error}") from None
            if not isinstance(error, (Exception, SystemExit)):
                raise
            where = raised_at(error, context.rootdir, own_only=True)
            report.fail("loop", f"{recipe.loop} raised {one_line(error)}{f' ({where})' if where else ''}")
        interrupts.raise_if_interrupted()  # it may have kept Ctrl-C to itself
        record = report.record(returned, context.device)
        return record if record.fault is not None else replace(record, untrained=parameters.note())


def _is_skip(error: BaseException) -> bool:
    """Whether a loop says that it can't be run here; pytest is there only where it has been imported."""
    pytest = sys.modules.get("pytest")
    return isinstance(error, unittest.SkipTest) or (pytest is not None and isinstance(error, pytest.skip.Exception))


def _takes_epochs(recipe: Recipe, context: LoopContext) -> bool:
    """Whether the loop is told how many epochs to train: Lightning always, a function where it takes that."""
    assert recipe.loop is not None
    if recipe.loop == LIGHTNING:
        return True
    accepted = _accepted(resolve_target(recipe.loop, context.base_dir, context.rootdir))
    return accepted is None or "epochs" in accepted


def _call_loop(network: nn.Module, recipe: Recipe, context: LoopContext, report: LoopReport) -> object:
    """Call the user's function with what it takes; return what it returns."""
    assert recipe.loop is not None
    function = resolve_target(recipe.loop, context.base_dir, context.rootdir)
    with errors_attributed_to("build", f"moving the network to {context.device}", context.rootdir):
        network.to(context.device)
    given: Mapping[str, Any] = {
        "model": network,
        "device": context.device,
        "seed": recipe.seed,
        "epochs": recipe.epochs,
        "data_dir": context.data_dir,
        "report": report.report,
        **dict(zip(GIVEN_OF_DATASET, context.loaders or (), strict=False)),
    }
    accepted = _accepted(function)
    taken = {name: value for name, value in given.items() if accepted is None or name in accepted}
    with importing(parse_target(recipe.loop), context.base_dir, context.rootdir):
        returned = function(**taken, **copy.deepcopy(recipe.loop_args))
    if isinstance(returned, Coroutine | Generator):
        returned.close()
        raise RunFailed(f"{recipe.loop} {_LATER}", "loop")
    return returned

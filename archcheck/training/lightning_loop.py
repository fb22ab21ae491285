"""PyTorch Lightning as the training loop: a `LightningModule` trained by a `Trainer`, as its own code says."""

from __future__ import annotations

import importlib
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from archcheck.errors import BuildError
from archcheck.findings import Mismatch
from archcheck.network.build import resolve_target
from archcheck.network.call_arguments import check_arguments
from archcheck.network.imports import importing
from archcheck.spec.models import Named
from archcheck.spec.target import parse_target
from archcheck.text.words import did_you_mean, kind_of
from archcheck.training.failures import RunFailed, errors_attributed_to
from archcheck.training.recipe import Recipe

if TYPE_CHECKING:
    from archcheck.training.loop_report import LoopReport
    from archcheck.training.user_loop import LoopContext

# The package under its two names; the classes of the one aren't those of the other.
_PACKAGES = ("lightning.pytorch", "pytorch_lightning")
_ADVICE_OF = {"lightning.pytorch": "lightning.fabric", "pytorch_lightning": "lightning_fabric"}  # where it is defined
# Arguments of the Trainer that archcheck gives, and what says the same in a spec.
_GIVEN = {
    "max_epochs": "as `epochs` of the recipe says",
    "accelerator": "as --archcheck-device says",
    "devices": "as --archcheck-device says",
    "callbacks": "more of them come from the module's configure_callbacks",
}
_QUIET = {
    "logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}  # fmt: skip


# ------------------------------------------------------------------------------------------- checking


def check_lightning(recipe: Recipe, base_dir: Path, rootdir: Path | None) -> Iterator[Mismatch]:
    """Check that Lightning is installed and takes a recipe's arguments, and that the datamodule is there."""
    package = next(filter(None, map(_imported, _PACKAGES)), None)
    if package is None:
        problem = "lightning is not installed; pip install lightning"
        yield Mismatch(recipe.place("loop"), "loop", problem)
        return
    for arg in recipe.loop_args:
        if arg in _GIVEN:
            problem = f"archcheck gives `{arg}` itself, {_GIVEN[arg]}"
            yield Mismatch(recipe.place(f"loop_args.{arg}"), "loop_args", problem)
    try:
        check_arguments(package.Trainer, recipe.loop_args, "Trainer")
    except BuildError as error:
        yield Mismatch(recipe.place(f"loop_args.{error.arg}"), "loop_args", str(error))
    if recipe.datamodule is not None:
        yield from _check_datamodule(recipe, recipe.datamodule, base_dir, rootdir)


def _check_datamodule(recipe: Recipe, wanted: Named, base_dir: Path, rootdir: Path | None) -> Iterator[Mismatch]:
    args = wanted.model_extra or {}
    try:
        check_arguments(resolve_target(wanted.name, base_dir, rootdir), args, wanted.name)
    except BuildError as error:
        key = f"datamodule.{error.arg}" if error.arg in args else "datamodule"
        where = f" (at {error.where})" if error.where else ""
        yield Mismatch(recipe.place(key), "datamodule", f"{error}{where}")


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


# ------------------------------------------------------------------------------------------- running


def fit_by_lightning(network: nn.Module, recipe: Recipe, context: LoopContext, report: LoopReport) -> None:
    """Fit a LightningModule by a Trainer; what it logs as `metric` is reported after each epoch.

    Raises:
        RunFailed: it's no LightningModule, or it logs no such metric.
        LoopEnded: as the report raises it.
    """
    package = _package_of(network)
    reporting = type("_Reporting", (_Reporting, package.Callback), {})(report, recipe.metric)
    with _quiet(package), _importing_datamodule(recipe, context), tempfile.TemporaryDirectory() as folder:
        with errors_attributed_to("loop_args" if recipe.loop_args else "loop", "Trainer", context.rootdir):
            trainer = package.Trainer(
                **{"default_root_dir": folder, **_QUIET, **recipe.loop_args},
                max_epochs=recipe.epochs, callbacks=[reporting], accelerator=context.device.type,
                devices=1 if context.device.index is None else [context.device.index],
            )  # fmt: skip
        trainer.fit(network, **_data(recipe, context, package))
    if not report.epochs and report.fault is None:
        logged = sorted(trainer.callback_metrics)
        known = f"it logs {', '.join(logged)}" if logged else "it logs nothing"
        problem = f"the module logs no {recipe.metric!r}{did_you_mean(recipe.metric, logged)} ({known})"
        raise RunFailed(problem, "metric")


def _package_of(network: nn.Module) -> Any:
    """Return the package, of the two that there may be, whose LightningModule a network is."""
    for one in type(network).__mro__:
        root = one.__module__.partition(".core")[0]
        if one.__name__ == "LightningModule" and root in _PACKAGES:
            return importlib.import_module(root)
    raise RunFailed(f"lightning trains a LightningModule, and `build` gives {kind_of(network)}", "loop")


def _data(recipe: Recipe, context: LoopContext, package: Any) -> Mapping[str, Any]:
    """Return the data as `Trainer.fit` takes them; nothing where the module has data loaders of its own."""
    if context.loaders is not None:
        return {"train_dataloaders": context.loaders[0], "val_dataloaders": context.loaders[1]}
    if recipe.datamodule is None:
        return {}
    made = resolve_target(recipe.datamodule.name, context.base_dir, context.rootdir)
    with errors_attributed_to("datamodule", recipe.datamodule.name, context.rootdir):
        datamodule = made(**(recipe.datamodule.model_extra or {}))
    if not isinstance(datamodule, package.LightningDataModule):
        problem = f"{recipe.datamodule.name} returned {kind_of(datamodule)}, expected a LightningDataModule"
        raise RunFailed(problem, "datamodule")
    return {"datamodule": datamodule}


def _importing_datamodule(recipe: Recipe, context: LoopContext) -> AbstractContextManager[None]:
    """Make importable what the datamodule's code may import."""
    if recipe.datamodule is None:
        return nullcontext()
    return importing(parse_target(recipe.datamodule.name), context.base_dir, context.rootdir)


@contextmanager
def _quiet(package: Any) -> Iterator[None]:
    """Silence Lightning's announcements and its advice on speed, such as to use more workers."""
    advice = importlib.import_module(f"{_ADVICE_OF[package.__name__]}.utilities.warnings").PossibleUserWarning
    loggers = [logging.getLogger(name) for name in _PACKAGES]  # where both are there, the one speaks by the other's
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", advice)
            # Between Lightning and a newer torch: nobody else can act on it.
            warnings.filterwarnings("ignore", category=FutureWarning, module=r"(lightning|pytorch_lightning)\.")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class _Reporting:
    """The hooks by which a Trainer reports each epoch; a callback once it is mixed with Lightning's own class."""

    def __init__(self, report: LoopReport, metric: str) -> None:
        self._report = report
        self._metric = metric
        self._loss_sum: Tensor | float = 0.0
        self._num_losses = 0
        self._is_validated = False

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Add the loss of a step, and show how far the epoch is."""
        del module, batch
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if isinstance(loss, Tensor):
            self._loss_sum = self._loss_sum + loss.detach().float()
            self._num_losses += 1
        done = (batch_idx + 1) / trainer.num_training_batches  # 0 of an endless loader
        self._report.show_step(trainer.current_epoch + 1, done, self._mean_loss)

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        """Note that what is logged is of this epoch."""
        del trainer, module
        self._is_validated = True

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Report the epoch, unless it's one of those that aren't validated; stop where the report says so."""
        del module
        logged = trainer.callback_metrics.get(self._metric)
        if logged is not None and (self._is_validated or not trainer.enable_validation):
            trainer.should_stop |= self._report.add(trainer.current_epoch + 1, self._mean_loss(), logged)
        self._loss_sum, self._num_losses, self._is_validated = 0.0, 0, False

    def _mean_loss(self) -> float | None:
        return float(self._loss_sum) / self._num_losses if self._num_losses else None

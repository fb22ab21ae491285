"""The training runs of one session: each is done once, whoever asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from archcheck.errors import BuildError, DataError
from archcheck.findings import Mismatch, build_failure
from archcheck.spec.spec_file import SpecFile
from archcheck.system.audit import shared
from archcheck.training.early_stopping import cut_at_early_stop
from archcheck.training.options import RunOptions
from archcheck.training.recipe import Recipe
from archcheck.training.records import TrainingRecord

if TYPE_CHECKING:
    from torch import nn

    from archcheck.training.trainer import DatasetCache, Trainer

ClaimT = TypeVar("ClaimT")


class TrainingRefused(Exception):  # noqa: N818 - a verdict, not a fault
    """No run came about; `mismatch` says what is wrong with the spec or its data."""

    def __init__(self, spec_file: SpecFile, mismatch: Mismatch) -> None:
        super().__init__(f"{spec_file.locate(mismatch.keys)}: {mismatch.problem}")
        self.mismatch = mismatch


@contextmanager
def not_watching(_: str) -> Iterator[None]:
    """Watch no run: for sessions without a terminal."""
    yield None


class TrainingSession:
    """The training runs of one session: each is done once, whoever asks for it.

    watching: gives, for a label, a context whose value is told a run's progress.
    """

    def __init__(self, options: RunOptions, rootdir: Path, watching: Callable[[str], Any] = not_watching) -> None:
        self._options = options
        self._rootdir = rootdir
        self._watching = watching
        self._store: DatasetCache | None = None
        self._recipes: dict[Path, Recipe] = {}
        self._problems: dict[Path, list[Mismatch]] = {}
        self._done: dict[str, TrainingRecord] = {}

    def recipe_of(self, spec_file: SpecFile) -> Recipe:
        """Return the recipe to train a spec by; it is resolved once.

        Raises:
            NotMeasured: training is off, or the device isn't there.
            TrainingRefused: torch lacks a part of it, or the data set can't be what it says.
        """
        from archcheck.training.trainer import choose_recipe

        path = spec_file.path.resolve()
        with shared(f"recipe of {path}"):
            if path not in self._recipes:
                self._recipes[path] = choose_recipe(spec_file.spec, self._options)
        wrong = self.recipe_problems(spec_file)
        if wrong:
            raise TrainingRefused(spec_file, wrong[0])
        return self._recipes[path]

    def recipe_problems(self, spec_file: SpecFile) -> list[Mismatch]:
        """Return what can be told to be wrong with a spec's recipes, quick and full, without training."""
        from archcheck.training.trainer import check_recipe

        path = spec_file.path.resolve()
        with shared(f"problems of {path}"):
            if path not in self._problems:
                self._problems[path] = check_recipe(spec_file, self._rootdir)
        return self._problems[path]

    def train(self, spec_file: SpecFile, recipe: Recipe, *, keep_best: bool = True) -> TrainingRecord:
        """Train a spec, or return what is known already of the same run; `keep_best`: save the best network of it.

        Raises:
            NotMeasured: the device or the data isn't there.
            TrainingRefused: the network can't be built, or the data is broken.
        """
        key = self._key_of_run(spec_file, recipe)
        with shared(key):
            known = self._done.get(key)
            if known is None or (known.reached and not recipe.stop_at_accuracy):
                known = self._done[key] = self._train(spec_file, recipe, keep_best)
                if known.fault is not None and known.fault.lacks_memory:
                    del self._done[key]  # which other processes may have taken
        return cut_at_early_stop(known, recipe)

    def _key_of_run(self, spec_file: SpecFile, recipe: Recipe) -> str:
        """Return what a run is the same by: specs of one folder may train the same network by the same recipe."""
        path = spec_file.path.resolve()
        place = path.parent if self._options.checkpoints is None else path
        args = dict(sorted(recipe.args.items()))
        anywhere = replace(recipe.to_the_end(), args=args, quick_keys=frozenset())
        return repr((place, spec_file.spec.build, anywhere, recipe.time_budget_sec))

    def _train(self, spec_file: SpecFile, recipe: Recipe, keep_best: bool) -> TrainingRecord:
        from archcheck.training.trainer import data_mismatch

        trainer = self._trainer(spec_file, recipe)
        try:
            with self._watching(spec_file.document.path) as watch:
                return trainer.train(on_progress=watch, keep_best=keep_best)
        except DataError as error:
            raise TrainingRefused(spec_file, data_mismatch(recipe, error)) from None
        except BuildError as error:
            raise TrainingRefused(spec_file, _not_built(recipe, error)) from None

    def evaluate(self, spec_file: SpecFile, recipe: Recipe, network: nn.Module) -> float:
        """Return the accuracy of a network as it is, on the test set of a recipe.

        Raises:
            NotMeasured: the device or the data isn't there.
            TrainingRefused: the data is broken, or network and data don't go together.
        """
        from archcheck.training.failures import RunFailed
        from archcheck.training.trainer import data_mismatch

        try:
            return self._trainer(spec_file, recipe).evaluate(network)
        except DataError as error:
            raise TrainingRefused(spec_file, data_mismatch(recipe, error)) from None
        except RunFailed as failed:
            fault = failed.fault
            raise TrainingRefused(spec_file, Mismatch(recipe.place(fault.key), fault.key, fault.message)) from None

    def _trainer(self, spec_file: SpecFile, recipe: Recipe) -> Trainer:
        from archcheck.training.trainer import DatasetCache, Trainer, data_mismatch

        if self._store is None:
            self._store = DatasetCache()
        try:
            return Trainer(spec_file, recipe, self._options, self._rootdir, self._store)
        except DataError as error:
            raise TrainingRefused(spec_file, data_mismatch(recipe, error, "dataset")) from None


def _not_built(recipe: Recipe, error: BuildError) -> Mismatch:
    """Blame what `quick` changes of the arguments: the full network could be built."""
    mismatch = build_failure(recipe.args, recipe.place("args"), error)
    return replace(mismatch, keys=recipe.place("args")) if "args" in recipe.quick_keys and not error.arg else mismatch

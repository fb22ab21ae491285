"""The training runs of one session: each is done once, whoever asks for it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from archcheck.errors import BuildError, DataError, NotMeasured, SpecError, UsageError
from archcheck.findings import Keys, Mismatch, build_failure
from archcheck.spec.lookup import find_spec
from archcheck.spec.models import Better
from archcheck.spec.spec_file import SpecFile
from archcheck.training.accuracy import check_accuracy, check_better_than, cut_at_early_stop
from archcheck.training.options import RunOptions
from archcheck.training.recipe import Recipe
from archcheck.training.records import TrainingRecord

if TYPE_CHECKING:
    from archcheck.training.trainer import DatasetCache

ClaimT = TypeVar("ClaimT")


class TrainingRefused(Exception):  # noqa: N818 - a verdict, not a fault
    """No run came about: what is wrong with the spec or its data."""

    def __init__(self, spec_file: SpecFile, mismatch: Mismatch) -> None:
        super().__init__(f"{spec_file.locate(mismatch.keys)}: {mismatch.problem}")
        self.mismatch = mismatch


class TrainingSession:
    """Trains specs as a session's options say, and remembers what came of it.

    watching: gives, for a label, a context whose value is told a run's progress.
    """

    def __init__(self, options: RunOptions, rootdir: Path, watching: Callable[[str], Any]) -> None:
        self._options = options
        self._rootdir = rootdir
        self._watching = watching
        self._store: DatasetCache | None = None
        self._done: dict[str, TrainingRecord] = {}

    def choose(self, spec_file: SpecFile) -> Recipe:
        """The recipe of a spec. Raises as `trainer.choose_recipe` does; RunRefused where torch lacks a part of it."""
        from archcheck.training.trainer import check_recipe, choose_recipe

        recipe = choose_recipe(spec_file.spec, self._options)
        wrong = check_recipe(spec_file, self._rootdir)
        if wrong:
            raise TrainingRefused(spec_file, wrong[0])
        return recipe

    def train(self, spec_file: SpecFile, recipe: Recipe, *, keep_best: bool = True) -> TrainingRecord:
        """One run of a spec, or what is known already of the same one; `keep_best`: it is the one to save networks of.

        Raises:
            NotMeasured: the device or the data isn't there.
            RunRefused: the network can't be built, or the data is broken.
        """
        key = repr((spec_file.path.resolve(), recipe.to_the_end(), recipe.time_budget_sec))
        known = self._done.get(key)
        if known is None or (known.reached and not recipe.stop_at_accuracy):
            known = self._done[key] = self._train(spec_file, recipe, keep_best)
        return cut_at_early_stop(known, recipe)

    def _train(self, spec_file: SpecFile, recipe: Recipe, keep_best: bool) -> TrainingRecord:
        from archcheck.training.trainer import DatasetCache, Trainer, data_mismatch

        if self._store is None:
            self._store = DatasetCache()
        try:
            trainer = Trainer(spec_file, recipe, self._options, self._rootdir, self._store)
        except DataError as error:
            raise TrainingRefused(spec_file, data_mismatch(recipe, error, "dataset")) from None
        try:
            with self._watching(spec_file.document.path) as watch:
                return trainer.train(on_progress=watch, keep_best=keep_best)
        except DataError as error:
            raise TrainingRefused(spec_file, data_mismatch(recipe, error)) from None
        except BuildError as error:
            raise TrainingRefused(spec_file, _not_built(recipe, error)) from None


def _not_built(recipe: Recipe, error: BuildError) -> Mismatch:
    """The full network can be built, so that what `quick` changes of its arguments is to blame."""
    mismatch = build_failure(recipe.args, recipe.place("args"), error)
    return replace(mismatch, keys=recipe.place("args")) if "args" in recipe.quick_keys and not error.arg else mismatch


# ------------------------------------------------------------------------------------------- accuracy


def measure_accuracy(runs: TrainingSession, spec_file: SpecFile) -> tuple[TrainingRecord | None, list[Mismatch]]:
    """Train a spec and hold it against its minimum.

    Raises:
        NotMeasured: training is off, there is no minimum, or something that it takes isn't there.
    """
    try:
        recipe = runs.choose(spec_file)
        if recipe.accuracy is None:
            command = f"archcheck calibrate {shlex.quote(spec_file.document.path)}"
            raise NotMeasured(f"the {recipe.kind} recipe has no `accuracy` to reach; {command} measures one")
        record = runs.train(spec_file, recipe)
    except TrainingRefused as refused:
        return None, [refused.mismatch]
    return record, check_accuracy(recipe, record)


# ------------------------------------------------------------------------------------------- claims


def claims_of(spec_file: SpecFile, key: str, kind: type[ClaimT]) -> list[tuple[Keys, ClaimT]]:
    """The claims of a spec under one key, with their places."""
    claims = getattr(spec_file.spec.claims, key, None)
    if claims is None:
        return []
    if isinstance(claims, kind):
        return [(("claims", key), claims)]
    return [(("claims", key, index), claim) for index, claim in enumerate(claims)]


def better_claims_of(spec_file: SpecFile) -> list[tuple[Keys, Better]]:
    """The `better_than` claims of a spec with their places."""
    return claims_of(spec_file, "better_than", Better)


def measure_claim(runs: TrainingSession, spec_file: SpecFile, keys: Keys, claim: Better) -> list[Mismatch]:
    """Train both specs of a claim, each to the end of its recipe, and compare them.

    Raises:
        NotMeasured: as `measure_accuracy`; or the claim is one about full recipes only.
    """
    try:
        other = find_spec(spec_file, claim.spec)
        both = [(one, _claimed(runs, one, claim).to_the_end()) for one in (spec_file, other)]
        records = [
            [
                runs.train(one, replace(recipe, seed=recipe.seed + offset), keep_best=offset == 0)
                for offset in range(claim.seeds)
            ]
            for one, recipe in both
        ]
    except (SpecError, UsageError) as error:
        return [Mismatch((*keys, "spec"), "better_than", str(error).splitlines()[0])]
    except TrainingRefused as refused:
        return [Mismatch(keys, "better_than", f"can't be trained: {refused}")]
    return check_better_than(keys, claim, *records)


def _claimed(runs: TrainingSession, spec_file: SpecFile, claim: Better) -> Recipe:
    if spec_file.spec.training is None:
        raise UsageError(f"{spec_file.document.path} has no `training` to be compared by")
    recipe = runs.choose(spec_file)
    if recipe.kind == "quick" and spec_file.spec.training.quick is not None and not claim.quick:
        reason = (
            "the claim is one about full recipes (--archcheck-train full); `quick: true` makes it one about quick ones"
        )
        raise NotMeasured(reason)
    return recipe

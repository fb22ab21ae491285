"""The check `accuracy`: a seeded training run reaches the minimum within its time budget."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from archcheck.checks.check import Check, CheckContext, Needs
from archcheck.checks.outcome import Outcome
from archcheck.errors import NotMeasured
from archcheck.findings import Keys
from archcheck.spec.models import Spec
from archcheck.training.accuracy import check_accuracy
from archcheck.training.recipe import Recipe
from archcheck.training.records import TrainingRecord
from archcheck.training.session import TrainingRefused


class AccuracyCheck(Check):
    """Train by the spec's recipe and hold the run against its minimum."""

    name = "accuracy"
    needs = Needs.TRAINING

    def place(self, spec: Spec) -> Keys | None:
        """Return the place of `training`."""
        return ("training",) if spec.training is not None else None

    def run(self, context: CheckContext) -> Outcome:
        """Train the network.

        Raises:
            NotMeasured: training is off, there is no minimum, or something that it takes isn't there.
        """
        try:
            recipe = context.training.recipe_of(context.spec_file)
            if recipe.accuracy is None:
                command = f"archcheck calibrate {shlex.quote(context.spec_file.document.path)}"
                raise NotMeasured(f"the {recipe.kind} recipe has no `accuracy` to reach; {command} measures one")
            record = context.training.train(context.spec_file, recipe)
        except TrainingRefused as refused:
            return Outcome((refused.mismatch,))
        return Outcome(tuple(check_accuracy(recipe, record)), training=record, notes=tuple(_notes(recipe, record)))


def _notes(recipe: Recipe, record: TrainingRecord) -> Iterator[str]:
    # On a CPU nobody expects a graph: the same recipe may be for an accelerator, too.
    if record.graph_problem is not None and record.device != "cpu":
        yield f"trained without a graph: {record.graph_problem}"
    if record.untrained is not None:
        yield record.untrained
    if record.tests_on_training_set:
        yield "the test set holds the examples of the training set: the accuracy says nothing of new ones"
    constant = record.constant_accuracy
    if constant is not None and recipe.accuracy is not None and recipe.accuracy <= constant:
        reached = f"one answer to all test examples reaches {constant:.3f}"
        yield f"the minimum of {recipe.accuracy:g} says nothing of the network: {reached}"


CHECK = AccuracyCheck()

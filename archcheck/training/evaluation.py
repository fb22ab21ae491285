"""The accuracy of a network with given weights."""

from __future__ import annotations

from contextlib import closing, nullcontext
from pathlib import Path

import torch
from torch import nn

from archcheck.data.batches import Batches
from archcheck.structure.meta.module_tree import set_training
from archcheck.structure.work import threads_fitted_from_here
from archcheck.training.batch_validation import BatchValidator
from archcheck.training.failures import errors_attributed_to
from archcheck.training.forward_pass import ForwardPass
from archcheck.training.loop import fetch_epoch
from archcheck.training.metrics import make_metric
from archcheck.training.recipe import Recipe


def evaluate(
    network: nn.Module,
    test_set: Batches,
    recipe: Recipe,
    num_classes: int | None = None,
    rootdir: Path | None = None,
) -> float:
    """Return the metric of the recipe's loss on a test set, in eval mode: top-1 from 0 to 1, or R² of a regression.

    The caller restores torch's global state.

    Raises:
        RunFailed: network and data don't go together, or the forward pass fails.
        DataError: the data is broken.
    """
    validator, metric = BatchValidator(recipe, num_classes), make_metric(recipe.loss)
    with closing(fetch_epoch(test_set, 0, rootdir)) as batches:
        example, _ = next(batches)
    validator.check_inputs(example)
    forward = ForwardPass(network, recipe, test_set.device, example, rootdir)
    set_training(network, False)
    with torch.no_grad():
        for number, (inputs, targets) in enumerate(fetch_epoch(test_set, 0, rootdir)):
            with nullcontext() if number else threads_fitted_from_here(test_set.device):
                outputs = forward.predict(inputs)
            if number == 0:
                validator.check_outputs(outputs, targets)
            validator.check_labels(targets)
            with errors_attributed_to("build", "comparing the network's outputs with the targets", rootdir):
                metric.update(outputs, targets)
    return metric.value()

"""What the tests of training share: recipes as a spec would say them, and small data on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archcheck.data.batches import Batches
from archcheck.data.splits import ArraySplit
from archcheck.data.transforms import BatchTransform
from archcheck.spec.spec_file import parse_spec
from archcheck.training.callbacks import TrainingCallbacks
from archcheck.training.loop import train
from archcheck.training.recipe import Recipe, resolve_recipe
from archcheck.training.records import TrainingRecord

MakeRecipe = Callable[..., Recipe]


def make_recipe(training: str = "", input: str = "[B, 2]") -> Recipe:  # noqa: A002 - the spec's own word
    """The recipe of a spec with these lines in its `training`."""
    keys = "".join(f"  {line}\n" for line in training.split("\n") if line)
    return resolve_recipe(parse_spec(f"build: m:f\ninput: {input}\ntraining:\n  dataset: d\n{keys}").spec, "full")


def as_batches(inputs: Tensor, targets: Tensor, recipe: Recipe, *, train: bool) -> Batches:
    return Batches(
        ArraySplit(inputs, targets), batch_size=recipe.batch_size, device="cpu", transform=BatchTransform(),
        shuffle=train, drop_last=train, seed=recipe.seed,
    )  # fmt: skip


@pytest.fixture
def clouds() -> tuple[Tensor, Tensor]:
    """Two clouds of 64 points each, eight standard deviations apart: (128, 2) and classes (128,)."""
    draw = torch.Generator().manual_seed(0)
    classes = torch.arange(128) % 2
    return torch.randn(128, 2, generator=draw) + 8.0 * classes[:, None] - 4, classes


@pytest.fixture
def fit(clouds: tuple[Tensor, Tensor]) -> Callable[..., TrainingRecord]:
    """Trains a network on the clouds, or on other inputs and targets, by the lines of a recipe."""

    def run(
        network: nn.Module,
        training: str,
        data: tuple[Tensor, Tensor] | None = None,
        input: str = "[B, 2]",  # noqa: A002
        test_data: tuple[Tensor, Tensor] | None = None,
        **kwargs: Any,
    ) -> TrainingRecord:
        data = data or clouds
        recipe = make_recipe(training, input)
        torch.manual_seed(recipe.seed)
        train_set = as_batches(*data, recipe, train=True)
        test_set = as_batches(*(test_data or data), recipe, train=False)
        return train(
            network, train_set, test_set, recipe, callbacks=kwargs.pop("callbacks", TrainingCallbacks()), **kwargs
        )

    return run

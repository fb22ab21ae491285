"""Where torch has the components that a recipe names, and which of a loss's arguments are tensors."""

from __future__ import annotations

import pytest

from archcheck.training.component_kinds import COMPONENT_KINDS, is_numbers, tensor_arguments

# By torch's documentation of each loss.
TENSORS = {
    "BCELoss": {"weight"},
    "BCEWithLogitsLoss": {"weight", "pos_weight"},
    "CrossEntropyLoss": {"weight"},
    "MSELoss": set[str](),
    "MultiMarginLoss": {"weight"},
    "NLLLoss": {"weight"},
    "SmoothL1Loss": set[str](),
}


@pytest.mark.parametrize("loss", TENSORS)
def test_a_loss_takes_weights_as_tensors_and_nothing_else(loss: str) -> None:
    given = dict.fromkeys(("weight", "pos_weight", "reduction", "margin", "beta", "ignore_index"))
    make = COMPONENT_KINDS["loss"].find(loss)
    assert make is not None
    assert set(tensor_arguments(make, given)) == TENSORS[loss]


@pytest.mark.parametrize(
    ("value", "are"),
    [([1, 2.5], True), (3, True), ([[1, 2], [3, 4]], True), ([[1, 2], [3]], False), ([1, "a"], False), (True, False)],
)
def test_what_counts_as_numbers(value: object, are: bool) -> None:
    assert is_numbers(value) is are

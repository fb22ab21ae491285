"""Splits in memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from archcheck.data.splits import ArraySplit, first_examples, is_image_batch, label_range


def test_the_first_examples_are_inputs_with_their_targets() -> None:
    split = ArraySplit(torch.arange(6).view(3, 2), torch.tensor([7, 8, 9]))
    head = first_examples(split, 2)
    assert (len(head), head.inputs.tolist(), head.targets.tolist()) == (2, [[0, 1], [2, 3]], [7, 8])
    assert len(first_examples(split, 5)) == 3
    assert first_examples(split, None) is split


@pytest.mark.parametrize(
    ("targets", "ignored", "expected"),
    [
        (torch.tensor([3, 1, 2]), None, (1, 3)),
        (torch.tensor([[3, -100], [2, 2]]), -100, (2, 3)),
        (torch.tensor([-100, -100]), -100, None),
        (torch.tensor([0.5, 1.0]), None, None),
        (torch.tensor([], dtype=torch.int64), None, None),
    ],
)
def test_the_range_of_classes(targets: Tensor, ignored: int | None, expected: tuple[int, int] | None) -> None:
    assert label_range(targets, ignored) == expected


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), True),
        (torch.zeros(2, 3, 4, 4), False),
        (torch.zeros(2, 3, dtype=torch.uint8), False),
    ],
)
def test_images_are_bytes_of_four_dimensions(inputs: Tensor, expected: bool) -> None:
    assert is_image_batch(inputs) is expected

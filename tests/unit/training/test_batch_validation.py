"""Whether data, network and recipe go together, told before a step is taken."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from archcheck.training.batch_validation import BatchValidator
from archcheck.training.failures import RunFailed
from tests.unit.training.conftest import make_recipe


@pytest.mark.parametrize(
    ("pattern", "shape"),
    [
        ("[B, 3, 32, 32]", (8, 3, 32, 32)),
        ("{pixels: [B, 2]}", (8, 2)),
        ("{shape: [B, 12], dtype: int64, below: 100}", (8, 12)),
        ("[[B, 2], [B, 3]]", (8, 7)),  # several inputs: the forward will tell
    ],
)
def test_inputs_that_fit_pass(pattern: str, shape: tuple[int, ...]) -> None:
    BatchValidator(make_recipe("", pattern), None).check_inputs(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(8, 3, 32, 31), (8, 1, 32, 32), (8, 3, 32), (8, 3, 32, 32, 1)])
def test_inputs_of_another_shape_are_told(shape: tuple[int, ...]) -> None:
    found = ", ".join(["B", *map(str, shape[1:])])
    expected = rf"the training's inputs are \[{found}\], the spec's `input` is \[B, 3, 32, 32\]"
    with pytest.raises(RunFailed, match=expected) as failed:
        BatchValidator(make_recipe("", "[B, 3, 32, 32]"), None).check_inputs(torch.zeros(shape))
    assert failed.value.fault.key == "dataset"


def test_a_resize_is_what_is_wrong_where_there_is_one() -> None:
    with pytest.raises(RunFailed, match="the training's inputs are") as failed:
        BatchValidator(make_recipe("resize: 28", "[B, 1, 32, 32]"), None).check_inputs(torch.zeros(8, 1, 28, 28))
    assert failed.value.fault.key == "resize"


@pytest.mark.parametrize(
    ("training", "outputs", "targets", "key", "message"),
    [
        ("", (8, 10), torch.zeros(8, dtype=torch.int64), None, ""),
        ("", (8, 9), torch.zeros(8, dtype=torch.int64), "build", "the network has 9 outputs, the data set 10 classes"),
        ("", (8,), torch.zeros(8, dtype=torch.int64), "build", r"returns \[8\], expected \[B, number of classes\]"),
        ("", (8, 10, 5), torch.zeros(8, 5, dtype=torch.int64), None, ""),
        ("", (8, 10), torch.zeros(8, 1, dtype=torch.int64), "dataset", r"\[8, 1\]: expected \[8\] of CrossEntropyLoss"),
        ("", (8, 10), torch.zeros(8), "dataset", r"targets are \[8\]: expected the same, or whole numbers as classes"),
        ("loss: MultiLabelMarginLoss", (8, 10), torch.zeros(8, 10, dtype=torch.int64), None, ""),
        ("loss: MSELoss", (8, 1), torch.zeros(8), "dataset", r"returns \[8, 1\], the data set's targets are \[8\]"),
        (
            "loss: {name: CrossEntropyLoss, weight: [1, 2]}",
            (8, 10),
            torch.zeros(8, dtype=torch.int64),
            "loss.weight",
            "expected 10 numbers, one for each output of the network, found 2",
        ),
        (
            "loss: {name: BCEWithLogitsLoss, pos_weight: [1, 2]}",
            (8, 3),
            torch.zeros(8, 3),
            "loss.pos_weight",
            "expected 3 numbers, one for each output of the network, found 2",
        ),
        ("loss: {name: BCEWithLogitsLoss, pos_weight: [1, 2, 3]}", (8, 3), torch.zeros(8, 3), None, ""),
        ("loss: {name: BCEWithLogitsLoss, pos_weight: 2}", (8, 3), torch.zeros(8, 3), None, ""),
        ("loss: {name: BCELoss, weight: [2]}", (8,), torch.zeros(8), None, ""),
        ("loss: L1Loss", (8, 10), torch.zeros(8, dtype=torch.int64), "loss", "the data set has classes, L1Loss is for"),
    ],
)
def test_outputs_are_held_against_targets(
    training: str, outputs: Any, targets: Any, key: str | None, message: str
) -> None:
    contract = BatchValidator(make_recipe(training), 10)
    if key is None:
        contract.check_outputs(torch.zeros(outputs), targets)
        return
    with pytest.raises(RunFailed, match=message) as failed:
        contract.check_outputs(torch.zeros(outputs), targets)
    assert failed.value.fault.key == key


@pytest.mark.parametrize(("label", "told"), [(-1, -1), (3, 3)])
def test_labels_that_the_network_has_no_output_for_are_told(label: int, told: int) -> None:
    contract = BatchValidator(make_recipe(), None)
    labels = torch.tensor([0, 1, 2])
    contract.check_outputs(torch.zeros(3, 3), labels)
    contract.check_labels(labels)
    with pytest.raises(RunFailed, match=f"label {told} is out of range: the network has 3 outputs, for labels 0 to 2"):
        contract.check_labels(torch.tensor([0, label, 2]))

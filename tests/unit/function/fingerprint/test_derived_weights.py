"""Weights computed from others, and gradients brought back to them: held against torch's own functions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from archcheck.errors import UsageError
from archcheck.function.fingerprint.derived_weights import DerivedWeights, evaluate
from archcheck.function.fingerprint.given_weights import GivenWeights, KeySupply, keys_by_group
from archcheck.spec.weight_expressions import parse_weight_expression

A, B = torch.arange(6.0).reshape(2, 3), torch.arange(6.0, 12.0).reshape(2, 3)


def computed(text: str) -> Tensor:
    return evaluate(parse_weight_expression(text), {"a": A, "b": B}, torch.empty(()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", A),
        ("concat(a, b)", torch.cat([A, B])),
        ("concat(a, b, 1)", torch.cat([A, B], 1)),
        ("concat(a, b, -1)", torch.cat([A, B], 1)),
        ("split(a, 2, 1)", A[1:]),
        ("split(a, [1, 2], 1, 1)", A[:, 1:]),
        ("transpose(a)", A.T),
        ("permute(a, 1, 0)", A.T),
        ("reshape(a, 3, -1)", A.reshape(3, 2)),
        ("concat(a, zeros(1, 3), ones(1, 3))", torch.cat([A, torch.zeros(1, 3), torch.ones(1, 3)])),
    ],
)
def test_an_expression_is_what_torch_computes(text: str, expected: Tensor) -> None:
    assert torch.equal(computed(text), expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("concat(a, transpose(b))", r"concat of \[2, 3\] and \[3, 2\], which differ in more than dimension 0"),
        ("concat(a, b, 2)", r"concat of \[2, 3\], which has no dimension 2"),
        ("split(a, 4, 0)", r"split of \[2, 3\] into 4 equal parts along dimension 0"),
        ("split(a, 0, 0)", r"split of \[2, 3\] into 0 equal parts"),
        ("split(a, [1, 1], 0, 1)", r"into parts of \[1, 1\], which are 2 in all along dimension 1"),
        ("split(a, 2, -1)", "split has parts 0 to 1, found -1"),
        ("reshape(a, 4, -1)", r"reshape of \[2, 3\] to \[4, -1\]"),
        ("reshape(a, 0, -1)", r"reshape of \[2, 3\] to \[0, -1\]"),
        ("reshape(a, -2, -3)", r"reshape of \[2, 3\] to \[-2, -3\]"),
        ("permute(a, 0)", r"permute of \[2, 3\] to dimensions \[0\]"),
        ("zeros(-1)", r"zeros of \[-1\]: sizes are 0 or more"),
    ],
)
def test_shapes_that_do_not_fit_are_told(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        computed(text)


def derived() -> tuple[DerivedWeights, nn.Linear]:
    layer = nn.Linear(3, 4, dtype=torch.float64)
    expressions = {"weight": parse_weight_expression("concat(a, b)"), "bias": parse_weight_expression("split(c, 2, 0)")}
    sources = {"a": ("key a", (2, 3)), "b": ("key b", (2, 3)), "c": ("key c", (8,))}
    made = DerivedWeights(GivenWeights(derived=expressions, sources=sources), dict(layer.named_parameters()))
    for number, source in enumerate(made.sources.values()):
        source.fill_(number + 1)
    return made, layer


def test_parameters_follow_what_they_are_computed_from() -> None:
    made, layer = derived()
    made.compute()
    assert layer.weight.tolist() == [[1.0] * 3] * 2 + [[2.0] * 3] * 2
    assert layer.bias.tolist() == [3.0] * 4


def test_gradients_are_those_of_the_sources() -> None:
    made, layer = derived()
    gradient = torch.arange(12.0, dtype=torch.float64).reshape(4, 3)
    found = made.pull_back({"weight": gradient, "bias": torch.ones(4, dtype=torch.float64)})
    assert torch.equal(found["key a"], gradient[:2])
    assert torch.equal(found["key b"], gradient[2:])
    assert found["key c"].tolist() == [1.0] * 4 + [0.0] * 4
    assert layer.weight.grad is None


def test_what_is_frozen_trains_no_source() -> None:
    made, layer = derived()
    layer.bias.requires_grad_(False)
    assert [made.is_trained(key) for key in ("key a", "key c")] == [True, False]


def test_keys_are_handed_out_in_the_order_of_the_other_network() -> None:
    given = GivenWeights(ordered=keys_by_group(["weight (2, 3) 1", "weight (2, 3) 4"]))
    supply = KeySupply(given, {7: "weight (3,) 0"})
    taken = [supply.take(identity, "weight (2, 3)") for identity in (1, 2, 3)]
    assert taken == ["weight (2, 3) 1", "weight (2, 3) 4", "weight (2, 3) +0"]
    assert supply.take(7, "weight (3,)") == "weight (3,) 0"
    assert [supply.take(8, "state of 0 (3,)"), supply.take(9, "state of 0 (3,)")] == [
        "state of 0 (3,) 0",
        "state of 0 (3,) 1",
    ]

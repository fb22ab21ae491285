"""Optimizers, schedulers, losses and initialisation by their names in torch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archcheck.training.components import (
    build_loss,
    build_optimizer,
    check_components,
    initialise_weights,
    may_be_fused,
)
from tests.unit.training.conftest import make_recipe

OPTIMIZERS = [
    "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "ASGD", "LBFGS", "NAdam", "RAdam", "RMSprop",
    "Rprop", "SGD",
]  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_does_what_torchs_own_does(name: str) -> None:
    recipe = make_recipe(f"optimizer: {{name: {name}, lr: 0.01}}")
    assert check_components(recipe) == []
    torch.manual_seed(0)
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(8, 3)
    for network, optimizer in (
        (ours, build_optimizer(recipe, ours.parameters())),
        (theirs, getattr(torch.optim, name)(theirs.parameters(), lr=0.01)),
    ):
        for _ in range(3):

            def closure(network: nn.Module = network, optimizer: torch.optim.Optimizer = optimizer) -> torch.Tensor:
                optimizer.zero_grad()
                loss: torch.Tensor = network(inputs).square().sum()
                loss.backward()  # type: ignore[no-untyped-call]
                return loss

            optimizer.step(closure)  # type: ignore[arg-type]
    assert torch.allclose(ours.weight, theirs.weight, rtol=1e-4, atol=1e-6)


def test_a_sparse_embedding_trains_as_it_does_in_torch() -> None:
    embedding = nn.Embedding(4, 2, sparse=True)
    before = embedding.weight.detach().clone()
    optimizer = build_optimizer(
        make_recipe("optimizer: {name: SGD, lr: 0.5}"), embedding.parameters(), fused=may_be_fused(embedding)
    )
    embedding(torch.tensor([1])).sum().backward()
    optimizer.step()
    before[1] -= 0.5
    assert torch.allclose(embedding.weight, before)


def test_complex_parameters_train_as_they_do_in_torch() -> None:
    layer = nn.Linear(2, 2, bias=False, dtype=torch.complex64)
    before = layer.weight.detach().clone()
    optimizer = build_optimizer(
        make_recipe("optimizer: {name: SGD, lr: 0.5}"), layer.parameters(), fused=may_be_fused(layer)
    )
    layer.weight.real.sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    assert torch.allclose(layer.weight, before - 0.5)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("optimizer: Sgd", "torch.optim has no 'Sgd': did you mean 'SGD'?"),
        ("optimizer: Optimizer", "torch.optim has no 'Optimizer'"),
        ("optimizer: {name: SGD, learning_rate: 1.0}", "torch.optim.SGD accepts no argument 'learning_rate'"),
        ("scheduler: StepLR", "torch.optim.lr_scheduler.StepLR is missing its argument 'step_size'"),
        ("scheduler: Linear", "torch.optim.lr_scheduler has no 'Linear': did you mean 'LinearLR'?"),
        ("loss: CrossEntropy", "torch.nn has no 'CrossEntropy': did you mean 'CrossEntropyLoss'?"),
        ("loss: Linear", "torch.nn has no 'Linear'"),
        ("loss: {name: CrossEntropyLoss, weight: two}", "weight: expected a list of numbers, found two"),
        ("loss: {name: CrossEntropyLoss, weight: [1, [2]]}", "weight: expected a list of numbers, found [1, [2]]"),
        (
            "loss: {name: CrossEntropyLoss, weigth: [1, 2]}",
            "torch.nn.CrossEntropyLoss accepts no argument 'weigth': did",
        ),
        ("init: xavier_unifrom", "torch.nn.init has no 'xavier_unifrom_': did you mean 'xavier_uniform'?"),
        ("loss: MSELoss\nlabel_smoothing: 0.1", "MSELoss smooths no labels: only CrossEntropyLoss does"),
    ],
)
def test_what_torch_does_not_have_is_told_before_anything_runs(line: str, problem: str) -> None:
    (mismatch,) = check_components(make_recipe(line))
    assert mismatch.problem.startswith(problem)


@pytest.mark.parametrize(
    ("loss", "by_hand"),
    [
        # -(2 log p(1) + 3 log p(2)) / (2 + 3), with log p by the softmax of each row
        ("{name: CrossEntropyLoss, weight: [1, 2, 3]}", (2 * 0.4076 + 3 * 2.4076) / 5),
        ("CrossEntropyLoss", (0.4076 + 2.4076) / 2),
    ],
)
def test_class_weights_are_the_losss_own(loss: str, by_hand: float) -> None:
    outputs = torch.tensor([[0.0, 2.0, 1.0], [1.0, 2.0, 0.0]])  # log-sum-exp of 0, 1, 2: 2.4076
    made = build_loss(make_recipe(f"loss: {loss}"))
    assert float(made(outputs, torch.tensor([1, 2]))) == pytest.approx(by_hand, abs=1e-4)


def test_the_weight_of_a_yes_is_the_losss_own() -> None:
    made = build_loss(make_recipe("loss: {name: BCEWithLogitsLoss, pos_weight: 3}"))
    outputs, targets = torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])  # -log(1/2) each, the first one three times
    assert float(made(outputs, targets)) == pytest.approx((3 + 1) * 0.6931 / 2, abs=1e-4)


def test_label_smoothing_is_the_losss_own() -> None:
    outputs, targets = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([0])
    loss = build_loss(make_recipe("label_smoothing: 0.1"))
    log_p = outputs.log_softmax(1)[0]
    by_hand = -(0.9 * log_p[0] + 0.1 * log_p.mean())
    assert float(loss(outputs, targets)) == pytest.approx(float(by_hand), rel=1e-6)


@pytest.mark.parametrize(
    ("init", "low", "high"),
    [
        ("xavier_uniform", -((6 / 12) ** 0.5), (6 / 12) ** 0.5),  # sqrt(6 / (fan in + fan out))
        ("xavier_uniform_", -((6 / 12) ** 0.5), (6 / 12) ** 0.5),
        ("kaiming_uniform", -((6 / 8) ** 0.5), (6 / 8) ** 0.5),
        ("{name: constant, val: 0.25}", 0.25, 0.25),
        ("zeros", 0.0, 0.0),
    ],
)
def test_initialisation_fills_weights_and_leaves_the_rest(init: str, low: float, high: float) -> None:
    linear, norm = nn.Linear(8, 4), nn.BatchNorm1d(4)
    bias = linear.bias.detach().clone()
    initialise_weights(nn.Sequential(linear, norm), make_recipe(f"init: {init}").init)
    assert low <= float(linear.weight.min()) <= float(linear.weight.max()) <= high
    assert torch.equal(linear.bias, bias)
    assert torch.equal(norm.weight, torch.ones(4))


def test_the_default_initialisation_changes_nothing() -> None:
    network = nn.Linear(4, 4)
    before = network.weight.detach().clone()
    initialise_weights(network, make_recipe("init: default").init)
    assert torch.equal(network.weight, before)

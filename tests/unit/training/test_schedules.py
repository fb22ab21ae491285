"""Learning-rate schedules: what they come to, and what is told of those that torch can't build."""

from __future__ import annotations

import pytest
from torch import nn

from archcheck.training.components import build_optimizer, check_components
from archcheck.training.schedules import build_schedule
from tests.unit.training.conftest import make_recipe

WARM_UP = "{name: LinearLR, start_factor: 0.5, total_iters: 2}"
DECAY = "{name: ExponentialLR, gamma: 0.1}"


def learning_rates(scheduler: str, epochs: int, num_batches: int, losses: list[float]) -> list[list[float]]:
    """The rate in each batch of each epoch."""
    recipe = make_recipe(f"optimizer: {{name: SGD, lr: 1.0}}\nepochs: {epochs}\nscheduler: {scheduler}")
    optimizer = build_optimizer(recipe, nn.Linear(1, 1).parameters())
    schedule = build_schedule(recipe, optimizer, num_batches)
    rates: list[list[float]] = []
    for epoch in range(epochs):
        rates.append([])
        for _ in range(num_batches):
            rates[-1].append(round(optimizer.param_groups[0]["lr"], 4))
            optimizer.step()
            schedule.after_batch()
        schedule.after_epoch(losses[epoch])
    return rates


def test_a_scheduler_goes_by_epochs() -> None:
    assert learning_rates("{name: StepLR, step_size: 1, gamma: 0.5}", 3, 2, [1, 1, 1]) == [
        [1.0, 1.0], [0.5, 0.5], [0.25, 0.25],
    ]  # fmt: skip


def test_one_cycle_goes_by_batches_over_the_whole_run() -> None:
    rates = [rate for epoch in learning_rates("{name: OneCycleLR, max_lr: 1.0}", 5, 4, [1.0] * 5) for rate in epoch]
    assert rates[0] == 0.04  # max_lr / 25
    assert max(rates) == 1.0
    assert rates.index(1.0) == 5  # 30 % of 20 steps is where it peaks: 0.3 * 20 - 1
    assert rates[-1] < 0.001


def test_a_plateau_goes_by_the_loss_on_the_test_set() -> None:
    rates = learning_rates("{name: ReduceLROnPlateau, patience: 0, factor: 0.1}", 4, 1, [1.0, 0.5, 0.7, 0.4])
    assert rates == [[1.0], [1.0], [1.0], [0.1]]


def test_one_schedule_follows_another() -> None:
    rates = learning_rates(
        f"{{name: SequentialLR, schedulers: [{WARM_UP}, {DECAY}], milestones: [2]}}", 4, 2, [1.0] * 4
    )
    # from 0.5 of the rate to all of it in two epochs, then a tenth after each
    assert rates == [[0.5, 0.5], [0.75, 0.75], [1.0, 1.0], [0.1, 0.1]]


def test_schedules_are_chained() -> None:
    rates = learning_rates(f"{{name: ChainedScheduler, schedulers: [{WARM_UP}, {DECAY}]}}", 3, 1, [1.0] * 3)
    assert rates == [[0.5], [0.075], [0.01]]  # 0.5, 0.75 and 1 times 1, 0.1 and 0.01


def test_a_chain_may_stand_in_a_sequence() -> None:
    chain = f"{{name: ChainedScheduler, schedulers: [{DECAY}]}}"
    assert check_components(make_recipe(f"scheduler: {{name: ChainedScheduler, schedulers: [{chain}]}}")) == []


@pytest.mark.parametrize(
    ("schedulers", "place", "problem"),
    [
        ("[{name: LinearLR, start_facter: 0.5}, StepLR]", (0, "start_facter"),
         "torch.optim.lr_scheduler.LinearLR accepts no argument 'start_facter': did you mean 'start_factor'?"),
        (f"[{WARM_UP}, {{name: ExponentailLR, gamma: 0.1}}]", (1, "name"),
         "torch.optim.lr_scheduler has no 'ExponentailLR': did you mean 'ExponentialLR'?"),
        (f"[{WARM_UP}, {{name: OneCycleLR, max_lr: 1.0}}]", (1, "name"),
         "OneCycleLR goes by batches, and can't stand in SequentialLR, which is stepped once an epoch"),
        (f"[{WARM_UP}, ReduceLROnPlateau]", (1, "name"),
         "ReduceLROnPlateau goes by the loss, and can't stand in SequentialLR, which is stepped once an epoch"),
        (f"[{WARM_UP}, 3]", (1,), "expected a scheduler, a name or a map with `name`, found 3"),
        ("LinearLR", (), "SequentialLR: expected a list of schedulers, such as [{name: LinearLR, total_iters: 2}"),
        ("[]", (), "SequentialLR: expected a list of schedulers, such as [{name: LinearLR, total_iters: 2}"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_one_of_several_is_told_at_its_place(
    schedulers: str, place: tuple[object, ...], problem: str
) -> None:
    recipe = make_recipe(f"scheduler: {{name: SequentialLR, schedulers: {schedulers}, milestones: [2]}}")
    mismatch = check_components(recipe)[0]
    assert mismatch.keys == ("training", "scheduler", "schedulers", *place)
    assert mismatch.problem.startswith(problem)


@pytest.mark.parametrize(
    ("arguments", "key", "problem"),
    [
        ("milestones: [2, 3]", "milestones",
         "milestones: 2 schedulers take 1 epoch to change over at, ascending; found [2, 3]"),
        ("milestones: [0]", "milestones",
         "milestones: 2 schedulers take 1 epoch to change over at, ascending; found [0]"),
        ("milestones: 2", "milestones", "milestones: 2 schedulers take 1 epoch to change over at, ascending; found 2"),
        ("milestone: [2]", "milestone", "torch.optim.lr_scheduler.SequentialLR accepts no argument 'milestone'"),
        ("last_epoch: -1", "milestones", "torch.optim.lr_scheduler.SequentialLR is missing its argument 'milestones'"),
    ],
)  # fmt: skip
def test_what_is_wrong_beside_several_is_told(arguments: str, key: str, problem: str) -> None:
    recipe = make_recipe(f"scheduler: {{name: SequentialLR, schedulers: [{WARM_UP}, {DECAY}], {arguments}}}")
    (mismatch,) = check_components(recipe)
    assert mismatch.keys == ("training", "scheduler", key)
    assert mismatch.problem.startswith(problem)

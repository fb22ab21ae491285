"""The step that a `cost` section is of."""

from __future__ import annotations

from archcheck.cost.plan import resolve_cost_plan
from tests.unit.cost.measuring import spec_of

RECIPE = "training: {dataset: digits, batch_size: 32, resize: 16, precision: bf16, optimizer: {name: Adam, lr: 0.1}}"


def described(cost: str, shape: str = "[B, 3, H, H]", more: str = "") -> str:
    return resolve_cost_plan(spec_of("nets:net", shape, cost, f"sizes: {{H: [8, 6]}}\n{more}").spec).describe()


def test_without_a_recipe_it_is_one_example_by_sgd() -> None:
    assert described("{}") == "training on [1, 3, 8, 8] by SGD and the mean square of the outputs"


def test_a_recipe_decides_where_the_section_does_not() -> None:
    assert described("{}", more=RECIPE) == "training on [32, 3, 16, 16] by Adam and CrossEntropyLoss in bf16"
    own = "{batch_size: 4, precision: fp32, optimizer: SGD}"
    assert described(own, more=RECIPE) == "training on [4, 3, 16, 16] by SGD and CrossEntropyLoss"


def test_a_loop_of_ones_own_says_nothing_of_a_step_but_its_batch() -> None:
    assert described("{}", more="training: {loop: 'm:fit', accuracy: 0.9}") == described("{}")
    assert described("{}", more="training: {loop: 'm:fit', dataset: digits, batch_size: 16}").startswith(
        "training on [16, 3, 8, 8] by SGD and the mean square"
    )


def test_inference_has_no_optimizer() -> None:
    assert described("{mode: inference, batch_size: 4}", more=RECIPE) == "inference on [4, 3, 16, 16] in bf16"


def test_quick_recipes_are_those_of_other_machines() -> None:
    more = "training: {dataset: digits, batch_size: 32, quick: {batch_size: 2}}"
    assert described("{}", more=more).startswith("training on [32, 3, 8, 8]")


def test_a_batch_of_one_size_stays_so() -> None:
    assert described("{batch_size: 7}", "[5, 3, H, H]").startswith("training on [5, 3, 8, 8]")


def test_what_is_at_fault_is_told_where_it_stands() -> None:
    spec = spec_of("nets:net", "[B, 3]", "{optimizer: Adam}", "training: {dataset: digits, batch_size: 3}").spec
    plan = resolve_cost_plan(spec)
    places = {key: plan.place(key) for key in ("optimizer", "optimizer.lr", "batch_size", "build")}
    assert places == {
        "optimizer": ("cost", "optimizer"),
        "optimizer.lr": ("cost", "optimizer", "lr"),
        "batch_size": ("training", "batch_size"),
        "build": ("build",),
    }
    assert resolve_cost_plan(spec_of("nets:net", "[B, 3]", "{}").spec).place("loss") == ("cost",)

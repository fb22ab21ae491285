"""A recipe: what `training` says, `quick`'s changes over it, and defaults for the rest."""

from __future__ import annotations

import pytest

from archcheck.spec.models import Named
from archcheck.spec.spec_file import parse_spec
from archcheck.training.recipe import Recipe, resolve_recipe

HEAD = "build: m:f\nargs: {width: 8, depth: 2}\ninput: [B, 3, 32, 32]\n"
BOTH = """\
training:
  dataset: cifar10
  epochs: 20
  optimizer: {name: Adam, lr: 0.001}
  resize: 96
  accuracy: 0.9
  quick:
    dataset: {name: fashion-mnist-mini, head: 100}
    epochs: 2
    args: {width: 4}
    input: [B, 1, 28, 28]
    resize: [28, 32]
    optimizer: SGD
"""


def recipe(text: str, kind: str) -> Recipe:
    return resolve_recipe(parse_spec(HEAD + text).spec, "quick" if kind == "quick" else "full")


def test_what_is_not_said_has_a_default() -> None:
    found = recipe("training: {dataset: digits}\n", "full")
    assert found.optimizer == Named.model_validate({"name": "SGD", "lr": 0.1})
    assert (found.loss.name, found.batch_size, found.epochs, found.seed) == ("CrossEntropyLoss", 128, 10, 0)
    assert (found.precision, found.memory_format, found.compile, found.graph) == ("fp32", "contiguous", False, False)
    assert (found.scheduler, found.init, found.clip_grad_norm, found.resize) == (None, None, None, None)
    assert (found.accuracy, found.time_budget_sec, found.stop_at_accuracy) == (None, None, True)


def test_the_full_recipe_knows_nothing_of_quick() -> None:
    found = recipe(BOTH, "full")
    assert found.dataset is not None
    assert (found.dataset.name, found.epochs, found.optimizer.name, found.resize) == ("cifar10", 20, "Adam", (96, 96))
    assert found.args == {"width": 8, "depth": 2}


def test_quick_changes_key_by_key() -> None:
    found = recipe(BOTH, "quick")
    assert found.dataset is not None
    assert (found.dataset.name, found.epochs, found.resize) == ("fashion-mnist-mini", 2, (28, 32))
    assert found.args == {"width": 4, "depth": 2}  # arguments one by one
    assert found.optimizer == Named(name="SGD")  # an optimizer as a whole: the other's lr is not this one's
    assert found.accuracy == 0.9


def test_without_quick_both_are_one_run() -> None:
    text = "training: {dataset: digits, epochs: 3}\n"
    quick, full = recipe(text, "quick"), recipe(text, "full")
    assert (quick.kind, full.kind) == ("quick", "full")
    assert quick.epochs == full.epochs == 3
    assert quick.quick_keys == frozenset()


def test_a_loop_takes_the_place_of_data_and_recipe() -> None:
    text = "training: {loop: 'm:fit', loop_args: {lr: 1, steps: 2}, quick: {loop_args: {steps: 1}, epochs: 1}}\n"
    full, quick = recipe(text, "full"), recipe(text, "quick")
    assert (full.loop, full.dataset, full.epochs, full.gives_epochs) == ("m:fit", None, 10, False)
    assert (quick.loop, quick.loop_args, quick.gives_epochs) == ("m:fit", {"steps": 1}, True)  # arguments as a whole
    assert quick.place("loop_args.steps") == ("training", "quick", "loop_args", "steps")


@pytest.mark.parametrize("nothing", ["quick: {}", "quick: null", "quick: {epochs: null}", "scheduler: null"])
def test_nothing_said_is_nothing_changed(nothing: str) -> None:
    found = recipe(f"training:\n  dataset: digits\n  epochs: 3\n  {nothing}\n", "quick")
    assert (found.epochs, found.scheduler, found.quick_keys) == (3, None, frozenset())


def test_a_key_is_where_it_was_written() -> None:
    quick, full = recipe(BOTH, "quick"), recipe(BOTH, "full")
    assert quick.place("epochs") == ("training", "quick", "epochs")
    assert quick.place("accuracy") == ("training", "accuracy")
    assert quick.place("args") == ("training", "quick", "args")
    assert full.place("epochs") == ("training", "epochs")
    assert full.place("args") == ("args",)
    assert full.place("build") == quick.place("build") == ("build",)


def test_a_seed_that_no_generator_takes_is_no_seed() -> None:
    from archcheck.errors import SpecError

    with pytest.raises(SpecError, match="seed"):
        parse_spec(f"{HEAD}training: {{dataset: digits, seed: {10**20}}}\n")

"""What a `throughput` section times: specs as a user writes them, and the plans that they come to."""

from __future__ import annotations

from typing import Any

import pytest

from archcheck.spec.spec_file import parse_spec
from archcheck.throughput.plan import SpeedPlan, resolve_plan
from archcheck.training.recipe import RecipeKind

IMAGES = "input: [B, 3, 8, 8]\n"
TRAINED = IMAGES + "training: {dataset: d, batch_size: 32, resize: 16, precision: bf16}\n"
QUICK = (
    IMAGES
    + "training:\n  dataset: d\n  batch_size: 32\n  quick: {batch_size: 4, args: {width: 8}, input: [B, 1, 6, 6]}\n"
)


def plan_of(text: str, kind: RecipeKind = "full", work: Any = None) -> SpeedPlan:
    return resolve_plan(parse_spec(f"build: m:f\n{text}").spec, kind, work)


def described(text: str, kind: RecipeKind = "full", work: Any = None) -> tuple[Any, ...]:
    """Mode, precision, batch size and input."""
    return tuple(plan_of(text, kind, work).conditions().values())


# ------------------------------------------------------------------------------------------- whose choice it is


def test_what_throughput_says_counts_before_the_recipe() -> None:
    text = TRAINED + "throughput: {mode: inference, batch_size: 2, resize: [10, 12], precision: fp32}\n"
    assert described(text) == ("inference", "fp32", 2, "[2, 3, 10, 12]")


def test_what_it_leaves_open_is_the_recipes() -> None:
    assert described(TRAINED + "throughput: {batch_size: 2}\n") == ("train", "bf16", 2, "[2, 3, 16, 16]")


def test_an_explicit_null_leaves_it_open() -> None:
    assert described(TRAINED + "throughput: {batch_size: null}\n") == described(TRAINED)


def test_a_spec_without_either_has_the_defaults_of_recipes() -> None:
    plan = plan_of(IMAGES)
    assert tuple(plan.conditions().values()) == ("train", "fp32", 128, "[128, 3, 8, 8]")
    assert not plan.has_training
    assert plan_of(TRAINED).has_training


def test_a_loop_of_the_users_own_has_no_step_to_time() -> None:
    """But the network that `quick` gives is the one that is timed."""
    text = IMAGES + "training: {loop: 'm:fit', quick: {args: {width: 8}, input: [B, 1, 6, 6]}}\n"
    without = plan_of(IMAGES)
    assert plan_of(text).describe_step() == without.describe_step()
    assert plan_of(text).describe_step() == "[128, 3, 8, 8] by SGD and the mean square of the outputs"
    assert plan_of(text, "quick").recipe.args == {"width": 8}
    assert described(text, "quick") == ("train", "fp32", 128, "[128, 1, 6, 6]")


def test_a_quick_recipe_brings_its_own_network_and_input() -> None:
    plan = plan_of("args: {depth: 2, width: 64}\n" + QUICK, "quick")
    assert plan.recipe.args == {"depth": 2, "width": 8}
    assert tuple(plan.conditions().values()) == ("train", "fp32", 4, "[4, 1, 6, 6]")
    assert plan_of("args: {depth: 2, width: 64}\n" + QUICK).recipe.args == {"depth": 2, "width": 64}


def test_throughput_counts_before_a_quick_recipe_too() -> None:
    assert described(QUICK + "throughput: {batch_size: 9}\n", "quick") == ("train", "fp32", 9, "[9, 1, 6, 6]")


def test_a_step_may_become_seven_and_a_half_percent_longer() -> None:
    assert plan_of(IMAGES).max_regression == 0.075
    assert plan_of(IMAGES + "throughput: {max_regression: 20%}\n").max_regression == 0.2


# ------------------------------------------------------------------------------------------- the batch


@pytest.mark.parametrize(("resize", "size"), [("16", "16, 16"), ("[16, 32]", "16, 32")])
def test_images_have_the_size_that_resize_says(resize: str, size: str) -> None:
    text = "input: [B, 3, H, W]\nsizes: {H: [8, 9], W: [8, 9]}\n"
    assert described(f"{text}throughput: {{batch_size: 2, resize: {resize}}}\n")[-1] == f"[2, 3, {size}]"


def test_images_that_are_passed_by_name_have_it_as_well() -> None:
    text = "input: {pixels: [B, 3, H, W]}\nsizes: {H: [8, 9], W: [8, 9]}\n"
    assert described(text + "throughput: {batch_size: 2, resize: 16}\n")[-1] == "[2, 3, 16, 16]"


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("[B, 12]", "[2, 12]"),
        ("{shape: [B, 2, 8, 8], below: 10}", "[2, 2, 8, 8]"),
        ("[[B, 3, 8, 8], [B, 3, 8, 8]]", "[2, 3, 8, 8], [2, 3, 8, 8]"),
    ],
    ids=["features", "numbers of things", "two"],
)
def test_what_is_no_image_by_itself_keeps_its_size(given: str, made: str) -> None:
    assert described(f"input: {given}\nthroughput: {{batch_size: 2, resize: 16}}\n")[-1] == made


def test_free_dimensions_have_their_first_size() -> None:
    text = "input: [B, 3, H, W]\nsizes: {H: [20, 8], W: [30, 8], B: [5, 6]}\nthroughput: {batch_size: 2}\n"
    assert described(text)[-1] == "[2, 3, 20, 30]"


def test_a_network_that_takes_one_batch_size_is_timed_at_that() -> None:
    assert described("input: [4, 3, 8, 8]\nthroughput: {batch_size: 64}\n")[2:] == (4, "[4, 3, 8, 8]")
    assert described("input: [N, 3]\nsizes: {N: [5, 6]}\nthroughput: {batch_size: 64}\n")[2:] == (5, "[5, 3]")


def test_several_inputs_are_described_one_by_one() -> None:
    assert described("input: [[B, 3], [T, B]]\nsizes: {T: 7}\nthroughput: {batch_size: 2}\n")[-1] == "[2, 3], [7, 2]"
    assert described("input: {a: [B, 3], b: [[B], [B, 1]]}\nthroughput: {batch_size: 2}\n")[-1] == "[2, 3], [2], [2, 1]"


def test_a_spec_does_the_work_of_another() -> None:
    work = plan_of(
        IMAGES + "throughput: {mode: inference, batch_size: 2, resize: 10, precision: bf16}\n"
    ).workload_keys()
    assert work == {"mode": "inference", "batch_size": 2, "resize": [10, 10], "precision": "bf16"}
    assert described(IMAGES, work=work) == ("inference", "bf16", 2, "[2, 3, 10, 10]")


@pytest.mark.parametrize(
    "theirs",
    [
        "throughput: {mode: inference, batch_size: 64, resize: 16, precision: bf16}\n",
        "training: {dataset: d, batch_size: 64, resize: 16, precision: bf16}\n",
    ],
    ids=["throughput", "training"],
)
def test_that_there_is_no_resize_is_work_too(theirs: str) -> None:
    ours = plan_of(IMAGES + "throughput: {batch_size: 2}\n")
    assert described(IMAGES + theirs, work=ours.workload_keys()) == tuple(ours.conditions().values())


def test_what_was_resolved_from_a_quick_recipe_is_handed_on() -> None:
    work = plan_of(QUICK, "quick").workload_keys()
    assert described(TRAINED.replace("resize: 16, ", ""), work=work) == ("train", "fp32", 4, "[4, 3, 8, 8]")


def test_how_much_slower_it_may_get_is_not_work() -> None:
    work = plan_of(IMAGES + "throughput: {max_regression: 20%}\n").workload_keys()
    assert plan_of(IMAGES + "throughput: {max_regression: 5%}\n", work=work).max_regression == 0.05


@pytest.mark.parametrize(
    ("key", "keys"),
    [
        ("precision", ("throughput", "precision")),
        ("batch_size", ("training", "quick", "batch_size")),
        ("loss", ("training", "loss")),
        ("build", ("build",)),
    ],
)
def test_a_key_is_where_it_was_written(key: str, keys: tuple[str, ...]) -> None:
    assert plan_of(QUICK + "throughput: {precision: bf16}\n", "quick").place(key) == keys

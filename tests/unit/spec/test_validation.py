"""What only the whole of a spec can tell."""

from __future__ import annotations

from typing import Any

import pytest

from archcheck.findings import Keys
from archcheck.spec.models import Spec
from archcheck.spec.validation import check_spec


def found(**keys: Any) -> list[tuple[Keys, str]]:
    return check_spec(Spec.model_validate({"build": "m:f", "input": ["B", "H"], "sizes": {"H": [8, 4]}, **keys}))


@pytest.mark.parametrize(
    ("keys", "place", "message"),
    [
        ({"training": None}, ("training",), "expected a value, found nothing; a key that says nothing is left out"),
        ({"claims": {}}, ("claims",), "expected faster_than or better_than, found no claim"),
        ({"claims": {"faster_than": []}}, ("claims", "faster_than"),
         "expected a claim, or a list of them, found an empty list"),
        ({"sizes": {}}, ("input",), "free dimension H has no sizes; expected sizes: {H: [224, 96]}"),
        ({"input": {"x": ["B", "H"], "mode": ["b"]}}, ("input", "mode"),
         "free dimension b has no sizes; expected sizes: {b: [224, 96]}, or mode: b if that is a text"),
        ({"input": [["B", "H"], ["b"]]}, ("input", 1),
         "free dimension b has no sizes; expected sizes: {b: [224, 96]}, or b if that is a text"),
        ({"input": {"x": ["B", "H"], "o": [1, ["H/2", 0.5]]}}, ("input", "o", 1, 1),
         "0.5 is no size beside the dimension H/2; for a list in which H/2 is a text write {literal: [H/2, 0.5]}"),
        ({"input": [["B", "H"], ["B", True]]}, ("input", 1, 1),
         "true is no size beside the dimension B; for a list in which B is a text write {literal: [B, true]}"),
        ({"input": [["B", "H"], {"o": ["B", None]}]}, ("input", 1, "o", 1),
         "nothing is no size beside the dimension B; for a list in which B is a text write {literal: [B, null]}"),
        ({"input": {"x": ["B", 4, 2818572288, 2818572288]}, "sizes": {}}, ("input", "x"),
         "expected an input that fits in memory, found 1e+20 numbers: [3, 4, 2818572288, 2818572288]"),
        ({"sizes": {"H": [8], "W": [8]}}, ("sizes", "W"), "unknown dimension 'W'; expected one of B, H"),
        ({"sizes": {"H": [8], "h": [8]}}, ("sizes", "h"), "unknown dimension 'h'; did you mean H?"),
        ({"input": [2, 3]}, ("sizes", "H"), "the input has no dimension H"),
        ({"sizes": {"H": [8], "B": [2]}}, ("sizes", "B"),
         "the batch is tried at two sizes at least, such as B: [2, 3]"),
        ({"output": ["B", "W"]}, ("output", 1), "unknown dimension W in W; the input has B, H"),
        ({"output": ["B", "H/3"]}, ("output", 1), "H/3 is not a whole number at H=8"),
        ({"layers": {"a": [["B"], ["H-8"]]}}, ("layers", "a", "output", 1, 0), "H-8 is 0 at H=8: expected at least 1"),
        ({"layers": {"a": {}}}, ("layers", "a"),
         "a: expected a shape such as [B, 64], or type, output or parameters"),
        ({"parameters": {}}, ("parameters",), "expected a count, or a map with total, trainable or buffers"),
        ({"training": {}}, ("training",),
         "training: expected a dataset, such as dataset: fashion-mnist, or a loop of your own"),
        ({"training": {"loop": "m:fit", "optimizer": "SGD"}}, ("training", "optimizer"),
         "optimizer: the loop decides that; leave it out"),
        ({"training": {"loop": "m:fit", "dataset": "digits", "quick": {"precision": "bf16"}}},
         ("training", "quick", "precision"), "precision: the loop decides that; leave it out"),
        ({"training": {"loop": "m:fit", "batch_size": 8}}, ("training", "batch_size"),
         "batch_size: the loop decides that, as it has data of its own; leave it out"),
        ({"training": {"loop": "m:fit", "metric": "acc"}}, ("training", "metric"),
         "metric: only `loop: lightning` takes it"),
        ({"training": {"dataset": "digits", "loop_args": {"lr": 1}}}, ("training", "loop_args"),
         "loop_args: a recipe has no use for it, only a `loop` in `training` has"),
        ({"training": {"dataset": "digits", "quick": {"loop": "m:fit"}}}, ("training", "quick", "loop"),
         "loop: a recipe has no use for it, only a `loop` in `training` has"),
        ({"training": {"loop": "lightning", "dataset": "digits", "datamodule": "m:Data"}}, ("training", "datamodule"),
         "datamodule: expected a datamodule or a dataset, not both"),
        ({"training": {"loop": "lightning", "datamodule": "m:Data", "quick": {"dataset": "digits"}}},
         ("training", "quick", "dataset"), "dataset: expected a datamodule or a dataset, not both"),
        ({"function": {"at": {"B": 2}}}, ("function",), "expected at: {H: 2}, a size of H"),
        ({"function": {"at": {"B": 2, "H": 8, "W": 8}}}, ("function", "at", "W"),
         "unknown dimension 'W'; expected one of B, H"),
        ({"function": {"input": [2], "at": {"W": 8}}}, ("function", "at", "W"), "no free dimension W"),
        ({"function": {"input": ["B", 2]}}, ("function",), "expected at: {B: 2}, a size of B"),
    ],
)  # fmt: skip
def test_what_the_whole_tells(keys: dict[str, Any], place: Keys, message: str) -> None:
    assert found(**keys) == [(place, message)]


@pytest.mark.parametrize("value", [["cubic", 0.5], {"literal": ["B", 0.5]}, [0.5, None], [["B", 3], "B"], "B"])
def test_texts_that_are_no_dimensions_are_texts(value: Any) -> None:
    assert found(input=[["B", "H"], value]) == []


@pytest.mark.parametrize(
    "training",
    [
        {"loop": "m:fit", "loop_args": {"lr": 1}, "epochs": 2, "quick": {"loop": "m:fit_fast", "epochs": 1}},
        {"loop": "m:fit", "dataset": "digits", "batch_size": 8, "normalize": True, "resize": 8},
        {"loop": "lightning", "datamodule": "m:Data", "metric": "acc", "loop_args": {"precision": 16}},
    ],
)
def test_a_loop_takes_the_place_of_a_recipe(training: dict[str, Any]) -> None:
    assert found(training=training) == []


def test_lists_of_sizes_have_one_length() -> None:
    assert found(input=["B", "H", "W"], sizes={"H": [8, 4], "W": [8]}) == [
        (("sizes",), "sizes go together, one of each at a time, so the lists need one length: H has 2, W has 1")
    ]


def test_a_sound_spec_has_no_problems() -> None:
    assert found(output=["B", "H/4"], layers={"a": ["B", "ceil(H/3)"]}, function={"at": {"B": 2, "H": 8}}) == []


def test_values_are_only_looked_at_where_every_dimension_is_known() -> None:
    assert [message for _, message in found(output=["W", "H/3"])] == ["unknown dimension W in W; the input has B, H"]

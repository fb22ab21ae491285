"""What the schema accepts of every section, and what it says of what it doesn't."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from archcheck.errors import SpecError, UsageError
from archcheck.spec.inputs import TensorInput, parse_input_option
from archcheck.spec.layer_keys import parse_layer_key
from archcheck.spec.spec_file import parse_spec

HEAD = "build: nets:net\ninput: [B, 3]\n"


def problems(text: str) -> list[str]:
    with pytest.raises(SpecError, match=r"s\.yaml:\d+: ") as caught:
        parse_spec(HEAD + text, "s.yaml")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    "text",
    [
        "health: off\n",
        "health: {allow_unused: []}\n",
        "equivalent_to: nets:other\n",
        "equivalent_to: {build: nets:other, args: {width: 2}}\n",
        "claims: {faster_than: {spec: vgg16, by: 1.5}, better_than: [{spec: a, by: 0.0}, {spec: b, by: 0.1}]}\n",
        "throughput: {max_regression: 15 %, mode: inference, min_examples_per_sec: 30, min_utilization: {cpu: 0.2}}\n",
        "throughput: {min_examples_per_sec: {cpu: 30, NVIDIA H200: 20_000}}\n",
        "training: {dataset: fashion-mnist, optimizer: SGD, scheduler: {name: StepLR, step_size: 4}, accuracy: 0.9}\n",
        "training: {dataset: {name: table, path: files.csv}, resize: [96, 96], stop_at_accuracy: false}\n",
        "training: {dataset: digits, time_budget: 2 min, init: {name: normal, std: 0.01}, normalize: true}\n",
        "training: {dataset: a:b, accuracy: 1, quick: {args: {size: 32}, input: [B, 1, 32, 32], accuracy: 0.7}}\n",
        "function: off\n",
        "function: {at: {B: 4}, output: {mean: 0.5, rms: 1, eval: 4.2, inputs: -1e3}}\n",
        "function: {input: [2, 1, 28, 28], precision: float32, train: false, gains: {3: -2}, layers: {fc: {}}}\n",
        "function: {at: {B: 4}, budget: {time: 5 s, memory: 500 MiB}, layers: {'act[1]': {eval: 1.5}}}\n",
        "macs: 12\n",
        "macs: 1.5 T\n",
        "parameters: 0\n",
        "sizes: {B: [1, 7]}\n",
    ],
)
def test_valid(text: str) -> None:
    parse_spec(HEAD + text, "s.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("health: on\n", "s.yaml:3: health: expected 'off' or a map, found 'on'"),
        ("claims: {faster_than: {spec: a}}\n", "s.yaml:3: missing key `by`"),
        ("claims: {faster_than: {spec: a, by: far}}\n", "s.yaml:3: by: expected a number, found 'far'"),
        ("training:\n  accuracy: 0.9\n", "s.yaml:3: training: expected a dataset, such as dataset: fashion-mnist"),
        ("training: {accuracy: 90}\n", "s.yaml:3: accuracy: expected a number of at most 1, found 90"),
        ("training: {precision: fp8}\n", "s.yaml:3: precision: expected 'fp32' or 'bf16', found 'fp8'"),
        ("training: {epochs: 1.5}\n", "s.yaml:3: epochs: expected a whole number, found 1.5"),
        ("training: {time_budget: soon}\n", "s.yaml:3: time_budget: expected a duration such as 60 s or 2 min"),
        ("training: {epoch: 1}\n", "s.yaml:3: unknown key 'epoch'; did you mean epochs?"),
        ("training:\n  quick:\n    lr: 1\n", "s.yaml:5: unknown key 'lr'; expected one of "),
        ("throughput: {max_regression: 0%}\n", "s.yaml:3: max_regression: expected a percentage between 0% and 100%"),
        ("throughput: {max_regression: 0.15}\n", "s.yaml:3: max_regression: expected a percentage"),
        ("throughput: {min_examples_per_sec: {cpu: 0}}\n", "s.yaml:3: cpu: expected a number greater than 0, found 0"),
        ("macs: 1.5\n", "s.yaml:3: macs: expected a count of multiply-adds such as 1.73 G or 416_520, found 1.5"),
        ("macs: 1.73 GB\n", "s.yaml:3: macs: expected a count of multiply-adds"),
        ("layers: [a, b]\n", "s.yaml:3: layers: expected a map of layer names, found a list"),
        ("layers: {a: 3}\n", "s.yaml:3: a: expected a shape such as [B, 64], or a map with type, output or parameters"),
        ("layers: {a: {}}\n", "s.yaml:3: a: expected a shape such as [B, 64], or type, output or parameters"),
        ("layers: {a: [B, -1]}\n", "s.yaml:3: a: "),
        ("layers:\n  a: [B,\n      H]\n", "s.yaml:5: unknown dimension H in H; the input has B"),
        ("parameters: {}\n", "s.yaml:3: expected a count, or a map with total, trainable or buffers"),
        ("output:\n", "s.yaml:3: output: expected a shape such as [B, 10], found nothing"),
        ("sizes: {B: [4, 4]}\n", "s.yaml:3: the batch is tried at two sizes at least, such as B: [2, 3]"),
        ("sizes: {B: []}\n", "s.yaml:3: B: expected at least one size"),
        ("args: 3\n", "s.yaml:3: args: expected a map, found 3"),
        ("name: 3\n", "s.yaml:3: name: expected text, found 3"),
    ],
)  # fmt: skip
def test_invalid(text: str, message: str) -> None:
    found = problems(text)
    assert len(found) == 1, found
    assert found[0].startswith(message)


def test_everything_wrong_is_told_in_the_order_of_the_file() -> None:
    found = problems("layers:\n  a: [B, x!]\n  b: {outputs: [B]}\n  c: [B, H]\nmacs: x\nparametres: 3\n")
    assert [int(problem.split(":")[1]) for problem in found] == [4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    ("text", "macs", "same"),
    [
        ("416_520", 416_520, True), ("416_520", 416_521, False), ("1.73 G", 1_734_890_496, True), ("2 k", 1_500, True),
        ("1.73 G", 1_735_000_001, False), ("1.73 G", 1_724_999_999, False), ("0.42M", 416_520, True),
    ],
)  # fmt: skip
def test_macs_are_equal_to_the_digits_written(text: str, macs: int, same: bool) -> None:
    written = parse_spec(f"{HEAD}macs: {text}\n").spec.macs
    assert written is not None
    assert written.matches(macs) is same


def test_macs_keep_unit_and_decimals() -> None:
    written = parse_spec(HEAD + "macs: 1.70 G\n").spec.macs
    assert written is not None
    assert written.value == Decimal(1_700_000_000)
    assert written.reformat(1_814_073_344) == "1.81 G"


def test_sizes_are_zipped_and_the_batch_goes_with_each() -> None:
    text = "build: m:f\ninput: [B, H, W]\nsizes: {H: [8, 4], W: [6, 2]}\n"
    assert parse_spec(text).spec.bindings() == [
        {"B": 2, "H": 8, "W": 6}, {"B": 3, "H": 8, "W": 6}, {"B": 2, "H": 4, "W": 2}, {"B": 3, "H": 4, "W": 2},
    ]  # fmt: skip


def test_inputs_are_positional_or_named() -> None:
    spec = parse_spec("build: m:f\ninput: [[B, 2], {shape: [B], dtype: int32, below: 7}]\n").spec
    assert spec.forward_inputs()[1].args == (TensorInput((3, 2)), TensorInput((3,), "int32", 7))
    spec = parse_spec("build: m:f\ninput: {x: [4], y: {z: [5]}}\n").spec
    assert [dict(one.kwargs) for one in spec.forward_inputs()] == [
        {"x": TensorInput((4,)), "y": {"z": TensorInput((5,))}}
    ]


@pytest.mark.parametrize(
    ("key", "name", "matches"),
    [
        ("b2.*", "b2.0", True), ("b2.*", "b2.0.conv", False), ("b2.*", "b2", False), ("b2.**", "b2.0.conv", True),
        ("**.conv", "conv", True), ("**.conv", "b2.0.conv", True), ("**.conv", "b2.deconv", False),
        ("b?.0", "b2.0", True), ("b?.0", "b.0", False), ("a.b", "axb", False), ("**", "a.b.c", True),
        ("layer*.0", "layer1.0", True),
    ],
)  # fmt: skip
def test_globs(key: str, name: str, matches: bool) -> None:
    assert parse_layer_key(key).matches(name) is matches


def test_a_call_index_is_apart_from_the_name() -> None:
    assert (parse_layer_key("act[1]").pattern, parse_layer_key("act[1]").call) == ("act", 1)
    assert (parse_layer_key("act[x]").pattern, parse_layer_key("act[x]").call) == ("act[x]", None)


@pytest.mark.parametrize(
    ("texts", "value"),
    [
        (["B,3,224,224"], ["B", 3, 224, 224]),
        (["B, 12 : int64 < 100"], {"shape": ["B", 12], "dtype": "int64", "below": 100}),
        (["B,2", "B,3:float64"], [["B", 2], {"shape": ["B", 3], "dtype": "float64"}]),
        (["a=B,2", "b=[B]"], {"a": ["B", 2], "b": ["B"]}),
    ],
)
def test_inputs_of_the_command_line(texts: list[str], value: object) -> None:
    assert parse_input_option(texts) == value


def test_inputs_of_the_command_line_are_named_all_or_none() -> None:
    with pytest.raises(UsageError, match=re.escape("inputs are named all or none")):
        parse_input_option(["a=B", "B"])

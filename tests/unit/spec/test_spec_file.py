"""What the schema accepts of every section, and what it says of what it doesn't."""

from __future__ import annotations

import pytest

from archcheck.errors import SpecError
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
        "function: {input: [2, 1, 28, 28], precision: float32, train: false}\n",
        "function: {at: {B: 4}, budget: {time: 5 s, memory: 500 MiB}}\n",
        "function: {precision: float32}\n",
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
        (
            "claims: {better_than: {spec: a, by: 5}}\n",
            "s.yaml:3: by: expected a number less than 1, found 5",
        ),
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

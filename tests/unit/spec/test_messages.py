"""Pydantic's errors in our words, at the place that they speak of."""

from __future__ import annotations

import pytest

from archcheck.errors import Problem, SourceLoc, SpecError
from archcheck.spec.messages import in_order
from archcheck.spec.spec_file import parse_spec

HEAD = "build: nets:net\ninput: [B, 3]\n"


def problem_of(text: str) -> str:
    with pytest.raises(SpecError, match=r"^s\.yaml:\d+: ") as caught:
        parse_spec(HEAD + text, "s.yaml")
    (problem,) = caught.value.problems
    return str(problem)


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ("mac: 1", "mac", "macs"),
        ("MACS: 1", "MACS", "macs"),
        ("layers: {fc: {outputs: [B]}}", "outputs", "output"),
        ("parameters: {totals: 1}", "totals", "total"),
        ("function: {budget: {tim: 2 s}}", "tim", "time"),
        ("function: {precison: float32}", "precison", "precision"),
        ("health: {allow_unusd: []}", "allow_unusd", "allow_unused"),
        ("equivalent_to: {build: m:f, arg: {}}", "arg", "args"),
        ("training: {dataset: d, calibration: {men: 1, mean: 1, std: 0, seeds: 5, device: c, torch: t, date: d}}",
         "men", "mean"),
        ("training: {dataset: d, normalize: {mean: [0.5], std: [0.5], stds: [1]}}", "stds", "std"),
        ("training: {dataset: d, quick: {epoch: 1}}", "epoch", "epochs"),
        ("training: {dataset: d, quick: {arg: {}}}", "arg", "args"),
        ("training: {dataset: d, quick: {normalize: {mean: [0.5], std: [0.5], men: [1]}}}", "men", "mean"),
        ("throughput: {max_regresion: 5%}", "max_regresion", "max_regression"),
        ("claims: {faster: {}}", "faster", "faster_than"),
        ("claims: {faster_than: [{spec: a, by: 1, bye: 1}]}", "bye", "by"),
        ("claims: {better_than: {spec: a, sed: 1}}", "sed", "seeds"),
    ],
)  # fmt: skip
def test_an_unknown_key_names_the_one_that_was_meant(text: str, key: str, meant: str) -> None:
    assert problem_of(text) == f"s.yaml:3: unknown key {key!r}; did you mean {meant}?"


def test_an_unknown_key_that_is_like_no_other_names_all_of_its_section() -> None:
    text = "training: {dataset: d, calibration: {xyz: 1, mean: 1, std: 0, seeds: 5, device: c, torch: t, date: d}}"
    assert problem_of(text) == "s.yaml:3: unknown key 'xyz'; expected one of mean, std, seeds, device, torch, date"


def test_a_section_of_one_unknown_key_tells_everything_about_it() -> None:
    with pytest.raises(SpecError, match=r"^s\.yaml:3: ") as caught:
        parse_spec(HEAD + "training: {calibration: {men: 1}}", "s.yaml")
    missing = ["mean", "std", "seeds", "device", "torch", "date"]
    assert [problem.message for problem in caught.value.problems] == [
        *(f"missing key `{name}`" for name in missing),
        "unknown key 'men'; did you mean mean?",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "training: {loop: fit}",
            "loop: expected a training loop: mytrain:fit, path/mytrain.py:fit, or lightning, found 'fit'",
        ),
        (
            "training: {loop: timm:resnet18}",
            "loop: expected a training loop: mytrain:fit, path/mytrain.py:fit, or lightning, found 'timm:resnet18'",
        ),
        ("training: {dataset: d, calibration: 3}", "calibration: expected a map, found 3"),
        ("training: {dataset: d, compile: on}", "compile: expected true or false, found 'on'"),
        ("training: {dataset: d, clip_grad_norm: 0}", "clip_grad_norm: expected a number greater than 0, found 0"),
        ("training: {dataset: d, augment: flip}", "augment: expected a list, found 'flip'"),
        ("training: {dataset: d, label_smoothing: 1}", "label_smoothing: expected a number less than 1, found 1"),
        (
            "training: {dataset: d, memory_format: x}",
            "memory_format: expected 'contiguous' or 'channels_last', found 'x'",
        ),
        ("training: {dataset: d, batch_size: 0}", "batch_size: expected a number of at least 1, found 0"),
        ("source: ''", "source: expected text, found ''"),
    ],
)
def test_a_wrong_value_says_what_was_expected(text: str, message: str) -> None:
    assert problem_of(text) == f"s.yaml:3: {message}"


def test_problems_come_in_the_order_of_the_file_and_once() -> None:
    first, second, third = (Problem(SourceLoc("a", *at), "x") for at in ((1, 1), (1, 9), (2, 1)))
    assert in_order([third, second, first, second]) == [first, second, third]

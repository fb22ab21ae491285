"""What a spec says of sizes and inputs; that every key is described."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from archcheck.spec.domains import Domain
from archcheck.spec.inputs import ForwardInput, TensorInput
from archcheck.spec.models import (
    Named,
    Section,
    Spec,
)
from archcheck.spec.spec_file import parse_spec


def sections() -> list[type[BaseModel]]:
    """Every model of a spec."""
    kinds: list[type[BaseModel]] = [Section]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return [Named, *(kind for kind in kinds if kind.__module__ == Section.__module__)]


def spec_of(text: str) -> Spec:
    return parse_spec(f"build: m:f\n{text}").spec


def test_sizes_are_zipped_and_the_batch_goes_with_each() -> None:
    text = "build: m:f\ninput: [B, H, W]\nsizes: {H: [8, 4], W: [6, 2]}\n"
    assert parse_spec(text).spec.bindings() == [
        {"B": 2, "H": 8, "W": 6}, {"B": 3, "H": 8, "W": 6}, {"B": 2, "H": 4, "W": 2}, {"B": 3, "H": 4, "W": 2},
    ]  # fmt: skip


def test_inputs_are_positional_or_named() -> None:
    spec = parse_spec("build: m:f\ninput: [[B, 2], {shape: [B], dtype: int32, below: 7}]\n").spec
    assert spec.forward_inputs()[1].args == (TensorInput((3, 2)), TensorInput((3,), "int32", Domain(below=7)))
    spec = parse_spec("build: m:f\ninput: {x: [4], y: {z: [5]}}\n").spec
    assert [dict(one.kwargs) for one in spec.forward_inputs()] == [
        {"x": TensorInput((4,)), "y": {"z": TensorInput((5,))}}
    ]


def test_without_a_free_batch_there_is_one_forward_pass() -> None:
    spec = spec_of("input: [1, 4]\n")
    assert spec.batch_sizes == ()
    assert spec.bindings() == [{}]
    assert spec.forward_inputs() == [ForwardInput((TensorInput((1, 4)),))]
    assert spec.one_example() is None


def test_one_example_has_the_first_size() -> None:
    one = spec_of("input: [B, H]\nsizes: {B: [8, 9], H: [32, 16]}\n").one_example()
    assert one == ForwardInput((TensorInput((1, 32)),), sizes={"B": 1, "H": 32})


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("layers: {fc: [B, 10]}", "layers: {fc: {output: [B, 10]}}"),
        ("parameters: 5", "parameters: {total: 5}"),
        ("equivalent_to: m:g", "equivalent_to: {build: m:g}"),
        ("training: {dataset: digits, loss: MSELoss}", "training: {dataset: {name: digits}, loss: {name: MSELoss}}"),
    ],
)
def test_short_forms_mean_the_long_ones(short: str, long: str) -> None:
    assert spec_of(f"input: [B, 3]\n{short}\n") == spec_of(f"input: [B, 3]\n{long}\n")


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.__name__)
def test_every_key_is_described(section: type[BaseModel]) -> None:
    assert [name for name, field in section.model_fields.items() if not field.description] == []

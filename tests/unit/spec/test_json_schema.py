"""The JSON Schema that is shipped for editors: made from the spec's models, and true of every spec that is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import archcheck
from archcheck.errors import SpecError
from archcheck.spec.document import parse_document, read_document
from archcheck.spec.json_schema import spec_json_schema
from archcheck.spec.spec_file import parse_spec

ROOT = Path(__file__).parents[3]
SHIPPED = Path(archcheck.__file__).parent / "schema" / "arch.schema.json"
SPECS = sorted((ROOT / "specs").glob("*.arch.yaml"))


@pytest.fixture(scope="module")
def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    schema = json.loads(SHIPPED.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def problems(validator: Any, text: str) -> list[str]:
    """Where the schema finds fault with the text of a spec."""
    return [error.json_path for error in validator.iter_errors(parse_document(text, "spec").value)]


def test_the_shipped_file_is_that_of_the_models() -> None:
    regenerate = "out of date; regenerate it: archcheck schema > archcheck/schema/arch.schema.json"
    assert json.loads(SHIPPED.read_text(encoding="utf-8")) == spec_json_schema(), regenerate


@pytest.mark.parametrize("path", SPECS, ids=[path.name for path in SPECS])
def test_every_spec_is_valid(validator: Any, path: Path) -> None:
    assert [error.message for error in validator.iter_errors(read_document(path, path.name).value)] == []


@pytest.mark.parametrize("path", SPECS, ids=[path.name for path in SPECS])
def test_every_spec_names_the_schema_for_editors(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    before, _, target = first.partition("$schema=")
    assert before == "# yaml-language-server: "
    assert (path.parent / target).resolve() == SHIPPED.resolve()


HEAD = "build: nets:small\ninput: [B, 3]\n"


@pytest.mark.parametrize(
    "text",
    [
        "layers: {fc: [B, 10], lstm: [[B, 5], [[1, B, 5], null]], b1: {type: Linear, parameters: 5}}",
        "output: {logits: [B, 10], aux: null}",
        "parameters: {total: 5, trainable: 4, buffers: 0}",
        "macs: 1.73 G",
        "sizes: {B: [1, 4]}",
        "equivalent_to: nets:other",
        "health: off",
        "training: {dataset: digits, scheduler: {name: StepLR, step_size: 4}, resize: [32, 48], time_budget: 60 s}",
        "throughput: {max_regression: 15%, min_examples_per_sec: {cpu: 30}}",
        "claims: {faster_than: [{spec: resnet34, by: 1.5}]}",
    ],
)
def test_what_a_spec_can_be_is_allowed_in_editors(validator: Any, text: str) -> None:
    parse_spec(HEAD + text + "\n")
    assert problems(validator, HEAD + text + "\n") == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("layrs: {}", "$"),
        ("name: 5", "$.name"),
        ("layers: {fc: {typ: Linear}}", "$.layers.fc"),
        ("sizes: {H: [0]}", "$.sizes.H"),
        ("parameters: lots", "$.parameters"),
        ("health: on", "$.health"),
        ("training: {precision: fp8}", "$.training"),
        ("throughput: {mode: fast}", "$.throughput"),
        ("claims: {faster_than: {spec: resnet34}}", "$.claims"),
    ],
)
def test_what_a_spec_can_not_be_is_no_more_allowed_in_editors(validator: Any, text: str, path: str) -> None:
    with pytest.raises(SpecError, match=r"^<spec>:3: "):
        parse_spec(HEAD + text + "\n")
    assert problems(validator, HEAD + text + "\n") == [path]


def test_build_and_input_are_required(validator: Any) -> None:
    assert problems(validator, "name: nothing\n") == ["$", "$"]


def test_every_section_says_what_it_is() -> None:
    schema = spec_json_schema()
    unsaid = [name for name, section in _sections(schema) if not section.get("description")]
    assert unsaid == []


def _sections(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "the spec itself", schema
    yield from schema["$defs"].items()

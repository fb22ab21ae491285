from __future__ import annotations

from pathlib import Path

import pytest

import archcheck.checks
from archcheck.checks.check import Check, Needs
from archcheck.checks.registry import CHECKS, all_checks, load_check
from archcheck.spec.models import Spec
from archcheck.spec.spec_file import parse_spec

EVERYTHING = """
build: nets:small
input: [B, 3]
layers: {fc: {type: Linear, parameters: 3}}
output: [B, 1]
parameters: 4
macs: 3
function: {at: {B: 2}}
state_dict: recorded
cost: {}
equivalent_to: nets:other
compile: fullgraph
export: {dynamic: [B]}
training: {dataset: digits}
throughput: {}
claims: {faster_than: {spec: other, by: 1.5}}
"""


@pytest.fixture
def spec() -> Spec:
    return parse_spec(EVERYTHING).spec


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_is_in_the_module_of_its_name(name: str) -> None:
    check = load_check(name)
    assert isinstance(check, Check)
    assert check.name == name
    assert type(check).__module__ == f"archcheck.checks.{name}"


def test_every_module_with_a_check_is_registered() -> None:
    folder = Path(archcheck.checks.__file__).parent
    assert {path.stem for path in folder.glob("*.py") if "\nCHECK = " in path.read_text("utf-8")} == set(CHECKS)


def test_a_spec_that_says_everything_is_asked_for_by_every_check(spec: Spec) -> None:
    places = {check.name: check.place(spec) for check in all_checks()}
    assert places == {
        "spec": ("build",), "shapes": ("layers",), "parameters": ("parameters",), "compute": ("macs",),
        "health": ("build",), "function": ("function",), "state_dict": ("state_dict",),
        "cost": ("cost",), "equivalence": ("equivalent_to",), "compile": ("compile",), "export": ("export",),
        "accuracy": ("training",), "throughput": ("throughput",),
        "claims": ("claims",),
    }  # fmt: skip


def test_a_spec_that_says_nothing_is_asked_for_by_three() -> None:
    spec = parse_spec("build: nets:small\ninput: [B, 3]").spec
    assert [check.name for check in all_checks() if check.place(spec) is not None] == ["spec", "health", "function"]


def test_only_training_and_clocks_are_left_to_pytest() -> None:
    assert [check.name for check in all_checks() if not check.needs.is_instant] == ["accuracy", "throughput", "claims"]
    assert {check.needs for check in all_checks()} == set(Needs)

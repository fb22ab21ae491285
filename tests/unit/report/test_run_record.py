"""The record of a run: JSON and back, its schema, its verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import archcheck
from archcheck.errors import UsageError
from archcheck.report.run_record import Layer, read_run, run_json_schema, run_verdict
from tests.unit.report.records import run_of, spec

SHIPPED = Path(archcheck.__file__).parent / "schema" / "report.schema.json"
FULL = run_of(
    replace(spec(shapes="failed"), layers=(Layer("conv", "Conv2d", 0, "[B, 6, 28, 28]", 156, 117_600),)),
    spec("specs/odd \udc80.arch.yaml", function="skipped"),
)


def test_a_record_survives_json_with_any_text_in_it() -> None:
    assert read_run(FULL.to_json(), "run.json") == FULL
    assert FULL.to_json().isascii()


def test_a_record_is_what_the_schema_says() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    jsonschema.Draft202012Validator(run_json_schema()).validate(json.loads(FULL.to_json()))


def test_the_schema_describes_the_fields() -> None:
    layer = run_json_schema()["$defs"]["Layer"]["properties"]
    assert layer["macs"]["description"] == "multiply-adds of one example, with those of the calls inside"


def test_the_shipped_schema_is_up_to_date() -> None:
    regenerate = "out of date; regenerate it: archcheck schema --report > archcheck/schema/report.schema.json"
    assert json.loads(SHIPPED.read_text("utf-8")) == run_json_schema(), regenerate


def test_fields_that_a_later_version_may_add_are_left_alone() -> None:
    plain = json.loads(FULL.to_json())
    plain["specs"][0]["layers"][0]["memory"] = 12
    assert read_run(json.dumps(plain), "run.json") == FULL


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "run.json: expected a report that --archcheck-report FILE.json wrote, found no JSON: "),
        ("[1]", "run.json: expected a report that --archcheck-report FILE.json wrote, found other JSON"),
        ('{"format": "archcheck-report", "version": 7}', "run.json: a report of version 7; this archcheck reads"),
        ('{"format": "archcheck-report", "version": 1}', "verdict: Field required (4 problems)"),
    ],
)
def test_what_is_no_record_is_told(text: str, problem: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_run(text, "run.json")
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("exit_status", "totals", "verdict"),
    [
        (0, {"passed": 3, "skipped": 1}, "passed"),
        (0, {"skipped": 1}, "skipped"),  # what wasn't measured is never green
        (0, {"unchanged": 4}, "passed"),
        (1, {"passed": 3}, "failed"),  # an ordinary test failed
        (2, {"passed": 3, "failed": 1}, "interrupted"),
        (3, {"passed": 3}, "error"),
        (5, {}, "skipped"),
    ],
)
def test_the_verdict_of_a_run(exit_status: int, totals: dict[str, int], verdict: str) -> None:
    assert run_verdict(exit_status, totals) == verdict

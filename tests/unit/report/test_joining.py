"""Records put together: the parts of a spec, and the runs of shards."""

from __future__ import annotations

from dataclasses import replace

from archcheck.report.joining import join_specs, merge_runs
from archcheck.report.run_record import Layer
from tests.unit.report.records import run_of, spec

LAYERS = (Layer("conv", "Conv2d", 0),)


def test_the_parts_of_a_spec_become_one_with_its_checks_in_order() -> None:
    parts = [
        replace(spec(function="passed"), layers=LAYERS, notes=("a",)),
        replace(spec(shapes="passed"), notes=("b",)),
    ]
    (whole,) = join_specs(parts, ["shapes", "function"])
    assert [check.check for check in whole.checks] == ["shapes", "function"]
    assert (whole.layers, whole.notes) == (LAYERS, ("a", "b"))


def test_the_first_layer_that_differs_is_the_first_one_of_all_checks() -> None:
    layers = tuple(Layer(name, "Linear", 0) for name in ("a", "b", "c"))
    parts = [
        replace(spec(shapes="failed"), layers=layers, first_difference="c"),
        replace(spec(function="failed"), first_difference="b"),
    ]
    assert join_specs(parts)[0].first_difference == "b"


def test_the_later_result_of_a_check_counts() -> None:
    (whole,) = join_specs([spec(shapes="failed"), spec(shapes="passed")])
    assert [check.outcome for check in whole.checks] == ["passed"]


def test_a_failure_in_one_shard_is_not_hidden_by_another() -> None:
    passed, failed = spec("a", shapes="passed"), spec("a", shapes="failed", throughput="skipped")
    for shards in ([passed, failed], [failed, passed]):
        (whole,) = merge_runs([run_of(one, exit_status=int(one.is_failing)) for one in shards]).specs
        assert [check.outcome for check in whole.checks] == ["failed", "skipped"]


def test_what_one_shard_measured_is_not_hidden_by_one_that_could_not() -> None:
    measured, skipped = spec("a", throughput="passed"), spec("a", throughput="skipped")
    for shards in ([measured, skipped], [skipped, measured]):
        assert merge_runs([run_of(one, exit_status=0) for one in shards]).totals == {"passed": 1}


def test_specs_that_fail_come_first() -> None:
    specs = join_specs([spec("a", shapes="passed"), spec("b", shapes="failed"), spec("c", shapes="failed")])
    assert [one.spec for one in specs] == ["b", "c", "a"]


def test_shards_are_one_run_of_the_gravest_verdict() -> None:
    green, red = run_of(spec("a", shapes="passed"), exit_status=0), run_of(spec("b", shapes="failed"))
    whole = merge_runs([green, red])
    assert (whole.verdict, whole.totals, len(whole.runs)) == ("failed", {"failed": 1, "passed": 1}, 2)
    assert merge_runs([green]) == green


def test_what_was_not_run_of_a_shard_is_in_the_totals() -> None:
    stopped = run_of(spec("a", shapes="failed"))
    stopped = replace(stopped, runs=(replace(stopped.runs[0], num_not_run=2, not_run={"b": ("spec", "shapes")}),))
    whole = merge_runs([stopped, run_of(spec("c", shapes="passed"), exit_status=0)])
    assert whole.totals == {"failed": 1, "passed": 1, "not_run": 2}

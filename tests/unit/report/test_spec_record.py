"""What a check found, as records of a report."""

from __future__ import annotations

from pathlib import Path

from archcheck.errors import Problem, SourceLoc
from archcheck.findings import Mismatch
from archcheck.report.markdown import format_markdown
from archcheck.report.page import format_page
from archcheck.report.run_record import CheckResult, SpecResult
from archcheck.report.spec_record import failures_of_mismatches, failures_of_problems
from archcheck.spec.lock import LOCK
from archcheck.spec.spec_file import parse_spec, read_spec
from tests.unit.report.records import run_of

SPEC = parse_spec("build: nets:net\ninput: [B, 3]\nlayers:\n  a: [B, 1]\n  b:\n    output: [B, 2]\n", "net.arch.yaml")


def test_what_is_hidden_behind_a_difference_is_told_in_reports() -> None:
    one = Mismatch(("layers", "a"), "a", "the output differs", notes=(("cause", "no relu"),), behind=("b", "c", "d"))
    failures = failures_of_mismatches(SPEC, [one], None)
    assert (failures[0].cause, failures[0].notes) == ("no relu", (("behind", "3 more: b, c, d"),))
    run = run_of(SpecResult("net.arch.yaml", checks=(CheckResult("function", "failed", failures=failures),)))
    assert "\nbehind    3 more: b, c, d\n" in format_markdown(run)
    assert "<dt>behind</dt><dd><pre>3 more: b, c, d</pre></dd>" in format_page(run)


def test_a_mismatch_of_a_row_stands_at_its_key() -> None:
    (failure,) = failures_of_mismatches(SPEC, [Mismatch(("layers", "b"), "b.weight", "gets no gradient")], None)
    assert failure.line == 5


def test_lines_of_a_lock_are_shown_only_where_they_are_wrong_themselves(tmp_path: Path) -> None:
    path = tmp_path / "net.arch.yaml"
    path.write_text("build: nets:net\ninput: [B, 3]\nlayers:\n  a: [B, 1]\n")
    function = '"function": {"at": {"B": 2},\n"layers": {"a": {"mean": 1.5},\n"b": {"mean": 2.5}},\n"output": {}}'
    (tmp_path / "net.arch.lock").write_text(f'{{"format": 1, {function}}}')
    of_a, of_b = (Mismatch((LOCK, "function", "layers", name), name, "the output differs") for name in "ab")
    with_row, without = failures_of_mismatches(read_spec(path), [of_a, of_b], None)
    assert [one.text for one in with_row.excerpt][-1] == "  a: [B, 1]"
    assert (without.file, without.line, without.excerpt) == (str(tmp_path / "net.arch.lock"), 3, ())
    problem = Problem(SourceLoc(without.file, 3, 1), "git left a conflict here")
    assert failures_of_problems(path, [problem])[0].excerpt[2].text.startswith('"b": {"mean"')

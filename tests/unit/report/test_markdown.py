"""A run as Markdown: what stands in it, and that it is cut cleanly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archcheck.report.markdown import checks_in_order, code, format_markdown
from archcheck.report.run_record import CheckResult
from tests.unit.report.records import run_of, spec


def test_the_verdict_comes_first_then_failures_then_the_table() -> None:
    text = format_markdown(run_of(spec("specs/a", shapes="passed"), spec(shapes="failed", function="passed")))
    assert text.startswith("## ❌ archcheck: failed: 1 of 2 specs\n\nChecks: 1 failed, 2 passed. 1.5 s.\n")
    assert text.index("<details><summary>✗ <code>shapes</code>") < text.index("| spec | parameters | MACs |")
    assert "| <code>specs/a</code> | 11_926 | 129 k | ✓ |  | 500 ms |" in text


def test_a_failure_shows_the_line_of_the_spec_and_what_was_found() -> None:
    text = format_markdown(run_of(spec(shapes="failed")))
    start = text.index("<pre>")
    assert text[start : text.index("</pre>", start)] == (
        "<pre>\n"
        "specs/net.arch.yaml:5: pool: output shape differs\n"
        "      4    conv: [B, 6, 28, 28]\n"
        "&gt;     5    pool: [B, 6, 12, 12]\n"
        "expected  [B, 6, 12, 12]\n"
        "actual    [B, 6, 14, 14]\n"
        "at        B=2\n"
        "cause     a stride\n"
    )


def test_skips_stand_once_for_each_reason() -> None:
    skipped = tuple(CheckResult("accuracy", "skipped", reason="no data") for _ in range(1))
    specs = [replace(spec(f"specs/{number}"), checks=skipped) for number in range(7)]
    text = format_markdown(run_of(*specs, exit_status=0))
    assert "<summary>7 not measured</summary>" in text
    assert text.count("<code>no data</code>") == 1
    assert " and 2 more\n" in text


def test_notes_stand_once_with_the_specs_that_they_are_of() -> None:
    specs = [replace(spec(f"specs/{number}"), notes=("ran on cpu", f"only {number}")) for number in range(2)]
    text = format_markdown(run_of(*specs, exit_status=0))
    assert "<details><summary>3 notes</summary>" in text
    assert "- <code>ran on cpu</code>: <code>specs/0</code>, <code>specs/1</code>\n" in text
    assert "- <code>only 1</code>: <code>specs/1</code>\n" in text
    assert "note" not in format_markdown(run_of(spec(shapes="passed"), exit_status=0))


def test_what_is_too_much_is_cut_between_failures_and_rows_and_counted() -> None:
    specs = [spec(f"specs/{number}.arch.yaml", shapes="failed") for number in range(500)]
    text = format_markdown(run_of(*specs), limit_bytes=50_000)
    assert len(text.encode()) <= 50_000
    assert text.count("<details>") == text.count("</details>")
    assert text.count("<pre>") == text.count("</pre>")
    rows = sum(line.startswith("| <code>specs/") for line in text.splitlines())
    told = text.rstrip().splitlines()[-1]
    assert told.startswith("_Left out here, as there is no more room: ")
    assert rows == 0 or f"{500 - rows} rows" in told
    in_full = text.count("<details><summary>✗")
    in_short = sum(line.startswith("- ✗") for line in text.splitlines())
    assert f"{500 - in_full - in_short} failures" in told


def test_a_summary_that_is_full_already_gets_nothing() -> None:
    assert format_markdown(run_of(spec(shapes="failed")), limit_bytes=300) == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", "<code>a&#124;b</code>"),
        ("<img src=x>", "<code>&#60;img src=x&#62;</code>"),
        ("two\n\nlines", "<code>two lines</code>"),
        ("`@team` #1 [x](y)", "<code>&#96;&#64;team&#96; &#35;1 &#91;x&#93;(y)</code>"),
        ("", ""),
    ],
)
def test_text_from_outside_means_nothing_to_markdown(text: str, shown: str) -> None:
    assert code(text) == shown


def test_columns_are_the_checks_that_some_spec_has_whatever_their_names() -> None:
    specs = [spec("a", shapes="passed", later="passed"), spec("b", shapes="passed", between="passed", later="passed")]
    assert checks_in_order(specs) == ["shapes", "between", "later"]

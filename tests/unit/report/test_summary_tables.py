"""The tables that a run ends with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archcheck.checks.outcome import CheckReport, NetworkCounts, Outcome
from archcheck.checks.registry import CHECKS
from archcheck.findings import Edit
from archcheck.report.summary_tables import (
    Room,
    Row,
    check_letters,
    format_speed_table,
    format_summary,
    format_trainings,
)
from archcheck.throughput.records import SpeedComparison, SpeedFigures, SpeedRecord
from archcheck.training.records import EpochRecord, TrainingRecord

WIDE = Room(200)
SPEED = SpeedRecord("train", "cpu", 1, "fp32", 64, 11_612.0, 0.5, 1.5e9, 6e9, 158_000_000, 0.0)


def row(*found: tuple[CheckReport, str]) -> Row:
    made = Row("specs/a.arch.yaml")
    for report, verdict in found:
        made.add(report, verdict, 0.25)
    return made


def report(check: str, **outcome: object) -> CheckReport:
    return CheckReport("specs/a.arch.yaml", "/a", check, "nets:small", Outcome(**outcome))  # type: ignore[arg-type]


def test_a_row_gathers_what_the_checks_of_a_spec_found() -> None:
    made = row(
        (report("shapes", counts=NetworkCounts(11_926, 129_360), notes=("ran on cpu",)), "passed"),
        (report("compute", counts=NetworkCounts(None, None), notes=("ran on cpu",)), "failed"),
        (report("parameters", edits=(Edit(("parameters",), 3),)), "passed"),
        (report("function"), "skipped"),
    )
    assert (made.build, made.num_params, made.macs, made.notes) == ("nets:small", 11_926, 129_360, ["ran on cpu"])
    assert made.verdicts == {"shapes": "ok", "compute": "FAILED", "parameters": "updated", "function": "skipped"}
    assert made.duration_sec == 1.0


def rows(number: int, verdict: str = "passed", prefix: str = "specs/net") -> list[Row]:
    found = []
    for i in range(number):
        name = f"{prefix}{i:03}.arch.yaml"
        found.append(Row(name))
        found[-1].add(CheckReport(name, "/a", "shapes", "nets:small"), verdict, 0.25)
    return found


def text_of(found: list[Row], room: Room = WIDE) -> list[str]:
    return [line.text for line in format_summary(found, room)]


def test_checks_are_columns_in_the_order_of_the_registry_where_there_is_room() -> None:
    lines = text_of([row((report("health"), "passed"), (report("shapes"), "failed"))])
    assert lines[0].split() == ["spec", "build", "parameters", "MACs", "shapes", "health", "time"]
    assert lines[2].split() == ["specs/a.arch.yaml", "nets:small", "-", "-", "FAILED", "ok", "500", "ms"]
    assert len(lines) == 3


def test_checks_are_marks_with_a_legend_where_there_is_none() -> None:
    one = row(
        (report("spec"), "passed"),
        (report("shapes"), "failed"),
        (report("parameters", edits=(Edit(("parameters",), 3),)), "passed"),
        (report("function"), "skipped"),
    )
    assert text_of([one], Room(70)) == [
        "spec               build       parameters  MACs  s h p f   time",
        "-----------------  ----------  ----------  ----  -------  -----",
        "specs/a.arch.yaml  nets:small           -     -  . F u s  1.0 s",
        "checks: s spec, h shapes, p parameters, f function",
        "marks:  . ok, F failed, s skipped, u updated",
    ]


def test_every_check_has_a_letter_of_its_name_and_a_mark_tells_it() -> None:
    letters = check_letters(CHECKS)
    assert len(set(letters.values())) == len(CHECKS)
    assert all(letter in check for check, letter in letters.items())
    assert letters["spec"] == "s"
    assert letters["shapes"] == "h"


def test_a_check_that_finds_all_its_letters_taken_has_another() -> None:
    assert check_letters(["ab", "ba", "aa", "bb"]) == {"ab": "a", "ba": "b", "aa": "A", "bb": "B"}


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    found = rows(3, prefix=f"specs/{'x' * 90}")
    for one in found:
        one.verdicts = dict.fromkeys(CHECKS, "ok")
    lines = text_of(found, Room(width))
    assert max(map(len, lines)) <= width
    assert [line.split()[0].removesuffix(".arch.yaml")[-3:] for line in lines[2:5]] == ["000", "001", "002"]


def test_the_build_goes_before_a_path_is_cut_short_and_figures_after() -> None:
    found = rows(1, prefix=f"specs/{'x' * 60}")
    assert text_of(found, Room(200))[0].split() == ["spec", "build", "parameters", "MACs", "shapes", "time"]
    assert text_of(found, Room(80))[0].split() == ["spec", "parameters", "MACs", "h", "time"]
    assert text_of(found, Room(55))[0].split() == ["spec", "parameters", "h", "time"]
    assert text_of(found, Room(40))[0].split() == ["spec", "h", "time"]


def test_a_log_has_whole_paths() -> None:
    found = rows(1, prefix=f"specs/{'x' * 90}")
    lines = text_of(found, Room(80, keeps_names=True))
    assert lines[0].split() == ["spec", "parameters", "MACs", "h", "time"]
    assert lines[2].startswith(f"{found[0].spec}  ")


def test_what_failed_comes_first_and_then_what_was_skipped() -> None:
    found = [*rows(1, "passed", "a"), *rows(1, "skipped", "b"), *rows(2, "failed", "c")]
    lines = format_summary(found, WIDE)
    assert [(line.text[:4], line.verdict) for line in lines[2:-1]] == [
        ("c000", "FAILED"),
        ("c001", "FAILED"),
        ("b000", "skipped"),
        ("a000", "ok"),
    ]
    assert lines[-1].text == "4 specs: 2 failed, 1 with skipped checks, 1 ok"


def test_a_spec_whose_checks_were_not_all_run_is_not_ok() -> None:
    interrupted, failed = row((report("spec"), "passed")), *rows(1, "failed")
    interrupted.mark_not_run(["shapes", "health"])
    failed.mark_not_run(["health"])
    lines = format_summary([*rows(1, prefix="a"), interrupted, failed], WIDE, num_unreached=2)
    assert [line.text.split()[-5:-2] for line in lines[2:4]] == [["FAILED", "not", "run"], ["run", "not", "run"]]
    assert [line.verdict for line in lines[2:5]] == ["FAILED", "not run", "ok"]
    assert lines[-1].text == "5 specs: 1 failed, 1 not finished, 1 ok, 2 not reached"
    assert text_of([interrupted], Room(60))[-1] == "marks:  . ok, ? not run"


def test_specs_of_which_nothing_was_run_are_counted() -> None:
    assert [line.text for line in format_summary([], WIDE, num_unreached=1)] == ["1 spec: 1 not reached"]


def test_of_many_specs_only_what_is_not_ok_is_listed() -> None:
    found = [*rows(40), *rows(1, "failed", "broken")]
    assert [line.split()[0] for line in text_of(found)[2:]] == ["broken000.arch.yaml", "41"]
    assert text_of(found)[-1] == "41 specs: 1 failed, 40 ok; -v lists all"
    assert len(text_of(found, Room(200, lists_all=True))) == 2 + 41 + 1
    assert len(text_of(found[1:])) == 2 + 40 + 1


def test_many_specs_that_are_all_ok_are_a_line() -> None:
    assert text_of(rows(41)) == ["41 specs: 41 ok; -v lists all"]


def test_all_failures_are_listed_and_skips_as_long_as_there_is_room() -> None:
    failed, skipped = rows(45, "failed", "broken"), rows(60, "skipped", "quiet")
    assert text_of([*failed, *skipped])[-2].startswith("broken044")
    assert text_of(skipped)[-2].startswith("quiet039")
    assert text_of(skipped)[-1] == "60 specs: 60 with skipped checks; skipped: 60 shapes; -v lists all"


def test_a_note_that_is_the_same_of_several_specs_is_told_once() -> None:
    found = rows(8)
    for one in found:
        one.notes = ["ran on cpu: it looks at values"]
    found[2].notes = ["MACs are without top"]
    assert text_of(found)[-2:] == [
        "specs/net000.arch.yaml, specs/net001.arch.yaml, specs/net003.arch.yaml, specs/net004.arch.yaml, "
        "specs/net005.arch.yaml, specs/net006.arch.yaml, … (7 in all): ran on cpu: it looks at values",
        "specs/net002.arch.yaml: MACs are without top",
    ]


def test_a_training_run_without_an_epoch_has_no_line() -> None:
    dead = TrainingRecord((), "quick", 0, "cpu", "fp32")
    assert format_trainings([row((report("accuracy", training=dead), "failed"))], WIDE) == []
    run = replace(dead, epochs=(EpochRecord(3, 0.41234, 0.9, 0.8, 11_612.0, 2.0),))
    trained = [row((report("accuracy", training=run), "passed"))]
    line = format_trainings(trained, WIDE)[-1]
    assert line.split() == ["specs/a.arch.yaml", "quick", "cpu", "fp32", "0", "3", "0.4123", "0.900", "0.800", "11_600"]
    assert format_trainings(trained, Room(60))[0].split() == [
        "spec", "device", "epochs", "train", "test", "examples/s"
    ]  # fmt: skip
    assert format_trainings(trained, Room(40))[0].split() == ["spec", "test", "examples/s"]


@pytest.mark.parametrize(
    ("device", "num_threads", "told"), [("cpu", 1, "cpu"), ("cpu", 2, "cpu, 2 threads"), ("Tesla T4", 8, "Tesla T4")]
)
def test_a_training_by_several_threads_says_so(device: str, num_threads: int, told: str) -> None:
    run = TrainingRecord((EpochRecord(1, 0.4, 0.9, 0.8, 100.0, 2.0),), "quick", 0, device, "fp32", num_threads)
    line = format_trainings([row((report("accuracy", training=run), "passed"))], WIDE)[-1]
    assert line.partition("quick")[2].partition("fp32")[0].strip() == told


def test_a_speed_is_told_against_what_it_was_compared_with() -> None:
    alone = format_speed_table([("a", SpeedFigures(SPEED))], WIDE)
    assert not alone[0].endswith("against")
    assert alone[-1].split()[-6:] == ["GMAC/s", "25%", "-", "158", "MB", "-"]
    compared = [("a", SpeedFigures(SPEED, SpeedComparison(1.25, "main", "not slower")))]
    assert format_speed_table(compared, WIDE)[0].endswith("against")
    assert format_speed_table(compared, WIDE)[-1].endswith("1.25x main")
    assert format_speed_table(compared, Room(43))[0].split() == ["spec", "device", "examples/s", "against"]

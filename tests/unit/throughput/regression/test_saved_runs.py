"""Saved runs as pytest-benchmark writes them, and whatever else lies in their folder; files are made by hand."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archcheck.throughput.regression.saved_runs import SavedRun, explain_absence, find_baseline, read_saved

NAME = "specs/lenet5.arch.yaml::throughput"
CONDITIONS = {
    "device": "cpu", "cpu": "Intel Xeon", "threads": 1, "torch": "2.15.0", "precision": "fp32", "mode": "train",
    "batch_size": 64, "input": "[64, 1, 28, 28]",
}  # fmt: skip
OURS = {"version": 1, "fingerprint": CONDITIONS, "reference": "AAAA", "log_ratios": [0.5, 0.25], "verdict": None}
RUN = SavedRun(
    "m/0001_x.json", "2026-11-22 08:50", "0123456", NAME, 1000.0, CONDITIONS, "AAAA", (0.5, 0.25), "not slower"
)


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def entry(fullname: str = NAME, **ours: Any) -> dict[str, Any]:
    """One benchmark of ours; `rate` is what it measured."""
    rate = ours.pop("rate", 1000.0)
    return {"fullname": fullname, "extra_info": {"examples_per_sec": rate, "archcheck": OURS | ours}}


def document(*entries: Any, **changes: Any) -> dict[str, Any]:
    commit = {"id": "0123456789abcdef", "dirty": False}
    whole = {"commit_info": commit, "benchmarks": entries, "datetime": "2026-11-22T08:50:12.345678+00:00"}
    return whole | changes


def write(value: Any, file: str = "m/0001_x.json") -> Path:
    """A file of `.benchmarks`: text and bytes as they are, anything else as JSON."""
    path = Path(".benchmarks") / file
    path.parent.mkdir(parents=True, exist_ok=True)
    content = value if isinstance(value, (str, bytes)) else json.dumps(value, indent=4)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read() -> tuple[list[SavedRun], list[str]]:
    return read_saved(Path(".benchmarks"), lambda fullname: fullname == NAME)


def only_problem() -> str:
    runs, (problem,) = read()
    assert runs == []
    return problem


# ------------------------------------------------------------------------------------------- reading


def test_a_run_is_read_with_everything_that_was_saved() -> None:
    write(document(entry()))
    ((run,), problems) = read()
    assert run == SavedRun(
        file=".benchmarks/m/0001_x.json",
        date="2026-11-22 08:50",
        commit="0123456",
        fullname=NAME,
        examples_per_sec=1000.0,
        conditions=CONDITIONS,
        reference="AAAA",
        log_ratios=(0.5, 0.25),
        verdict=None,
    )
    assert problems == []


def test_a_missing_folder_holds_nothing() -> None:
    assert read() == ([], [])


def test_the_oldest_run_comes_first_by_number_whatever_the_clock_said() -> None:
    dates = {"b/0002_x.json": "2020-01-01T00:00:00", "a/0010_x.json": "2019-01-01T00:00:00",
             "0001_y.json": "2022-01-01T00:00:00", "b/0001_x.json": "2023-01-01T00:00:00"}  # fmt: skip
    for file, date in dates.items():
        write(document(entry(), datetime=date), file)
    names = ["b/0001_x.json", "0001_y.json", "b/0002_x.json", "a/0010_x.json"]
    assert [run.file for run in read()[0]] == [f".benchmarks/{name}" for name in names]


def test_an_absolute_folder_is_shown_from_the_current_one() -> None:
    write(document(entry()))
    ((run,), _) = read_saved(Path.cwd() / ".benchmarks", lambda _: True)
    assert run.file == ".benchmarks/m/0001_x.json"


def test_files_elsewhere_or_of_other_names_are_none_of_ours() -> None:
    for file in ("m/n/0001_x.json", "m/x.json", "m/0001_x.txt", "m/.0001_x.json.tmp", "m/0001.json"):
        write("[", file)
    assert read() == ([], [])


@pytest.mark.parametrize(
    ("info", "commit"),
    [
        ({"id": "0123456789abcdef", "dirty": True}, "0123456+"),
        ({"id": "unversioned", "dirty": False}, "-"),
        ({"id": "unknown", "dirty": True}, "-"),
        ({"id": "a\nb", "dirty": False}, "-"),
        ({"id": 7}, "-"),
        (None, "-"),
    ],
)
def test_the_commit_is_short_and_never_a_reason_to_refuse(info: Any, commit: str) -> None:
    write(document(entry(), commit_info=info))
    assert [run.commit for run in read()[0]] == [commit]


def test_other_tests_in_a_file_are_left_out() -> None:
    others = [{"fullname": "tests/test_a.py::test_a", "extra_info": {}}, {"fullname": NAME, "extra_info": {}}]
    write(document(*others, entry("specs/vgg.arch.yaml::throughput", version=9), entry()))
    runs, problems = read()
    assert ([run.fullname for run in runs], problems) == ([NAME], [])


def test_a_file_without_ours_is_not_even_parsed() -> None:
    write('{"benchmarks": [this would be told, were it parsed]}')
    assert read() == ([], [])


def test_a_broken_benchmark_is_told_and_the_others_of_its_file_serve() -> None:
    write(document(entry(log_ratios=3), entry()))
    (runs, problems) = read()
    assert len(runs) == 1
    assert problems == [f".benchmarks/m/0001_x.json: {NAME}: log_ratios: expected a list, found 3"]


@pytest.mark.parametrize(
    ("ours", "message"),
    [
        ({"version": 2}, "saved by another version of archcheck: expected 1, found 2"),
        ({"version": None}, "saved by another version of archcheck: expected 1, found nothing"),
        ({"fingerprint": None}, "fingerprint: expected a map, found nothing"),
        ({"fingerprint": {"torch": [2]}}, "fingerprint: torch: expected text or a number, found a list"),
        ({"fingerprint": {"threads": float("nan")}}, "fingerprint: threads: expected a number, found nan"),
        ({"reference": 5}, "reference: expected text, found 5"),
        ({"log_ratios": {"a": 1}}, "log_ratios: expected a list, found a map"),
        ({"log_ratios": ["0.1"]}, "log_ratios: expected a number, found '0.1'"),
        ({"log_ratios": [True]}, "log_ratios: expected a number, found true"),
        ({"log_ratios": [float("inf")]}, "log_ratios: expected a number, found inf"),
        ({"log_ratios": [800.0]}, "log_ratios: expected the logarithm of a ratio, found 800"),
        ({"verdict": "fast"}, "verdict: expected one of not slower, slower, can't tell, found 'fast'"),
        ({"verdict": []}, "verdict: expected one of not slower, slower, can't tell, found an empty list"),
        ({"rate": None}, "examples_per_sec: expected a number, found nothing"),
        ({"rate": float("nan")}, "examples_per_sec: expected a number, found nan"),
        ({"rate": 10**400}, f"examples_per_sec: expected a number, found 1{'0' * 58}…"),
        ({"rate": -1.5}, "examples_per_sec: expected a number greater than 0, found -1.5"),
        ({"rate": 0}, "examples_per_sec: expected a number greater than 0, found 0"),
    ],
)
def test_what_is_wrong_with_our_own_data_is_told(ours: dict[str, Any], message: str) -> None:
    write(document(entry(**ours)))
    assert only_problem() == f".benchmarks/m/0001_x.json: {NAME}: {message}"


@pytest.mark.parametrize("info", [[], None, "text"])
def test_extra_info_that_is_no_map_is_told(info: Any) -> None:
    write(document({"fullname": NAME, "extra_info": info, "by": "archcheck"}))
    assert f"{NAME}: extra_info: expected a map, found " in only_problem()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("[1, 2]", "the file: expected a map, found a list"),
        ("7", "the file: expected a map, found 7"),
        ("{}", "benchmarks: expected a list, found nothing"),
        ('{"benchmarks": 3, "a": "archcheck"}', "benchmarks: expected a list, found 3"),
        ('{"benchmarks": [3], "a": "archcheck"}', "benchmarks: expected a map, found 3"),
        ('{"benchmarks": [{}], "a": "archcheck"}', "fullname: expected text, found nothing"),
        ('{"benchmarks": [], "a": "archcheck"}', "datetime: expected text, found nothing"),
        ('{"benchmarks": [], "datetime": "archcheck"}', "datetime: expected a date and time, found 'archcheck'"),
        ("[" * 100_000, "nested too deeply"),
        (b'{"a": "\xff"}', "not UTF-8"),
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_one_line(content: str | bytes, reason: str) -> None:
    write(content)
    assert only_problem() == f".benchmarks/m/0001_x.json: not a saved run of pytest-benchmark: {reason}"


def test_half_a_file_is_told() -> None:
    write(json.dumps(document(entry()), indent=4)[:300])
    message = ".benchmarks/m/0001_x.json: not a saved run of pytest-benchmark: not JSON: "
    assert only_problem().startswith(message)


def test_half_a_file_that_never_got_to_ours_is_told() -> None:
    write('{\n    "commit_info": {"id": "01234"')
    assert "not JSON: Expecting ',' delimiter" in only_problem()


def test_a_folder_by_such_a_name_is_told() -> None:
    (Path(".benchmarks") / "0001_x.json").mkdir(parents=True)
    assert only_problem() == ".benchmarks/0001_x.json: not a saved run of pytest-benchmark: not a file"


def test_a_pipe_by_such_a_name_is_not_waited_for() -> None:
    Path(".benchmarks").mkdir()
    os.mkfifo(".benchmarks/0001_x.json")
    assert only_problem() == ".benchmarks/0001_x.json: not a saved run of pytest-benchmark: not a file"


def test_a_link_to_nowhere_is_told() -> None:
    Path(".benchmarks").mkdir()
    Path(".benchmarks/0001_x.json").symlink_to("nowhere")
    assert only_problem() == ".benchmarks/0001_x.json: can't be read: No such file or directory"


def test_a_huge_file_is_not_read() -> None:
    os.truncate(write(document(entry())), 64 * 2**20 + 1)
    assert only_problem() == ".benchmarks/m/0001_x.json: not a saved run of pytest-benchmark: over 64 MiB"


def test_a_file_s_name_never_breaks_a_line() -> None:
    write("[", "m/0001_a\nb.json")
    assert only_problem().startswith(r"'.benchmarks/m/0001_a\nb.json': not a saved run")


# ------------------------------------------------------------------------------------------- the one to compare with


def run(number: int = 1, conditions: Mapping[str, Any] | None = None, **changes: Any) -> SavedRun:
    return replace(RUN, file=f"m/000{number}_x.json", conditions=CONDITIONS | dict(conditions or {}), **changes)


def test_the_last_run_of_the_same_conditions_is_compared_with() -> None:
    runs = [run(1), run(2), run(3, {"torch": "2.14.0"})]
    assert find_baseline(runs, CONDITIONS) == runs[1]


@pytest.mark.parametrize("verdict", [None, "can't tell", "not slower"])
def test_a_run_that_did_not_fail_is_a_measure(verdict: str | None) -> None:
    runs = [run(1), run(2, verdict=verdict)]
    assert find_baseline(runs, CONDITIONS) == runs[1]


@pytest.mark.parametrize("changes", [{"verdict": "slower"}, {"reference": None}, {"log_ratios": ()}])
def test_a_run_that_failed_or_was_not_measured_is_none(changes: dict[str, Any]) -> None:
    runs = [run(1), run(2, **changes)]
    assert find_baseline(runs, CONDITIONS) == runs[0]
    assert find_baseline(runs[1:], CONDITIONS) is None


def test_no_run_at_all_is_explained() -> None:
    assert explain_absence([], CONDITIONS) == "no saved run of this spec; save one with --benchmark-autosave"


def test_the_nearest_run_is_told_with_what_differs() -> None:
    runs = [run(1, {"torch": "2.14.0", "threads": 2}), run(2, {"torch": "2.13.0"}), run(3, {"torch": "2.14.0"}),
            run(4, {"torch": "2.14.0", "threads": 2})]  # fmt: skip
    message = "the saved runs differ: 0003_x.json has torch 2.14.0, not 2.15.0"
    assert explain_absence(runs, CONDITIONS) == message


def test_three_differences_are_told_and_the_rest_counted() -> None:
    others = {"device": "cuda", "cpu": None, "threads": 8, "batch_size": 1, "driver": "570"}
    message = "0001_x.json has device cuda, not cpu; cpu none, not Intel Xeon; threads 8, not 1; and 2 more"
    assert explain_absence([run(1, others)], CONDITIONS) == f"the saved runs differ: {message}"


def test_a_difference_never_breaks_the_line() -> None:
    message = r"the saved runs differ: 0001_x.json has torch 'a\nb', not 2.15.0"
    assert explain_absence([run(1, {"torch": "a\nb"})], CONDITIONS) == message


def test_runs_that_are_no_measure_are_counted() -> None:
    runs = [run(1, verdict="slower"), run(2, reference=None), run(3, verdict="slower"), run(4, {"torch": "2"})]
    message = "the saved runs like this one are no measure: 2 slower, 1 without a reference"
    assert explain_absence(runs, CONDITIONS) == message

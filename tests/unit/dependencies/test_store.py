"""What is kept of runs, and its comparison with what is there now."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archcheck.dependencies.conditions import MACHINE, THREADS
from archcheck.dependencies.facts import Surroundings, file_fact
from archcheck.dependencies.store import Comparison, Green, SpecRecord, Store, read_store, write_store

CONDITIONS = {"Python": "3.11", MACHINE: "one"}


def green(path: Path, value: str, at: str = "2026-01-01 00:00") -> Green:
    return Green(((file_fact(str(path)), value),), CONDITIONS, at)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    spec = tmp_path / "a.arch.yaml"
    record = SpecRecord("abc", [("spec", 1), ("shapes", 4)], {"shapes": green(spec, "abc")}, "nets:a", 7, None, ["odd"])
    write_store(tmp_path / "kept" / "unchanged.json", Store({str(spec): record}, {"big": ([1, 2], "def")}))
    found = read_store(tmp_path / "kept" / "unchanged.json")
    assert found == Store({str(spec): record}, {"big": ([1, 2], "def")})


def test_what_many_share_is_written_once(tmp_path: Path) -> None:
    same = green(tmp_path, "folder")
    specs = {str(number): SpecRecord(green={"spec": same, "shapes": same}) for number in range(50)}
    text = json.dumps(Store(specs).to_plain())
    assert text.count("folder") == text.count("3.11") == 1


def test_a_later_run_replaces_what_it_ran_and_keeps_the_rest(tmp_path: Path) -> None:
    checks = [("spec", 1), ("shapes", 2), ("compute", 3)]
    old = {name: green(tmp_path, "old") for name, _ in [*checks, ("gone", 4)]}
    new = {"spec": green(tmp_path, "new")}
    store = Store({"a": SpecRecord(checks=[*checks, ("gone", 4)], green=old, num_params=3)})
    store.merge(Store({"a": SpecRecord(checks=checks, green=new)}, ran=[("a", "spec"), ("a", "shapes")]))
    assert store.specs["a"].green == {"spec": new["spec"], "compute": old["compute"]}
    assert store.specs["a"].num_params == 3


def test_specs_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    store = Store({str(tmp_path / name): SpecRecord() for name in ("there", "gone")})
    store.forget_absent()
    assert list(store.specs) == [str(tmp_path / "there")]


def test_the_first_difference_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("a")
    surroundings = Surroundings([])
    known = green(file, surroundings.value(file_fact(str(file))))
    comparison = Comparison(surroundings, CONDITIONS)
    assert comparison.difference(known, is_measured=True) is None
    assert comparison.difference(green(file, "b"), is_measured=False) == str(file)
    other = Comparison(surroundings, {"Python": "3.12", MACHINE: "one"})
    assert other.difference(known, is_measured=False) == "Python"


@pytest.mark.parametrize("name", [MACHINE, THREADS])
def test_processor_and_threads_count_for_what_is_measured(name: str, tmp_path: Path) -> None:
    comparison = Comparison(Surroundings([]), {**CONDITIONS, name: "another"})
    known = green(tmp_path, "folder")
    assert comparison.difference(known, is_measured=False) is None
    assert comparison.difference(known, is_measured=True) == name

"""pytest-benchmark's folder under our saving: whole files, own numbers, and no end to the session."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_benchmark.storage.file import FileStorage

from archcheck.throughput.regression import benchmark_storage
from archcheck.throughput.regression.benchmark_storage import write_files_atomically

RUN = {"benchmarks": [], "datetime": "2026-11-22T08:50:12+00:00"}


class FakeLogger:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, text: str, **kwargs: Any) -> None:
        self.lines.append(text)

    warning = info


class Saving:
    """A session of pytest-benchmark with a storage in a folder, as archcheck lets it write."""

    def __init__(self, folder: str = ".benchmarks", machine: str | None = "machine") -> None:
        self.storage: Any = FileStorage(folder, FakeLogger(), machine)  # type: ignore[no-untyped-call]
        self.logger = FakeLogger()
        self.json = "out.json"
        self.save_json: Callable[[object], None]  # which pytest-benchmark calls with the content
        self.problems = write_files_atomically(self)
        self.save: Callable[[object, str], None] = self.storage.save


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Saving:
    monkeypatch.chdir(tmp_path)
    return Saving()


def names(folder: str = ".benchmarks/machine") -> list[str]:
    """Everything there, hidden files as well."""
    return sorted(path.name for path in Path(folder).iterdir())


@contextmanager
def files_of_at_most(num_bytes: int) -> Iterator[None]:
    """What a full disk does, as far as one process goes: a write stops short and the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_run_is_saved_as_pytest_benchmark_would(storage: Saving, tmp_path: Path) -> None:
    storage.save(RUN, "x")
    plain = FileStorage("plain", FakeLogger(), "machine")  # type: ignore[no-untyped-call]
    plain.save(RUN, "x")  # type: ignore[no-untyped-call]
    assert names() == ["0001_x.json"]
    assert Path(".benchmarks/machine/0001_x.json").read_bytes() == Path("plain/machine/0001_x.json").read_bytes()
    assert storage.storage.logger.lines == [
        f"Saved benchmark data in: {tmp_path.resolve()}/.benchmarks/machine/0001_x.json"
    ]
    assert storage.problems == []


def test_pytest_benchmark_loads_what_was_saved(storage: Saving) -> None:
    storage.save(RUN, "x")
    assert list(storage.storage.load()) == [(Path("machine/0001_x.json"), RUN)]


def test_numbers_go_on(storage: Saving) -> None:
    for name in ("a", "c", "b"):
        storage.save(RUN, name)
    assert names() == ["0001_a.json", "0002_c.json", "0003_b.json"]


def test_without_a_machine_s_folder_it_is_saved_in_the_storage_itself(storage: Saving) -> None:
    Saving(machine=None).save(RUN, "x")
    assert names(".benchmarks") == ["0001_x.json"]


def test_names_without_a_number_count_for_nothing(storage: Saving) -> None:
    storage.save(RUN, "a")
    for name in ("abcd_x.json", "00x1_x.json", "12_x.json"):
        Path(".benchmarks/machine", name).write_text("{}")
    Path("[0-9][0-9][0-9][0-9]_*").touch()  # taken for a saved run by pytest-benchmark
    storage.save(RUN, "b")
    assert "0002_b.json" in names()


def test_numbers_go_on_after_four_digits(storage: Saving) -> None:
    Path(".benchmarks/machine").mkdir()
    for name in ("9999_x.json", "10000_x.json"):
        Path(".benchmarks/machine", name).write_text("{}")
    storage.save(RUN, "x")
    assert names() == ["10000_x.json", "10001_x.json", "9999_x.json"]


def test_a_number_taken_meanwhile_is_not_taken_again(storage: Saving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        benchmark_storage, "_next_number", lambda storage: 1
    )  # looked up before the other process saved
    for _ in range(2):
        storage.save(RUN, "x")
    storage.save(RUN, "y")
    assert names() == ["0001_x.json", "0002_x.json", "0003_y.json"]


def save_some(folder: str) -> list[str]:
    storage = Saving(folder)
    for number in range(20):
        storage.save({"number": number}, "x")
    return storage.problems


def test_two_processes_save_side_by_side(storage: Saving) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(save_some, [".benchmarks"] * 2)) == [[], []]
    assert names() == [f"{number:04}_x.json" for number in range(1, 41)]
    numbers = [json.loads(Path(".benchmarks/machine", name).read_text())["number"] for name in names()]
    assert sorted(numbers) == sorted([*range(20), *range(20)])


def test_a_full_disk_leaves_no_half_file_and_one_line(storage: Saving) -> None:
    with files_of_at_most(10):
        storage.save(RUN, "x")
    assert storage.problems == [".benchmarks/machine/0001_x.json: not saved: File too large"]
    assert (names(), storage.storage.logger.lines) == ([], [])


def test_a_folder_that_cannot_be_made_is_one_line(storage: Saving) -> None:
    Path(".benchmarks/machine").touch()
    storage.save(RUN, "x")
    assert storage.problems == [".benchmarks/machine/0001_x.json: not saved: File exists"]


def test_a_name_too_long_is_one_line(storage: Saving) -> None:
    storage.save(RUN, "x" * 250)
    assert storage.problems == [f".benchmarks/machine/0001_{'x' * 250}.json: not saved: File name too long"]
    assert names() == []


def test_the_json_file_is_written_as_pytest_benchmark_would(storage: Saving) -> None:
    storage.save_json(RUN)
    assert Path("out.json").read_bytes() == json.dumps(RUN, indent=4).encode()
    assert storage.logger.lines == ["Wrote benchmark data in: out.json"]
    assert storage.problems == []


def test_a_json_file_that_cannot_be_written_is_one_line(storage: Saving) -> None:
    storage.json = "nowhere/out.json"
    storage.save_json(RUN)
    assert storage.problems == ["nowhere/out.json: not written: No such file or directory"]
    assert storage.logger.lines == []


def test_other_storages_are_left_alone() -> None:
    session = SimpleNamespace(storage="elasticsearch")
    write_files_atomically(session)
    assert session.storage == "elasticsearch"

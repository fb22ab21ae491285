"""The processors of this process, and its threads: as many as pay, asleep where archcheck starts torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from archcheck.system import processors
from archcheck.system.processors import cpu_share, fitting_threads, num_cpus

POLICIES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
TELL = "import json, os, sys; print(json.dumps({k: v for k, v in os.environ.items() if k in sys.argv[1:]}))"
SPEC = "build: torch.nn:ReLU\ninput: [B, 3]\nfunction: off\n"


def policies_after(code: str, **given: str) -> dict[str, str]:
    """Return what the environment says of waiting at the end of some code, in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name not in POLICIES}
    command = [sys.executable, "-c", f"{code}; {TELL}", *POLICIES]
    done = subprocess.run(command, env=environment | given, capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


YIELD = "from archcheck.system.processors import let_waiting_threads_yield as f; f()"
ASLEEP = {"GOMP_SPINCOUNT": "5000"}


def test_waiting_threads_sleep() -> None:
    assert policies_after(YIELD) == ASLEEP


@pytest.mark.parametrize("name", POLICIES)
def test_who_has_decided_has_decided(name: str) -> None:
    assert policies_after(YIELD, **{name: "5"}) == {name: "5"}


def test_it_is_too_late_once_torch_is_loaded() -> None:
    assert policies_after(f"import sys; sys.modules['torch'] = sys; {YIELD}") == {}


@pytest.mark.parametrize(("options", "expected"), [(["--archcheck", "specs"], ASLEEP), (["test_one.py"], {})])
def test_only_a_run_that_verifies_specs_decides(tmp_path: Path, options: list[str], expected: dict[str, str]) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "a.arch.yaml").write_text(SPEC)
    (tmp_path / "test_one.py").write_text("def test_one(): pass\n")
    code = f"import os, pytest; os.chdir({str(tmp_path)!r}); pytest.main(['-q', '--collect-only', *{options!r}])"
    assert policies_after(code) == expected


def test_it_is_decided_before_a_conftest_imports_torch(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "a.arch.yaml").write_text(SPEC)
    (tmp_path / "conftest.py").write_text("import sys\nsys.modules['torch'] = sys\n")
    code = f"import os, pytest; os.chdir({str(tmp_path)!r}); pytest.main(['-q', '--collect-only', '--archcheck'])"
    assert policies_after(code) == ASLEEP


def test_the_command_line_decides() -> None:
    code = "import contextlib, io; from archcheck.cli.command_line import main\n"
    assert policies_after(f"{code}with contextlib.redirect_stdout(io.StringIO()): main(['schema'])\nprint()") == ASLEEP


def test_processors_that_the_process_may_not_use_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert num_cpus() == 3


@pytest.mark.parametrize(("count", "expected"), [(8, 8), (None, 1)])
def test_a_system_without_affinity_counts_all_and_one_at_least(
    count: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert num_cpus() == expected


# ------------------------------------------------------------------------------------------- as many as pay

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("work", "anywhere", "alone"),
    [
        (0, [1, 1, 1, 1], [1, 1, 1, 1]),
        (7 * MILLION, [1, 1, 1, 1], [1, 1, 1, 1]),  # a multilayer perceptron, where two gain little on whole cores
        (10 * MILLION, [1, 1, 1, 1], [2, 2, 2, 2]),  # LeNet and narrow ResNets: half as long there, or twice as long
        (32 * MILLION, [1, 1, 1, 1], [2, 4, 7, 7]),
        (143 * MILLION, [2, 4, 8, 8], [2, 4, 8, 34]),  # AlexNet on 65 pixels, where two were faster anywhere
        (4_000 * MILLION, [2, 4, 8, 64], [2, 4, 8, 64]),
    ],
)
def test_a_thread_is_for_so_much_work_of_an_operation(
    work: int, anywhere: list[int], alone: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "5000")
    assert [fitting_threads(work, allowed) for allowed in (2, 4, 8, 64)] == list(zip(anywhere, alone, strict=True))
    assert fitting_threads(work, 1) == (1, 1)


def test_threads_that_spin_have_to_be_worth_more(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in POLICIES:
        monkeypatch.delenv(name, raising=False)
    assert [fitting_threads(work * MILLION, 2) for work in (143, 400, 600)] == [(1, 1), (1, 1), (2, 2)]


@pytest.mark.parametrize("name", POLICIES)
def test_whoever_has_decided_how_threads_wait_gets_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in POLICIES:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "1")
    assert fitting_threads(143 * MILLION, 2) == (2, 2)


@pytest.mark.parametrize(
    ("workers", "expected"), [(None, 8), ("", 8), ("0", 8), ("many", 8), ("1", 8), ("2", 4), ("3", 2), ("20", 1)]
)
def test_workers_of_xdist_share_the_processors(
    workers: str | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processors, "num_cpus", lambda: 8)
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    if workers is not None:
        monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", workers)
    assert cpu_share() == expected

"""The memory that a process may still take, by files as the kernel writes them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from archcheck.system import memory
from archcheck.system.memory import available_bytes

HOST = {"proc/meminfo": "MemTotal: 9000 kB\nMemFree: 7 kB\nMemAvailable:    5000 kB\n"}
V2 = {
    "cgroup/memory.max": "1000000\n",
    "cgroup/memory.current": "500000\n",
    "cgroup/memory.stat": "anon 7\ninactive_file 100000\n",
}
V1 = {
    "cgroup/memory/memory.limit_in_bytes": "2000000\n",
    "cgroup/memory/memory.usage_in_bytes": "500000\n",
    "cgroup/memory/memory.stat": "inactive_file 3\ntotal_inactive_file 200000\n",
}


@pytest.fixture(autouse=True)
def _kernel_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "proc/meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path / "cgroup")


def available_with(folder: Path, files: dict[str, str]) -> int | None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return available_bytes()


def test_without_a_cgroup_it_is_the_hosts(tmp_path: Path) -> None:
    assert available_with(tmp_path, HOST) == 5000 * 1024


def test_a_cgroup_of_version_2_leaves_its_limit_less_what_is_used_and_not_cached(tmp_path: Path) -> None:
    assert available_with(tmp_path, HOST | V2) == 1_000_000 - (500_000 - 100_000)


def test_a_cgroup_of_version_1_does_so_too(tmp_path: Path) -> None:
    assert available_with(tmp_path, HOST | V1) == 2_000_000 - (500_000 - 200_000)


def test_a_limit_above_what_the_host_has_left_changes_nothing(tmp_path: Path) -> None:
    assert available_with(tmp_path, HOST | V2 | {"cgroup/memory.max": "2000000000\n"}) == 5000 * 1024


def test_a_cgroup_without_a_limit_changes_nothing(tmp_path: Path) -> None:
    assert available_with(tmp_path, HOST | V2 | {"cgroup/memory.max": "max\n"}) == 5000 * 1024


def test_a_cgroup_above_its_limit_leaves_nothing(tmp_path: Path) -> None:
    assert available_with(tmp_path, HOST | V2 | {"cgroup/memory.current": "1200000\n"}) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="has no sysconf")
def test_without_meminfo_it_is_the_free_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = {"SC_AVPHYS_PAGES": 3, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    assert available_bytes() == 12_288


@pytest.mark.skipif(sys.platform == "win32", reason="has no sysconf")
def test_a_system_that_does_not_tell_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def sysconf(name: str) -> int:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "sysconf", sysconf)
    assert available_bytes() is None


def test_meminfo_of_another_form_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", lambda name: 2)
    assert available_with(tmp_path, {"proc/meminfo": "MemAvailable: many kB\n"}) == 4


# ----------------------------------------------------------------------------------------- what has been freed

HOLD = """
import os, sys
from pathlib import Path
from archcheck.system import memory
def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
DO
before = held()
blocks = [bytearray(8 << 20) for _ in range(20)]
del blocks
kept = held() - before
memory.give_back_freed_memory()
print(kept > 100, held() - before < 50)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
@pytest.mark.parametrize(
    ("does", "given", "kept"),
    [
        ("memory.keep_freed_memory()", {}, True),
        ("", {}, False),
        ("memory.keep_freed_memory()", {"MALLOC_ARENA_MAX": "4"}, False),
    ],
    ids=["told to", "by itself", "where the user has decided"],
)
def test_freed_memory_is_kept_until_it_is_given_back(does: str, given: dict[str, str], kept: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", HOLD.replace("DO", does)]
    done = subprocess.run(command, env=environment | given, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(kept), "True"]


def test_no_more_is_given_back_than_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    trimmed: list[int] = []
    monkeypatch.setattr(memory, "_function_of_libc", lambda name: trimmed.append)
    monkeypatch.setattr(memory, "_resident_bytes", lambda: 1 << 30)
    memory.give_back_freed_memory(2 << 30)
    assert trimmed == []
    memory.give_back_freed_memory(1 << 29)
    assert trimmed == [0]

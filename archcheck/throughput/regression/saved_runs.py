"""The runs of archcheck in the files that pytest-benchmark saved, and the one to compare with."""

from __future__ import annotations

import json
import re
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from archcheck.text.paths import path_below
from archcheck.text.words import clip, key_text, shown

VERSION = 1
SLOWER = "slower"
VERDICTS = (None, "not slower", SLOWER, "can't tell")
MAX_BYTES = 64 * 2**20
MAX_LOG = 100.0  # of a ratio of times: no measurement is beyond it, and its exponential may overflow
DIFFERENCES_AT_MOST = 3


@dataclass(frozen=True, slots=True)
class SavedRun:
    """One spec's measurement in one saved file.

    file: the path as messages show it.
    date: to the minute, as the file gives it (pytest-benchmark's is UTC).
    commit: its first 7 characters, with a `+` where there were changes on top; `-` where it isn't known.
    conditions: what has to be equal for two runs to be comparable; files call it `fingerprint`.
    reference: the reference workload, as text; None where the run wasn't measured against one.
    log_ratios: logarithms of a step's time over the reference's, one per process.
    """

    file: str
    date: str
    commit: str
    fullname: str
    examples_per_sec: float
    conditions: Mapping[str, Any]
    reference: str | None
    log_ratios: tuple[float, ...]
    verdict: str | None

    @property
    def is_baseline_candidate(self) -> bool:
        """Whether later runs may be compared with this one; one that failed the gate would lower the bar."""
        return bool(self.reference and self.log_ratios) and self.verdict != SLOWER


def read_saved(folder: Path, is_wanted: Callable[[str], bool]) -> tuple[list[SavedRun], list[str]]:
    """Read the wanted runs in a folder and its folders, oldest first; with a line for each that can't be used.

    is_wanted: whether the benchmark of a full name is wanted.
    """
    runs: list[SavedRun] = []
    problems: list[str] = []
    try:
        paths = _saved_files(folder)
    except OSError as error:
        return [], [f"{path_below(folder)}: can't be read: {error.strerror or error}"]
    for path in paths:
        file = path_below(path)
        try:
            for found in _parse_file(file, _content(path), is_wanted):
                if isinstance(found, SavedRun):
                    runs.append(found)
                else:
                    problems.append(found)
        except OSError as error:
            problems.append(f"{file}: can't be read: {error.strerror or error}")
        except (ValueError, RecursionError) as error:
            problems.append(f"{file}: not a saved run of pytest-benchmark: {_reason(error)}")
    return runs, problems


def _saved_files(folder: Path) -> list[Path]:
    """List the files of runs in the order of their numbers, as clocks may jump."""
    pattern = "[0-9]*_*.json"
    return sorted([*folder.glob(pattern), *folder.glob(f"*/{pattern}")], key=_file_order)


def _file_order(path: Path) -> tuple[int, str, str]:
    number = re.match("[0-9]+", path.name)
    return int(number[0]) if number else 0, path.name, str(path.parent)


def _content(path: Path) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a file")  # opening a pipe would wait for ever
    if status.st_size > MAX_BYTES:
        raise ValueError(f"over {MAX_BYTES // 2**20} MiB")
    return path.read_bytes()


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return f"not JSON: {error}" if isinstance(error, json.JSONDecodeError) else str(error)


# ------------------------------------------------------------------------------------------- one file


def _parse_file(file: str, content: bytes, is_wanted: Callable[[str], bool]) -> Iterator[SavedRun | str]:
    """Yield the wanted runs of a file, and a line for each of them that can't be used.

    Raises:
        ValueError, RecursionError: the file as a whole isn't what pytest-benchmark writes.
    """
    if _is_whole_without_ours(content):
        return
    saved = _expect(json.loads(content.decode()), dict, "the file")
    entries = [_expect(entry, dict, "benchmarks") for entry in _expect(saved.get("benchmarks"), list, "benchmarks")]
    names = [_expect(entry.get("fullname"), str, "fullname") for entry in entries]
    date, commit = _parse_date(saved.get("datetime")), _commit(saved.get("commit_info"))
    for name, entry in zip(names, entries, strict=True):
        try:
            info = _expect(entry.get("extra_info"), dict, "extra_info") if is_wanted(name) else {}
            if "archcheck" in info:
                yield _parse_run(file, date, commit, name, info)
        except ValueError as error:
            yield f"{file}: {key_text(name)}: {error}"


def _is_whole_without_ours(content: bytes) -> bool:
    """Whether a file need not be parsed: it has nothing of archcheck's, and seems to be whole by its end.

    There may be hundreds of such files, of a megabyte each.
    """
    return b'"archcheck"' not in content and b'"benchmarks"' in content and content.rstrip().endswith(b"}")


def _parse_run(file: str, date: str, commit: str, fullname: str, info: Mapping[str, Any]) -> SavedRun:
    ours = _expect(info["archcheck"], dict, "archcheck")
    version, verdict, reference = ours.get("version"), ours.get("verdict"), ours.get("reference")
    if version != VERSION:
        raise ValueError(f"saved by another version of archcheck: expected {VERSION}, found {clip(shown(version))}")
    if verdict not in VERDICTS:
        raise ValueError(f"verdict: expected one of {', '.join(filter(None, VERDICTS))}, found {clip(shown(verdict))}")
    rate = _number(info.get("examples_per_sec"), "examples_per_sec")
    if rate <= 0:
        raise ValueError(f"examples_per_sec: expected a number greater than 0, found {rate:g}")
    return SavedRun(
        file=file,
        date=date,
        commit=commit,
        fullname=fullname,
        examples_per_sec=rate,
        conditions=_parse_conditions(ours.get("fingerprint")),
        reference=None if reference is None else _expect(reference, str, "reference"),
        log_ratios=tuple(_parse_log(one) for one in _expect(ours.get("log_ratios"), list, "log_ratios")),
        verdict=verdict,
    )


def _parse_conditions(value: Any) -> dict[str, Any]:
    conditions: dict[str, Any] = _expect(value, dict, "fingerprint")
    for key, one in conditions.items():
        what = f"fingerprint: {key_text(key)}"
        if isinstance(one, (dict, list)):
            raise ValueError(f"{what}: expected text or a number, found {shown(one)}")
        if isinstance(one, float):
            _number(one, what)
    return conditions


def _parse_log(value: Any) -> float:
    log = _number(value, "log_ratios")
    if abs(log) > MAX_LOG:
        raise ValueError(f"log_ratios: expected the logarithm of a ratio, found {log:g}")
    return log


def _parse_date(value: Any) -> str:
    text = _expect(value, str, "datetime")
    try:
        return datetime.fromisoformat(text).isoformat(" ", "minutes")[: len("2026-11-22 08:50")]
    except ValueError:
        raise ValueError(f"datetime: expected a date and time, found {shown(text)}") from None


def _commit(info: Any) -> str:
    """Return the commit, or `-` for anything unknown: a file is never refused for it, as there may be no git."""
    commit = info.get("id") if isinstance(info, dict) else None
    if not isinstance(commit, str) or not commit.isalnum() or commit in ("unversioned", "unknown"):
        return "-"
    return commit[:7] + ("+" if info.get("dirty") is True else "")


_TYPE_NAMES: dict[type, str] = {dict: "a map", list: "a list", str: "text"}


def _expect(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{what}: expected {_TYPE_NAMES[kind]}, found {clip(shown(value))}")
    return value


def _number(value: Any, what: str) -> float:
    """Return a finite float: JSON has integers that no float holds, and Python's JSON has NaN."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not abs(value) <= sys.float_info.max:
        raise ValueError(f"{what}: expected a number, found {clip(shown(value))}")
    return float(value)


# ------------------------------------------------------------------------------------------- the one to compare with


def find_baseline(runs: Sequence[SavedRun], conditions: Mapping[str, Any]) -> SavedRun | None:
    """Return the last run under equal conditions that later runs may be compared with; None without one."""
    return next((run for run in reversed(runs) if run.is_baseline_candidate and run.conditions == conditions), None)


def explain_absence(runs: Sequence[SavedRun], conditions: Mapping[str, Any]) -> str:
    """Explain in a line why `find_baseline` returned None."""
    if not runs:
        return "no saved run of this spec; save one with --benchmark-autosave"
    same = [run for run in runs if run.conditions == conditions]
    if same:
        slower = sum(run.verdict == SLOWER for run in same)
        counts = [(slower, "slower"), (len(same) - slower, "without a reference")]
        listed = ", ".join(f"{count} {what}" for count, what in counts if count)
        return f"the saved runs like this one are no measure: {listed}"
    ranks = [(-len(_differences(run.conditions, conditions)), place) for place, run in enumerate(runs)]
    nearest = runs[max(ranks)[1]]
    found = _differences(nearest.conditions, conditions)
    more = [f"and {len(found) - DIFFERENCES_AT_MOST} more"] if len(found) > DIFFERENCES_AT_MOST else []
    listed = "; ".join([*found[:DIFFERENCES_AT_MOST], *more])
    return f"the saved runs differ: {nearest.file.rpartition('/')[2]} has {listed}"


def _differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """List each condition that differs: `torch 2.14.0, not 2.15.0`."""
    keys = [key for key in dict.fromkeys([*now, *saved]) if saved.get(key) != now.get(key)]
    return [f"{key_text(key)} {format_condition(saved.get(key))}, not {format_condition(now.get(key))}" for key in keys]


def format_condition(value: Any) -> str:
    """Format the value of a condition without quotes, on one line; `none` where there is none."""
    return "none" if value is None else key_text(str(value))

"""`--archcheck-shard`: one of several jobs verifies its part of the specs, chosen alike in all of them."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from archcheck.pytest_plugin.items import CheckItem
from archcheck.pytest_plugin.usage import usage_errors_of_pytest
from archcheck.report.files import read_report
from archcheck.text.paths import path_from

_SHARD: Final = re.compile(r"(\d{1,5})/(\d{1,5})")
_UNKNOWN_SEC: Final = 1.0  # of a check, where no duration is known


class ShardSession:
    """The hooks of a run with `--archcheck-shard`."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._index, self._num_shards = _parse_shard(config.getoption("archcheck_shard"))
        self._durations = _read_durations(config)
        by_check: dict[str, list[float]] = {}
        for (_, check), seconds in self._durations.items():
            by_check.setdefault(check, []).append(seconds)
        self._typical = {check: statistics.median(found) for check, found in by_check.items()}
        self._counts: tuple[int, int] | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect the specs of other shards, of what `-k` and `-m` have left. Ordinary tests are in every shard."""
        specs = {
            item: path_from(item.path, config.invocation_params.dir) for item in items if isinstance(item, CheckItem)
        }
        weights: dict[str, float] = {}
        for item, spec in specs.items():
            weights[spec] = weights.get(spec, 0.0) + self._duration_of(spec, item.name)
        own = choose_shard(weights, self._index, self._num_shards)
        left_out = [item for item, spec in specs.items() if spec not in own]
        self._counts = (len(own), len(weights))
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            gone = set(map(id, left_out))
            items[:] = [item for item in items if id(item) not in gone]

    def _duration_of(self, spec: str, check: str) -> float:
        known = self._durations.get((spec, check))
        if known is not None:
            return known
        return self._typical.get(check, _UNKNOWN_SEC)

    def pytest_report_collectionfinish(self) -> str | None:
        """Say how much of the whole this is."""
        if self._counts is None:
            return None
        own, total = self._counts
        return f"archcheck: shard {self._index}/{self._num_shards}: {own} of {total} specs"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Have nothing to verify be no failure where other shards have something."""
        if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self._counts is not None and self._counts[1]:
            session.exitstatus = pytest.ExitCode.OK


def choose_shard(weights: Mapping[str, float], index: int, num_shards: int) -> set[str]:
    """Return what belongs to shard `index`, from 1: the longest first, each to the shard that has least so far."""
    shares = [0.0] * num_shards
    own = set()
    for name in sorted(weights, key=lambda name: (-weights[name], name)):
        least = shares.index(min(shares))
        shares[least] += weights[name]
        if least == index - 1:
            own.add(name)
    return own


def _parse_shard(text: str) -> tuple[int, int]:
    match = _SHARD.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise pytest.UsageError(f"--archcheck-shard: expected I/N with I from 1 to N, such as 2/8, found {text}")
    return int(match[1]), int(match[2])


def _read_durations(config: pytest.Config) -> Mapping[tuple[str, str], float]:
    """Return how long each check of each spec has taken in an earlier run; empty where none is named."""
    name = config.getoption("archcheck_durations")
    if name is None:
        return {}
    path = Path(config.invocation_params.dir, Path(name).expanduser())
    with usage_errors_of_pytest("--archcheck-durations "):
        record = read_report(str(path))
    return {
        (spec.spec, check.check): check.duration_sec
        for spec in record.specs
        for check in spec.checks
        if check.outcome != "unchanged"
    }

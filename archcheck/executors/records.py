"""What travels between the machine that collects and the hosts that run: plain values, which any engine can send."""

from __future__ import annotations

import functools
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

from archcheck.system.distributions import versions_of

PROTOCOL: Final = 2
# What has a say in what a network computes, or in how it is checked.
_COMPARED: Final = ("pytest-archcheck", "torch", "torchvision", "numpy", "pytest", "timm", "transformers")


@dataclass(frozen=True, slots=True)
class RunSetup:
    """What is the same for every spec of a run.

    run: its name. args: those of pytest as they were given. root: the rootdir; cwd: where pytest was started, from the
    rootdir. sys_path: the folders of the rootdir that are imported from, from the rootdir. sources: the digest of the
    sources in the rootdir. unread: files in it that this run writes. share: how many run at a time on one host.
    item_timeout_sec: how long a check may take; None: as long as it wants.
    """

    run: str
    args: Sequence[str]
    root: str
    cwd: str
    sys_path: Sequence[str]
    sources: str
    unread: Sequence[str] = ()
    share: int = 1
    randomly_seed: int | None = None
    item_timeout_sec: float | None = None
    protocol: int = PROTOCOL


@dataclass(frozen=True, slots=True)
class Request:
    """Some checks of one spec to run.

    spec: its path, from the rootdir. digest: that of the spec and its lock. checks: their names, in order.
    trains: whether one of them trains or times.
    """

    setup: RunSetup
    spec: str
    digest: str
    checks: Sequence[str]
    trains: bool = False

    def to_plain(self) -> dict[str, Any]:
        """Return maps, lists, text and numbers."""
        return {**_shallow(self), "setup": _shallow(self.setup)}

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> Request:
        """Return the request that `to_plain` made the values of."""
        return Request(**{**plain, "setup": RunSetup(**plain["setup"])})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a host found.

    reports: those of pytest for each check, as its `pytest_report_to_serializable` makes them, in a line of text: other
    plugins may add what can be read on the host alone. warnings: those that pytest recorded. lost: why a check has no
    report. used: what results depend on, as `dependencies.store` keeps it, where that is asked for. refused:
    why the host runs nothing; empty where it does.
    """

    host: str
    versions: Mapping[str, str]
    reports: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[Mapping[str, Any]] = ()
    lost: Mapping[str, str] = field(default_factory=dict)
    used: Sequence[Mapping[str, Any]] = ()
    refused: str = ""

    def to_plain(self) -> dict[str, Any]:
        """Return maps, lists, text and numbers."""
        return _shallow(self)

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> Answer:
        """Return the answer that `to_plain` made the values of.

        Raises:
            TypeError: these are no such values.
        """
        return Answer(**plain)


def _shallow(record: Any) -> dict[str, Any]:
    """Return the fields of a record by name, whose values are plain: `asdict` copies all that they hold."""
    return {one.name: getattr(record, one.name) for one in fields(record)}


@functools.cache
def own_versions() -> dict[str, str]:
    """Return the versions of this process that results may depend on, of what is installed."""
    return {"python": platform.python_version(), **versions_of(_COMPARED)}


def other_versions(there: Mapping[str, str], here: Mapping[str, str]) -> str:
    """Say which versions differ, as `torch 2.11.0 (here 2.14.1)`; empty where none does."""
    names = [name for name in here if there.get(name) != here[name]]
    return ", ".join(f"{name} {there.get(name, 'missing')} (here {here[name]})" for name in names)

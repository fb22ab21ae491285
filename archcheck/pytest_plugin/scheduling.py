"""Which worker of pytest-xdist gets which items."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScheduling
from xdist.workermanage import WorkerController

from archcheck.errors import SpecError, UsageError
from archcheck.spec.claims import claims_of
from archcheck.spec.file_names import SUFFIX
from archcheck.spec.lookup import find_spec
from archcheck.spec.models import Better, Faster
from archcheck.spec.spec_file import read_spec


class WholeSpecScheduling(LoadScheduling):  # type: ignore[misc]  # xdist has no types
    """What pytest-xdist does by default, but for the checks of a spec, which go to one worker.

    Its network is built and run there once, and only workers that get a spec import torch. Specs that are claimed to be
    better than one another are trained by one worker, too. What is timed comes last, on one worker, when the others
    have ended, unless each has a device of its own.
    """

    def __init__(self, config: pytest.Config, log: Any = None, *, times_last: bool = True) -> None:
        super().__init__(config, log)
        self._times_last = times_last
        self._timer: WorkerController | None = None  # the worker that waits for others to end
        self._places: list[tuple[bool, int]] = []  # by item: whether it is timed, and where its group begins

    def schedule(self) -> None:
        """Share out the first items; a worker that gets nothing to follow its last one must not wait for it."""
        super().schedule()
        for node in self.nodes if self._only_timed_ones_are_left else ():
            self.check_schedule(node)

    def remove_node(self, node: WorkerController) -> str | None:
        """Remove a worker that has ended: the last one left may time."""
        crashed: str | None = super().remove_node(node)
        for other in self.nodes if self._only_timed_ones_are_left else ():
            self.check_schedule(other)
        return crashed

    def _send_tests(self, node: WorkerController, num: int) -> None:
        self._places = self._places or _places_of(
            self.collection or [], getattr(self.config, "rootpath", Path()), times_last=self._times_last
        )
        self.pending.sort(key=self._places.__getitem__)
        if self._only_timed_ones_are_left:
            self._send_timed(node)
            return
        while 0 < num < len(self.pending) and self._places[self.pending[num]] == self._places[self.pending[num - 1]]:
            num += 1
        num_untimed = sum(not self._places[item][0] for item in self.pending[:num])
        super()._send_tests(node, num_untimed)

    @property
    def _only_timed_ones_are_left(self) -> bool:
        return bool(self.pending) and bool(self._places) and self._places[self.pending[0]][0]

    def _send_timed(self, node: WorkerController) -> None:
        """End a worker while there are others, and give all to the last one when it is alone.

        A worker begins with an item when it knows the next one, or that there's none.
        """
        others = [one for one in self.nodes if one is not node]
        if any(not one.shutting_down for one in others):
            node.shutdown()
        elif not others:
            super()._send_tests(node, len(self.pending))
            node.shutdown()
        elif self._timer is not node and len(self.pending) > 1:
            self._timer = node
            super()._send_tests(node, 1)  # to let it run what it has


def _places_of(items: list[str], rootdir: Path, *, times_last: bool = True) -> list[tuple[bool, int]]:
    """Return for each item whether it is timed at the end, and where its group begins: of a spec, or of several."""
    paths = [item.split("::")[0] for item in items]
    claiming = {path for path, item in zip(paths, items, strict=True) if item.endswith(f"{SUFFIX}::claims")}
    group_of, timed = {path: path for path in paths}, set()
    for path in sorted(claiming):
        rivals, is_timed = _claims_in(rootdir / path)
        timed |= {path} if is_timed else set()
        joined = {group_of[path], *(group_of[one] for one in group_of if (rootdir / one).resolve() in rivals)}
        group_of = {one: min(joined) if group in joined else group for one, group in group_of.items()}
    first: dict[str, int] = {}
    places = []
    for number, (path, item) in enumerate(zip(paths, items, strict=True)):
        is_spec, check = path.endswith(SUFFIX), item.rpartition("::")[2]
        begin = first.setdefault(group_of[path], number) if is_spec else number
        places.append(
            (times_last and is_spec and (check == "throughput" or (check == "claims" and path in timed)), begin)
        )
    return places


def _claims_in(path: Path) -> tuple[set[Path], bool]:
    """Return the specs that a spec claims to be better than, and whether it claims to be faster than any."""
    try:
        spec_file = read_spec(path)
        better = [find_spec(spec_file, claim.spec) for _, claim in claims_of(spec_file, "better_than", Better)]
    except (SpecError, UsageError):  # told by its own items
        return set(), True
    return {one.path.resolve() for one in better}, bool(claims_of(spec_file, "faster_than", Faster))

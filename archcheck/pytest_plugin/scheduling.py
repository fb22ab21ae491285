"""Which worker of pytest-xdist gets which items."""

from __future__ import annotations

from xdist.scheduler import LoadScheduling
from xdist.workermanage import WorkerController

from archcheck.spec.file_names import SUFFIX


class WholeSpecScheduling(LoadScheduling):  # type: ignore[misc]  # xdist has no types
    """What pytest-xdist does by default, but for the checks of a spec, which go to one worker.

    Its network is built and run there once, and only workers that get a spec import torch.
    """

    def _send_tests(self, node: WorkerController, num: int) -> None:
        while 0 < num < len(self.pending) and self._spec_at(num) is not None and self._is_cut_at(num):
            num += 1
        super()._send_tests(node, num)

    def _is_cut_at(self, num: int) -> bool:
        return self._spec_at(num) == self._spec_at(num - 1)

    def _spec_at(self, place: int) -> str | None:
        """Return the spec file that an item which waits belongs to; None for an ordinary test."""
        assert self.collection is not None
        path = self.collection[self.pending[place]].split("::")[0]
        return path if path.endswith(SUFFIX) else None

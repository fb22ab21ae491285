"""Workers driven from outside: one that hangs or dies takes one network with it, not the sweep."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

NETWORKS_AT_MOST: Final = 40  # of one worker: memory that a library keeps is given back
GIB_AT_MOST: Final = 3.0

BENCHMARKS: Final = Path(__file__).resolve().parent.parent


class Worker:
    """A process that records and verifies one network after the other, with so many threads."""

    def __init__(self, num_threads: int, limit_sec: float, log: Path) -> None:
        self._num_threads = num_threads
        self._limit_sec = limit_sec
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._asked = 0

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Have a request answered, by a fresh process where the last one has done enough."""
        if self._process is None or self._asked >= NETWORKS_AT_MOST:
            self._restart()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        self._asked += 1
        print(json.dumps(request), file=process.stdin, flush=True)
        ready, _, _ = select.select([process.stdout], [], [], self._limit_sec)
        line = process.stdout.readline() if ready else ""
        if not line:
            return self._give_up(timed_out=not ready)
        answer: dict[str, Any] = json.loads(line)
        if answer["peak_gib"] > GIB_AT_MOST:
            self.close()
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._process = None

    def _give_up(self, *, timed_out: bool) -> dict[str, Any]:
        self.close()
        if timed_out:
            return {"verdict": "timed out", "message": f"no answer within {self._limit_sec:.0f} s", "sec": 0.0}
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return {"verdict": "crashed", "message": f"the process died: {' '.join(lines[-1:])}", "sec": 0.0}

    def _restart(self) -> None:
        self.close()
        self._asked = 0
        path = os.pathsep.join([str(BENCHMARKS), os.environ.get("PYTHONPATH", "")])
        threads = str(self._num_threads)
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": threads, "HF_HUB_OFFLINE": "1"}
        environment["OMP_WAIT_POLICY"] = "PASSIVE"  # two threads that spin take 10 times as long beside a neighbour
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", "from public_zoo.worker import serve; serve()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
            )

"""The executor `ray`: requests are tasks of a Ray cluster, which places them by what they need.

`ray.init` is left to Ray's own variables: `RAY_ADDRESS` names a cluster; without it one of this machine is started.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from archcheck.errors import UsageError
from archcheck.system.processes import end_with_parent


class RayExecutor:
    """Submits functions to Ray.

    Args:
        num_cpus: processors of a request. num_gpus: GPUs of a request that trains; None: one where the cluster has any.
        needs_gpu: whether it's an error that it has none.

    Raises:
        UsageError: Ray isn't installed, no cluster answers, or it has not what is needed.
    """

    def __init__(self, num_cpus: float = 1, num_gpus: float | None = None, *, needs_gpu: bool = False) -> None:
        try:
            ray: Any = importlib.import_module("ray")
        except ImportError:
            raise UsageError("the executor ray needs Ray: pip install 'pytest-archcheck[ray]'") from None
        self._ray, self._num_cpus = ray, num_cpus
        self._tasks: dict[bool, Any] = {}
        self._is_own = not ray.is_initialized()
        if self._is_own:
            _connect(ray)
        there = ray.cluster_resources()
        self._num_gpus = min(1.0, there.get("GPU", 0.0)) if num_gpus is None else num_gpus
        if there.get("GPU", 0.0) < max(self._num_gpus, float(needs_gpu)):
            raise UsageError(f"the Ray cluster has no GPU to train on: it has {_described(there)}")
        if there.get("CPU", 0.0) < num_cpus:
            raise UsageError(f"the Ray cluster hasn't {num_cpus:g} processors on a node: it has {_described(there)}")

    def submit(self, function: Callable[..., Any], /, *args: Any) -> RayResult:
        """Have a function called in a task; a request says whether it trains."""
        trains = bool(args and isinstance(args[0], dict) and args[0].get("trains"))
        return RayResult(self._ray, self._task(trains).remote(function, *args))

    def _task(self, trains: bool) -> Any:
        """Return a function of Ray's, once: Ray sends each to its workers anew, and has none ready for it."""
        if trains not in self._tasks:
            # What is lost is submitted once more by archcheck, which tells of it.
            options = {"num_cpus": self._num_cpus, "num_gpus": self._num_gpus if trains else 0, "max_retries": 0}
            self._tasks[trains] = self._ray.remote(**options)(_call_in_node)
        return self._tasks[trains]

    def shutdown(self) -> None:
        """Leave the cluster; one that was started for the run ends. Results are cancelled one by one."""
        if self._is_own:
            self._ray.shutdown()


class RayResult:
    """A result of Ray's, as a future."""

    def __init__(self, ray: Any, reference: Any) -> None:
        self._ray, self._reference = ray, reference
        self._future: Future[Any] = reference.future()

    def result(self) -> Any:
        """Wait, and return what the function returned, or raise."""
        return self._future.result()

    def add_done_callback(self, function: Callable[[Any], object]) -> None:
        """Call a function when it's done."""
        self._future.add_done_callback(function)

    def cancel(self) -> None:
        """End the task, also where it runs."""
        self._ray.cancel(self._reference, force=True)


def _call_in_node(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function, and end with the node: a busy worker of Ray's would stay, and nobody would hear of it."""
    end_with_parent()
    return function(*args)


def _connect(ray: Any) -> None:
    try:
        # Without an address Ray would join a cluster that somebody else has started on this machine.
        address = os.environ.get("RAY_ADDRESS", "local")
        ray.init(address=address, log_to_driver=False, include_dashboard=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UsageError(f"no Ray cluster answers: {str(error).splitlines()[0]}") from None


def _described(resources: dict[str, float]) -> str:
    return ", ".join(f"{name} {resources[name]:g}" for name in ("CPU", "GPU") if name in resources)

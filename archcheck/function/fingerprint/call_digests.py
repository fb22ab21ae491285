"""Digests of what every call of a module returns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archcheck.function.fingerprint import storages
from archcheck.function.fingerprint.digests import Digest, digest, tensors_in
from archcheck.function.fingerprint.storages import untransformed
from archcheck.network.forward_watcher import ForwardWatcher, uncompiled_forward

CallKey = tuple[str, int]  # a module's name, and which of its calls


@dataclass(slots=True)
class CallOutput:
    """The digest of what one call of a module returned in one pass; `index` counts the module's calls from 0."""

    name: str
    index: int
    digest: Digest | None = None


def in_order(calls: Iterable[CallKey], further: Iterable[CallKey]) -> list[CallKey]:
    """Return calls with those of a further pass, each new one before what returned after it there."""
    known, waiting = dict.fromkeys(calls), list[CallKey]()
    before = dict[CallKey, list[CallKey]]()
    for call in further:
        waiting.append(call)
        if call in known:
            before[call], waiting = waiting, []
    return [one for call in known for one in before.get(call, [call])] + waiting


class DigestingWatcher(ForwardWatcher):
    """Takes the digest of what every call of a module returns, in the order in which they return.

    Attributes:
        calls: the calls of the current pass that have returned.
        draws: what drew random numbers, by the module that was running.
        in_other_thread: the first module that ran in a thread of the network's own, where no weight can be filled.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[CallOutput] = []
        self.draws: dict[str, str] = {}
        self.in_other_thread = ""
        self._thread = threading.get_ident()
        self._num_shares, self._reads_last = 1, False
        self._is_listening = True
        self._running: list[str] = []
        self._counts: dict[str, int] = {}
        self._last: tuple[Any, int, Digest | None] = (None, -1, None)

    def begin(self, num_shares: int = 1, *, reads_last: bool = False) -> None:
        """Start another pass; of each batch only the first of so many equal shares is read."""
        self.calls, self._is_listening, self._num_shares, self._reads_last = [], True, num_shares, reads_last
        self._counts.clear()
        self._running.clear()
        self.forget_failure()

    def stop(self) -> None:
        """Ignore what follows: while gradients are computed, checkpointed layers run again."""
        self._is_listening = False

    @property
    def running(self) -> str:
        """The name of the innermost module that is running, empty where none is."""
        return self._running[-1] if self._running else ""

    def note_draw(self, name: str) -> None:
        """Remember which module was running when random numbers were drawn first."""
        self.draws.setdefault(self.running, name)

    def note_final_output(self, name: str, out: Any) -> None:
        """Take the digest of a module's last call again, since the module's own hooks may have changed the output."""
        if self._is_listening:
            call = next((one for one in reversed(self.calls) if one.name == name), None)
            if call is not None:  # a module's own `__call__` need not call its forward
                call.digest = self._digest(out)

    def wrap_forward(self, name: str, module: nn.Module) -> Callable[..., Any]:
        """Return the module's forward, wrapped such that its output is read."""
        run = uncompiled_forward(module)

        def forward(*args: Any, **kwargs: Any) -> Any:
            if not self._is_listening:
                return run(*args, **kwargs)
            if threading.get_ident() != self._thread:
                self.in_other_thread = self.in_other_thread or name
                return run(*args, **kwargs)
            index = self._counts[name] = self._counts.get(name, -1) + 1
            self._running.append(name)
            try:
                out = run(*args, **kwargs)
            except BaseException as error:
                self.note_failure(name, error)
                raise
            finally:
                self._running.pop()
            self.calls.append(CallOutput(name, index, self._digest(out)))
            return out

        return forward

    def _digest(self, out: Any) -> Digest | None:
        """Return the digest of an output; of a container's, which is its last layer's, without reading it again."""
        with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch(), torch.no_grad(), untransformed():
            version = version_of(out) if isinstance(out, Tensor) else -1
            if out is not self._last[0] or version != self._last[1] or out is None:
                read = out if self._num_shares == 1 else [self._share(one) for one in tensors_in(out)]
                self._last = (out if isinstance(out, Tensor) else None, version, digest(read))
            return self._last[2]

    def _share(self, tensor: Tensor) -> Tensor:
        if tensor.ndim == 0 or len(tensor) % self._num_shares:
            return tensor
        size = len(tensor) // self._num_shares
        return tensor[len(tensor) - size :] if self._reads_last else tensor[:size]


def version_of(tensor: Tensor) -> int:
    """Return how often a tensor was written to; -1 where nobody counts: in inference mode, within `vmap`."""
    return -1 if tensor.is_inference() or storages.plain(tensor) is not tensor else tensor._version

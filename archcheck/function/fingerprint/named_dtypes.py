"""The floating-point dtypes that a network's code names, which computing in double precision leaves no trace of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final

import torch
from torch import Tensor

DtypeCounts = Mapping[str, Mapping[str, int]]  # by module, how often its own code names what
_ASKED: Final = "_archcheck_asked"  # attribute of an autocast block


class NamedDtypes:
    """Counts, by module, the dtypes that calls name and the autocast blocks that are entered in one pass.

    What is derived from another tensor's dtype is double precision in a pass, and so isn't counted: `x.to(y.dtype)` is
    no cast where a network has one precision. Neither is float32 where nothing is cast to it, which is the default.

    Args:
        own: the precision that the pass itself has.
        running: returns the name of the module that is running.
    """

    def __init__(self, own: torch.dtype, running: Callable[[], str]) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self._own, self._running = own, running

    def note(self, dtype: torch.dtype, arguments: Iterable[Any]) -> None:
        """Note a dtype that a call with these arguments names."""
        if not dtype.is_floating_point or dtype is self._own:
            return
        if dtype is not torch.float32 or any(isinstance(a, Tensor) and a.is_floating_point() for a in arguments):
            self._count(_name(dtype))

    def _count(self, label: str) -> None:
        self.counts.setdefault(self._running(), Counter())[label] += 1

    @contextmanager
    def noting_autocast(self) -> Iterator[None]:
        """Note each autocast block that is entered inside, by what its code asks for on whatever device."""
        block_type: Any = torch.autocast
        own_init, own_enter = block_type.__init__, block_type.__enter__

        @wraps(own_init)
        def init(
            block: Any, device_type: str, dtype: Any = None, enabled: bool = True, *args: Any, **kwargs: Any
        ) -> None:
            own_init(block, device_type, dtype, enabled, *args, **kwargs)
            vars(block)[_ASKED] = _autocast_label(dtype, is_on=enabled)

        @wraps(own_enter)
        def enter(block: Any) -> Any:
            # One that decorates a function was made before, and is off where there is no such device.
            self._count(vars(block).get(_ASKED) or _autocast_label(block.fast_dtype, is_on=True))
            return own_enter(block)

        block_type.__init__, block_type.__enter__ = init, enter
        try:
            yield
        finally:
            block_type.__init__, block_type.__enter__ = own_init, own_enter


def _autocast_label(dtype: torch.dtype | None, *, is_on: bool) -> str:
    """Return what an autocast block asks for; float16 is what accelerators do unasked."""
    if not is_on:
        return "autocast off"
    return "autocast" if dtype in (None, torch.float16) else f"autocast {_name(dtype)}"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def most_of_each(passes: Iterable[DtypeCounts]) -> dict[str, dict[str, int]]:
    """Return how often each module names what, in the pass in which it does so most often."""
    found: dict[str, Counter[str]] = {}
    for counts in passes:
        for name, own in counts.items():
            found[name] = found.get(name, Counter()) | Counter(own)
    return {name: dict(sorted(own.items())) for name, own in found.items()}

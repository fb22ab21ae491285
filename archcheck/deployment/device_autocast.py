"""Autocast on the device that is pretended, which torch doesn't know on meta: off, so that what follows it is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from typing import Any

import torch
from torch.amp import autocast_mode


@contextmanager
def autocast_on_meta() -> Iterator[None]:
    """Let a network ask for autocast on meta inside, and get one that is off."""
    with ExitStack() as patches:
        _patch(patches, torch.autocast, "__init__", _init)
        _patch(patches, torch, "is_autocast_enabled", partial(_answer, False))
        _patch(patches, torch, "get_autocast_dtype", partial(_answer, torch.get_autocast_dtype("cuda")))
        for holder in (torch.amp, autocast_mode):
            _patch(patches, holder, "is_autocast_available", partial(_answer, True))
        yield


def _patch(patches: ExitStack, holder: Any, name: str, replacement: Callable[..., Any]) -> None:
    """Call a replacement in the place of a function, with that as its first argument."""
    own = getattr(holder, name)

    @wraps(own)
    def replaced(*args: Any, **kwargs: Any) -> Any:
        return replacement(own, *args, **kwargs)

    setattr(holder, name, replaced)
    patches.callback(setattr, holder, name, own)


def _init(own: Callable[..., None], block: Any, device_type: Any, *args: Any, **kwargs: Any) -> None:
    """Make an autocast block; one for meta is off, on the CPU, where nothing else runs either."""
    if device_type != "meta":
        own(block, device_type, *args, **kwargs)
        return
    dtype = args[0] if args else kwargs.get("dtype")
    own(block, "cpu", dtype=dtype, enabled=False)


def _answer(answer: Any, own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Answer for meta, and let torch answer for every other device."""
    return answer if "meta" in (*args[:1], kwargs.get("device_type")) else own(*args, **kwargs)

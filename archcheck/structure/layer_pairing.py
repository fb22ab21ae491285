"""Whether two networks' layers are paired by their names, and what calls of layers are called."""

from __future__ import annotations

from typing import Final

from archcheck.spec.layer_keys import format_layer_key

_SAME_NAMES: Final = 0.5


def have_same_names(num_common: int, num_layers: int) -> bool:
    """Return whether enough layers have the same name in two networks to pair them by it.

    Where fewer than half have, the two are taken for one network under other names, and paired by execution.
    """
    return num_common >= _SAME_NAMES * num_layers


def call_label(name: str, index: int, num_calls: int) -> str:
    """Return what a call is called, as a spec's key: the module's name, with the call's number if there are several."""
    return format_layer_key(name, index if num_calls > 1 else None)

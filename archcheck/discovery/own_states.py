"""The state that a network begins with, as its own methods make it: `init_hidden(batch_size)` and the like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from torch import Tensor, nn

from archcheck.network.isolation import isolated_user_code
from archcheck.network.signatures import signature_of

_METHODS: Final = (
    "init_hidden", "initHidden", "init_hidden_state", "initialize_hidden", "initialize_hidden_state", "init_state",
    "init_states", "initialize_state", "initial_state", "get_initial_state", "get_init_state", "get_initial_states",
    "zero_state", "begin_state", "initial_hidden", "init_zero_hidden", "initialize_carry", "init_carry",
)  # fmt: skip
_BATCHES: Final = (2, 3)


def own_states(model: nn.Module) -> Iterator[Any]:
    """Yield the states that methods of a network make for a batch, as values of a spec's `input`."""
    for name in _METHODS:
        method = getattr(model, name, None)
        if not callable(method):
            continue
        needed = _num_needed(method)
        if needed in (0, 1):
            try:
                with isolated_user_code():
                    yield _pattern([method(*(batch,) * needed) for batch in _BATCHES])
            except Exception:  # a method that wants something else
                continue


def _num_needed(method: Callable[..., Any]) -> int:
    """Return how many arguments a method can't do without: one is taken for the batch, and none for a batch of 1."""
    try:
        parameters = signature_of(method).parameters.values()
    except (ValueError, TypeError):
        return -1
    return sum(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def _pattern(made: list[Any]) -> Any:
    """Return what was made for each batch as one value, with `B` for the sizes that are the batch's.

    Raises:
        ValueError: it holds something else than tensors in lists and tuples, or another size depends on the batch.
    """
    if all(isinstance(one, Tensor) for one in made):
        return [_size(sizes) for sizes in zip(*(one.shape for one in made), strict=True)]
    if all(isinstance(one, list | tuple) and one for one in made):
        return [_pattern(list(each)) for each in zip(*made, strict=True)]
    raise ValueError("no state of tensors")


def _size(sizes: tuple[int, ...]) -> int | str:
    if sizes == _BATCHES:
        return "B"
    if len(set(sizes)) == 1:
        return sizes[0]
    raise ValueError("a size that depends on the batch otherwise")

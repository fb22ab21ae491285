"""Axes and positions that were taken in another order or place."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, Final

import torch
from torch import Tensor, nn

from archcheck.function.diagnosis.op_calls import OpCall, Unary, index_text, indexed
from archcheck.function.diagnosis.substitutions import Substitution, instead, missing_around, rebuilt


def other_axes(call: OpCall) -> Iterator[Substitution]:
    """Take the axes of a reshape or a transposition in another order."""
    if call.name in ("view", "reshape", "flatten", "unflatten"):
        yield from _reshapes(call)
    if call.name in ("transpose", "permute", "movedim", "swapaxes"):
        for order in _permutations(call.x.ndim):
            if tuple(call.x.shape[i] for i in order) == tuple(call.result.shape):
                text = f"{call.name}: the axes in the order {order} when it was recorded"
                yield instead(text, partial(torch.permute, dims=order))


def missing_reordering(call: OpCall) -> Iterator[Substitution]:
    """Put values along the axes in another order."""
    for text, change, fits in _reorderings(max(one.ndim for one in (call.result, *(one for _, one in call.operands)))):
        yield from missing_around(call, text, change, fits)


def _permutations(ndim: int) -> Iterator[tuple[int, ...]]:
    """Yield other orders of axes: of many, those with two exchanged and those with one moved."""
    usual = tuple(range(ndim))
    if ndim <= 4:
        yield from (order for order in itertools.permutations(usual) if order != usual)
        return
    for i, j in itertools.combinations(usual, 2):
        order = list(usual)
        order[i], order[j] = order[j], order[i]
        yield tuple(order)
    for i, j in itertools.permutations(usual, 2):
        if abs(i - j) > 1:
            rest = [axis for axis in usual if axis != i]
            yield (*rest[:j], i, *rest[j:])


def _reshapes(call: OpCall) -> Iterator[Substitution]:
    """Exchange axes before or behind a reshape."""
    shape = tuple(call.result.shape)
    for i, j in itertools.combinations(range(len(shape)), 2):
        other = list(shape)
        other[i], other[j] = other[j], other[i]
        text = f"{call.name}: into {other}, with axes {i} and {j} exchanged, when it was recorded"
        yield instead(text, _read_as(other, i, j))
    for order in _permutations(call.x.ndim):
        text = f"{call.name}: the axes came in the order {order} when it was recorded"
        yield instead(text, _read_after(order, shape))


def _read_as(shape: Sequence[int], i: int, j: int) -> Unary:
    return lambda x: x.reshape(tuple(shape)).transpose(i, j)


def _read_after(order: Sequence[int], shape: Sequence[int]) -> Unary:
    return lambda x: x.permute(tuple(order)).reshape(tuple(shape))


def _reorderings(ndim: int) -> Iterator[tuple[str, Unary, Callable[[Tensor], bool]]]:
    """Yield changes of the order along axes, each with a test of which tensors it can be applied to."""
    for dim in range(ndim):
        fits = partial(_is_long, dim)
        yield f"a flip of axis {dim}", partial(torch.flip, dims=(dim,)), fits
        for shift in (1, -1):
            yield f"a roll of axis {dim}", partial(torch.roll, shifts=shift, dims=dim), fits
        yield f"a roll by half of axis {dim}", partial(_half_rolled, dim), fits
    for i, j in itertools.combinations(range(ndim), 2):
        yield f"a transpose of axes {i} and {j}", partial(torch.transpose, dim0=i, dim1=j), partial(_is_square, i, j)


def _is_long(dim: int, x: Tensor) -> bool:
    return not isinstance(x, nn.Parameter) and x.ndim > dim and x.shape[dim] > 1


def _is_square(i: int, j: int, x: Tensor) -> bool:
    return _is_long(j, x) and x.shape[i] == x.shape[j]


def _half_rolled(dim: int, x: Tensor) -> Tensor:
    return x.roll(x.shape[dim] // 2, dim)


def other_index(call: OpCall) -> Iterator[Substitution]:
    """Take another position, or a window that begins elsewhere."""
    if call.name != "getitem":
        return
    index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    for place, one in enumerate(index):
        for other in _indices(one):
            whole = (*index[:place], other, *index[place + 1 :])
            yield instead(f"{indexed(call)} now, {index_text(whole)} was recorded", itemgetter(whole))


def _indices(one: Any) -> Iterator[Any]:
    if isinstance(one, int):
        places = (0, one + 1, one - 1, 1, -1, -2) if one >= 0 else (-1, one + 1, one - 1, -2, 0, 1)
        yield from (other for other in dict.fromkeys(places) if other != one)
    elif (
        isinstance(one, slice) and one != slice(None) and all(isinstance(x, int | None) for x in (one.start, one.stop))
    ):
        start, stop = one.start, one.stop
        if one.step in (None, 1):
            yield (
                slice(-stop, None) if start is None and stop else slice(None, -start) if stop is None and start else one
            )
            for by in (1, -1):
                if start is not None and stop is not None and start + by >= 0:
                    yield slice(start + by, stop + by)
                elif start is None and stop is not None:
                    yield slice(1, stop + 1)
        else:
            yield slice(None if start else 1, stop, one.step)


def other_layout(call: OpCall) -> Iterator[Substitution]:
    """Exchange axes around an operation, such as batch and time, or channels and tokens."""
    if call.name not in _ALONG_LAYOUT:
        return
    for i, j in itertools.combinations(range(call.x.ndim), 2):
        yield _with_axes_exchanged(f"{call.name}: with axes {i} and {j} exchanged when it was recorded", i, j)


def _with_axes_exchanged(text: str, i: int, j: int) -> Substitution:
    def compute(call: OpCall) -> Any:
        exchanged = call
        for slot, tensor in call.operands:
            if tensor.ndim > j and not isinstance(tensor, nn.Parameter):
                exchanged = exchanged.with_operand(slot, tensor.transpose(i, j))
        out = exchanged.run()
        return out.transpose(i, j) if isinstance(out, Tensor) else rebuilt(out, out[0].transpose(i, j))

    return Substitution(text, compute)


_ALONG_LAYOUT: Final = frozenset(
    [
        "multi_head_attention_forward",
        "scaled_dot_product_attention",
        "lstm",
        "gru",
        "rnn_tanh",
        "layer_norm",
        "rms_norm",
        "linear",
    ]
)

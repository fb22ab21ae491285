"""Mistakes of order, of axes, of numbers and of what goes in: what an operation may have been given, turned round."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, Final

import torch
from torch import Tensor, nn

from archcheck.function.diagnosis.op_calls import (
    EPSILONS,
    OUTPUT,
    Key,
    OpCall,
    Slot,
    Source,
    Substitution,
    Unary,
    done_before,
    index_text,
    indexed,
    instead,
    is_data,
    missing_around,
    operand_at,
    rebuilt,
)

_Join = Callable[[Tensor, Tensor], Tensor]

# ------------------------------------------------------------------------------------------- order


def _orders(count: int) -> Iterator[tuple[int, ...]]:
    """Other orders of a few things, the reverse first."""
    usual = tuple(range(count))
    yield usual[::-1]
    if count <= 4:
        yield from (order for order in itertools.permutations(usual) if order not in (usual, usual[::-1]))
    else:
        yield from ((*usual[:i], usual[i + 1], usual[i], *usual[i + 2 :]) for i in range(count - 1))


def other_order(called: OpCall) -> Iterator[Substitution]:
    """Tensors put together, or taken apart, in another order."""
    if called.name in ("cat", "stack", "hstack", "vstack") and called.args and isinstance(called.args[0], list | tuple):
        word = "concatenation" if called.name == "cat" else called.name
        yield from (_put_in(order, f"{word}: another order") for order in _orders(len(called.args[0])))
    if called.name == OUTPUT and isinstance(called.out, tuple | list):
        yield from (_taken_out(order, "the outputs in another order") for order in _orders(len(called.out)))
    if called.name in ("chunk", "split", "unbind", "tensor_split", "split_with_sizes"):
        text = "the parts of a split in another order"
        yield from (_taken_out(order, text) for order in _orders(len(called.out)))
        yield Substitution("the parts of a split interleaved when it was recorded", _interleaved)


def _put_in(order: Sequence[int], text: str) -> Substitution:
    def act(called: OpCall) -> Any:
        return called.func([called.args[0][i] for i in order], *called.args[1:], **called.kwargs)

    return Substitution(text, act)


def _taken_out(order: Sequence[int], text: str) -> Substitution:
    def act(called: OpCall) -> Any:
        parts = called.run()
        return tuple(parts[i] for i in order)

    return Substitution(text, act)


def _interleaved(called: OpCall) -> Any:
    count, dim = len(called.run()), called.setting("dim") or 0
    apart: Tensor = called.x.unflatten(dim, (-1, count))  # type: ignore[no-untyped-call]
    return apart.unbind(dim + 1 if dim >= 0 else dim)


def exchanged_operands(called: OpCall) -> Iterator[Substitution]:
    """Arguments of one shape that changed places, or one that is transposed."""
    operands = [(slot, one) for slot, one in called.operands if slot[1] is None]
    for (one, a), (other, b) in itertools.combinations(operands[:5], 2):
        if a.shape == b.shape and called.name not in ("add", "mul"):
            yield _swapped(f"arguments of {called.name} changed places", one, other)
    if called.name in ("matmul", "linear", "einsum"):
        for slot, tensor in called.operands:
            if tensor.ndim > 1 and tensor.shape[-1] == tensor.shape[-2]:
                yield done_before(f"{called.name}: an argument was transposed when it was recorded", slot, _transposed)
    if called.name == "where" and len(called.args) == 3:
        yield Substitution(
            "the choices of where changed places", lambda it: torch.where(it.args[0], it.args[2], it.args[1])
        )
    if called.name in ("masked_fill", "where"):
        mask: Slot = (1 if called.name == "masked_fill" else 0, None)
        yield done_before(f"the mask of {called.name} the other way round", mask, torch.logical_not)


def _transposed(x: Tensor) -> Tensor:
    return x.mT


def _swapped(text: str, one: Slot, other: Slot) -> Substitution:
    def act(called: OpCall) -> Any:
        return called.with_operand(one, operand_at(called, other)).with_operand(other, operand_at(called, one)).run()

    return Substitution(text, act)


# ------------------------------------------------------------------------------------------- other tensors


def missing_skip(called: OpCall) -> Iterator[Substitution]:
    """What goes into a module around it, which was added."""
    yield from _missing_operand(called, [one for one in called.sources if one.is_input], "a skip connection", torch.add)


def missing_operand(called: OpCall) -> Iterator[Substitution]:
    """Another tensor from before that was added; any that was multiplied by."""
    others = [one for one in called.sources if not one.is_input]
    yield from _missing_operand(called, others, "a skip connection", torch.add)
    yield from _missing_operand(called, called.sources, "a product", torch.mul)


def _missing_operand(called: OpCall, sources: Iterable[Source], what: str, join: _Join) -> Iterator[Substitution]:
    for source in sources:
        begin = f"{what} is missing: {source.text} {'added to' if join is torch.add else 'times'}"
        if is_data(called.result) and source.tensor.shape == called.result.shape:
            yield _joined(f"{begin} {called.name}", source.key, join)
        for slot, tensor in called.operands:
            if slot in called.fresh and tensor.shape == source.tensor.shape and is_data(tensor):
                yield _joined_before(f"{begin} what goes into {called.name}", source.key, join, slot)


def _joined(text: str, key: Key, join: _Join) -> Substitution:
    return Substitution(text, lambda called: join(called.run(), called.found[key]), (key,))


def _joined_before(text: str, key: Key, join: _Join, slot: Slot) -> Substitution:
    def act(called: OpCall) -> Any:
        return called.with_operand(slot, join(operand_at(called, slot), called.found[key])).run()

    return Substitution(text, act, (key,))


def other_tensor(called: OpCall) -> Iterator[Substitution]:
    """An argument that was another tensor."""
    for slot, tensor in called.operands:
        for source in called.sources:
            if source.tensor is not tensor and source.tensor.shape == tensor.shape and _alike(source.tensor, tensor):
                yield _taking(f"{called.name} took {source.text}{_nth(called, slot)}", slot, source.key)


def _taking(text: str, slot: Slot, key: Key) -> Substitution:
    return Substitution(text, lambda called: called.with_operand(slot, called.found[key]).run(), (key,))


def _alike(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and not isinstance(other, nn.Parameter)


def _nth(called: OpCall, slot: Slot) -> str:
    data = [one for one, tensor in called.operands if not isinstance(tensor, nn.Parameter)]
    if len(data) < 2:
        return " when it was recorded"
    number = data.index(slot)
    return f" as its {('first', 'second', 'third')[number] if number < 3 else 'last'} argument when it was recorded"


# ------------------------------------------------------------------------------------------- numbers


def missing_factor(called: OpCall) -> Iterator[Substitution]:
    """A factor or a constant that got lost, or crept in."""
    for number in _factors(called):
        yield from missing_around(called, f"a factor of {number:.4g}", partial(torch.mul, other=number), is_data)
    for number in dict.fromkeys((1.0, -1.0, *([called.shift] if called.shift else []))):
        yield from missing_around(called, f"{number:+.4g}", partial(torch.add, other=number), _is_countable)


def _is_countable(x: Tensor) -> bool:
    return not isinstance(x, nn.Parameter) and x.dtype is not torch.bool


def _factors(called: OpCall) -> Iterator[float]:
    sizes = {size for _, one in called.operands for size in one.shape if size > 1}
    numbers = [0.5, 2.0, -1.0, 0.1, 10.0, 0.5**0.5, 2**0.5]
    for size in sorted(sizes):
        numbers += [size**-0.5, size**0.5, 1 / size, float(size)]
    if called.factor:
        numbers += [called.factor, -called.factor]
    yield from dict.fromkeys(numbers)


def other_number(called: OpCall) -> Iterator[Substitution]:
    """An argument that was another number."""
    for place, value in enumerate(called.args):
        if isinstance(value, bool) or not isinstance(value, int | float) or called.name not in _WITH_NUMBERS:
            continue
        for other in _numbers(float(value)):
            yield _with_number(f"{called.name} {value:.4g} now, {other:.4g} was recorded", place, other)


def _with_number(text: str, place: int, number: float) -> Substitution:
    return Substitution(text, lambda called: called.with_operand((place, None), number).run())


_WITH_NUMBERS: Final = frozenset(
    [
        "add",
        "sub",
        "rsub",
        "mul",
        "div",
        "rdiv",
        "pow",
        "clamp",
        "clamp_min",
        "clamp_max",
        "lt",
        "le",
        "gt",
        "ge",
        "eq",
        "ne",
        "leaky_relu",
        "elu",
        "hardtanh",
        "softplus",
        "full",
        "full_like",
        "threshold",
        "masked_fill",
        "lerp",
        "where",
        "addcmul",
        "norm",
        "celu",
        "nan_to_num",
        "lp_pool1d",
        "lp_pool2d",
    ]
)


def _numbers(value: float) -> Iterator[float]:
    numbers = [
        0.0,
        1.0,
        -value,
        1 - value,
        value * 2,
        value / 2,
        value * 10,
        value / 10,
        value + 1,
        value - 1,
        value**2,
    ]
    numbers += [abs(value) ** 0.5, *EPSILONS]
    if value:
        numbers += [1 / value, abs(value) ** -0.5]
    yield from (number for number in dict.fromkeys(numbers) if number != value)


# ------------------------------------------------------------------------------------------- axes


def other_axes(called: OpCall) -> Iterator[Substitution]:
    """Values of the same shape that lie in another order."""
    if called.name in ("view", "reshape", "flatten", "unflatten"):
        yield from _readings(called)
    if called.name in ("transpose", "permute", "movedim", "swapaxes"):
        for order in _permutations(called.x.ndim):
            if tuple(called.x.shape[i] for i in order) == tuple(called.result.shape):
                text = f"{called.name}: the axes in the order {order} when it was recorded"
                yield instead(text, partial(torch.permute, dims=order))
    for text, change, fits in _turns(max(one.ndim for one in (called.result, *(one for _, one in called.operands)))):
        yield from missing_around(called, text, change, fits)


def _permutations(ndim: int) -> Iterator[tuple[int, ...]]:
    usual = tuple(range(ndim))
    if ndim <= 4:
        yield from (order for order in itertools.permutations(usual) if order != usual)
        return
    for i, j in itertools.combinations(usual, 2):
        order = list(usual)
        order[i], order[j] = order[j], order[i]
        yield tuple(order)


def _readings(called: OpCall) -> Iterator[Substitution]:
    """A reshape that reads axes in another order, before or behind."""
    shape = tuple(called.result.shape)
    for i, j in itertools.combinations(range(len(shape)), 2):
        other = list(shape)
        other[i], other[j] = other[j], other[i]
        text = f"{called.name}: into {other}, with axes {i} and {j} exchanged, when it was recorded"
        yield instead(text, _read_as(other, i, j))
    for order in _permutations(called.x.ndim):
        text = f"{called.name}: the axes came in the order {order} when it was recorded"
        yield instead(text, _read_after(order, shape))


def _read_as(shape: Sequence[int], i: int, j: int) -> Unary:
    return lambda x: x.reshape(tuple(shape)).transpose(i, j)


def _read_after(order: Sequence[int], shape: Sequence[int]) -> Unary:
    return lambda x: x.permute(tuple(order)).reshape(tuple(shape))


def _turns(ndim: int) -> Iterator[tuple[str, Unary, Callable[[Tensor], bool]]]:
    """Changes of the order along axes, with what they can be done to."""
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


def other_index(called: OpCall) -> Iterator[Substitution]:
    """Another position, or a window that begins elsewhere."""
    if called.name != "getitem":
        return
    index = called.args[1] if isinstance(called.args[1], tuple) else (called.args[1],)
    for place, one in enumerate(index):
        for other in _indices(one):
            whole = (*index[:place], other, *index[place + 1 :])
            yield instead(f"{indexed(called)} now, {index_text(whole)} was recorded", itemgetter(whole))


def _indices(one: Any) -> Iterator[Any]:
    if isinstance(one, int):
        yield from (other for other in (-1, 0, 1, -2, one + 1, one - 1) if other != one)
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


def other_layout(called: OpCall) -> Iterator[Substitution]:
    """An operation along other axes: batch for time, channels for tokens."""
    if called.name not in _ALONG_LAYOUT:
        return
    for i, j in itertools.combinations(range(called.x.ndim), 2):
        yield _turned(f"{called.name}: with axes {i} and {j} exchanged when it was recorded", i, j)


def _turned(text: str, i: int, j: int) -> Substitution:
    def act(called: OpCall) -> Any:
        turned = called
        for slot, tensor in called.operands:
            if tensor.ndim > j and not isinstance(tensor, nn.Parameter):
                turned = turned.with_operand(slot, tensor.transpose(i, j))
        out = turned.run()
        return out.transpose(i, j) if isinstance(out, Tensor) else rebuilt(out, out[0].transpose(i, j))

    return Substitution(text, act)


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

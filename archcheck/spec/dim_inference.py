"""Dimensions inferred from sizes that were seen: `H/4` from 56 at 224 and 24 at 96.

What was seen at several bindings of the free dimensions determines no formula, so forms are tried from the most to the
least plausible for a layer, and the first that gives every value seen is taken; a form that two sizes would fit by
chance needs three, and none at all is better than a coincidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import TypeAlias

from archcheck.errors import DimError
from archcheck.spec.dim_forms import FORMS, PROPORTIONAL, SIMPLE, TOKENS, Column, Form, Values, of_two, products
from archcheck.spec.dims import BATCH, parse_dim

_ELSEWHERE = 100  # what a name out of its place counts for, in forms

_Found: TypeAlias = tuple[int, "int | str"]  # how far down the list of forms, and the dimension


def infer_shape(
    shapes: Sequence[tuple[int, ...]], sizes: Sequence[Mapping[str, int]], hints: Sequence[str | None] = ()
) -> list[int | str] | None:
    """Return the simplest pattern that gives one tensor's shape at every binding; None where there is none.

    `shapes[i]` was seen at `sizes[i]`. `hints` names the dimensions in the order in which a tensor has them, the last
    for its last dimension, or for the one before where the last never varies: [B, H, W, 64]. A dimension is told by the
    name in that place if it can be. The batch (B) is only ever multiplied: a number of rows that depends on it in any
    other way depends on the data.
    """
    if not shapes or len({len(shape) for shape in shapes}) != 1:
        return None
    columns = _columns(sizes, [hint for hint in hints if hint is not None])
    found = _best_layout(tuple(zip(*shapes, strict=True)), columns, tuple(hints))
    return _named_in_order(found, columns) if found is not None else None


def _columns(sizes: Sequence[Mapping[str, int]], order: Sequence[str]) -> tuple[Column, ...]:
    """Return the names that vary, those without a hint (the batch) first; one that is constant counts as its size."""
    common = [name for name in sizes[0] if all(name in binding for binding in sizes)]
    names = [name for name in common if name not in order] + [name for name in dict.fromkeys(order) if name in common]
    columns = ((name, tuple(binding[name] for binding in sizes)) for name in names)
    return tuple((name, column) for name, column in columns if len(set(column)) > 1)


def _named_in_order(dims: Sequence[int | str], columns: Sequence[Column]) -> list[int | str]:
    """Give names of the same sizes to as many dimensions in their order: [B, H/4, H/4, 64] is [B, H/4, W/4, 64]."""
    renamed = list(dims)
    for _, column in columns:
        names = [name for name, other in columns if other == column]
        uses = [i for i, dim in enumerate(dims) if len(parse_dim(dim).names) == 1 and parse_dim(dim).names <= {*names}]
        if len(names) == len(uses):
            for name, i in zip(names, uses, strict=True):
                renamed[i] = re.sub(r"\b(?!ceil\b)[A-Za-z_]\w*", name, str(dims[i]))
    return renamed


@lru_cache(maxsize=4096)
def _best_layout(
    dims: tuple[Values, ...], columns: tuple[Column, ...], hints: tuple[str | None, ...]
) -> tuple[int | str, ...] | None:
    """Return the dimensions in the layout of names in which they are simplest."""
    full = len(dims) >= len(hints) + 2  # a batch, channels, and all that the input has besides
    told = []
    for preferred in _layouts(dims, columns, hints, full):
        found = [_infer_dim(values, columns, name, full and name is not None) for values, name in preferred]
        layout = [one for one in found if one is not None]
        if len(layout) == len(dims):
            told.append(layout)
    best = min(told, key=lambda layout: sum(cost for cost, _ in layout), default=None)
    return tuple(dim for _, dim in best) if best is not None else None


def _layouts(
    dims: tuple[Values, ...], columns: tuple[Column, ...], hints: tuple[str | None, ...], full: bool
) -> Iterator[list[tuple[Values, str | None]]]:
    """Yield dimensions with their names: those at the end; then before a last that doesn't vary, if all vary there."""
    last = len(dims) - len(hints)
    yield [(values, hints[i - last] if i >= last else None) for i, values in enumerate(dims)]
    if full and hints and len(set(dims[-1])) == 1:
        shifted = [(values, hints[i - last + 1] if i >= last - 1 else None) for i, values in enumerate(dims[:-1])]
        vary = {name for name, _ in columns}
        if all(len(set(values)) > 1 for values, name in shifted if name in vary):
            yield [*shifted, (dims[-1], None)]


@lru_cache(maxsize=4096)
def _infer_dim(values: Values, columns: tuple[Column, ...], preferred: str | None, sure: bool) -> _Found | None:
    """Return the dimension in its simplest form; one in another name than a `sure` preferred one is hardly believed."""
    if len(set(values)) == 1:
        return 0, values[0]
    bindings = [{name: column[i] for name, column in columns} for i in range(len(values))]
    candidates = _candidates(values, columns, preferred, sure)
    return next(((cost, text) for cost, text in candidates if _gives(text, values, bindings)), None)


def _gives(text: str, values: Values, bindings: Sequence[Mapping[str, int]]) -> bool:
    try:
        dim = parse_dim(text)
        return all(dim.evaluate(binding) == value for binding, value in zip(bindings, values, strict=True))
    except DimError:
        return False


def _candidates(
    values: Values, columns: tuple[Column, ...], preferred: str | None, sure: bool
) -> Iterator[tuple[int, str]]:
    batch = [column for name, column in columns if name == BATCH]
    free = tuple(column for column in columns if column[0] != BATCH)
    here = [column for column in free if column[0] == preferred]
    there = [column for column in free if column[0] != preferred]
    yield from _alone(here, values, FORMS if sure else FORMS[:SIMPLE], 1)
    if batch:
        yield from _in_batch(batch[0], values, free, preferred, sure)
    yield from _alone(there, values, FORMS[:PROPORTIONAL], _ELSEWHERE)
    yield from ((_ELSEWHERE, text) for text in products(values, free, (0,), square=sure))
    if not sure:
        yield from _alone(here, values, FORMS[SIMPLE:], 1 + SIMPLE)
        yield from _alone(there, values, FORMS[PROPORTIONAL:], _ELSEWHERE + PROPORTIONAL)
    in_two = chain(products(values, free, TOKENS, square=True), () if sure else of_two(values, free))
    yield from ((_ELSEWHERE + len(FORMS), text) for text in in_two)


def _in_batch(
    batch: Values, values: Values, free: tuple[Column, ...], preferred: str | None, sure: bool
) -> Iterator[tuple[int, str]]:
    """Yield B, B*8, B*H/4*W/4 or B/2: windows, heads or patches folded into the batch, but never B+5."""
    pairs = list(zip(batch, values, strict=True))
    if all(size and value % size == 0 for size, value in pairs):
        rest = _infer_dim(tuple(value // size for size, value in pairs), free, preferred, sure)
        if rest is not None:
            yield rest[0] + 1, _times(BATCH, rest[1])
    elif all(value and size % value == 0 for size, value in pairs):
        yield 1, f"{BATCH}/{batch[0] // values[0]}"


def _times(factor: str, inner: int | str) -> str:
    if inner == 1:
        return factor
    text = str(inner)
    return f"{factor}*({text})" if set("+-") & set(text) or "//" in text else f"{factor}*{text}"


def _alone(columns: Sequence[Column], values: Values, forms: Sequence[Form], cost: int) -> Iterator[tuple[int, str]]:
    for i, form in enumerate(forms):
        for name, column in columns:
            yield from ((cost + i, text) for text in form(name, column, values))

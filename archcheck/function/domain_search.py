"""Which values an input may have to take, where a network fails for those that it was given.

A logarithm of a negative number, an index that is out of range and a length of 0 fail in a fresh network as defects do.
So one input after the other is given values of a likely domain: with the right one the network runs.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from torch import nn

from archcheck.findings import Keys
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.fingerprint import fingerprint_in_eval_mode
from archcheck.function.fingerprint.preparation import NetworkFactory
from archcheck.function.records import FunctionRecord
from archcheck.spec.dims import BATCH
from archcheck.spec.domains import ANYTHING, INTEGER_DTYPES
from archcheck.spec.inputs import (
    InputPattern,
    InputSource,
    InputTree,
    iter_input_patterns,
    make_forward_input,
    parse_input,
)
from archcheck.spec.tree import map_leaves
from archcheck.text.words import key_text
from archcheck.text.yaml_flow import format_flow

_SEARCH_SEC: Final = 5.0
_MAX_EMBEDDINGS: Final = 4
_OF_SHAPES: Final = re.compile(
    r"shapes cannot be|size of tensor|[Ss]izes of tensors|to have \d+ channels|reduction dim|normalized_shape"
    r"|is invalid for|unexpected keyword|required positional|Expected \d+D|takes [\d,]+ [\w ]+, got"
)  # no values of any kind mend these


class LikelyDomain(NamedTuple):
    """Values with which a network runs: of which input, by position and by the way to it, and what a spec says then."""

    number: int
    keys: Keys
    value: dict[str, Any]

    def __str__(self) -> str:
        is_named = bool(self.keys) and isinstance(self.keys[0], str)
        name = key_text(str(self.keys[-1])) if is_named else f"input {self.number}"
        return f"not every value will do: it runs where {name} is {format_flow(self.value)}"


def likely_domain(
    build: NetworkFactory, config: FingerprintConfig, tree: InputTree, error: str | None = None
) -> LikelyDomain | None:
    """Return with what values of which input a network runs that fails with others; None where none is found.

    tree: the pattern of `config`'s inputs. error: what the network raised, None where its output isn't finite.
    """
    if isinstance(tree, InputSource) or (error is not None and _OF_SHAPES.search(error)):
        return None
    end = time.monotonic() + _SEARCH_SEC
    if _runs(build, config, tree):
        return None
    leaves = list(iter_input_patterns(tree))
    bounds = _row_counts(build)
    for number, (keys, pattern) in enumerate(leaves, 1):
        for value in _candidates(pattern, bounds, _lengths(leaves, keys)):
            if time.monotonic() > end:
                return None
            if _runs(build, config, _with_leaf(tree, pattern, parse_input(value))):
                return LikelyDomain(number, keys, value)
    return None


def _runs(build: NetworkFactory, config: FingerprintConfig, tree: InputTree) -> bool:
    try:
        inputs = make_forward_input(tree, config.inputs.sizes)
        record = fingerprint_in_eval_mode(build, replace(config, inputs=inputs, gains=None))
    except Exception:  # lazy layers are made by a forward of the network's own, which may raise anything
        return False
    return record.crash is None and is_finite(record)


def is_finite(record: FunctionRecord) -> bool:
    """Return whether all that modules returned in eval mode is finite."""
    return all(math.isfinite(call.numbers.get("eval", 0.0)) for call in record.calls)


def _with_leaf(tree: InputTree, leaf: InputPattern, other: InputTree) -> InputTree:
    changed: InputTree = map_leaves(lambda one: other if one is leaf else one, tree)
    return changed


def _row_counts(build: NetworkFactory) -> list[int]:
    """Return the numbers of rows of a network's embeddings, largest first: what indices are below."""
    try:
        modules = list(build().modules())
    except Exception:
        return []
    counts = {one.num_embeddings for one in modules if isinstance(one, nn.Embedding | nn.EmbeddingBag)}
    return sorted(counts, reverse=True)[:_MAX_EMBEDDINGS]


def _lengths(leaves: Sequence[tuple[Keys, InputPattern]], keys: Keys) -> list[int | str]:
    """Return the sizes of other inputs behind the batch: the most that a length may be; features last."""
    others = [pattern for path, pattern in leaves if path != keys]
    steps = [dim for one in others for dim in (one.dims if one.dtype in INTEGER_DTYPES else one.dims[:-1])]
    sizes = [dim.text for dim in [*steps, *(dim for one in others for dim in one.dims)] if dim.text != BATCH]
    return list(dict.fromkeys(int(size) if size.isdecimal() else size for size in sizes))[:3]


def _candidates(pattern: InputPattern, counts: Sequence[int], lengths: Sequence[int | str]) -> Iterator[dict[str, Any]]:
    """Yield what an input may have to be, as a spec writes it, the likeliest first."""
    shape: Mapping[str, Any] = {"shape": [int(dim.text) if dim.text.isdecimal() else dim.text for dim in pattern.dims]}
    if pattern.dtype in INTEGER_DTYPES:
        typed = {**shape, "dtype": pattern.dtype}
        named = shape if pattern.dtype == "int64" else typed  # whole numbers by their bound
        yield from ({**named, "below": count} for count in counts)
        for order in ({}, {"sorted": "descending"}, {"sorted": True}):
            for length in lengths:
                yield {**(named if isinstance(length, str) else typed), "between": [1, length], **order}
            yield {**typed, "at_least": 1, **order}
        yield from ({**named, "below": length, "sorted": True} for length in lengths)
    elif pattern.domain == ANYTHING and pattern.dtype.startswith(("float", "bfloat")):
        typed = {**shape, **({} if pattern.dtype == "float32" else {"dtype": pattern.dtype})}
        yield from ({**typed, **domain} for domain in ({"above": 0}, {"between": [0, 1]}, {"sums_to": 1}))
        yield from ({**shape, "below": count} for count in counts)

"""What an operation of torch's dispatcher does with its tensors, read off its schema."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch._ops import HigherOrderOperator

_BLANK: Final = "empty zeros ones full rand randn randint empty_strided empty_permuted"
_ALLOCATES: Final = "empty empty_like empty_strided empty_permuted new_empty new_empty_strided"
_OVERWRITES: Final = "copy_ fill_ zero_ uniform_ normal_ bernoulli_ random_ exponential_ log_normal_ cauchy_ geometric_"
_READS_ROWS: Final = "embedding index_select gather index take take_along_dim _embedding_bag"
_MASKED: Final = "index index_put index_put_ _index_put_impl_ _unsafe_index _unsafe_index_put"
_WAITS: Final = frozenset({torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape})


@dataclass(frozen=True, slots=True)
class Operation:
    """The facts of one operation.

    name: as `aten` has it, without overload. written: by position, the arguments that it writes to; overwrites: it
    doesn't read what it writes to. is_view: it returns another look at what it's given, and does nothing.
    changes_sizes: it does that in place. allocates: it makes room, and does nothing. is_blank: it makes a tensor of
    which no value matters. reads_shape: it takes no more than sizes from its arguments. reads_rows: it reads as many
    elements of its first argument as it returns. waits: its result depends on values that the host has to wait for;
    waits_for_masks: where an index is a mask. is_composite: it is made of others, which count instead.
    """

    name: str
    written: tuple[int | str, ...]
    overwrites: bool
    returns_argument: bool
    is_view: bool
    changes_sizes: bool
    allocates: bool
    is_blank: bool
    reads_shape: bool
    reads_rows: bool
    waits: bool
    waits_for_masks: bool
    is_composite: bool

    def written_tensors(self, args: Any, kwargs: Any) -> Iterator[Tensor]:
        """Yield the tensors that a call writes to."""
        for place in self.written:
            if isinstance(place, str):
                yield from tensors_in(kwargs.get(place))
            else:
                yield from tensors_in(args[place] if place < len(args) else None)


@functools.cache
def operation_of(func: Any) -> Operation:
    """Return the facts of an operation."""
    if isinstance(func, HigherOrderOperator):
        return Operation(str(func.name()), (), *[False] * 11)  # type: ignore[no-untyped-call]
    schema, tags = func._schema, set(func.tags)
    name = schema.name.partition("::")[2]
    written = tuple(
        argument.name if argument.kwarg_only else position
        for position, argument in enumerate(schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    )
    aliases = any(one.alias_info is not None for one in schema.returns)
    return Operation(
        name=name,
        written=written,
        overwrites=name in _OVERWRITES.split() or any(argument.is_out for argument in schema.arguments),
        returns_argument=aliases and bool(written),
        is_view=aliases and not written,
        changes_sizes=torch.Tag.inplace_view in tags,
        allocates=name in _ALLOCATES.split(),
        is_blank=name in _BLANK.split(),
        reads_shape=name.endswith("_like") or name.startswith("new_"),
        reads_rows=name in _READS_ROWS.split(),
        waits=bool(tags & _WAITS) and name not in _MASKED.split(),
        waits_for_masks=name in _MASKED.split(),
        is_composite=func.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd)
        and not func.has_kernel_for_dispatch_key(torch._C.DispatchKey.CPU),
    )


def tensors_in(*values: Any) -> Iterator[Tensor]:
    """Yield the tensors among arguments, in lists and maps too."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors_in(*value)
        elif isinstance(value, dict):
            yield from tensors_in(*value.values())

"""What torch's operations on a GPU take of tensors that are on the CPU.

A tensor without dimensions may be on the CPU wherever it is a number among others. All other tensors of an operation
have to be on one device, except for those here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

_CHECKED_NAMESPACES: Final = ("aten", "torchvision")
_COPYING: Final = ("copy_", "copy", "_to_copy", "_foreach_copy", "_foreach_copy_", "set_", "set", "fill_", "fill")
_READING_SIZES: Final = ("result_type", "is_same_size", "sym_size", "record_stream", "lift_fresh", "detach", "alias")
_WANTING_CPU: Final = (  # lengths that have to be on the CPU
    "_pack_padded_sequence", "_pack_padded_sequence_backward", "_pad_packed_sequence", "_ctc_loss", "_cudnn_ctc_loss",
    "ctc_loss", "_ctc_loss_backward", "_use_cudnn_ctc_loss", "lstm", "gru", "rnn_tanh", "rnn_relu",
    "_cudnn_rnn", "segment_reduce",
)  # fmt: skip
_UNCHECKED: Final = frozenset((*_COPYING, *_READING_SIZES, *_WANTING_CPU))
_INDEXING: Final = frozenset(("index", "_unsafe_index"))
_PUTTING: Final = frozenset(("index_put", "index_put_", "_index_put_impl_", "_unsafe_index_put"))


def tensors_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[Tensor]:
    """Yield the tensors among an operation's arguments, which are in lists at most."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from (one for one in value if isinstance(one, Tensor))


def misplaced(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """Return the tensors on the CPU that an operation on a GPU would refuse; none where it takes them all."""
    namespace, name = func.namespace, func.overloadpacket.__name__
    if namespace not in _CHECKED_NAMESPACES or name in _UNCHECKED:
        return []
    if name in _INDEXING or name in _PUTTING:
        return _misplaced_of_index(name, args)
    tensors = list(tensors_of(args, kwargs))
    if not any(one.is_meta for one in tensors):
        return []
    if _writes_to_number(func, tensors):
        return tensors[:1]
    return [one for one in tensors if _is_on_cpu(one)]


def refused_whole(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """Return the tensors on the CPU that a function of Python's can't have with others on a GPU; lengths it may."""
    tensors = list(tensors_of(args, kwargs))
    if not any(one.is_meta for one in tensors):
        return []
    takes_lengths = func.__name__ in _WANTING_CPU
    return [one for one in tensors if _is_on_cpu(one) and (one.is_floating_point() or not takes_lengths)]


def _misplaced_of_index(name: str, args: Sequence[Any]) -> list[Tensor]:
    """Return what can't be where it is of what is indexed and what is put there; indices may be on the CPU."""
    indexed, indices, *values = args
    together = [indexed, *(one for one in values[:1] if name in _PUTTING and isinstance(one, Tensor))]
    places = [one for one in indices if isinstance(one, Tensor)]
    if not any(one.is_meta for one in (*together, *places)):
        return []
    return [one for one in together if _is_on_cpu(one)] if indexed.is_meta else [indexed]


def _writes_to_number(func: Any, tensors: Sequence[Tensor]) -> bool:
    """Return whether an operation would write what a GPU has computed to a tensor on the CPU, however small."""
    target = tensors[0]
    is_in_place = func.overloadpacket.__name__.endswith("_") and torch.Tag.pointwise in func.tags
    return is_in_place and target.device.type == "cpu"


def _is_on_cpu(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.ndim > 0 and tensor.numel() > 0

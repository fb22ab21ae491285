"""Forward passes without values on the meta device, and with real tensors on the CPU; multiply-adds are counted."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.modules.transformer import _detect_is_causal_mask
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from archcheck.network.devices import computes_by_autocast
from archcheck.structure.meta import convolution, matmul, normalization, recurrent
from archcheck.structure.meta.counting import CountingMode, MacCounter, UnreadCounter
from archcheck.structure.meta.failures import confirm, fails_on_any_device, needs_values
from archcheck.structure.meta.ops import shortcuts, zero_mac_functions
from archcheck.structure.meta.placement import Rule, is_real, moved_to_meta, placement_rules, run_on_meta
from archcheck.structure.meta.tensors import META, PLAIN_TYPES, REFUSED, is_transformed

_ORDINARY: Final = PLAIN_TYPES  # anything else may do what it likes with a function
_MAX_REAL_NUMEL: Final = 2**24  # of tensors that are made up to see what torch says about their shapes
_NEEDS_ONE_DTYPE: Final = frozenset(  # for real, that is: on meta, a mixture passes
    {
        convolution.conv,
        convolution.conv_transpose,
        matmul.linear,
        matmul.matmul,
        matmul.mm,
        matmul.bmm,
        matmul.addmm,
        matmul.baddbmm,
        normalization.batch_norm,
        normalization.layer_norm,
        normalization.group_norm,
    }
)
_NEEDS_STRIDES: Final = frozenset({matmul.grouped_mm})  # for real, that is


def _truth(func: Any, args: Any, kwargs: Any) -> Any:
    """Answer `if tensor:` where torch asks whether a mask is causal, for which it needs no values; else it does."""
    asking = sys._getframe(2).f_code  # below `__torch_function__`
    return False if asking is _detect_is_causal_mask.__code__ else func(*args, **kwargs)


def _pack(func: Any, args: Any, kwargs: Any) -> Any:
    """Refuse to pack a sequence, whose rows depend on the lengths' values; some releases give no rows on meta."""
    raise NotImplementedError("aten::_pack_padded_sequence: attempted to run this operator with Meta tensors")


@cache
def _forward_rules() -> Mapping[Any, Rule]:
    pack = torch._C._VariableFunctions._pack_padded_sequence
    return MappingProxyType({**placement_rules(), Tensor.__bool__: _truth, pack: _pack})


class ForwardMode(TorchFunctionMode):
    """Runs common operations of a forward pass on meta by shortcut, all others by torch, counted."""

    def __init__(
        self, counter: MacCounter, counting: Callable[[MacCounter], AbstractContextManager[Any]] = CountingMode
    ) -> None:
        super().__init__()
        self._counter = counter
        self._counting = counting
        self._shortcuts = shortcuts()
        self._placement = _forward_rules()
        self._free = zero_mac_functions()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, shortcut = kwargs or {}, self._shortcuts.get(func)
        try:
            ordinary = _ORDINARY.issuperset(types)
            if shortcut is not None and ordinary and not is_transformed():
                result = self._by_shortcut(func, shortcut, args, kwargs)
                if result is not NotImplemented:
                    return result
            elif (rule := self._placement.get(func)) is not None:
                return rule(func, args, kwargs)
            if ordinary and func in self._free:
                return run_on_meta(func, args, kwargs)
            with self._counting(self._counter):
                return run_on_meta(func, args, kwargs)
        except Exception as error:
            if not needs_values(error) and not fails_on_any_device(error):
                if shortcut is not None and shortcut not in _NEEDS_STRIDES and not _writes(func, kwargs):
                    _refuse_as_on_cpu(func, args, kwargs, _expanded_zero)
                elif _can_be_made_up(tree_leaves((args, kwargs))):
                    _refuse_as_on_cpu(func, args, kwargs, _zeros)
            raise

    def _by_shortcut(self, func: Any, shortcut: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Compute a result from shapes; NotImplemented where torch has to. Raises what real tensors are refused by."""
        result = self._shortcut(shortcut, args, kwargs)
        if result is NotImplemented and any(isinstance(arg, Tensor) and arg.is_cpu for arg in args):
            moved = moved_to_meta(func, args, kwargs)
            if moved is not None:
                args, kwargs = moved
                result = self._shortcut(shortcut, args, kwargs)
        if result is REFUSED or (
            result is NotImplemented and shortcut in _NEEDS_ONE_DTYPE and _mixes_dtypes(args, kwargs)
        ):
            _refuse_as_on_cpu(func, args, kwargs, _expanded_zero)
            return NotImplemented
        return result

    def _shortcut(self, shortcut: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        try:
            return shortcut(self._counter, *args, **kwargs)
        except Exception:  # arguments of another kind than expected: torch has the better message
            return NotImplemented


class RealForwardMode(TorchFunctionMode):
    """Runs a forward pass with real tensors; a mode keeps torch off its fused paths, which hide layers and counts."""

    def __init__(self, counter: MacCounter) -> None:
        super().__init__()
        self._counter = counter
        self._gates = {torch.lstm: 4, torch.gru: 3, torch.rnn_tanh: 1, torch.rnn_relu: 1}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in self._gates:
            return func(*args, **kwargs)
        before, uncounted = self._counter.macs, set(self._counter.uncounted)
        result = func(*args, **kwargs)
        macs = self._recurrent_macs(func, args, kwargs)
        if macs is not None:  # the CPU's own kernel, which torch sometimes takes, has no formula
            self._counter.macs = before + macs
            self._counter.uncounted.intersection_update(uncounted)
        return result

    def _recurrent_macs(self, func: Any, args: Any, kwargs: Any) -> int | None:
        counter = UnreadCounter()
        try:
            if args[0].ndim == 2 and args[1].dtype is torch.int64:  # packed: rows, and how many sequences each step has
                return recurrent.packed_recurrent_macs(self._gates[func], *args, **kwargs)
            blank = tree_map(lambda x: x.to(META) if is_real(x) else x, args)
            fits = shortcuts()[func](counter, *blank, **kwargs) is not NotImplemented
        except Exception:  # arguments of another kind than expected
            return None
        return counter.macs if fits else None


@contextmanager
def meta_forward(counter: MacCounter) -> Iterator[None]:
    """Run a forward pass by shortcuts; all is counted where TorchScript functions exist, which no mode sees."""
    compiled: Any = torch.jit._state._python_cu
    if compiled.get_functions():
        with ForwardMode(counter, lambda _: nullcontext()), CountingMode(counter):
            yield
    else:
        with ForwardMode(counter):
            yield


@contextmanager
def real_forward(counter: MacCounter) -> Iterator[None]:
    """Run a forward pass by torch itself."""
    with RealForwardMode(counter), CountingMode(counter):
        yield


def _mixes_dtypes(args: Any, kwargs: Any) -> bool:
    if computes_by_autocast():
        return False
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    return len({x.dtype for x in tensors}) > 1


def _writes(func: Any, kwargs: Any) -> bool:
    name = getattr(func, "__name__", "_")
    return name.endswith("_") or bool(kwargs.get("inplace")) or kwargs.get("out") is not None


def _refuse_as_on_cpu(func: Any, args: Any, kwargs: Any, made_up: Callable[[Tensor], Tensor]) -> None:
    """Raise what the function raises for tensors made up with these shapes: those are the messages that people know.

    Where the CPU takes them, nothing is raised: a kernel may be stricter on meta.
    """
    real_args, real_kwargs = tree_map(lambda x: made_up(x) if isinstance(x, Tensor) else x, (args, kwargs))
    error: Exception | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about tensors that are made up
        try:
            func(*real_args, **real_kwargs)
        except Exception as refused:
            error = refused
    if error is not None:
        confirm(error)
        raise error from None


def _can_be_made_up(leaves: Sequence[Any]) -> bool:
    """Whether arguments are plain tensors that aren't too large; a function among them may be the network's own."""
    tensors = [x for x in leaves if isinstance(x, Tensor)]
    plain = all(type(x) in PLAIN_TYPES and x.layout is torch.strided and not x.is_nested for x in tensors)
    return plain and sum(x.numel() for x in tensors) <= _MAX_REAL_NUMEL and not any(map(callable, leaves))


def _zeros(x: Tensor) -> Tensor:
    return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype).zero_()


def _expanded_zero(x: Tensor) -> Tensor:
    """Make up a tensor of any size at no cost, for functions that don't care about strides."""
    return torch.zeros((), dtype=x.dtype).expand(x.shape)

"""What a build and a forward pass call of torch, intercepted: no weights, no values, no device but meta."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from types import CodeType, MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.modules.transformer import _detect_is_causal_mask
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_any, tree_leaves, tree_map

from archcheck.structure.meta import matmul, pointwise
from archcheck.structure.meta.counting import CountingMode
from archcheck.structure.meta.failures import needs_values
from archcheck.structure.meta.matmul import Meter
from archcheck.structure.meta.ops import free_functions, functions_named, shortcuts
from archcheck.structure.meta.tensors import META, NUMBERS, PLAIN_TYPES, REFUSED

# Their values are the network's weights or its state: never needed, so never made.
_ALLOCATING: Final = (
    "empty zeros ones rand randn empty_strided full randint empty_like zeros_like ones_like full_like rand_like "
    "randn_like randint_like empty_permuted"
)
# Their values are often read while a network is built (stochastic depths, position tables), and they are small.
_VALUED: Final = "arange linspace logspace tensor as_tensor scalar_tensor eye tril_indices triu_indices randperm range"
_MOVING: Final = "cuda cpu xpu ipu npu mtia hpu"
_FILLING: Final = (
    "zero_ fill_ uniform_ normal_ trunc_normal_ erfinv_ bernoulli_ exponential_ clamp_ mul_ add_ sub_ div_"
)
_ORDINARY: Final = PLAIN_TYPES  # anything else may do what it likes with a function
_MAX_REAL_NUMEL: Final = 2**24  # of a tensor that is made up to see what torch says about its shape
_OF_ONE_DTYPE: Final = frozenset(  # for real, that is: on meta, a mixture passes
    {
        matmul.conv,
        matmul.conv_transpose,
        matmul.linear,
        matmul.matmul,
        matmul.mm,
        matmul.bmm,
        matmul.addmm,
        matmul.baddbmm,
        pointwise.batch_norm,
        pointwise.layer_norm,
        pointwise.group_norm,
    }
)
_RESET: Final = "reset_parameters"
_INITIALISING: Final = ("kaiming_uniform_", "kaiming_normal_", "normal_", "constant_", "uniform_", "trunc_normal_")


# ---------------------------------------------------------------------------------------------- where tensors live


def _allocate(func: Any, args: Any, kwargs: Any) -> Any:
    kwargs.pop("generator", None)  # those of other devices
    kwargs.pop("pin_memory", None)
    kwargs["device"] = META
    return func(*args, **kwargs)


def _allocate_blank(func: Any, args: Any, kwargs: Any) -> Any:
    """zeros, ones, randn: `empty` is the cheapest of them."""
    if kwargs.get("out") is not None:
        return _allocate(func, args, kwargs)
    return _allocate(torch.empty, args, kwargs)


def _valued(func: Any, args: Any, kwargs: Any) -> Any:
    """On the CPU whatever the default device, unless asked for on meta."""
    device = kwargs.get("device")
    if device is None or torch.device(device).type != "meta":
        kwargs = {**kwargs, "device": "cpu"}
    return func(*args, **kwargs)


def _to(func: Any, args: Any, kwargs: Any) -> Any:
    """Tensor.to: a dtype is respected, a device is not, since everything is on meta or goes there when it must."""
    tensor, *rest = args
    moved = [_without_device(arg) for arg in rest]
    options = {key: _without_device(value) for key, value in kwargs.items()}
    if not tensor.is_meta and META not in (*moved, *options.values()):
        return func(*args, **kwargs)
    return func(tensor, *moved, **options)


def _without_device(value: Any) -> Any:
    if isinstance(value, torch.device | str):
        return META
    if type(value) is int:  # a CUDA ordinal
        return META
    if isinstance(value, Tensor) and not value.is_meta:
        return torch.empty(0, dtype=value.dtype, device=META)
    return value


def _move(func: Any, args: Any, kwargs: Any) -> Any:
    """cuda(), cpu() and the like."""
    tensor = args[0]
    if tensor.is_meta:
        return tensor
    return func(*args, **kwargs) if func is Tensor.cpu else tensor.to(META)


_Rule = Callable[[Any, Any, Any], Any]


@cache
def _placement_rules() -> Mapping[Any, _Rule]:
    rules: dict[Any, _Rule] = dict.fromkeys(functions_named(_ALLOCATING), _allocate)
    rules |= dict.fromkeys((torch.zeros, torch.ones, torch.rand, torch.randn, torch.empty), _allocate_blank)
    rules |= dict.fromkeys(functions_named(_VALUED), _valued)
    rules |= dict.fromkeys(functions_named(_MOVING), _move)
    return MappingProxyType({**rules, Tensor.to: _to})


# ---------------------------------------------------------------------------------------------- building


def _skip_fill(func: Any, args: Any, kwargs: Any) -> Any:
    """In-place arithmetic with numbers on a tensor without values."""
    tensor = args[0]
    if tensor.is_meta and (len(args) == 1 or all(type(arg) in NUMBERS for arg in args[1:])):
        return tensor
    return func(*args, **kwargs)


def _skip_init(func: Any, args: Any, kwargs: Any) -> Any:
    tensor = args[0] if args else kwargs.get("tensor")
    return tensor if isinstance(tensor, nn.Parameter) or tensor.is_meta else func(*args, **kwargs)


class _Discard:
    """A meter nobody reads."""

    macs = 0
    uncounted: set[str] = set()  # noqa: RUF012  (nobody reads it either)


def _by_shortcut(shortcut: Callable[..., Any]) -> _Rule:
    def rule(func: Any, args: Any, kwargs: Any) -> Any:
        try:
            result = shortcut(_Discard(), *args, **kwargs)
        except Exception:  # arguments of another kind than expected: torch has the better message
            result = NotImplemented
        return run_on_meta(func, args, kwargs) if result is NotImplemented or result is REFUSED else result

    return rule


@cache
def _build_rules() -> Mapping[Any, _Rule]:
    computed = {func: _by_shortcut(shortcut) for func, shortcut in shortcuts().items()}
    filling = dict.fromkeys(functions_named(_FILLING), _skip_fill)
    initialising = {getattr(nn.init, name): _skip_init for name in _INITIALISING}
    return {**computed, **_placement_rules(), torch.empty: _allocate_weight, **filling, **initialising}


def _do_nothing() -> None:
    """In the place of `reset_parameters`, of a layer without weights."""


@cache
def _fillers() -> Mapping[CodeType, Callable[..., Any]]:
    """The constructors of torch's commonest layers -> the `reset_parameters` at their end, which only fills weights."""
    layers: tuple[Any, ...] = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.Linear, nn.LayerNorm)
    return MappingProxyType({layer.__init__.__code__: layer.reset_parameters for layer in layers})


def _allocate_weight(func: Any, args: Any, kwargs: Any) -> Any:
    """Tell a layer that makes its weight not to fill it: that takes a third of the time of building a network."""
    caller = sys._getframe(2)  # below `__torch_function__`
    fill = _fillers().get(caller.f_code)
    if fill is not None:
        layer = caller.f_locals["self"]
        if type(layer).reset_parameters is fill:
            vars(layer)[_RESET] = _do_nothing
    return _allocate_blank(func, args, kwargs)


def forget_build(modules: Iterable[nn.Module]) -> None:
    """Take away what the build mode left with the layers."""
    for module in modules:
        vars(module).pop(_RESET, None)


class BuildMode(TorchFunctionMode):
    """A constructor runs as written, but its weights are neither allocated nor initialised."""

    def __init__(self) -> None:
        super().__init__()
        self._rules = _build_rules()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        rule = self._rules.get(func)
        if rule is not None:
            return rule(func, args, kwargs or {})
        if kwargs:
            return run_on_meta(func, args, kwargs)
        try:
            return func(*args)
        except Exception:
            return run_on_meta(func, args, {})


# ---------------------------------------------------------------------------------------------- running


def _truth(func: Any, args: Any, kwargs: Any) -> Any:
    """`if tensor:` needs values, unless torch asks whether a mask is causal: a mask is as good as the flag here."""
    asking = sys._getframe(2).f_code  # below `__torch_function__`
    return False if asking is _detect_is_causal_mask.__code__ else func(*args, **kwargs)


def _pack(func: Any, args: Any, kwargs: Any) -> Any:
    """The rows of a packed sequence depend on the lengths' values; some releases answer with none on meta."""
    raise NotImplementedError("aten::_pack_padded_sequence: attempted to run this operator with Meta tensors")


@cache
def _forward_rules() -> Mapping[Any, _Rule]:
    pack = torch._C._VariableFunctions._pack_padded_sequence
    return MappingProxyType({**_placement_rules(), Tensor.__bool__: _truth, pack: _pack})


class ForwardMode(TorchFunctionMode):
    """A forward pass on the meta device: common operations by shortcut, all others by torch, counted."""

    def __init__(self, meter: Meter, counting: Callable[[Meter], AbstractContextManager[Any]] = CountingMode) -> None:
        super().__init__()
        self._meter = meter
        self._counting = counting
        self._shortcuts = shortcuts()
        self._placement = _forward_rules()
        self._free = free_functions()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        ordinary = _ORDINARY.issuperset(types)
        shortcut = self._shortcuts.get(func)
        if shortcut is not None and ordinary and not is_transformed():
            result = self._shortcut(shortcut, args, kwargs)
            if result is NotImplemented and any(isinstance(arg, Tensor) and arg.is_cpu for arg in args):
                moved = _moved_to_meta(func, args, kwargs)
                if moved is not None:
                    args, kwargs = moved
                    result = self._shortcut(shortcut, args, kwargs)
            if result is not NotImplemented and result is not REFUSED:
                return result
            if result is REFUSED or (shortcut in _OF_ONE_DTYPE and _mixes_dtypes(args, kwargs)):
                _refuse_as_on_cpu(func, args, kwargs)
            return self._by_torch(func, args, kwargs)
        rule = self._placement.get(func)
        if rule is not None:
            return rule(func, args, kwargs)
        if ordinary and func in self._free:
            return run_on_meta(func, args, kwargs)
        with self._counting(self._meter):
            return run_on_meta(func, args, kwargs)

    def _by_torch(self, func: Any, args: Any, kwargs: Any) -> Any:
        """A function that has a shortcut, with arguments that the shortcut declines."""
        try:
            if func in self._free:
                return run_on_meta(func, args, kwargs)
            with self._counting(self._meter):
                return run_on_meta(func, args, kwargs)
        except Exception as error:
            if not needs_values(error):
                _refuse_as_on_cpu(func, args, kwargs)
            raise

    def _shortcut(self, shortcut: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        try:
            return shortcut(self._meter, *args, **kwargs)
        except Exception:  # arguments of another kind than expected: torch has the better message
            return NotImplemented


class RealMode(TorchFunctionMode):
    """A forward pass for real. That a mode is there keeps torch off its fused paths, which hide layers and counts."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter
        self._gates = {torch.lstm: 4, torch.gru: 3, torch.rnn_tanh: 1, torch.rnn_relu: 1}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in self._gates:
            return func(*args, **kwargs)
        before, uncounted = self._meter.macs, set(self._meter.uncounted)
        result = func(*args, **kwargs)
        macs = self._recurrent_macs(func, args, kwargs)
        if macs is not None:  # the CPU's own kernel, which torch sometimes takes, has no formula
            self._meter.macs = before + macs
            self._meter.uncounted.intersection_update(uncounted)
        return result

    def _recurrent_macs(self, func: Any, args: Any, kwargs: Any) -> int | None:
        meter = _Discard()
        try:
            if args[0].ndim == 2 and args[1].dtype is torch.int64:  # packed: rows, and how many sequences each step has
                return matmul.packed_recurrent_macs(self._gates[func], *args, **kwargs)
            blank = tree_map(lambda x: x.to(META) if _is_real(x) else x, args)
            fits = shortcuts()[func](meter, *blank, **kwargs) is not NotImplemented
        except Exception:  # arguments of another kind than expected
            return None
        return meter.macs if fits else None


@contextmanager
def on_meta(meter: Meter) -> Iterator[None]:
    """By shortcuts; where there are TorchScript functions, whose calls no function mode sees, all is watched."""
    compiled: Any = torch.jit._state._python_cu
    if compiled.get_functions():
        with ForwardMode(meter, lambda _: nullcontext()), CountingMode(meter):
            yield
    else:
        with ForwardMode(meter):
            yield


@contextmanager
def counted(meter: Meter) -> Iterator[None]:
    """Everything by torch itself."""
    with RealMode(meter), CountingMode(meter):
        yield


def is_transformed() -> bool:
    """Inside vmap, grad and the like, where a tensor's shape isn't what it seems."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def run_on_meta(func: Any, args: Any, kwargs: Any) -> Any:
    """Torch's own function; constants on the CPU that meet meta tensors in it follow them."""
    try:
        return func(*args, **kwargs)
    except Exception:
        moved = _moved_to_meta(func, args, kwargs)
        if moved is None:
            raise
    return func(*moved[0], **moved[1])


def _moved_to_meta(func: Any, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
    """The arguments with every CPU tensor on meta; None where none is, or where a CPU tensor would be written to."""
    both = (args, kwargs)
    if not tree_any(_is_real, both) or not tree_any(_is_meta, both):
        return None
    name = getattr(func, "__name__", "")
    writes = name in ("__setitem__", "__set__") or (name.endswith("_") and not name.startswith("__"))
    if (writes and _is_real(args[0])) or kwargs.get("out") is not None:
        return None  # its values would be lost unnoticed
    moved: tuple[Any, Any] = tree_map(lambda x: x.to(META) if _is_real(x) else x, both)
    return moved


def _mixes_dtypes(args: Any, kwargs: Any) -> bool:
    if torch.is_autocast_enabled("cuda") or torch.is_autocast_enabled("cpu"):
        return False
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    return len({x.dtype for x in tensors}) > 1


def _refuse_as_on_cpu(func: Any, args: Any, kwargs: Any) -> None:
    """Raise what the function raises for real tensors of these shapes: those are the messages that people know."""
    leaves = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    writes = getattr(func, "__name__", "_").endswith("_") or kwargs.get("inplace") or kwargs.get("out") is not None
    if writes or any(x.numel() > _MAX_REAL_NUMEL for x in leaves):
        return
    real_args, real_kwargs = tree_map(_expanded_zero, (args, kwargs))
    error: Exception | None = None
    try:
        func(*real_args, **real_kwargs)
    except Exception as refused:
        error = refused
    if error is not None:
        raise error from None


def _expanded_zero(x: Any) -> Any:
    return torch.zeros((), dtype=x.dtype).expand(x.shape) if isinstance(x, Tensor) else x


def _is_real(x: Any) -> bool:
    return isinstance(x, Tensor) and not x.is_meta


def _is_meta(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_meta

"""Stand-ins for tensors: to torch they are on the CPU, in truth they have no values, so that nothing is computed.

Torch chooses by the device which of several operations it runs: what autocast converts, which kernel does attention or
a recurrent layer. A tensor on the meta device would be answered otherwise than one on a CPU; a stand-in is answered
the same, and has the sizes, strides and dtype that the CPU would have given it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from archcheck.cost.operations import Operation, operation_of, tensors_in
from archcheck.structure.meta.tensors import standard_strides

CPU: Final = torch.device("cpu")
META: Final = torch.device("meta")
ASKS_FOR_DEVICE: Final = torch.ops.prim.device.default
_IS_VIEW: Final = "a view"  # in the place of what comes out of a call
_IS_ARGUMENT: Final = "an argument"


class NeedsValues(NotImplementedError):  # noqa: N818 - a reason to measure otherwise, not a fault
    """An operation asks for values that a stand-in hasn't."""


class StandIn(Tensor):
    """A tensor without values that torch takes for one on the CPU; `meta` is the tensor on the meta device behind it.

    It can be used while a `CostMeter` is active only, which has `StandInKernels` say what comes out of an operation.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]
    meta: Tensor

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Say where it is; refuse everything else."""
        if func is ASKS_FOR_DEVICE:
            return CPU
        raise NeedsValues(f"{func}: a tensor without values, left over from a measurement of cost")


def stand_in(meta: Tensor, requires_grad: bool = False) -> StandIn:
    """Return a stand-in that shares the storage of a tensor on the meta device."""
    made: StandIn = Tensor._make_subclass(
        StandIn, meta, requires_grad, dispatch_device=True, device_for_backend_keys=CPU
    )
    made.meta = meta
    return made


def stand_in_for(tensor: Tensor) -> StandIn:
    """Return a stand-in for a tensor on the CPU or on the meta device."""
    return stand_in(_on_meta(tensor), tensor.requires_grad)


def put_stand_ins(modules: Iterable[nn.Module]) -> None:
    """Put stand-ins in the place of the parameters and buffers of modules; those that are shared stay so."""
    made: dict[int, tuple[Tensor, StandIn]] = {}  # by identity, which the tensor beside it keeps from being another's
    for module in modules:
        for tensors, are_parameters in ((module._parameters, True), (module._buffers, False)):
            for name, tensor in tensors.items():
                if tensor is None:
                    continue
                if id(tensor) not in made:
                    made[id(tensor)] = (tensor, stand_in_for(tensor))
                    if are_parameters:
                        made[id(tensor)][1]._is_param = True  # by which torch knows them
                tensors[name] = made[id(tensor)][1]  # type: ignore[assignment]


class StandInKernels:
    """Says what comes out of an operation on stand-ins: sizes, strides and dtypes, of each kind of call asked once."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}

    def run(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Return the result of an operation, with stand-ins where the CPU would give tensors.

        Raises:
            NeedsValues: it would write what it can't know into a tensor that has values.
        """
        operation, given = operation_of(func), list(tensors_in(args, kwargs))
        if not any(type(one) is StandIn for one in given):
            if given or not operation.is_blank:
                return func(*args, **kwargs)  # constants, which have values
            return _wrapped(func(*args, **_moved(kwargs)))
        if any(type(one) is not StandIn for one in operation.written_tensors(args, kwargs)):
            raise NeedsValues(f"{func}: writes to a tensor that has values")
        if operation.changes_sizes:
            return _with_other_sizes(func, args, kwargs)
        if operation.is_view:
            return _wrapped(func(*_bare(args), **_bare(kwargs)))
        return self._by_key(func, operation, args, kwargs, given)

    def _by_key(self, func: Any, operation: Operation, args: Any, kwargs: Any, given: list[Tensor]) -> Any:
        """Compute what comes out of a kind of call the first time, and then make it anew."""
        key = (func, _key(args), _key(kwargs))
        known = self._known.get(key)
        if known is None:
            out = _as_on_devices(operation, args, func(*_bare(args), **_moved(_bare(kwargs))))
            self._known[key] = _IS_ARGUMENT if operation.returns_argument else _described(out, given)
            return _argument(operation, args, kwargs) if operation.returns_argument else _wrapped(out)
        if known is _IS_VIEW:
            return _wrapped(func(*_bare(args), **_moved(_bare(kwargs))))
        return _argument(operation, args, kwargs) if known is _IS_ARGUMENT else _made(known)


_TRAINING: Final = {"native_batch_norm": 5, "_native_batch_norm_legit": 5, "_native_batch_norm_legit_no_training": None}
_LAYER_NORMS: Final = ("native_layer_norm", "native_layer_norm_backward")


def _as_on_devices(operation: Operation, args: Any, out: Any) -> Any:
    """Return a result as a CPU or a GPU gives it, where the meta device gives another.

    A batch norm that normalises by its running statistics has none of the batch to hand to the backward pass. Layer
    norms lay their results out as a new tensor, whatever they are given; convolutions keep the channels last. Group
    norms have statistics in the dtype of their weights, and gradients in that of their input.
    """
    if operation.name in _TRAINING:
        position = _TRAINING[operation.name]
        if position is None or not args[position]:
            return (out[0], *(one.new_empty(0) for one in out[1:]))
    if operation.name in _LAYER_NORMS:
        return tuple(one if one is None else one.new_empty(one.shape) for one in out)
    if operation.name in ("convolution", "convolution_backward"):
        tensors = args[operation.name == "convolution_backward" :][:2]
        return _in_layout_of(tensors, out)
    if operation.name == "native_group_norm" and args[1] is not None:
        return (out[0], *(one.to(args[1].dtype) for one in out[1:]))
    if operation.name == "native_group_norm_backward" and out[0] is not None:
        return (out[0].to(args[1].dtype), *out[1:])
    return out


def _in_layout_of(tensors: Sequence[Tensor], out: Any) -> Any:
    """Return images with channels last where an input or a weight has them last."""
    if isinstance(out, tuple):
        return tuple(one if one is None or one.ndim < 4 else _in_layout_of(tensors, one) for one in out)
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(out.ndim)
    is_last = last is not None and any(
        one.is_contiguous(memory_format=last) and one.stride() != standard_strides(one.shape) for one in tensors
    )
    return out.to(memory_format=last) if is_last else out


def _on_meta(tensor: Tensor) -> Tensor:
    if tensor.is_meta:
        return tensor.detach()
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=META)


def _with_other_sizes(func: Any, args: Any, kwargs: Any) -> Any:
    """Let an operation such as `unsqueeze_` change the sizes of a stand-in, and of the tensor behind it."""
    if operation_of(func).name in ("resize_", "set_", "resize_as_"):
        raise NeedsValues(f"{func}: changes the size of a storage")
    func(*_bare(args), **_bare(kwargs))
    with torch._C._DisableTorchDispatch():
        func(*args, **kwargs)
    return args[0]


def _bare(value: Any) -> Any:
    """Return arguments with tensors on the meta device in the place of all others."""
    if isinstance(value, Tensor):
        return value.meta if type(value) is StandIn else _on_meta(value)
    if isinstance(value, (list, tuple)):
        return type(value)(map(_bare, value)) if type(value) in (list, tuple) else value
    return {name: _bare(one) for name, one in value.items()} if isinstance(value, dict) else value


def _moved(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return keyword arguments by which the result is on the meta device."""
    kept = {name: value for name, value in kwargs.items() if name not in ("pin_memory", "generator")}
    return {**kept, "device": META} if "device" in kept else kept


def _wrapped(value: Any) -> Any:
    if isinstance(value, Tensor):
        return stand_in(value) if value.is_meta else value
    return type(value)(map(_wrapped, value)) if type(value) in (list, tuple) else value


def _argument(operation: Operation, args: Any, kwargs: Any) -> Any:
    written = list(operation.written_tensors(args, kwargs))
    return written[0] if len(written) == 1 else tuple(written)


def _key(value: Any) -> Any:
    """Return what of an argument decides over the kind of result, with types, as 1, 1.0 and True are equal."""
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype
    if isinstance(value, (list, tuple)):
        return tuple(map(_key, value))
    if isinstance(value, dict):
        return tuple((name, _key(one)) for name, one in value.items())
    return type(value), value


def _described(out: Any, given: list[Tensor]) -> Any:
    """Return what it takes to make a result anew; that it's a view where it shares its storage with an argument."""
    storages = {one.untyped_storage()._cdata for one in given}
    if any(one.untyped_storage()._cdata in storages for one in tensors_in(out)):
        return _IS_VIEW
    return _description(out)


def _description(out: Any) -> Any:
    if isinstance(out, Tensor):
        return tuple(out.shape), out.stride(), out.dtype
    return [type(out), *map(_description, out)] if type(out) in (list, tuple) else (out,)


def _made(description: Any) -> Any:
    if type(description) is list:
        return description[0](map(_made, description[1:]))
    if len(description) == 1:
        return description[0]
    shape, strides, dtype = description
    return stand_in(torch.empty_strided(shape, strides, dtype=dtype, device=META))

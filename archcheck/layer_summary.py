"""`archcheck.summary`: the layers of a live model, as a table and as a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from archcheck.errors import DimError, UsageError
from archcheck.spec.dims import BATCH, DEFAULT_BATCH_SIZES
from archcheck.spec.input_option import parse_input_text
from archcheck.spec.inputs import (
    ForwardInput,
    InputValue,
    LiteralInput,
    TensorInput,
    input_names,
    make_forward_input,
)
from archcheck.structure.records import FlowRecord, StructureTrace

if TYPE_CHECKING:
    from torch import nn


_EXPECTED = "expected a shape, a tensor, or a list or map of them"


@dataclass(frozen=True, slots=True)
class Summary:
    """A layer table: prints as text, shows as a picture in a notebook; `trace` has the numbers."""

    trace: StructureTrace
    depth: int | None = None
    _flow: Callable[[], FlowRecord | None] = field(default=lambda: None, repr=False, compare=False)

    @property
    def num_params(self) -> int:
        """Elements of parameters, shared ones once."""
        return self.trace.root.num_params

    @property
    def macs(self) -> int | None:
        """Multiply-adds of one example; None where no forward got through."""
        return self.trace.macs

    def __str__(self) -> str:
        from archcheck.structure.layer_table import format_layers

        return format_layers(self.trace, self.depth)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from archcheck.report.network_page import ShownNetwork, format_for_notebook

        return format_for_notebook(ShownNetwork.of("", self.trace, self._flow(), depth=self.depth))


def summary(model: nn.Module, input: Any, *, depth: int | None = None) -> Summary:  # noqa: A002 - the field's word
    """Return the layer table of a model: every call in the order of execution, with its output, parameters and MACs.

    What it returns keeps the model until it's gone, as the picture in a notebook is drawn when it's shown.

    Args:
        model: a live network. It is neither changed nor moved.
        input: `"B,3,224,224"` (`B` is tried at two sizes), a tensor, a tuple or list of ints, or a list (positional)
            or map (keywords) of them and of other values, passed as they are. Integers: `"B,12:int64<100"`.
        depth: levels of modules to show; all of them without.

    Raises:
        UsageError: the model can't be copied, or the input can't be understood.
    """
    from archcheck.network.build import require_module
    from archcheck.structure.flow import trace_model_flow
    from archcheck.structure.trace import trace_model

    require_module(model)
    inputs, one_example = _forward_inputs(input)
    trace = trace_model(model, inputs, one_example)
    return Summary(trace, depth, partial(trace_model_flow, model, inputs, trace))


def _forward_inputs(value: Any) -> tuple[list[ForwardInput], ForwardInput | None]:
    texts = _as_texts(value)
    if texts:
        return _from_text(texts)
    if isinstance(value, Mapping):
        return [ForwardInput(kwargs={str(key): _input_value(item) for key, item in value.items()})], None
    if isinstance(value, (list, tuple)) and not _is_shape(value):
        return [ForwardInput(args=tuple(_input_value(item) for item in value))], None
    only = _input_value(value)
    if isinstance(only, LiteralInput):
        raise UsageError(f"{_EXPECTED}, found {type(value).__name__}")
    return [ForwardInput(args=(only,))], None


def _as_texts(value: Any) -> list[str]:
    """Return the inputs in the command line's form where they are given so, else nothing."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [f"{key}={item}" for key, item in value.items()] if _all_text(list(value.values())) else []
    return list(value) if isinstance(value, (list, tuple)) and _all_text(value) else []


def _all_text(values: Sequence[Any]) -> bool:
    return bool(values) and all(isinstance(one, str) for one in values)


def _from_text(texts: list[str]) -> tuple[list[ForwardInput], ForwardInput | None]:
    tree = parse_input_text(texts)
    unknown = [name for name in input_names(tree) if name != BATCH]
    if unknown:
        raise UsageError(f"a summary needs sizes: write a number for {unknown[0]} (only B, the batch, may stay free)")
    try:
        if BATCH not in input_names(tree):
            return [make_forward_input(tree, {})], None
        inputs = [make_forward_input(tree, {BATCH: size}) for size in DEFAULT_BATCH_SIZES]
        return inputs, make_forward_input(tree, {BATCH: 1})
    except DimError as error:
        raise UsageError(f"input: {error}") from None


def _is_shape(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(type(size) is int for size in value)


def _input_value(value: Any) -> InputValue:
    if _is_shape(value):
        return TensorInput(tuple(value))
    if isinstance(value, Mapping):
        return {str(key): _input_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_input_value(item) for item in value)
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if value is None or isinstance(value, (bool, int, float, str)):
        return LiteralInput(value)
    if shape is None or dtype is None:
        raise UsageError(f"{_EXPECTED}, found {type(value).__name__}")
    return TensorInput(tuple(int(size) for size in shape), str(dtype).removeprefix("torch."))

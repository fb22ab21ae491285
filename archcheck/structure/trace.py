"""A forward pass without weights: which modules are called, in what order, and what comes out of each.

    build on meta -> forward on meta, once per input -> records

Nothing is allocated or initialised, and the common operations are computed from shapes alone
(`archcheck.structure.meta`). What needs values (data-dependent control flow, operations without a meta kernel) runs
once more, with real tensors, on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from torch import nn

from archcheck.network.exceptions import type_and_first_line
from archcheck.network.isolation import gc_paused, isolated_user_code
from archcheck.network.warning_places import warnings_where_caused
from archcheck.spec.inputs import ForwardInput
from archcheck.structure.meta import failures
from archcheck.structure.meta.building import build_on_cpu, build_on_meta, isolated_build
from archcheck.structure.meta.model_copy import CannotCopyError, copy_to_cpu, copy_to_meta, is_scripted, unwrapped
from archcheck.structure.meta.module_tree import all_modules, parameters_of
from archcheck.structure.records import StructureTrace
from archcheck.structure.trace_run import TraceRequest, TraceRun

MAX_REAL_BYTES: Final = 8 * 2**30
"""Parameters of a network that may be built with weights where meta will not do."""


def trace_structure(
    make: Callable[[], nn.Module],
    inputs: Sequence[ForwardInput],
    one_example: ForwardInput | None = None,
    *,
    only_meta: bool = False,
) -> StructureTrace:
    """Build with `make()` and run one eval-mode forward per input, on the meta device.

    `one_example` is the first input at batch size 1, used where the multiply-adds are not proportional to the batch.
    `only_meta` doesn't try on the CPU what stops there.

    Raises:
        BuildError: or whatever else `make()` raises, when it does so on the CPU as well.
        CannotCopyError: `make()` hands out a network that it has, which can't be copied.
    """
    with isolated_build(inputs), gc_paused(), warnings_where_caused():
        request = request_to_build(make, inputs, one_example, only_meta=only_meta)
        try:
            model = request.make_on_meta()
        except CannotCopyError as error:
            if request.make_on_cpu() is request.make_on_cpu():  # somebody's own, such as an attribute of a module
                raise
            return _trace_on_cpu(None, error.reason, request)
        return _trace(model, request)


def request_to_build(
    make: Callable[[], nn.Module],
    inputs: Sequence[ForwardInput],
    one_example: ForwardInput | None = None,
    *,
    only_meta: bool = False,
) -> TraceRequest:
    """Return the request to trace what `make()` returns."""
    return TraceRequest(lambda: build_on_meta(make), lambda: build_on_cpu(make), inputs, one_example, only_meta)


def trace_model(
    model: nn.Module, inputs: Sequence[ForwardInput], one_example: ForwardInput | None = None
) -> StructureTrace:
    """Trace a network that exists already: a copy without its weights runs, it is never modified.

    A network in half or double precision takes its inputs in that.

    Raises:
        UsageError: the network can't be copied.
    """
    with isolated_user_code(), gc_paused(), warnings_where_caused():
        model = unwrapped(model)
        request = request_to_copy(model, inputs, one_example)
        return _trace(model if is_scripted(all_modules(model)) else request.make_on_meta(), request)


def request_to_copy(
    model: nn.Module, inputs: Sequence[ForwardInput], one_example: ForwardInput | None = None
) -> TraceRequest:
    """Return the request to trace copies of a network that exists already, with inputs in its precision."""
    model = unwrapped(model)
    precision = _precision(model)
    inputs = [item.in_precision(precision) for item in inputs]
    one_example = one_example and one_example.in_precision(precision)
    return TraceRequest(lambda: copy_to_meta(model), lambda: copy_to_cpu(model), inputs, one_example)


def _precision(model: nn.Module) -> str:
    """Return the dtype of a network's floating-point parameters where all have one, else float32."""
    dtypes = {param.dtype for param in parameters_of(model) if param.is_floating_point()}
    return str(dtypes.pop()).removeprefix("torch.") if len(dtypes) == 1 else "float32"


def _trace(model: nn.Module, request: TraceRequest) -> StructureTrace:
    """Run on meta; with gradients where the forward asks for them; on the CPU where it asks for values."""
    if is_scripted(all_modules(model)):
        return _trace_on_cpu(None, "TorchScript runs for real", request)
    run = TraceRun(model, request).run()
    if run.error is not None and failures.needs_gradients(run.error):
        run = TraceRun(model, request, gradients=True).run()
    error = run.error
    if error is None or request.only_meta or failures.fails_on_any_device(error):
        return run.make_trace()
    params = (param for param in parameters_of(model) if not nn.parameter.is_lazy(param))
    num_bytes = sum(param.numel() * param.element_size() for param in params)  # a sparse one has no nbytes
    if num_bytes > MAX_REAL_BYTES:
        return run.make_trace(note=f" (not tried on the CPU: {num_bytes / 2**30:.0f} GiB of parameters)")
    return _trace_on_cpu(run, failures.fallback_reason(error), request)


def _trace_on_cpu(on_meta: TraceRun | None, reason: str, request: TraceRequest) -> StructureTrace:
    """Run on the CPU; what was seen on meta stays where that fails in the same way."""
    gradients = on_meta is not None and on_meta.gradients
    try:
        if on_meta is not None and _stops_on_cpu_too(on_meta, request):
            return on_meta.make_trace()
        model = request.make_on_cpu()
    except Exception:
        if on_meta is None:
            raise
        return on_meta.make_trace()  # what was seen is worth more than why it can't be seen again
    run = TraceRun(model, request, gradients=gradients, device="cpu").run()
    if run.error is not None and not gradients and failures.needs_gradients(run.error):
        run = TraceRun(request.make_on_cpu(), request, gradients=True, device="cpu").run()
    if on_meta is not None and _is_same_error(run.error, on_meta.error):
        return on_meta.make_trace()
    return run.make_trace(fallback_reason=reason)


def _stops_on_cpu_too(on_meta: TraceRun, request: TraceRequest) -> bool:
    """Whether a pass that doesn't seem to ask for values stops in the same way on the CPU; one is enough to tell."""
    error = on_meta.error
    assert error is not None
    stopped = [item for item, one in zip(request.inputs, on_meta.forwards, strict=True) if one.crash is not None]
    if failures.needs_values(error) or not stopped:
        return False
    once = replace(request, inputs=stopped[:1], one_example=None)
    run = TraceRun(request.make_on_cpu(), once, gradients=on_meta.gradients, device="cpu").run()
    return _is_same_error(run.error, error)


def _is_same_error(a: BaseException | None, b: BaseException | None) -> bool:
    if isinstance(a, RecursionError) and isinstance(b, RecursionError):
        return True  # which says where the stack ended, by chance
    return a is not None and b is not None and type_and_first_line(a) == type_and_first_line(b)

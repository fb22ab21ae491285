"""A network run as on a GPU, which takes no GPU: what puts tensors of two devices together is found.

Weights, buffers and inputs are on meta, and everything else where the network's own code puts it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

from archcheck.deployment.device_modes import CallStack, MixingWatch
from archcheck.deployment.placed_network import build_with_values, is_on_cpu, place, placed_inputs
from archcheck.deployment.records import DeviceMix, DeviceRecord
from archcheck.deployment.shadow_values import ShadowValues
from archcheck.errors import UsageError
from archcheck.function.fingerprint.digests import tensors_in
from archcheck.network.exceptions import one_line, one_line_with_place, raised_outside_torch
from archcheck.network.isolation import gc_paused
from archcheck.network.warning_places import warnings_where_caused
from archcheck.spec.inputs import ForwardInput
from archcheck.spec.models import Spec
from archcheck.structure.meta.building import isolated_build
from archcheck.structure.meta.failures import fallback_reason, needs_values
from archcheck.structure.meta.model_copy import copy_to_cpu, is_scripted
from archcheck.structure.meta.module_tree import all_modules, named_network, set_training
from archcheck.text.words import listed


def probe_device(make: Callable[[], nn.Module], spec: Spec, *, needs_values: bool) -> DeviceRecord:
    """Build a network, move it as `.to(device)` does, and run it in eval mode and in train mode with gradients.

    It runs at the spec's first size. needs_values: whether it's known to ask for values; else it's run without any
    first, which costs next to nothing.

    Raises:
        BuildError: or whatever else `make()` raises.
    """
    inputs, train_inputs = spec.forward_inputs()[0], spec.train_inputs(spec.bindings()[0])
    with isolated_build([inputs]), gc_paused(), warnings_where_caused():
        if not needs_values:
            with _freed_in_order() as nodes:
                record, is_stopped = _probe(make, inputs, train_inputs or inputs, None, nodes)
            if not is_stopped:
                return record
        with _freed_in_order() as nodes:
            return _probe(make, inputs, train_inputs or inputs, ShadowValues(), nodes)[0]


@contextmanager
def _freed_in_order() -> Iterator[list[Node]]:
    """Give a list for the nodes of autograd that Python looks at, and free them behind all that holds them.

    Torch frees those one inside the other from then on, and a graph of some ten thousand steps overflows the stack.
    """
    nodes: list[Node] = []
    yield nodes
    nodes.sort(key=lambda node: node._sequence_nr())
    while nodes:
        nodes.pop()  # the last that was made, on which no other depends


def _probe(
    make: Callable[[], nn.Module],
    inputs: ForwardInput,
    train_inputs: ForwardInput,
    values: ShadowValues | None,
    nodes: list[Node],
) -> tuple[DeviceRecord, bool]:
    """Run both modes once. Returns what was found, and whether an error stopped either."""
    calls = CallStack()
    watch = MixingWatch(calls, values)
    try:
        network = _own_network(make, watch)
    except UsageError as refused:
        return DeviceRecord(unseen=(f"not known on another device: {refused}",)), False
    watch.note_imports(network)
    if is_scripted(all_modules(network)):
        return DeviceRecord(unseen=("not known on another device: TorchScript runs where it is",)), False
    if not is_on_cpu(network):
        built = "the network is not built on the CPU"
        return DeviceRecord(unseen=(f"not known on another device: {built}", *_named(watch))), False
    errors: dict[str, BaseException] = {}
    try:
        place(network, values)
    except Exception as raised:
        return DeviceRecord(unseen=(f"not known on another device: .to(device) raised {one_line(raised)}",)), True
    watch.origins.note_attributes(network)
    with calls.watching(named_network(network).modules):
        for mode, item in (("eval", inputs), ("train", train_inputs)):
            try:
                _run(network, item, watch, nodes, training=mode == "train")
            except (Exception, SystemExit) as raised:
                if not _note_refusal(watch, raised):
                    errors[mode] = raised
    unseen = [f"not known of {mode} mode on another device: {_reason(error)}" for mode, error in errors.items()]
    unseen += [
        f"{text}, where a variable says so: taken to be the network's device elsewhere" for text in watch.assumed
    ]
    unseen += _named(watch)
    return DeviceRecord(tuple(watch.mixes.values()), tuple(unseen)), bool(errors)


def _named(watch: MixingWatch) -> list[str]:
    """Tell of the devices that the network's code names, each with its lines."""
    return [
        f"it names {kind} itself at {listed([*places])}, and runs nowhere else: run here as if that were the CPU; "
        f"write x.device, the device of what it is given, or ask torch.{kind}.is_available() first"
        for kind, places in watch.named.items()
    ]


def _own_network(make: Callable[[], nn.Module], watch: MixingWatch) -> nn.Module:
    """Build a network that may be moved: a copy of one that is somebody else's, such as an attribute of a module.

    Raises:
        UsageError: it can't be copied.
    """
    with watch.watching():
        network = build_with_values(make, drawn=watch.values is not None)
        return network if is_scripted(all_modules(network)) or watch.has_made(network) else copy_to_cpu(network)


def _reason(error: BaseException) -> str:
    return fallback_reason(error) if needs_values(error) else one_line_with_place(error)


def _run(network: nn.Module, item: ForwardInput, watch: MixingWatch, nodes: list[Node], *, training: bool) -> None:
    args, kwargs = placed_inputs(item, watch.values)
    with torch.set_grad_enabled(training), watch.watching():
        set_training(network, training)
        out = network(*args, **kwargs)
        outputs = [one for one in tensors_in(out) if one.requires_grad and one.is_meta] if training else []
        if outputs and (watch.runs_backward or _runs_python_backward(network, outputs, nodes)):
            torch.autograd.backward(outputs, [torch.ones_like(one) for one in outputs])


def _runs_python_backward(network: nn.Module, outputs: Sequence[Tensor], nodes: list[Node]) -> bool:
    """Return whether code of the network's runs in the backward pass: in hooks, or in functions of its own.

    Torch's own code puts nothing together there that the forward didn't. nodes: gets those that were looked at.
    """
    if any(module._backward_hooks or module._backward_pre_hooks for module in all_modules(network)):
        return True
    waiting, seen = [one.grad_fn for one in outputs], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        nodes.append(node)
        if isinstance(node, BackwardCFunction):
            return True
        waiting += [one for one, _ in node.next_functions]
    return False


def _note_refusal(watch: MixingWatch, error: BaseException) -> bool:
    """Turn what torch itself refuses of a tensor that isn't on the CPU into a finding; return whether it was that."""
    if not isinstance(error, TypeError) or "device type tensor to numpy" not in str(error):
        return False
    where = raised_outside_torch(error)
    found = DeviceMix("", where, "Tensor.numpy", "NumPy, which reads tensors on the CPU only", ".cpu().numpy()")
    watch.mixes.setdefault(("", found.culprit), found)
    return True

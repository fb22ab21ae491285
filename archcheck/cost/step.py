"""A step of a network, run under a meter: without values by stand-ins, or with values on the CPU."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archcheck.cost.meter import CostMeter, HostReads
from archcheck.cost.places import INPUTS, Places
from archcheck.cost.plan import CostPlan
from archcheck.cost.records import BUFFERS, OPTIMIZER_STATE, PARAMETERS, CostRecord
from archcheck.cost.records import INPUTS as INPUT_KIND
from archcheck.cost.stand_ins import CPU, StandInKernels, put_stand_ins, stand_in_for
from archcheck.network.isolation import raised_recursion_limit
from archcheck.spec.tree import iter_leaves, map_leaves
from archcheck.structure.meta.building import build_on_cpu, build_on_meta
from archcheck.structure.meta.function_caches import unchanged_function_caches
from archcheck.structure.meta.inputs import make_inputs
from archcheck.structure.meta.module_tree import (
    named_buffers,
    named_network,
    named_params,
    set_training,
    uninitialized_modules,
)
from archcheck.structure.meta.network_snapshot import NetworkSnapshot
from archcheck.throughput.workload import give_targets, make_batch
from archcheck.training.failures import errors_attributed_to
from archcheck.training.forward_pass import ForwardPass
from archcheck.training.step import TrainingStep


def measure_step(
    make: Callable[[], nn.Module], plan: CostPlan, rootdir: Path | None, *, has_values: bool, with_macs: bool
) -> CostRecord:
    """Measure a step like any but the first, for which the optimizer had no state yet.

    Raises:
        RunFailed: network and plan don't go together.
        BuildError: the network can't be built.
    """
    kernels = None if has_values else StandInKernels()
    network = build(make, plan, has_values=has_values)
    modules = named_network(network).modules
    owners: dict[int, str] = {}
    places = Places(owners)
    with ExitStack() as stack:
        stack.enter_context(errors_attributed_to("build", "a step", rootdir))
        stack.enter_context(raised_recursion_limit(modules))
        stack.enter_context(unchanged_function_caches(modules.values()))
        stack.enter_context(places.watching(modules))
        stack.enter_context(_without_fused_layers())
        batch = make_batch(plan.inputs, "cpu" if has_values else "meta")
        if not has_values:
            stack.callback(NetworkSnapshot(modules.values(), values=False).restore)  # others may hold it, too
            put_stand_ins(modules.values())
            batch = map_leaves(lambda leaf: stand_in_for(leaf) if isinstance(leaf, Tensor) else leaf, batch)
        owners.update({id(one): name.rpartition(".")[0] for name, one in named_params(modules).items()})
        with _metered(CostMeter(places, kernels)):
            step = (Training if plan.speed.mode == "train" else Inference)(network, plan, batch, rootdir)
            step.run()
        places.begin_step()
        meter = CostMeter(places, kernels)
        if with_macs:
            meter.count_macs()
        with _metered(meter):
            for name, tensor in named_params(modules).items():
                meter.hold([tensor], PARAMETERS, name.rpartition(".")[0])
            for name, tensor in named_buffers(modules).items():
                meter.hold([tensor], BUFFERS, name.rpartition(".")[0])
            step.hold_state(meter, owners)
            step.run()
            step.call_gradients(meter, owners)
        return meter.record()


@contextmanager
def _metered(meter: CostMeter) -> Iterator[None]:
    with meter, HostReads(meter):
        yield


@contextmanager
def _without_fused_layers() -> Iterator[None]:
    """Keep transformer layers to the operations that they are made of, as a mode of ours would anyway."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def build(make: Callable[[], nn.Module], plan: CostPlan, *, has_values: bool) -> nn.Module:
    """Build a network, with weights or on the meta device, in the memory format of its recipe."""
    network = build_on_meta(make) if not has_values else build_on_cpu(make)
    if has_values:
        with suppress(Exception):  # it may hold something that can't be copied
            network = copy.deepcopy(network)  # a build may return the same instance each time
    modules = named_network(network).modules
    if next(uninitialized_modules(modules), None) is not None:
        with errors_attributed_to("build", "the forward pass"), torch.no_grad():
            args, kwargs = make_inputs(plan.inputs, "cpu" if has_values else "meta")
            set_training(network, False)
            network(*args, **kwargs)
    if plan.recipe.memory_format == "channels_last":
        network.to(memory_format=torch.channels_last)
    return network


class Training:
    """A step of training on one batch."""

    def __init__(
        self, network: nn.Module, plan: CostPlan, batch: Any, rootdir: Path | None, device: torch.device = CPU
    ) -> None:
        self._batch = batch
        self._step = TrainingStep(network, plan.recipe, device, batch, rootdir, fused=False)
        set_training(network, False)
        with torch.no_grad():
            outputs = self._step.predict(batch)
        set_training(network, True)
        self._targets = give_targets(self._step, outputs, has_recipe=plan.speed.has_training)

    def run(self) -> None:
        """Take a step."""
        with torch.enable_grad():
            self._step(self._batch, self._targets)

    def hold_state(self, meter: CostMeter, owners: dict[int, str]) -> None:
        """Tell a meter what is there before the step besides the network."""
        meter.hold(self.held(), INPUT_KIND, INPUTS)
        for parameter, state in self._step.optimizer.state.items():
            meter.hold(_tensors(state), OPTIMIZER_STATE, owners.get(id(parameter), ""))
        self._step.optimizer.register_step_pre_hook(meter.begin_update)
        self._step.optimizer.register_step_post_hook(meter.end_update)

    def held(self) -> Iterator[Tensor]:
        """Yield what stays there from step to step: the batch and its targets."""
        return _tensors([self._batch, self._targets])

    def call_gradients(self, meter: CostMeter, owners: dict[int, str]) -> None:
        """Tell a meter which of what it saw are gradients."""
        parameters = self._step.parameters
        meter.call_gradients((owners.get(id(one), ""), one.grad) for one in parameters if one.grad is not None)


class Inference:
    """A forward pass in eval mode on one batch."""

    def __init__(
        self, network: nn.Module, plan: CostPlan, batch: Any, rootdir: Path | None, device: torch.device = CPU
    ) -> None:
        self._batch = batch
        self._forward = ForwardPass(network, plan.recipe, device, batch, rootdir)
        set_training(network, False)

    def run(self) -> None:
        """Take a step."""
        with torch.no_grad():
            self._forward(self._batch)

    def hold_state(self, meter: CostMeter, owners: dict[int, str]) -> None:
        """Tell a meter what is there before the step besides the network."""
        del owners  # no optimizer has any state
        meter.hold(_tensors(self._batch), INPUT_KIND, INPUTS)

    def call_gradients(self, meter: CostMeter, owners: dict[int, str]) -> None:
        """There are none."""


def _tensors(value: Any) -> Iterator[Tensor]:
    return (leaf for _, leaf in iter_leaves(value) if isinstance(leaf, Tensor))

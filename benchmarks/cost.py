"""What a step costs, held against real steps: `python benchmarks/cost.py [SECTION...]`.

exact: memory, traffic and operations without values beside those of the same step on the CPU. allocator: beside what
the CPU's allocator held, by torch's profiler. classifiers: all of torchvision's, in time and memory. planted:
regressions of twelve kinds in six networks. rewrites: what costs the same. cuda: beside what a GPU's allocator holds.
"""

from __future__ import annotations

import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from structure import classifier_names, describe_machine
from tabulate import tabulate
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from archcheck.checks.cost import as_written, check_cost
from archcheck.cost.comparison import compare_layers
from archcheck.cost.measure import measure_without_values
from archcheck.cost.plan import CostPlan, resolve_cost_plan
from archcheck.cost.records import CostRecord
from archcheck.cost.step import Training, build, measure_step
from archcheck.network.build import prepare_network
from archcheck.network.isolation import isolated_user_code
from archcheck.spec.models import Cost, Spec
from archcheck.spec.spec_file import parse_spec, read_spec
from archcheck.throughput.peak_memory import measure_peak_memory_bytes
from archcheck.throughput.workload import make_batch

ROOT: Final = Path(__file__).parents[1]
STEPS: Final = (
    {"batch_size": 2, "optimizer": {"name": "SGD", "lr": 0.1}},
    {"batch_size": 2, "optimizer": {"name": "Adam"}, "precision": "bf16"},
    {"batch_size": 2, "mode": "inference"},
    {"batch_size": 2, "mode": "inference", "precision": "bf16"},
)
TORCHVISION: Final = (
    "alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet maxvit_t mnasnet0_5 mobilenet_v2 "
    "mobilenet_v3_large mobilenet_v3_small regnet_x_400mf regnet_y_400mf resnet18 resnet50 resnext50_32x4d "
    "shufflenet_v2_x0_5 shufflenet_v2_x1_0 squeezenet1_0 squeezenet1_1 swin_t swin_v2_t vgg11 vgg11_bn vit_b_16"
)
LARGE_IMAGES: Final = ("alexnet", "googlenet", "maxvit", "vgg", "vit", "squeezenet")  # which take no smaller ones


def main(sections: list[str]) -> None:
    """Run the sections named on the command line, or all of them."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(describe_machine(), "\n")
    for name in sections or SECTIONS:
        print(f"## {name}\n\n{SECTIONS[name]()}\n", flush=True)


# ---------------------------------------------------------------------------------------------- networks


def torchvision_spec(name: str, size: int | None = None) -> Spec:
    """A spec of one of torchvision's classifiers, with images as small as it takes."""
    size = size or (224 if name.startswith(LARGE_IMAGES) else 64)
    return parse_spec(f"build: torchvision:{name}\ninput: [B, 3, {size}, {size}]", f"{name}.arch.yaml").spec


def zoo_specs() -> Iterator[tuple[str, Spec]]:
    """The specs of archcheck's own networks, at their smallest sizes."""
    for path in sorted((ROOT / "specs").glob("*.arch.yaml")):
        spec = read_spec(path).spec
        if spec.build.startswith("archcheck.zoo"):
            sizes = {name: (min(sizes),) for name, sizes in spec.sizes.items() if name != "B"}
            yield path.name.removesuffix(".arch.yaml"), spec.model_copy(update={"sizes": sizes, "training": None})


def prepared(spec: Spec, step: Mapping[str, Any]) -> tuple[Callable[[], nn.Module], CostPlan]:
    """What builds a network, and the plan of its step."""
    spec = spec.model_copy(update={"cost": Cost.model_validate(step)})
    return prepare_network(spec.build, spec.args, ROOT / "specs", ROOT), resolve_cost_plan(spec)


def with_values(make: Callable[[], nn.Module], plan: CostPlan) -> CostRecord:
    """The same step on the CPU."""
    with isolated_user_code():
        return measure_step(make, plan, None, has_values=True, with_macs=False)


# ---------------------------------------------------------------------------------------------- exact


def exact() -> str:
    """Every network in four kinds of steps, without values and with."""
    networks = [*zoo_specs(), *((name, torchvision_spec(name)) for name in TORCHVISION.split())]
    rows, same = [], {"memory": 0, "traffic": 0, "operations": 0}
    for name, spec in networks:
        cells = [name]
        for step in STEPS:
            make, plan = prepared(spec, step)
            ours, real = measure_without_values(make, plan), with_values(make, plan)
            different = [key for key in same if getattr(ours, key) != getattr(real, key)]
            if ours.memory_by_kind != real.memory_by_kind:
                different = ["memory by kind", *different]
            for key in same:
                same[key] += getattr(ours, key) == getattr(real, key)
            cells.append(", ".join(different) or f"= {ours.memory:_}")
        rows.append(cells)
    headers = ["network", "SGD", "Adam, bf16", "inference", "inference, bf16"]
    number = len(rows) * len(STEPS)
    told = ", ".join(f"{key} {count} of {number}" for key, count in same.items())
    return f"bytes at the peak where equal; {told} equal\n\n{tabulate(rows, headers)}"


def allocator() -> str:
    """The peak beside that of the CPU's allocator, which sees scratch space that is no tensor of the network's."""
    rows = []
    for name in (
        "resnet18",
        "mobilenet_v2",
        "densenet121",
        "efficientnet_b0",
        "swin_t",
        "vit_b_16",
        "vgg11",
        "convnext_tiny",
    ):
        make, plan = prepared(torchvision_spec(name), STEPS[0])
        ours = measure_without_values(make, plan).memory
        with isolated_user_code():
            network = build(make, plan, has_values=True)
            step = Training(network, plan, make_batch(plan.inputs), None)
            step.run()
            network.zero_grad()  # as a step does at its start
            held = [*network.parameters(), *network.buffers(), *step.held()]
            real = measure_peak_memory_bytes(step.run, torch.device("cpu"), held) or 0
        rows.append([name, f"{ours:_}", f"{real:_}", f"{ours / real - 1:+.2%}"])
    return tabulate(
        rows, ["network", "cost.memory", "allocator", "difference"], colalign=("left", "right", "right", "right")
    )


# ---------------------------------------------------------------------------------------------- classifiers


def classifiers() -> str:
    """All of torchvision's classifiers, a training step at 224x224 and batch size 32 each."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows, start = [], time.process_time()
    for name in classifier_names():
        size = 299 if name.startswith("inception") else 224
        make, plan = prepared(torchvision_spec(name, size), {"batch_size": 32})
        begin = time.process_time()
        record = measure_without_values(make, plan)
        rows.append([time.process_time() - begin, name, f"{record.memory / 2**30:.2f} GiB", f"{record.operations:_}"])
    total = time.process_time() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    slowest = [[name, f"{sec:.2f}", memory, number] for sec, name, memory, number in sorted(rows)[::-1][:8]]
    vit = next(f"{sec:.2f}" for sec, name, *_ in rows if name == "vit_b_16")
    head = f"{len(rows)} in {total:.1f} s of processor time, {grown:.0f} MiB; ViT-B/16 at batch size 32 in {vit} s"
    return f"{head}\n\n{tabulate(slowest, ['slowest', 's', 'memory', 'operations'])}"


# ---------------------------------------------------------------------------------------------- planted


@dataclass(frozen=True)
class Planted:
    """A mistake in the output of one layer: `plant` changes the module; `before` is what it was, where that matters."""

    name: str
    plant: Callable[[nn.Module], None]
    step: Mapping[str, Any]
    before: Callable[[nn.Module], None] | None = None


def on_output(change: Callable[[nn.Module, Tensor], Any]) -> Callable[[nn.Module], None]:
    """A plant that changes what a module returns."""

    def plant(module: nn.Module) -> None:
        forward = module.forward
        module.forward = lambda *args, **kwargs: change(module, forward(*args, **kwargs))

    return plant


def keep(module: nn.Module, out: Tensor) -> Tensor:
    """Keep what a module returns, in the module."""
    vars(module)["kept"] = out * 1
    return out


def run_twice(module: nn.Module) -> None:
    """Run a module a second time, for nothing."""
    forward = module.forward

    def twice(*args: Any, **kwargs: Any) -> Any:
        forward(*args, **kwargs)
        return forward(*args, **kwargs)

    module.forward = twice


def without_autocast(module: nn.Module) -> None:
    """Run a module in float32."""
    forward = module.forward

    def in_full(x: Tensor, *args: Any) -> Any:
        with torch.autocast("cpu", enabled=False):
            return forward(x.float(), *args)

    module.forward = in_full


def recompute(module: nn.Module) -> None:
    """Have the backward pass compute what a module does again."""
    forward = module.forward
    module.forward = lambda *args: checkpoint(forward, *args, use_reentrant=False)


def out_of_place(module: nn.Module) -> None:
    """Have activations make new tensors."""
    for one in module.modules():
        if getattr(one, "inplace", False):
            vars(one)["inplace"] = False


def do_nothing(module: nn.Module) -> None:
    """Leave a module as it is."""
    del module


TRAIN: Final = {"batch_size": 4}


def to_and_fro(_: nn.Module, out: Tensor) -> Tensor:
    """Change the layout of what a module returns, and change it back."""
    return out.transpose(1, -1).contiguous().transpose(1, -1).contiguous()


def dropped(_: nn.Module, out: Tensor) -> Tensor:
    """Drop some of what a module returns."""
    return nn.functional.dropout(out, 0.1, training=True)


KINDS: Final = (
    Planted("a copy", on_output(lambda _, out: out.clone()), TRAIN),
    Planted("an upcast to fp32", on_output(lambda _, x: x.float().bfloat16()), {**TRAIN, "precision": "bf16"}),
    Planted("an upcast to fp64", on_output(lambda _, out: out.double().float()), TRAIN),
    Planted("a kept activation", on_output(keep), TRAIN),
    Planted("a layer run twice", run_twice, TRAIN),
    Planted("checkpointing removed", do_nothing, TRAIN, recompute),
    Planted("no autocast in a layer", without_autocast, {**TRAIN, "precision": "bf16"}),
    Planted("a change of layout and back", on_output(to_and_fro), TRAIN),
    Planted("zeros added", on_output(lambda _, out: out + torch.zeros_like(out)), TRAIN),
    Planted("a dropout too many", on_output(dropped), TRAIN),
    Planted("a mask made anew", on_output(lambda _, out: out.masked_fill(out > 1e9, 0.0)), TRAIN),
)  # fmt: skip
LOST_IN_PLACE: Final = Planted("a lost in-place", out_of_place, {**TRAIN, "mode": "inference"})
NETWORKS: Final = {  # and the layer in the middle that it is done to, and the block
    "resnet18": ("layer2.1.conv1", "layer2.1"),
    "mobilenet_v2": ("features.8.conv.2", "features.8"),
    "vgg11_bn": ("features.11", "features"),
    "efficientnet_b0": ("features.4.1.block.1.0", "features.4.1"),
    "vit_b_16": ("encoder.layers.encoder_layer_5.mlp", "encoder.layers.encoder_layer_5"),
    "swin_t": ("features.3.1.mlp", "features.3.1"),
}
# After a batch norm it is no matter whether an activation is in place: there, two tensors of its size are held anyway.
IN_PLACE: Final = ("alexnet", "vgg11", "squeezenet1_0", "squeezenet1_1")


def planted() -> str:
    """Twelve kinds of regressions in six networks: noticed to the digits recorded, and named at their layer."""
    rows, seen = [], []
    for kind in KINDS:
        is_of_block = kind.before is not None
        found = [plant(name, layers[is_of_block], kind) for name, layers in NETWORKS.items()]
        rows.append([kind.name, *found])
        seen += found
    in_place = [plant(name, "features.1", LOST_IN_PLACE) for name in IN_PLACE]
    rows.append([LOST_IN_PLACE.name, *(f"{found} ({name})" for name, found in zip(IN_PLACE, in_place, strict=True))])
    seen += in_place
    counts = ", ".join(f"{seen.count(what)} {what}" for what in ("first", "named", "noticed", "MISSED"))
    return f"of {len(seen)}: {counts}\n\n{tabulate(rows, ['', *NETWORKS])}"


def plant(name: str, layer: str, kind: Planted) -> str:
    """Plant a regression: whether the row of its layer comes first, is among those shown, or it's noticed at all."""
    make, plan = prepared(torchvision_spec(name), kind.step)

    def changed(change: Callable[[nn.Module], None] | None) -> CostRecord:
        def made() -> nn.Module:
            network = make()
            if change is not None:
                change(network.get_submodule(layer))
            return network

        return measure_without_values(made, plan)

    before, after = changed(kind.before), changed(kind.plant)
    found = check_cost(Cost.model_validate(as_written(before)), after, before.layers, {})
    if not found:
        return "MISSED"
    rows = [one.layer for one in compare_layers(before.layers, after.layers, str(found[0].keys[1]))[:10]]
    near = [one == layer or one.startswith(f"{layer}.") or layer.startswith(f"{one}.") for one in rows]
    return "first" if near[:1] == [True] else "named" if any(near) else "noticed"


# ---------------------------------------------------------------------------------------------- rewrites


class Written(nn.Module):
    """One block, written in several ways."""

    def __init__(self, way: str = "") -> None:
        super().__init__()
        if way == "registered in another order":
            self.act = nn.ReLU()
            self.norm = nn.BatchNorm2d(16)
            self.conv = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        else:
            self.conv = nn.Conv2d(16, 16, 3, padding=1, bias=False)
            self.norm = nn.BatchNorm2d(16)
            self.act = nn.ReLU()
        self.inner = nn.Sequential(nn.Sequential(self.conv, self.norm), self.act) if way == "nested" else None
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        """Compute the block."""
        if self.inner is not None:
            y = self.inner(x)
        elif self.way == "functional":
            norm = self.norm
            if self.training:
                norm.num_batches_tracked.add_(1)  # type: ignore[union-attr]
            statistics = (norm.running_mean, norm.running_var, norm.weight, norm.bias, self.training)
            # Nested, as a name for what lies between would keep it.
            y = nn.functional.relu(nn.functional.batch_norm(torch.conv2d(x, self.conv.weight, padding=1), *statistics))
        else:
            y = self.act(self.norm(self.conv(x)))
        if self.way == "Identity added":
            y = nn.Identity()(y)
        y = torch.add(x, y) if self.way == "torch.add" else x + y
        if self.way == "reshape":
            return y.reshape(len(y), -1)
        return y.view(len(y), -1) if self.way == "view" else y.flatten(1)


def rewrites() -> str:
    """Ways to write one block that cost the same: nothing may be told."""
    ways = ("functional", "nested", "registered in another order", "Identity added", "torch.add", "reshape", "view")
    spec = parse_spec("build: torch.nn:Identity\ninput: [B, 16, 32, 32]", "x.arch.yaml").spec
    rows, alarms = [], 0
    for step in STEPS:
        _, plan = prepared(spec, step)
        before = measure_without_values(Written, plan)
        for way in ways:
            after = measure_without_values(lambda way=way: Written(way), plan)  # type: ignore[misc]
            found = check_cost(Cost.model_validate(as_written(before)), after, before.layers, {})
            alarms += bool(found)
            if found:
                rows.append([way, plan.describe(), ", ".join(one.subject for one in found)])
    head = f"{len(STEPS) * len(ways)} rewrites, {alarms} alarms"
    return f"{head}\n\n{tabulate(rows, ['rewrite', 'step', 'told'])}" if rows else head


# ---------------------------------------------------------------------------------------------- cuda


def cuda() -> str:
    """The peak beside `torch.cuda.max_memory_allocated`, of the same steps on a GPU."""
    if not torch.cuda.is_available():
        return (
            "no GPU here; with one: for each of torchvision's networks of `exact` and each of its four kinds of steps, "
            "`cost.memory` beside torch.cuda.max_memory_allocated of that step after one of warm-up, less what cuBLAS "
            "and cuDNN hold as workspaces (torch.cuda.memory_allocated before the network is built)"
        )
    device, rows = torch.device("cuda"), []
    torch.ones(8, 8, device=device) @ torch.ones(8, 8, device=device)  # cuBLAS takes its workspace
    for name in TORCHVISION.split():
        cells = [name]
        for step in STEPS:
            make, plan = prepared(torchvision_spec(name, 224), {**step, "batch_size": 32})
            ours, real = measure_without_values(make, plan).memory, _allocated_on(device, make, plan)
            cells.append(f"{ours / 2**20:.0f} / {real / 2**20:.0f} MiB ({ours / real - 1:+.1%})")
        rows.append(cells)
    return tabulate(rows, ["network", "SGD", "Adam, bf16", "inference", "inference, bf16"])


def _allocated_on(device: torch.device, make: Callable[[], nn.Module], plan: CostPlan) -> int:
    from archcheck.cost.step import Inference

    before = torch.cuda.memory_allocated(device)
    with isolated_user_code():
        network = build(make, plan, has_values=True)
        kind = Training if plan.speed.mode == "train" else Inference
        batch = make_batch(plan.inputs)
        step = kind(network, plan, batch.to(device), None, device=device)
        step.run()
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        step.run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before


SECTIONS: Final[Mapping[str, Callable[[], str]]] = {
    "exact": exact,
    "allocator": allocator,
    "classifiers": classifiers,
    "planted": planted,
    "rewrites": rewrites,
    "cuda": cuda,
}

if __name__ == "__main__":
    main(sys.argv[1:])

"""What the minimums of the quick recipes tell apart: `python benchmarks/margins.py [SPEC...]`, see `--help`.

Every quick recipe is trained as it is, from several seeds, and with mistakes planted in the recipe, the data or the
network, one at a time. A minimum is good where every sound run reaches it and no run with a mistake does.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from structure import describe_machine
from tabulate import tabulate
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from archcheck.data.context import DataContext
from archcheck.data.registry import load_dataset
from archcheck.data.splits import ArraySplit, LoadedDataset
from archcheck.network.build import prepare_network
from archcheck.spec.models import Named, Normalize
from archcheck.spec.spec_file import SpecFile, read_spec
from archcheck.training.options import RunOptions
from archcheck.training.recipe import Recipe, resolve_recipe
from archcheck.training.trainer import DatasetCache, Trainer
from archcheck.zoo.resnet import Residual, ResidualBlock
from archcheck.zoo.vit import EncoderBlock

SPECS: Final = Path(__file__).resolve().parent.parent / "specs"
SOUND: Final = "sound"
STOPPED: Final = 0.0  # in place of the accuracy of a run whose loss is no number any more

# ---------------------------------------------------------------------------------------------- mistakes in a recipe


def _lr_times(factor: float) -> Callable[[Recipe], Recipe]:
    """Every learning rate that the recipe gives, times a factor."""

    def change(named: Named) -> Named:
        given = named.model_dump()
        return Named.model_validate(given | {key: factor * given[key] for key in ("lr", "max_lr") if key in given})

    def plant(recipe: Recipe) -> Recipe:
        scheduler = None if recipe.scheduler is None else change(recipe.scheduler)
        return replace(recipe, optimizer=change(recipe.optimizer), scheduler=scheduler)

    return plant


def _not_normalised(recipe: Recipe) -> Recipe | None:
    return replace(recipe, normalize=False) if recipe.normalize else None


def _pixels_to_255(recipe: Recipe) -> Recipe:
    return replace(recipe, normalize=Normalize(mean=[0.0], std=[1 / 255]))


def _large_weights(recipe: Recipe) -> Recipe:
    return replace(recipe, init=Named.model_validate({"name": "normal", "std": 1.0}))


def _small_weights(recipe: Recipe) -> Recipe:
    return replace(recipe, init=Named.model_validate({"name": "normal", "std": 0.001}))


def _labels_shuffled(recipe: Recipe) -> Recipe:
    assert recipe.dataset is not None
    dataset = {"name": f"{Path(__file__)}:shuffled", "of": recipe.dataset.model_dump()}
    return replace(recipe, dataset=Named.model_validate(dataset))


def shuffled(of: Mapping[str, Any]) -> LoadedDataset:
    """A data set whose training images have each other's labels."""
    pair = load_dataset(Named.model_validate(of), DataContext(SPECS, None, None, False, None, None))
    assert isinstance(pair.train, ArraySplit)
    order = torch.randperm(len(pair.train), generator=torch.Generator().manual_seed(0))
    train = ArraySplit(pair.train.inputs, pair.train.targets[order])
    return LoadedDataset("shuffled", train, pair.test, pair.num_classes)


# ---------------------------------------------------------------------------------------------- mistakes in a network


class _NoActivations(TorchFunctionMode):
    """Has activations return what they take."""

    NAMES: Final = ("relu", "relu_", "gelu", "sigmoid", "sigmoid_")

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] if getattr(func, "__name__", "") in self.NAMES else func(*args, **(kwargs or {}))


class _WithoutActivations(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        with _NoActivations():
            out: Tensor = self.network(x)
        return out


class _BareResidual(Residual):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))


class _BareResidualBlock(ResidualBlock):
    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(self.residual(x))
        return out


class _BareEncoderBlock(EncoderBlock):
    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.mlp(self.norm2(self.attention(self.norm1(x))))
        return out


_BARE: Final[dict[type[nn.Module], type[nn.Module]]] = {
    Residual: _BareResidual, ResidualBlock: _BareResidualBlock, EncoderBlock: _BareEncoderBlock,
}  # fmt: skip


def _no_shortcuts(network: nn.Module) -> nn.Module | None:
    blocks = [one for one in network.modules() if type(one) in _BARE and getattr(one, "shortcut", True) is not None]
    for block in blocks:
        block.__class__ = _BARE[type(block)]
    return network if blocks else None


def _no_norms(network: nn.Module) -> nn.Module | None:
    found = [
        (module, name)
        for module in network.modules()
        for name, child in module.named_children()
        if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm)) or type(child).__name__ == "BatchNorm"
    ]
    for module, name in found:
        setattr(module, name, nn.Identity())
    return network if found else None


def _frozen(share: float) -> Callable[[nn.Module], nn.Module]:
    """A share of the linear and convolutional layers, from the first on, isn't trained: one at least, the last is."""

    def plant(network: nn.Module) -> nn.Module:
        layers = [one for one in network.modules() if isinstance(one, (nn.Linear, nn.Conv2d))]
        for layer in layers[: min(max(1, int(share * len(layers))), len(layers) - 1)]:
            layer.requires_grad_(False)
        return network

    return plant


RECIPE_MISTAKES: Final[dict[str, Callable[[Recipe], Recipe | None]]] = {
    "lr / 10": _lr_times(0.1),
    "lr x 10": _lr_times(10.0),
    "not normalised": _not_normalised,
    "pixels to 255": _pixels_to_255,
    "weights N(0, 1)": _large_weights,
    "weights 0.001": _small_weights,
    "labels shuffled": _labels_shuffled,
}
NETWORK_MISTAKES: Final[dict[str, Callable[[nn.Module], nn.Module | None]]] = {
    "no activations": _WithoutActivations,
    "no shortcuts": _no_shortcuts,
    "no norms": _no_norms,
    "first layer frozen": _frozen(0.0),
    "half frozen": _frozen(0.5),
    "all but last frozen": _frozen(1.0),
}
MISTAKES: Final = (*RECIPE_MISTAKES, *NETWORK_MISTAKES)


def planted(mistake: str, build: str, args: dict[str, Any]) -> nn.Module:
    """Build a network with a mistake."""
    network = NETWORK_MISTAKES[mistake](prepare_network(build, args, SPECS)())
    assert network is not None
    return network


# ---------------------------------------------------------------------------------------------- runs


@dataclass(frozen=True, slots=True)
class Case:
    """A spec's quick recipe with a mistake, or sound."""

    name: str
    spec_file: SpecFile
    recipe: Recipe

    def train(self, seed: int, store: DatasetCache) -> float:
        """The accuracy that a run ends with; one that diverges is noticed whatever the minimum."""
        recipe = replace(self.recipe.to_the_end(), seed=seed)
        record = Trainer(self.spec_file, recipe, RunOptions(device="cpu"), store=store).train()
        if record.fault is not None and "loss" not in record.fault.message:
            raise SystemExit(f"{self.spec_file.name}, {self.name}, seed {seed}: {record.fault.message}")
        return STOPPED if record.fault is not None else record.final_accuracy or 0.0


def cases_of(spec_file: SpecFile) -> Iterator[Case]:
    """The sound recipe, and each mistake that can be made with it."""
    recipe = resolve_recipe(spec_file.spec, "quick")
    yield Case(SOUND, spec_file, recipe)
    for name, change in RECIPE_MISTAKES.items():
        changed = change(recipe)
        if changed is not None:
            yield Case(name, spec_file, changed)
    build, network = spec_file.spec.build, prepare_network(spec_file.spec.build, recipe.args, SPECS)
    for name, plant in NETWORK_MISTAKES.items():
        if plant(network()) is not None:
            spec = spec_file.spec.model_copy(update={"build": f"{Path(__file__)}:planted"})
            args = {"mistake": name, "build": build, "args": recipe.args}
            yield Case(name, replace(spec_file, spec=spec), replace(recipe, args=args))


class Log:
    """Accuracies of runs that were made, in a file from which an interrupted benchmark goes on."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.known, self.store = path, dict[str, float](), DatasetCache(4)
        for line in path.read_text().splitlines() if path is not None and path.exists() else ():
            one = json.loads(line)
            self.known[one["run"]] = one["accuracy"]

    def accuracy(self, case: Case, seed: int) -> float:
        """Train, unless that was done before."""
        recipe = replace(case.recipe.to_the_end(), seed=seed, quick_keys=frozenset())
        run = repr((case.spec_file.spec.build, recipe))
        if run not in self.known:
            began = processor_sec()
            self.known[run] = case.train(seed, self.store)
            line = {"spec": case.spec_file.name, "case": case.name, "seed": seed, "accuracy": self.known[run]}
            line["processor_sec"] = round(processor_sec() - began, 2)
            print(line, file=sys.stderr, flush=True)
            if self.path is not None:
                with self.path.open("a") as file:
                    file.write(json.dumps(line | {"run": run}) + "\n")
        return self.known[run]


def processor_sec() -> float:
    """Seconds of the processor that this process has taken."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(spec_file: SpecFile, num_seeds: Mapping[str, int], log: Log) -> dict[str, list[float]]:
    """The accuracies of each case of a spec that runs are wanted of."""
    return {
        case.name: [log.accuracy(case, seed) for seed in range(num_seeds[case.name])]
        for case in cases_of(spec_file)
        if case.name in num_seeds
    }


def row(spec_file: SpecFile, measured: Mapping[str, list[float]], mistakes: Sequence[str]) -> list[str]:
    """A spec's row: the lowest of the sound runs, the minimum, and the highest of each mistake."""
    minimum = resolve_recipe(spec_file.spec, "quick").accuracy or 0.0
    shown = [_shown(measured.get(name), minimum) for name in mistakes]
    return [spec_file.name, f"{min(measured[SOUND]):.3f}", f"{minimum:.3f}", *shown]


def _shown(planted: list[float] | None, minimum: float) -> str:
    if planted is None:
        return "-"
    highest = max(planted)
    return "stops" if highest == STOPPED else f"({highest:.3f})" if highest >= minimum else f"{highest:.3f}"


def main() -> None:
    """Train, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specs", nargs="*", metavar="SPEC", help="names of specs; all that have a quick recipe")
    parser.add_argument("--seeds", type=int, default=8, metavar="N", help="sound runs of each recipe")
    parser.add_argument("--planted-seeds", type=int, default=1, metavar="N", help="runs with each mistake")
    parser.add_argument("--mistakes", nargs="+", choices=MISTAKES, default=MISTAKES, metavar="NAME", help="only these")
    parser.add_argument("--log", type=Path, metavar="FILE", help="where runs are kept, and taken from")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # torch's, about schedulers and labels
    files = [read_spec(path, path.name) for path in sorted(SPECS.glob("*.arch.yaml"))]
    wanted = [one for one in files if one.name in args.specs or not args.specs]
    quick = [one for one in wanted if one.spec.training is not None and one.spec.training.quick is not None]
    log = Log(args.log)
    num_seeds = {SOUND: args.seeds} | dict.fromkeys(args.mistakes, args.planted_seeds)
    rows = [row(one, measure(one, num_seeds, log), args.mistakes) for one in quick]
    print(describe_machine())
    print(tabulate(rows, ["spec", SOUND, "minimum", *args.mistakes], disable_numparse=True))


if __name__ == "__main__":
    main()

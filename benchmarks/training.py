"""Training, by wall clock and by verdict: `python benchmarks/training.py [rate|verdict|full]`, see `--help`.

rate: the loop that archcheck trains with, against d2l's `train_ch6` as its book has it, and against the limit: the
same forward, backward and update on one batch that is there already, with nothing else. All three take turns within
one process, each on a network of its own, and every figure is the median over the turns of their ratio.
verdict: whether bf16 decides otherwise than fp32, seed by seed.
full: the published recipes with the published figures beside them; for a GPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import struct
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import torch
from structure import describe_machine
from tabulate import tabulate
from torch import Tensor, nn

from archcheck.data.batches import Batches
from archcheck.data.splits import ArraySplit, LoadedDataset
from archcheck.data.transforms import make_transform
from archcheck.errors import ArchcheckError, UsageError
from archcheck.network.build import prepare_network
from archcheck.network.devices import choose_device, device_name, synchronize
from archcheck.spec.models import Named
from archcheck.spec.spec_file import SpecFile, parse_spec, read_spec
from archcheck.training.calibration import Choices, Setting, choose_setting, measure_settings
from archcheck.training.callbacks import TrainingCallbacks, TrainingProgress
from archcheck.training.components import build_loss, build_optimizer, initialise_weights
from archcheck.training.loop import train
from archcheck.training.options import RunOptions
from archcheck.training.recipe import Recipe, resolve_recipe
from archcheck.training.records import EpochRecord, TrainingRecord
from archcheck.training.tolerance_bound import lower_bound
from archcheck.training.trainer import DatasetCache, Trainer, data_context

SPECS: Final = Path(__file__).resolve().parent.parent / "specs"
LEAST_OF_D2L: Final = 1.7
LEAST_OF_LIMIT: Final = 0.95

TURN_SEC: Final = 0.25  # one side's turn: long against the clock, short against the moods of a shared machine
ROUND_SEC: Final = 2.0  # of each side, between two looks at d2l's loop
ROUNDS: Final = 7
D2L_WORKERS: Final = 4
D2L_AHEAD: Final = 2 * D2L_WORKERS  # batches that a DataLoader's workers prepare before they are asked for
D2L_WARM_UP_SEC: Final = 2.0
LIMIT_SEC: Final = 3.0
NUM_SEEDS: Final = 5


@dataclass(frozen=True, slots=True)
class Network:
    """A network of the `rate` section, as d2l trains it."""

    title: str
    build: str
    args: dict[str, Any]
    pixels: int
    batch_size: int
    lr: float

    def spec_file(self, dataset: str) -> SpecFile:
        """A spec of nothing but its training."""
        shape = ["B", 1, self.pixels, self.pixels]
        head = {"name": "benchmark", "build": self.build, "args": self.args, "input": shape}
        training: dict[str, Any] = {
            "dataset": dataset,
            "optimizer": {"name": "SGD", "lr": self.lr},
            "init": "xavier_uniform",
            "batch_size": self.batch_size,
        }
        if self.pixels != 28:
            training["resize"] = self.pixels
        return parse_spec(json.dumps(head | {"training": training}), path=SPECS / "benchmark.arch.yaml")


_D2L_ARGS: Final = {"in_channels": 1, "num_classes": 10}
_VGG_ARGS: Final = {**_D2L_ARGS, "depth": 11, "width_divisor": 4, "image_size": 96}
NETWORKS: Final = (
    Network("LeNet", "archcheck.zoo.lenet:lenet5", _D2L_ARGS, 28, 256, 0.9),
    Network("LeNet-BN", "archcheck.zoo.lenet:lenet_bn", _D2L_ARGS, 28, 256, 1.0),
    Network("VGG-11/4", "archcheck.zoo.vgg:vgg", _VGG_ARGS, 96, 128, 0.05),
    Network("ResNet-18", "archcheck.zoo.resnet:resnet18_d2l", _D2L_ARGS, 96, 256, 0.05),
)


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    run: RunOptions
    dataset: str | None
    head: int | None
    rounds: int
    seeds: int
    max_epochs: int | None
    resize: int | None
    only: tuple[str, ...]
    precision: str | None
    memory_format: str | None
    compile: bool
    store: DatasetCache = field(default_factory=lambda: DatasetCache(4))

    @property
    def device(self) -> torch.device:
        """Where everything runs."""
        return choose_device(self.run.device)

    def selects(self, title: str) -> bool:
        """Whether `--rows` asks for this row."""
        return not self.only or any(one.lower() in title.lower() for one in self.only)

    def load(self, spec_file: SpecFile, recipe: Recipe) -> LoadedDataset:
        """A recipe's data; that which was loaded before isn't loaded again."""
        assert recipe.dataset is not None  # none of these specs has a loop of its own
        return self.store.load(recipe.dataset, data_context(spec_file, recipe, self.run))


# ---------------------------------------------------------------------------------------------- the limit


class Limit:
    """What the hardware and torch leave to any loop: forward, backward and update on one batch, again and again.

    At a learning rate of 0, which costs the same: the weights stay as they were initialised. Trained on one batch for
    minutes, they would end in subnormal numbers, and a slow limit would flatter us.
    """

    def __init__(self, spec_file: SpecFile, recipe: Recipe, data: LoadedDataset, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        network = prepare_network(spec_file.spec.build, recipe.args, SPECS)().to(device)
        initialise_weights(network, recipe.init)
        self.inputs, self.targets = next(iter(training_batches(recipe, data, device)))
        if recipe.memory_format == "channels_last":
            network = network.to(memory_format=torch.channels_last)
            self.inputs = self.inputs.contiguous(memory_format=torch.channels_last)
        self.optimizer = build_optimizer(recipe, network.parameters())
        for group in self.optimizer.param_groups:
            group["lr"] = 0.0
        self.loss = build_loss(recipe)
        self.bf16 = recipe.precision == "bf16"
        self.device, self.batch_size = device, recipe.batch_size
        self.forward: Callable[[Tensor], Tensor] = torch.compile(network) if recipe.compile else network

    def step(self) -> None:
        """One step; doesn't wait for the device."""
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            outputs = self.forward(self.inputs)
        self.loss(outputs.float(), self.targets).backward()
        self.optimizer.step()

    def time_steps(self, num_steps: int) -> float:
        """Seconds of wall clock for some steps."""
        with torch.enable_grad():
            synchronize(self.device)
            start = time.perf_counter()
            for _ in range(num_steps):
                self.step()
            synchronize(self.device)
            return time.perf_counter() - start

    def rate(self, seconds: float = LIMIT_SEC) -> float:
        """Examples per second: the median over the turns of so many seconds, three at least."""
        self.time_steps(2)
        num_steps = max(1, round(TURN_SEC / self.time_steps(1)))
        turns, began = list[float](), time.perf_counter()
        while len(turns) < 3 or time.perf_counter() - began < seconds:
            turns.append(self.time_steps(num_steps))
        return num_steps * self.batch_size / statistics.median(turns)


def training_batches(recipe: Recipe, data: LoadedDataset, device: torch.device) -> Batches:
    """The batches that a run of a recipe trains on."""
    transform = make_transform(recipe.resize, recipe.augment, recipe.normalize, data.train)
    return Batches(
        data.train, batch_size=recipe.batch_size, device=device, transform=transform,
        shuffle=True, drop_last=True, seed=recipe.seed,
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------- d2l's loop


class D2l:
    """`train_ch6` with `load_data_fashion_mnist`, line for line; but timed by wall clock, fetching included.

    d2l's own timer starts when the batch is there already.
    """

    def __init__(self, network: Network, folder: Path, device: torch.device) -> None:
        torch.manual_seed(0)
        self.net = prepare_network(network.build, network.args, SPECS)()
        self.net.apply(_init_weights)
        self.net.to(device)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=network.lr)
        self.loss = nn.CrossEntropyLoss()
        self.loader = _d2l_loader(folder, network, None if network.pixels == 28 else network.pixels)
        self.device, self._metric = device, [0.0] * 3

    def time_turns(self, num_steps: int, num_turns: int) -> list[float]:
        """Seconds of wall clock for each turn of so many steps, by workers that start before and end after all of them.

        The clock starts when the workers are as far ahead as they stay.
        """
        self.net.train()
        batches, self._metric = iter(self.loader), [0.0] * 3
        with torch.enable_grad():
            began = time.perf_counter()
            for number in range(D2L_AHEAD):
                if number < 2 or time.perf_counter() - began < D2L_WARM_UP_SEC:
                    self._step(*next(batches))
            return [self._time_steps(batches, num_steps) for _ in range(num_turns)]

    def _time_steps(self, batches: Iterator[Any], num_steps: int) -> float:
        synchronize(self.device)
        start = time.perf_counter()
        for _ in range(num_steps):
            self._step(*next(batches))
        synchronize(self.device)
        return time.perf_counter() - start

    def _step(self, X: Tensor, y: Tensor) -> None:  # noqa: N803 - d2l's names
        self.optimizer.zero_grad()
        X, y = X.to(self.device), y.to(self.device)  # noqa: N806
        y_hat = self.net(X)
        l = self.loss(y_hat, y)  # noqa: E741
        l.backward()
        self.optimizer.step()
        with torch.no_grad():
            seen = (l * X.shape[0], _d2l_accuracy(y_hat, y), X.shape[0])
            self._metric = [a + float(b) for a, b in zip(self._metric, seen, strict=True)]


def _init_weights(module: nn.Module) -> None:
    if type(module) in (nn.Linear, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)  # type: ignore[arg-type]


def _d2l_accuracy(y_hat: Tensor, y: Tensor) -> float:
    y_hat = y_hat.argmax(dim=1)
    cmp = y_hat.type(y.dtype) == y
    return float(cmp.type(y.dtype).sum())


def _d2l_loader(folder: Path, network: Network, resize: int | None) -> torch.utils.data.DataLoader[Any]:
    from torchvision import datasets, transforms

    trans = [transforms.ToTensor()]
    if resize:
        trans.insert(0, transforms.Resize(resize))
    mnist_train = datasets.FashionMNIST(root=folder, train=True, transform=transforms.Compose(trans), download=False)
    return torch.utils.data.DataLoader(mnist_train, network.batch_size, shuffle=True, num_workers=D2L_WORKERS)


def write_for_torchvision(data: LoadedDataset, folder: Path) -> None:
    """The data set's files where torchvision's FashionMNIST looks for them."""
    raw = folder / "FashionMNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for split, name in ((data.train, "train"), (data.test, "t10k")):
        assert isinstance(split, ArraySplit)
        _write_idx(raw / f"{name}-images-idx3-ubyte", split.inputs.squeeze(1))
        _write_idx(raw / f"{name}-labels-idx1-ubyte", split.targets.to(torch.uint8))


def _write_idx(path: Path, values: Tensor) -> None:
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    path.write_bytes(header + values.numpy().tobytes())


# ---------------------------------------------------------------------------------------------- rate


class InTurns(Batches):
    """Training batches of which every `turn` are timed, from asking for the first to having trained on the last.

    Between the turns the limit has its own: `pairs` are the seconds of both. Other than that the loop runs as in any
    training, each epoch `num_turns` turns long.
    """

    def __init__(self, like: Batches, data: LoadedDataset, turn: int, num_turns: int, limit: Limit) -> None:
        super().__init__(
            data.train, batch_size=like.batch_size, device=like.device, transform=like.transform,
            shuffle=True, drop_last=True, seed=0,
        )  # fmt: skip
        self.num_batches = turn * num_turns
        self.num_examples = self.num_batches * like.batch_size
        self.turn, self.limit = turn, limit
        self.pairs: list[tuple[float, float]] = []
        self.epoch_sec: list[float] = []

    def epoch(
        self, epoch: int, check_targets: Callable[[Tensor], None] | None = None
    ) -> Generator[tuple[Any, Tensor], None, None]:
        """One epoch's batches."""
        began = start = time.perf_counter()
        for number, batch in enumerate(super().epoch(epoch, check_targets), 1):
            yield batch  # what the loop does with it is done when it asks for the next
            if number % self.turn == 0:
                synchronize(self.device)
                ours = time.perf_counter() - start
                self.pairs.append((ours, self.limit.time_steps(self.turn)))
                start = time.perf_counter()
        self.epoch_sec.append(time.perf_counter() - began)


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds for a step: of our loop and of the limit, turn by turn, and of d2l's loop.

    Medians over turns: a neighbour on this machine may hold up one turn for seconds.
    `clock` is the loop's own rate over the one by the wall clock here, for the same steps.
    """

    pairs: tuple[tuple[float, float], ...]
    d2l: float
    clock: float

    @property
    def ours(self) -> float:
        """Seconds for a step of ours."""
        return statistics.median(ours for ours, _ in self.pairs)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rounds of one network."""

    network: Network
    setting: Setting
    rounds: tuple[Round, ...]

    @property
    def of_d2l(self) -> list[float]:
        """Our speed as a multiple of d2l's, round by round."""
        return [one.d2l / one.ours for one in self.rounds]

    @property
    def of_limit(self) -> list[float]:
        """Our speed as a share of the limit, turn by turn."""
        return [limit / ours for one in self.rounds for ours, limit in one.pairs]

    def row(self) -> list[str]:
        """Its row of the table."""
        batch = self.network.batch_size
        ours = statistics.median(one.ours for one in self.rounds)
        d2l = statistics.median(one.d2l for one in self.rounds)
        limit = statistics.median(limit for one in self.rounds for _, limit in one.pairs)
        clock = statistics.median(one.clock for one in self.rounds)
        return [
            f"{self.network.title} {self.network.pixels} px, {batch}",
            str(self.setting),
            *(f"{batch / seconds:,.0f}" for seconds in (d2l, ours, limit)),
            _judged(self.of_d2l, LEAST_OF_D2L),
            _judged(self.of_limit, LEAST_OF_LIMIT),
            f"{clock:.3f}",
        ]


def _judged(ratios: Sequence[float], least: float) -> str:
    middle, quartiles = statistics.median(ratios), ""
    if len(ratios) > 1:
        low, _, high = statistics.quantiles(ratios, n=4)
        quartiles = f" ({low:.3f}-{high:.3f})"
    return f"{middle:.3f}{quartiles}{'' if middle >= least else f' **MISS of {least}**'}"


def compare_rates(options: Options) -> str:
    """Examples per second of d2l's loop, ours, and the limit."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for network in NETWORKS:
            if options.selects(network.title):
                rows.append(compare_rate(network, Path(folder), options).row())
                _say(" | ".join(rows[-1]))
    headers = [
        "network, batch", "our setting", "d2l/s", "ours/s", "limit/s", "ours/d2l", "ours/limit", "own clock/wall",
    ]  # fmt: skip
    return (
        f"{_markdown(rows, headers)}\n\nExamples per second by wall clock on {device_name(options.device)}, "
        f"{torch.get_num_threads()} threads; medians over {options.rounds} rounds, ratios within a round or a turn "
        f"(quartiles in brackets). d2l: fp32, {D2L_WORKERS} workers. Due: {LEAST_OF_D2L} of d2l, {LEAST_OF_LIMIT} of "
        "the limit."
    )


def compare_rate(network: Network, folder: Path, options: Options) -> Comparison:
    """Our training with the limit between its turns and d2l's loop between its epochs."""
    spec_file = network.spec_file(options.dataset or "fashion-mnist")
    plain = resolve_recipe(spec_file.spec, "full")
    data, device = options.load(spec_file, plain), options.device
    setting = choose(spec_file, plain, options)
    recipe = replace(setting.apply(plain), epochs=options.rounds + 1)  # the first is to warm up
    write_for_torchvision(data, folder)
    d2l, limit = D2l(network, folder, device), Limit(spec_file, recipe, data, device)

    turn, num_turns = _turns(min(limit.time_steps(1) for _ in range(7)), len(training_batches(recipe, data, device)))
    batches = InTurns(training_batches(recipe, data, device), data, turn, num_turns, limit)
    d2l_turn, d2l_turns = _turns(min(d2l.time_turns(1, 5)), len(d2l.loader) - D2L_AHEAD)
    rounds: list[Round] = []

    def after_epoch(record: EpochRecord, _: nn.Module) -> None:
        pairs = tuple((ours / turn, limit / turn) for ours, limit in batches.pairs)
        wall_rate = (len(batches) - (record.epoch == 1)) * batches.batch_size / batches.epoch_sec[-1]
        batches.pairs.clear()
        d2l_sec = statistics.median(d2l.time_turns(d2l_turn, d2l_turns)) / d2l_turn
        rounds.append(Round(pairs, d2l_sec, record.examples_per_sec / wall_rate))

    _train(spec_file, recipe, batches, data, after_epoch)
    return Comparison(network, setting, tuple(rounds[1:]))


def choose(spec_file: SpecFile, recipe: Recipe, options: Options) -> Setting:
    """The setting that `archcheck calibrate` would choose on this machine."""
    trainer = Trainer(spec_file, recipe, options.run, store=options.store)
    timings = measure_settings(trainer, recipe, Choices(compile=options.compile), _say, time.perf_counter)
    return choose_setting(timings)


def _turns(seconds: float, num_batches: int) -> tuple[int, int]:
    """Steps in a turn, and turns in a round, where a step takes so many seconds."""
    turn = max(1, min(round(TURN_SEC / seconds), num_batches // 2))
    return turn, max(2, min(round(ROUND_SEC / (turn * seconds)), num_batches // turn))


def _train(
    spec_file: SpecFile, recipe: Recipe, batches: Batches, data: LoadedDataset,
    after_epoch: Callable[[EpochRecord, nn.Module], None],
) -> None:  # fmt: skip
    """The run that all of it takes turns with; its test set is one batch."""
    assert isinstance(data.test, ArraySplit)
    head = ArraySplit(data.test.inputs[: recipe.batch_size], data.test.targets[: recipe.batch_size])
    test_set = Batches(
        head, batch_size=recipe.batch_size, device=batches.device, transform=batches.transform,
        shuffle=False, drop_last=False, seed=0,
    )  # fmt: skip
    torch.manual_seed(recipe.seed)
    network = prepare_network(spec_file.spec.build, recipe.args, SPECS)()
    callbacks = TrainingCallbacks(on_epoch=after_epoch)
    _require_sound(train(network, batches, test_set, recipe, num_classes=data.num_classes, callbacks=callbacks))


def _require_sound(record: TrainingRecord) -> TrainingRecord:
    if record.fault is not None:
        raise SystemExit(f"the run ended before its time: {record.fault.message}")
    return record


# ---------------------------------------------------------------------------------------------- verdict


VERDICT_SPECS: Final = ("lenet5", "lenet-bn", "vgg11-quarter-96", "resnet18-d2l")  # those of `rate`


def compare_verdicts(options: Options) -> str:
    """Seed by seed, the accuracy in fp32 and in the faster setting, and what the minimum says of each."""
    parts = [compare_verdict(name, options) for name in VERDICT_SPECS if options.selects(name)]
    return "\n\n".join(parts)


def compare_verdict(name: str, options: Options) -> str:
    """One spec's table."""
    spec_file = read_spec(SPECS / f"{name}.arch.yaml", name)
    recipe = overridden(resolve_recipe(spec_file.spec, "quick"), options, keep_setting=True)
    trainer = Trainer(spec_file, recipe, options.run, store=options.store)
    fast = Setting(options.precision or "bf16", options.memory_format or "channels_last")  # type: ignore[arg-type]
    pairs = [
        tuple(_accuracy(trainer, setting.apply(replace(recipe, seed=seed))) for setting in (Setting(), fast))
        for seed in range(options.seeds)
    ]
    plain, other = zip(*pairs, strict=True)
    bound, about = _minimum(recipe, trainer, plain)
    rows = [
        [str(seed), *(f"{one:.4f} {_verdict(one, bound)}" for one in pair), _differing(pair, bound)]
        for seed, pair in enumerate(pairs)
    ]
    for title, figure in (("mean", statistics.fmean), ("standard deviation", statistics.stdev)):
        rows.append([title, f"{figure(plain):.4f}", f"{figure(other):.4f}", ""])
    num_differing = sum(bool(_differing(pair, bound)) for pair in pairs)
    size = f"{recipe.resize[0]} px" if recipe.resize else "as it is"
    assert recipe.dataset is not None
    return (
        f"### {name}: {recipe.dataset.name} {size}, {recipe.epochs} epochs, batch {recipe.batch_size}\n\n"
        f"{_markdown(rows, ['seed', str(Setting()), str(fast), 'verdict'])}\n\n"
        f"{about}; verdicts that differ: {num_differing} of {len(pairs)}."
    )


def _minimum(recipe: Recipe, trainer: Trainer, plain: Sequence[float]) -> tuple[float, str]:
    """The spec's minimum, else the one that `archcheck calibrate` would set by the runs in fp32; and a line on it."""
    if recipe.accuracy is not None:
        return recipe.accuracy, f"Minimum {recipe.accuracy:g}, the spec's"
    chance = 1 / (trainer.num_classes or 1)
    try:
        bound = lower_bound(plain, chance=chance, resolution=1 / (trainer.num_test_examples or 1))
    except UsageError as error:
        return chance, f"No minimum but guessing: {error}"
    return bound, f"Minimum {bound:.3f}, from the fp32 runs"


def _accuracy(trainer: Trainer, recipe: Recipe) -> float:
    record = _require_sound(trainer.train(replace(recipe, stop_at_accuracy=False, accuracy=None, time_budget_sec=None)))
    assert record.final_accuracy is not None
    _say(f"seed {recipe.seed}, {recipe.precision}, {recipe.memory_format}: {record.final_accuracy:.4f}")
    return record.final_accuracy


def _verdict(accuracy: float, bound: float) -> str:
    return "passes" if accuracy >= bound else "fails"


def _differing(pair: Sequence[float], bound: float) -> str:
    return "" if len({_verdict(one, bound) for one in pair}) == 1 else "**DIFFERS**"


def overridden(recipe: Recipe, options: Options, *, keep_setting: bool = False) -> Recipe:
    """A recipe with what the command line changes; the spec's minimum is not for another task."""
    if options.dataset is not None or options.head is not None:
        head = {} if options.head is None else {"head": options.head}
        assert recipe.dataset is not None
        dataset = Named.model_validate({"name": options.dataset or recipe.dataset.name, **head})
        recipe = replace(recipe, dataset=dataset, accuracy=None)
    if options.resize is not None:
        recipe = replace(recipe, resize=(options.resize, options.resize), accuracy=None)
    if options.max_epochs is not None and options.max_epochs < recipe.epochs:
        recipe = replace(recipe, epochs=options.max_epochs, accuracy=None)
    if keep_setting:
        return recipe
    given = {"precision": options.precision, "memory_format": options.memory_format, "compile": options.compile or None}
    return replace(recipe, **{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------- full


@dataclass(frozen=True, slots=True)
class Published:
    """A row of the published table: on one GPU of the writer's, the last epoch's figures; None where there are none."""

    title: str
    spec: str
    loss: float | None = None
    train_accuracy: float | None = None
    test_accuracy: float | None = None
    examples_per_sec: float | None = None


PUBLISHED: Final = (
    Published("VGG-11/4, 224", "vgg11-quarter", 0.174, 0.935, 0.918, 783.2),
    Published("VGG-11/4, 96", "vgg11-quarter-96", 0.212, 0.920, 0.911, 799.1),
    Published("VGG-16/4, 224", "vgg16-quarter", 0.182, 0.933, 0.917, 400.5),
    Published("VGG-19/4, 224", "vgg19-quarter", 0.229, 0.914, 0.908, 358.6),
    Published("ResNet-18 d2l, 96", "resnet18-d2l"),
    Published("ResNet-18 add_module, 96", "resnet18-add-module", 0.1570, 0.942, 0.876, 50.0),
)


def train_published(options: Options) -> str:
    """Every published row by its spec's full recipe."""
    rows = []
    for published in PUBLISHED:
        if options.selects(f"{published.title} {published.spec}"):
            rows.append(train_row(published, options))
            _say(" | ".join(rows[-1]))
    headers = [
        "network, px", "epochs", "batch", "setting", "loss", "published", "train acc", "published", "test acc",
        "published", "examples/s", "published", "limit/s", "ours/limit", "first step s", "all s",
    ]  # fmt: skip
    return (
        f"{_markdown(rows, headers)}\n\nOn {device_name(options.device)}, by wall clock; the rate leaves the first "
        f"step out, with its compilation and allocations, and the evaluations. The limit was measured before and after "
        f"each run. Due: {LEAST_OF_LIMIT} of the limit."
    )


def train_row(published: Published, options: Options) -> list[str]:
    """One run with the limit before and after it."""
    spec_file = read_spec(SPECS / f"{published.spec}.arch.yaml", published.spec)
    recipe = overridden(resolve_recipe(spec_file.spec, "full"), options)
    recipe = replace(recipe, stop_at_accuracy=False, accuracy=None, time_budget_sec=None)
    trainer = Trainer(spec_file, recipe, options.run, store=options.store)
    limits = [_limit_rate(spec_file, recipe, options)]
    began = time.perf_counter()
    record = _require_sound(trainer.train(on_progress=_say_epoch(published.title)))
    spent = time.perf_counter() - began
    limits.append(_limit_rate(spec_file, recipe, options))
    last, rate, limit = record.epochs[-1], record.examples_per_sec or 0.0, statistics.fmean(limits)
    figures = [
        (last.loss, published.loss, ".3f"),
        (last.train_accuracy, published.train_accuracy, ".3f"),
        (last.test_accuracy, published.test_accuracy, ".3f"),
        (rate, published.examples_per_sec, ",.0f"),
    ]
    shown = [text for ours, theirs, form in figures for text in (_shown(ours, form), _shown(theirs, form))]
    setting = Setting(recipe.precision, recipe.memory_format, recipe.compile)
    run = [published.title, str(len(record.epochs)), str(recipe.batch_size), str(setting)]
    seconds = [f"{record.epochs[0].first_step_sec:.2f}", f"{spent:.1f}"]
    return [*run, *shown, f"{limit:,.0f}", _judged([rate / limit], LEAST_OF_LIMIT), *seconds]


def _limit_rate(spec_file: SpecFile, recipe: Recipe, options: Options) -> float:
    rate = Limit(spec_file, recipe, options.load(spec_file, recipe), options.device).rate()
    if options.device.type == "cuda":
        torch.cuda.empty_cache()
    return rate


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _say_epoch(title: str) -> Callable[[TrainingProgress], None]:
    def say(progress: TrainingProgress) -> None:
        one = progress.finished
        if one is not None:
            _say(
                f"{title}: epoch {one.epoch} of {progress.num_epochs}, loss {one.loss:.4f}, "
                f"train {one.train_accuracy:.4f}, test {one.test_accuracy:.4f}, "
                f"{one.examples_per_sec:,.0f} examples/s, {one.duration_sec:.1f} s"
            )

    return say


# ---------------------------------------------------------------------------------------------- command line


SECTIONS: Final[dict[str, Callable[[Options], str]]] = {
    "rate": compare_rates,
    "verdict": compare_verdicts,
    "full": train_published,
}


def main() -> None:
    """Run one section and print its tables."""
    args = _parser().parse_args()
    warnings.simplefilter("ignore")  # torch's, about d2l's number of workers
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    options = Options(
        run=RunOptions(device=args.device, data_dir=args.data),
        dataset=args.dataset, head=args.head, rounds=args.rounds, seeds=args.seeds, max_epochs=args.max_epochs,
        resize=args.resize, only=tuple(args.rows), precision=args.precision, memory_format=args.memory_format,
        compile=args.compile,
    )  # fmt: skip
    try:
        device = options.device
        about = [describe_machine(), f"training on {device_name(device)}, {torch.get_num_threads()} threads"]
        text = "\n".join([f"## {args.section}\n", "```text", *about, "```\n", SECTIONS[args.section](options)])
    except ArchcheckError as error:
        raise SystemExit(str(error)) from None
    print(text)
    if args.out is not None:
        args.out.write_text(text + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", nargs="?", choices=SECTIONS, default="rate")
    parser.add_argument("--device", default="auto", help="auto, or any that torch knows: cpu, cuda, cuda:1")
    parser.add_argument("--data", type=Path, metavar="DIR", help="where Fashion-MNIST's four files are")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the tables there too")
    parser.add_argument("--rows", nargs="+", default=[], metavar="TEXT", help="only rows with one of these in them")
    parser.add_argument("--threads", type=int, metavar="N", help="torch's threads, of every side; torch's own choice")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help="rate: how often d2l's loop is on")
    parser.add_argument("--seeds", type=int, default=NUM_SEEDS, metavar="N", help="verdict: runs in each setting")
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="verdict, full: instead of the recipe's")
    parser.add_argument("--memory-format", choices=("contiguous", "channels_last"), help="verdict, full: likewise")
    parser.add_argument("--compile", action="store_true", help="rate: try it too; full: do it")
    trial = parser.add_argument_group("for a trial")
    trial.add_argument("--dataset", choices=("fashion-mnist", "fashion-mnist-mini"), help="instead of the recipe's")
    trial.add_argument("--head", type=int, metavar="N", help="verdict, full: train on so many examples")
    trial.add_argument("--resize", type=int, metavar="PIXELS", help="verdict, full: instead of the recipe's")
    trial.add_argument("--max-epochs", type=int, metavar="N", help="verdict, full: end after so many")
    return parser


def _markdown(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> str:
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

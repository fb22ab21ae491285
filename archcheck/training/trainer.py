"""Training of a spec's network: choosing recipe and device, loading the data, building the network, and the run."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import torch
from torch import nn

from archcheck.data.batches import Batches
from archcheck.data.context import DataContext, default_data_dir
from archcheck.data.epoch_loader import EpochLoader
from archcheck.data.registry import check_dataset, load_dataset
from archcheck.data.same_examples import tests_on_training_set
from archcheck.data.splits import LoadedDataset
from archcheck.data.transforms import check_transforms, make_transform
from archcheck.errors import ArchcheckError, DataError, NotMeasured
from archcheck.findings import Keys, Mismatch
from archcheck.network.build import prepare_network
from archcheck.network.devices import choose_device, free_memory_bytes, graph_tools, synchronize
from archcheck.network.torch_state import default_torch_settings, seeded
from archcheck.spec.dims import BATCH
from archcheck.spec.file_names import spec_name
from archcheck.spec.inputs import make_forward_input
from archcheck.spec.models import Named, Spec
from archcheck.spec.spec_file import SpecFile
from archcheck.spec.values import LIGHTNING
from archcheck.structure.meta.module_tree import set_training
from archcheck.structure.trace import trace_model
from archcheck.structure.work import allowed_threads, threads_fitted_to_trace
from archcheck.system.audit import shared
from archcheck.training.batch_validation import BatchValidator
from archcheck.training.callbacks import TrainingCallbacks, TrainingProgress
from archcheck.training.checkpoints import BestCheckpoint
from archcheck.training.components import check_components
from archcheck.training.evaluation import evaluate
from archcheck.training.lightning_loop import check_lightning
from archcheck.training.loop import build_training_step, train
from archcheck.training.options import RunOptions
from archcheck.training.recipe import Recipe, resolve_recipe
from archcheck.training.records import TrainingRecord
from archcheck.training.user_loop import LoopContext, check_user_loop, train_by_loop


def choose_recipe(spec: Spec, options: RunOptions) -> Recipe:
    """Choose the recipe to train a spec by, quick or full.

    Raises:
        NotMeasured: training is off, or the machine has no such device.
    """
    if options.kind == "off":
        raise NotMeasured("training is off (--archcheck-train off)")
    if options.device_problem:
        raise NotMeasured(options.device_problem)
    kind = options.kind
    if kind == "auto":
        kind = "quick" if choose_device(options.device).type == "cpu" else "full"
    recipe = resolve_recipe(spec, kind)
    return recipe if options.seed is None else replace(recipe, seed=options.seed)


class DatasetCache:
    """The last few loaded data sets, kept for other specs that train on the same."""

    def __init__(self, capacity: int = 2) -> None:
        self._capacity = capacity
        self._loaded: dict[str, LoadedDataset] = {}

    def load(self, dataset: Named, context: DataContext) -> LoadedDataset:
        """Load a data set, or return the one that is loaded already. Raises as `load_dataset` does."""
        key = repr((dataset, replace(context, budget_bytes=None)))  # free memory changes all the time
        with shared(key):
            if key not in self._loaded:
                pair = load_dataset(dataset, context)
                if ":" in dataset.name:
                    return pair  # a user's own: its items and its code may differ each time
                while len(self._loaded) >= self._capacity:
                    del self._loaded[next(iter(self._loaded))]
                self._loaded[key] = pair
            return self._loaded[key]


@dataclass(slots=True)
class Trainer:
    """Trains a spec's network any number of times, each time from the start, on data that is loaded once.

    A loop of the user's own may have data of its own; then there's none here.

    Raises:
        NotMeasured: the device or the data isn't on this machine.
        DataError: the data is broken.
    """

    spec_file: SpecFile
    recipe: Recipe
    options: RunOptions
    rootdir: Path | None = None
    store: DatasetCache = field(default_factory=DatasetCache)
    device: torch.device = field(init=False)
    _data: LoadedDataset | None = field(init=False, default=None)
    _tests_on_training_set: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.device = choose_device(self.options.device)
        if self.recipe.dataset is not None:
            context = data_context(self.spec_file, self.recipe, self.options, self.rootdir)
            with default_torch_settings():
                self._data = self.store.load(self.recipe.dataset, context)
                self._tests_on_training_set = tests_on_training_set(self._data)

    @property
    def num_classes(self) -> int | None:
        """The number of classes of the data set; None for a regression, or where it isn't known."""
        return self._data.num_classes if self._data is not None else None

    @property
    def num_test_examples(self) -> int | None:
        """The size of the test set; None where a loop has data of its own."""
        if self._data is None:
            return None
        return len(self._data.test)  # type: ignore[arg-type]  # map-style: it has a length

    def train(
        self,
        recipe: Recipe | None = None,
        on_progress: Callable[[TrainingProgress], None] | None = None,
        *,
        keep_best: bool = False,
    ) -> TrainingRecord:
        """Train once, by `recipe` or else the spec's own. Torch's global state is restored afterwards.

        keep_best: save the best network where the options ask for checkpoints.

        Raises:
            BuildError: the network can't be built.
            DataError: the recipe's transforms don't go with the data.
        """
        recipe = recipe or self.recipe
        with seeded(recipe.seed, self.device, self.options.num_threads):
            network = build_unshared_network(self.spec_file, recipe, self.rootdir)
            checkpoint = self._best_checkpoint() if keep_best else None
            callbacks = TrainingCallbacks(on_progress, checkpoint.save_if_best if checkpoint is not None else None)
            record = self._trained(network, recipe, callbacks)
        return replace(record, tests_on_training_set=self._tests_on_training_set)

    def _trained(self, network: nn.Module, recipe: Recipe, callbacks: TrainingCallbacks) -> TrainingRecord:
        if recipe.loop is not None:
            with self._threads_of_loop(network, recipe):
                return train_by_loop(network, recipe, self._loop_context(recipe), callbacks)
        train_set, test_set = self._batches(recipe)
        return train(
            network, train_set, test_set, recipe,
            num_classes=self.num_classes, rootdir=self.rootdir, callbacks=callbacks,
        )  # fmt: skip

    def evaluate(self, network: nn.Module) -> float:
        """Return the accuracy of a network as it is, on the test set. Raises DataError, RunFailed."""
        with seeded(self.recipe.seed, self.device, self.options.num_threads):
            test_set = self._batches_of(self.recipe, train=False)
            return evaluate(network, test_set, self.recipe, self.num_classes, self.rootdir)

    def prepare_step(self, recipe: Recipe | None = None) -> Callable[[], None]:
        """Return a function that takes one step of training on the next batch, without waiting for the device.

        It raises RunFailed where the recipe asks for a graph, and the step can't be one.

        The function has to be called within `default_torch_settings`, as it draws random numbers and sets the number of
        threads.

        Raises:
            RunFailed: data, network and recipe don't go together.
        """
        recipe = recipe or self.recipe
        with seeded(recipe.seed, self.device, self.options.num_threads):
            train_set, test_set = self._batches(recipe)
            validator = BatchValidator(recipe, self.num_classes)
            network = build_unshared_network(self.spec_file, recipe, self.rootdir)
            step = build_training_step(network, train_set, test_set, recipe, validator, self.rootdir, needs_graph=True)
            set_training(step.network, True)
            num_threads = torch.get_num_threads()
        batches = _endless(train_set)

        def take_step() -> None:
            torch.set_num_threads(num_threads)
            with torch.enable_grad():
                step(*next(batches))

        return take_step

    @property
    def has_graphs(self) -> bool:
        """Whether the device can run a step as a graph."""
        return graph_tools(self.device) is not None

    def synchronize(self) -> None:
        """Wait for the device."""
        synchronize(self.device)

    def _batches(self, recipe: Recipe) -> tuple[Batches, Batches]:
        """Return the batches of the training set, all of one size, and those of the test set."""
        return self._batches_of(recipe, train=True), self._batches_of(recipe, train=False)

    def _threads_of_loop(self, network: nn.Module, recipe: Recipe) -> AbstractContextManager[None]:
        """Have a loop compute with as many threads as a batch of the spec's input is worth, where that can be told."""
        if self.device.type != "cpu" or allowed_threads() == 1:
            return nullcontext()
        try:
            sizes = {**self.spec_file.spec.bindings()[0], BATCH: recipe.batch_size}
            trace = trace_model(network, [make_forward_input(recipe.input, sizes)])
        except ArchcheckError:
            return nullcontext()
        return nullcontext() if trace.died is not None else threads_fitted_to_trace(trace)

    def _loop_context(self, recipe: Recipe) -> LoopContext:
        loaders = None
        if self._data is not None:
            train_set, test_set = self._batches(recipe)
            loaders = EpochLoader(train_set, self._data.train), EpochLoader(test_set, self._data.test)
        data_dir = self.options.data_dir if self.options.data_dir is not None else default_data_dir()
        base_dir = self.spec_file.path.resolve().parent
        return LoopContext(self.device, base_dir, self.rootdir, data_dir, loaders)

    def _batches_of(self, recipe: Recipe, *, train: bool) -> Batches:
        assert self._data is not None  # only a loop trains without a data set
        transform = make_transform(recipe.resize, recipe.augment, recipe.normalize, self._data.train)
        return Batches(
            self._data.train if train else self._data.test,
            batch_size=recipe.batch_size,
            device=self.device,
            transform=transform if train else transform.without_augmentation(),
            shuffle=train,
            drop_last=train,
            seed=recipe.seed,
            budget_bytes=self.options.data_budget_bytes,
            steps_per_epoch=recipe.steps_per_epoch if train else None,
        )

    def _best_checkpoint(self) -> BestCheckpoint | None:
        if self.options.checkpoints is None:
            return None
        return BestCheckpoint(self.options.checkpoints / self._relative_folder())

    def _relative_folder(self) -> Path:
        """Return the spec's path without its suffix, relative to the nearest folder of specs: unique to the spec."""
        path = self.spec_file.path.resolve()
        roots = [*self.options.spec_roots, *([self.rootdir] if self.rootdir else [])]
        above = [root.resolve() for root in roots if path.is_relative_to(root.resolve())]
        folder = path.parent.relative_to(max(above, key=lambda root: len(root.parts))) if above else Path()
        return folder / spec_name(path)


def data_context(spec_file: SpecFile, recipe: Recipe, options: RunOptions, rootdir: Path | None = None) -> DataContext:
    """Return the context that a spec's data set is loaded with."""
    budget = options.data_budget_bytes
    return DataContext(
        base_dir=spec_file.path.resolve().parent,
        rootdir=rootdir,
        data_dir=options.data_dir,
        download=options.download,
        image_size=recipe.resize,
        budget_bytes=free_memory_bytes("cpu") // 4 if budget is None else budget,
    )


def check_recipe(spec_file: SpecFile, rootdir: Path | None) -> list[Mismatch]:
    """Check the names and arguments in a spec's recipes, quick and full, without training."""
    spec, found = spec_file.spec, dict[Mismatch, None]()
    for kind in ("full", "quick"):
        recipe = resolve_recipe(spec, kind)
        found |= dict.fromkeys([*_check_loop(spec_file, recipe, rootdir), *_check_data(spec_file, recipe, rootdir)])
    return list(found)


def _check_loop(spec_file: SpecFile, recipe: Recipe, rootdir: Path | None) -> list[Mismatch]:
    """Check what trains: a loop of the user's own, Lightning, or the components of the recipe."""
    if recipe.loop is None:
        return check_components(recipe)
    check = check_lightning if recipe.loop == LIGHTNING else check_user_loop
    with default_torch_settings():
        return list(check(recipe, spec_file.path.resolve().parent, rootdir))


def _check_data(spec_file: SpecFile, recipe: Recipe, rootdir: Path | None) -> Iterator[Mismatch]:
    if recipe.dataset is None:
        return
    try:
        with default_torch_settings():
            check_dataset(recipe.dataset, data_context(spec_file, recipe, RunOptions(data_budget_bytes=0), rootdir))
    except DataError as error:
        yield data_mismatch(recipe, error, "dataset")
    try:
        check_transforms(recipe.resize, recipe.augment, recipe.normalize)
    except DataError as error:
        yield data_mismatch(recipe, error)


def data_mismatch(recipe: Recipe, error: DataError, key: str | None = None) -> Mismatch:
    """Return a data error as a mismatch at its place; `key` where the error's argument is relative to that key."""
    parts: list[str | int] = [int(part) if part.isdecimal() else part for part in (error.arg or "").split(".") if part]
    keys: Keys = (key, *parts) if key is not None else tuple(parts) or ("dataset",)
    return Mismatch((*recipe.place(str(keys[0])), *keys[1:]), str(keys[0]), str(error))


def build_unshared_network(spec_file: SpecFile, recipe: Recipe, rootdir: Path | None) -> nn.Module:
    """Build a recipe's network, as a copy that nothing else refers to. Raises BuildError.

    A build may return the same instance each time; training must not change it for the next run.
    """
    network = prepare_network(spec_file.spec.build, recipe.args, spec_file.path.resolve().parent, rootdir)()
    try:
        return copy.deepcopy(network)
    except Exception:  # it holds something that can't be copied
        return network


def _endless(batches: Batches) -> Iterator[tuple[object, torch.Tensor]]:
    for epoch in count():
        yield from batches.epoch(epoch)

"""Data sets that several specs train on are loaded once."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcheck.data.context import DataContext
from archcheck.data.registry import load_dataset
from archcheck.data.splits import LoadedDataset
from archcheck.spec.models import Named
from archcheck.spec.spec_file import parse_spec
from archcheck.training import trainer
from archcheck.training.options import RunOptions

HEAD = "build: archcheck.zoo.lenet:lenet5\ninput: [B, 1, 28, 28]\n"


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the data sets in the order in which they are loaded."""
    names: list[str] = []

    def load(dataset: Named, context: DataContext) -> LoadedDataset:
        names.append(dataset.name)
        return load_dataset(dataset, context)

    monkeypatch.setattr(trainer, "load_dataset", load)
    return names


def test_specs_of_one_data_set_share_it(loaded: list[str]) -> None:
    store, options = trainer.DatasetCache(), RunOptions(device="cpu")
    for lr in (0.1, 0.2):
        text = f"{HEAD}training: {{dataset: fashion-mnist-mini, optimizer: {{name: SGD, lr: {lr}}}}}\n"
        spec_file = parse_spec(text, path=Path("specs/net.arch.yaml"))
        trainer.Trainer(spec_file, trainer.choose_recipe(spec_file.spec, options), options, store=store)
    assert loaded == ["fashion-mnist-mini"]


def test_a_data_set_with_other_arguments_is_another(loaded: list[str]) -> None:
    store, options = trainer.DatasetCache(), RunOptions(device="cpu")
    for head in (100, 200):
        text = f"{HEAD}training: {{dataset: {{name: fashion-mnist-mini, head: {head}}}}}\n"
        spec_file = parse_spec(text, path=Path("specs/net.arch.yaml"))
        trainer.Trainer(spec_file, trainer.choose_recipe(spec_file.spec, options), options, store=store)
    assert len(loaded) == 2

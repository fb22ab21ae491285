"""The handwritten digits that come with scikit-learn."""

from __future__ import annotations

import importlib

import torch

from archcheck.data.context import DataContext
from archcheck.data.splits import ArraySplit, LoadedDataset, first_examples
from archcheck.errors import NotMeasured

TEST_EVERY = 5  # one example in five is a test example


def digits(_context: DataContext, /, *, head: int | None = None) -> LoadedDataset:
    """Load scikit-learn's 1,797 digits, (N, 1, 8, 8) uint8: its values from 0 to 16, scaled to 0 to 255.

    Every fifth example (the fifth, the tenth, ...) is a test example: 1,438 for training, 359 for testing.

    head: the number of training examples, the first ones; None: all.

    Raises:
        NotMeasured: scikit-learn isn't installed.
    """
    try:
        datasets = importlib.import_module("sklearn.datasets")
    except ModuleNotFoundError as error:
        message = "digits comes with scikit-learn, which is not installed: `pip install pytest-archcheck[digits]`"
        raise NotMeasured(message) from error
    values, labels = datasets.load_digits(return_X_y=True)
    images = torch.from_numpy(values).mul(255 / 16).round().to(torch.uint8).view(-1, 1, 8, 8)
    targets = torch.from_numpy(labels).long()
    test = torch.arange(len(images)) % TEST_EVERY == TEST_EVERY - 1
    train_split = first_examples(ArraySplit(images[~test], targets[~test]), head)
    return LoadedDataset("digits", train_split, ArraySplit(images[test], targets[test]), num_classes=10)

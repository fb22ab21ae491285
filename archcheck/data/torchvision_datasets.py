"""CIFAR-10 as torchvision reads it, and downloads by torchvision."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from archcheck.data.context import DataContext
from archcheck.data.splits import ArraySplit, LoadedDataset, first_examples
from archcheck.errors import DataError, NotMeasured
from archcheck.network.exceptions import one_line


def cifar10(context: DataContext, /, *, head: int | None = None) -> LoadedDataset:
    """Load CIFAR-10 (Krizhevsky 2009): 50,000 training and 10,000 test images, (N, 3, 32, 32) uint8, of ten classes.

    head: the number of training examples, the first ones; None: all.

    Raises:
        NotMeasured: the data set isn't on this machine, and downloading isn't allowed.
        DataError: a file is corrupt, or the download failed.
    """
    from torchvision.datasets import CIFAR10

    root = context.data_folder
    folder = root / CIFAR10.base_folder
    expected = dict([*CIFAR10.train_list, *CIFAR10.test_list, (CIFAR10.meta["filename"], CIFAR10.meta["md5"])])
    if context.download and any(not (folder / name).is_file() for name in expected):
        download("CIFAR10", root)
    for name, md5 in expected.items():
        _check_file(folder / name, md5)
    train, test = (_arrays(CIFAR10, root, train) for train in (True, False))
    return LoadedDataset("cifar10", first_examples(train, head), test, num_classes=10)


def download(class_name: str, root: Path) -> None:
    """Have torchvision download one of its data sets to `root`.

    Raises:
        DataError: the download failed.
    """
    from torchvision import datasets

    try:
        root.mkdir(parents=True, exist_ok=True)
        getattr(datasets, class_name)(root, download=True)
    except (Exception, SystemExit) as error:
        raise DataError(f"downloading {class_name} to {root} failed: {one_line(error)}") from error


def _check_file(path: Path, md5: str) -> None:
    if not path.is_file():
        where = f"{path.parent} lacks {path.name}" if path.parent.is_dir() else f"looked for {path.parent}"
        raise NotMeasured(
            f"cifar10 is not on this machine ({where}): --archcheck-data DIR with torchvision's {path.parent.name}, "
            "or --archcheck-download"
        )
    found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(f"{path} is corrupt: expected the md5 {md5}, found {found}")


def _arrays(dataset_class: Any, root: Path, train: bool) -> ArraySplit:
    try:
        dataset = dataset_class(root, train=train)
        images = torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous()  # (N, 32, 32, 3) -> (N, 3, 32, 32)
        return ArraySplit(images, torch.tensor(dataset.targets))
    except Exception as error:
        raise DataError(f"reading {root / dataset_class.base_folder} failed: {one_line(error)}") from error

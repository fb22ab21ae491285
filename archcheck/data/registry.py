"""Data sets by name: the names, their arguments, and loading."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any

from archcheck.data.arguments import check_call
from archcheck.data.context import DataContext as DataContext
from archcheck.data.digits import digits
from archcheck.data.fashion import fashion_mnist, fashion_mnist_mini
from archcheck.data.folder import image_folder
from archcheck.data.splits import DataPair
from archcheck.data.table import table
from archcheck.data.targets import load_data_target, resolve_data_target
from archcheck.data.torchvision_sets import cifar10
from archcheck.errors import DataError
from archcheck.spec.models import Named
from archcheck.text.words import did_you_mean

# A loader takes the context by position, and what a spec may say of the data set by keyword.
LOADERS: Mapping[str, Callable[..., DataPair]] = types.MappingProxyType(
    {
        "fashion-mnist": fashion_mnist,
        "fashion-mnist-mini": fashion_mnist_mini,
        "cifar10": cifar10,
        "digits": digits,
        "image-folder": image_folder,
        "table": table,
    }
)


def check_dataset(dataset: Named, context: DataContext) -> None:
    """Check a data set's name and arguments; a user's callable is imported, nothing is loaded.

    Raises:
        DataError: there is no such data set, or it doesn't take the arguments; `arg` says which one.
    """
    args = _args(dataset)
    if ":" in dataset.name:
        resolve_data_target(dataset.name, args, context)
        return
    loader = LOADERS.get(dataset.name)
    if loader is None:
        close = did_you_mean(dataset.name, LOADERS)
        known = f"known are {', '.join(LOADERS)}, and module:callable for your own"
        raise DataError(f"there is no data set {dataset.name!r}{close} ({known})")
    check_call(loader, args, f"data set {dataset.name}")


def load_dataset(dataset: Named, context: DataContext) -> DataPair:
    """Load a data set.

    Raises:
        NotMeasured: it isn't on this machine; says where it was looked for, and how to get it.
        DataError: see `check_dataset`; or it's corrupt, or not of the form that it should have.
    """
    check_dataset(dataset, context)
    args = _args(dataset)
    if ":" in dataset.name:
        return load_data_target(dataset.name, args, context)
    return LOADERS[dataset.name](context, **args)


def _args(dataset: Named) -> dict[str, Any]:
    return dict(dataset.model_extra or {})

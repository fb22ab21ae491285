"""The registered data sets: checking a name and its arguments, and loading by name."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any

from archcheck.data.arguments import check_call_arguments
from archcheck.data.context import DataContext
from archcheck.data.digits import digits
from archcheck.data.fashion_mnist import fashion_mnist, fashion_mnist_mini
from archcheck.data.image_folder import image_folder
from archcheck.data.image_table import table
from archcheck.data.splits import LoadedDataset
from archcheck.data.torchvision_datasets import cifar10
from archcheck.data.user_datasets import load_user_dataset, resolve_user_dataset
from archcheck.errors import DataError
from archcheck.spec.models import Named
from archcheck.text.words import did_you_mean

# A loader takes the context by position, and the arguments that a spec may give by keyword.
LOADERS: Mapping[str, Callable[..., LoadedDataset]] = types.MappingProxyType(
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
    """Check a data set's name and arguments without loading it; a user's callable is imported.

    Raises:
        DataError: there is no such data set, or it doesn't take an argument; `arg` says which.
    """
    args = _args(dataset)
    if ":" in dataset.name:
        resolve_user_dataset(dataset.name, args, context)
        return
    loader = LOADERS.get(dataset.name)
    if loader is None:
        close = did_you_mean(dataset.name, LOADERS)
        known = f"known are {', '.join(LOADERS)}, and module:callable for your own"
        raise DataError(f"there is no data set {dataset.name!r}{close} ({known})")
    check_call_arguments(loader, args, f"data set {dataset.name}")


def load_dataset(dataset: Named, context: DataContext) -> LoadedDataset:
    """Load a data set.

    Raises:
        NotMeasured: it isn't on this machine; the message has the folders looked in, and how to get it.
        DataError: as `check_dataset` raises it; or the data set is corrupt or has another form than expected.
    """
    check_dataset(dataset, context)
    args = _args(dataset)
    if ":" in dataset.name:
        return load_user_dataset(dataset.name, args, context)
    return LOADERS[dataset.name](context, **args)


def _args(dataset: Named) -> dict[str, Any]:
    return dict(dataset.model_extra or {})

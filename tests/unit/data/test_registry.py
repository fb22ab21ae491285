"""Names of data sets and their arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archcheck.data.context import DataContext
from archcheck.data.registry import check_dataset, load_dataset
from archcheck.errors import DataError
from archcheck.spec.models import Named

MakeContext = Callable[..., DataContext]


@pytest.mark.parametrize(
    ("dataset", "arg", "message"),
    [
        (
            {"name": "fashion-mnits"},
            None,
            r"no data set 'fashion-mnits': did you mean 'fashion-mnist'\? \(known are fas",
        ),
        ({"name": "coco"}, None, r"no data set 'coco' \(known are fashion-mnist, .*, and module:callable for"),
        ({"name": "digits", "heads": 3}, "heads", r"data set digits accepts no argument 'heads': did you mean 'head'"),
        ({"name": "image-folder"}, "path", r"data set image-folder is missing its argument 'path'"),
        ({"name": "digits", "head": "3"}, "head", r"digits: expected a whole number as head, found '3'"),
        ({"name": "digits", "head": True}, "head", r"digits: expected a whole number as head, found true"),
        ({"name": "digits", "head": 0}, "head", r"expected a number of examples, at least 1 as head, found 0"),
        ({"name": "digits", "context": 1}, "context", r"data set digits accepts no argument 'context'"),
        ({"name": "table", "path": 3}, "path", r"data set table: expected a text as path, found 3"),
        ({"name": "table", "path": "x", "test": 1.5}, "test", r"expected a share between 0 and 1 as test, found 1.5"),
        ({"name": "table", "path": "x", "channels": 4}, "channels", r"expected 1 or 3 as channels, found 4"),
        ({"name": "torchvision:resnet18"}, None, r"expected module:callable or path/to/file.py:callable"),
        ({"name": "no_such_module:data"}, None, r"no module named 'no_such_module'"),
        ({"name": "data.py:data"}, None, r"no file data.py in "),
    ],
)
def test_what_is_asked_for_wrongly(
    dataset: dict[str, Any], arg: str | None, message: str, context: MakeContext
) -> None:
    with pytest.raises(DataError, match=message) as raised:
        check_dataset(Named(**dataset), context())
    assert raised.value.arg == arg
    with pytest.raises(DataError, match=message):
        load_dataset(Named(**dataset), context())


@pytest.mark.parametrize(
    "dataset",
    [
        {"name": "cifar10", "head": 10},
        {"name": "table", "path": "no.csv", "test": "no.csv", "channels": 1},
        {"name": "table", "path": "no.csv", "test": 0.5, "root": None},
        {"name": "image-folder", "path": "nowhere"},
    ],
)
def test_checking_loads_nothing(dataset: dict[str, Any], context: MakeContext) -> None:
    check_dataset(Named(**dataset), context())

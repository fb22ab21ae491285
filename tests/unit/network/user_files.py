"""Files of a user's, and what building from them raises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archcheck.errors import BuildError
from archcheck.network.build import build_network

NET = """\
from torch import nn

class Net(nn.Linear):
    def __init__(self, width: int = 4, *, bias: bool = True) -> None:
        super().__init__(width, width, bias)

    @classmethod
    def small(cls) -> "Net":
        return cls(width=2)

def dictionary():
    return {}

def nothing():
    return None

def fails(width=1):
    def inner():
        raise KeyError("x")
    return inner()

def deep():
    return nn.Linear("a", 2)

def leaves():
    raise SystemExit(3)

def long_story():
    raise RuntimeError("first\\nsecond " + "x" * 1000)

def only(width, /):
    return nn.Linear(width, 1)

def passes(**kwargs):
    return Net(**kwargs)

built = Net(3)
number = 3
"""

FACTORY = "from torch import nn\n{}\ndef net():\n    {}\n    return nn.Linear(1, width)\n"


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def failure(target: str, folder: Path, args: dict[str, Any] | None = None, rootdir: Path | None = None) -> BuildError:
    with pytest.raises(BuildError, match=r"^[^\n]+$") as caught:
        build_network(target, args or {}, folder, rootdir)
    return caught.value

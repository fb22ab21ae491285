"""What code reads of an argument, and how a build that lacks it says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archcheck.network.build import build_network, resolve_target
from archcheck.network.fields_read import Fields, fields_read
from tests.unit.network.user_files import failure, write

_NETS = """\
from argparse import Namespace
from torch import nn

class Body(nn.Module):
    def __init__(self, opt, width):
        super().__init__()
        self.opt = opt
        self.conv = nn.Conv2d(opt.in_channels, width, 3)
        self.act = opt.activation.lower()

    def make_head(self):
        return nn.Linear(self.opt.width, 2)

    def forward(self, opt):
        return self.conv(opt.features)

def whole(args: Namespace, depth=2):
    args.width = 8
    return Body(args, args.width)

def part(cfg): return Body(opt=cfg.MODEL, width=cfg.get("width", 3))
def keys(config): return nn.Linear(config["in_dim"], config["head"]["size"])
def several(widths, args, depth): return Body(args, depth)
def nothing(args): return nn.Linear(2, args)
def itself(args): return itself(args) if args.deeper else nn.Linear(2, args.width)
"""


def _plain(fields: Fields) -> dict[str, Any]:
    return {name: _plain(one) for name, one in fields.inside.items()}


@pytest.mark.parametrize(
    ("function", "argument", "fields"),
    [
        ("Body", "opt", ["in_channels", "activation", "width"]),
        ("whole", "args", ["width", "in_channels", "activation"]),
        ("keys", "config", ["in_dim", "head"]),
        ("nothing", "args", []),
        ("itself", "args", ["deeper", "width"]),
    ],
)
def test_attributes_and_keys_are_read_where_an_argument_is_passed_on_too(
    function: str, argument: str, fields: list[str], folder: Path
) -> None:
    write(folder, **{f"reads_{function}": _NETS})
    found = fields_read(resolve_target(f"reads_{function}.py:{function}", folder), argument)
    assert [*found.inside] == fields


def test_a_part_that_is_passed_on_has_fields_of_its_own(folder: Path) -> None:
    write(folder, reads_parts=_NETS)
    found = fields_read(resolve_target("reads_parts.py:part", folder), "cfg")
    assert _plain(found) == {"MODEL": {"in_channels": {}, "activation": {}, "width": {}}}


@pytest.mark.parametrize(
    ("function", "args", "told"),
    [
        ("whole", {}, 'reads width, in_channels, activation of args, so give args: {"args": {"width": ..., '
         '"in_channels": ..., "activation": ...}}'),
        ("part", {}, 'reads MODEL of cfg, so give args: {"cfg": {"class:types.SimpleNamespace": {"MODEL": '
         '{"class:types.SimpleNamespace": {"in_channels": ..., "activation": ..., "width": ...}}}}}'),
        ("keys", {}, 'reads in_dim, head of config, so give args: {"config": {"in_dim": ..., "head": {"size": ...}}}'),
        ("several", {"depth": 3}, 'reads in_channels, activation, width of args, so give args: {"depth": 3, "widths": '
         '..., "args": {"class:types.SimpleNamespace": {"in_channels": ..., "activation": ..., "width": ...}}}'),
    ],
)  # fmt: skip
def test_a_missing_argument_is_told_with_what_is_read_of_it(
    function: str, args: dict[str, Any], told: str, folder: Path
) -> None:
    write(folder, **{f"lacks_{function}": _NETS})
    error = failure(f"lacks_{function}.py:{function}", folder, args)
    assert str(error).partition("; it ")[2] == told


def test_what_is_told_builds_the_network_once_it_is_filled_in(folder: Path) -> None:
    write(folder, filled=_NETS)
    told = str(failure("filled.py:several", folder, {})).partition("so give args: ")[2]
    for name, value in {"widths": 1, "depth": 4, "in_channels": 3, "activation": '"ReLU"', "width": 2}.items():
        told = told.replace(f'"{name}": ...', f'"{name}": {value}')
    assert build_network("filled.py:several", json.loads(told), folder).get_parameter("conv.bias").shape == (4,)


def test_an_argument_of_which_nothing_is_read_is_told_alone(folder: Path) -> None:
    write(folder, reads_nothing=_NETS)
    assert str(failure("reads_nothing.py:nothing", folder, {})).endswith("'args' (it accepts args)")

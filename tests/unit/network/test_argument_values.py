"""Values of a spec's args to what the call gets: classes, dtypes, configurations, tuples, members, paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from archcheck.errors import BuildError
from archcheck.network.build import build_network, prepare_network
from tests.unit.network.user_files import failure, write

# Each factory returns a network that says what it was given.
GIVEN = """\
from torch import nn

class Given(nn.Module):
    def __init__(self, **given):
        super().__init__()
        self.given = given
"""

CONFIGS = (
    """\
from __future__ import annotations

import argparse
import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NewType, Optional, TypedDict, Union

import attrs
import pydantic
import torch
"""
    + GIVEN
    + """
if TYPE_CHECKING:
    from nowhere import Nothing


class Act(enum.Enum):
    RELU = "relu"
    GELU = "gelu"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass
class Block:
    width: int
    kernel: tuple[int, int] = (3, 3)
    act: Act = Act.RELU


@dataclass
class Config:
    width: int = 8
    depths: tuple[int, ...] = (1,)
    block: Block | None = None
    blocks: list[Block] = field(default_factory=list)
    named: dict[str, Block] = field(default_factory=dict)
    scale: InitVar[float] = 1.0
    strides: InitVar[tuple[int, ...]] = ()

    def __post_init__(self, scale: float, strides: tuple[int, ...]) -> None:
        self.strides = strides
        if self.width < 1:
            raise ValueError(f"a width of {self.width}")
        self.scaled = self.width * scale


class Wide(Config):
    pass


class Strict(pydantic.BaseModel):
    width: int = pydantic.Field(gt=0)
    depths: tuple[int, ...] = (1,)
    inner: Block | None = None
    kind: Literal["strict"] = "strict"
    renamed: int = pydantic.Field(default=1, alias="other")


class Nested(pydantic.BaseModel):
    strict: Strict


@attrs.define
class Attrs:
    width: int
    _hidden: tuple[int, ...] = (1,)


class Plain:
    def __init__(self, width: int, act: Act = Act.RELU) -> None:
        self.width, self.act = width, act


class Point(NamedTuple):
    x: int
    act: Act = Act.RELU


class Typed(TypedDict, total=False):
    block: Block
    width: int


Width = NewType("Width", int)


def dataclass_(cfg: Config): return Given(cfg=cfg)
def optional(cfg: Optional[Config] = None): return Given(cfg=cfg)
def piped(cfg: Config | None = None): return Given(cfg=cfg)
def either(cfg: Strict | Attrs): return Given(cfg=cfg)
def strict(cfg: Strict): return Given(cfg=cfg)
def nested(cfg: Nested): return Given(cfg=cfg)
def attrs_(cfg: Attrs): return Given(cfg=cfg)
def plain(cfg: Plain): return Given(cfg=cfg)
def namespace(cfg: argparse.Namespace): return Given(cfg=cfg)
def dict_(cfg: dict): return Given(cfg=cfg)
def mapping(cfg: Mapping[str, Block]): return Given(cfg=cfg)
def by_number(cfg: dict[int, Block]): return Given(cfg=cfg)
def or_dict(cfg: Config | dict): return Given(cfg=cfg)
def typed(cfg: Typed): return Given(cfg=cfg)
def none(cfg): return Given(cfg=cfg)
def absent(cfg: Nothing, depths: tuple[int, ...] = ()): return Given(cfg=cfg, depths=depths)
def anything(cfg: Any): return Given(cfg=cfg)
def tuple_(cfg: tuple): return Given(cfg=cfg)
def tuples(cfg: tuple[int, ...]): return Given(cfg=cfg)
def pairs(cfg: tuple[tuple[int, int], ...]): return Given(cfg=cfg)
def mixed(cfg: tuple[Act, Block]): return Given(cfg=cfg)
def number_or_pair(cfg: int | tuple[int, int]): return Given(cfg=cfg)
def list_or_tuple(cfg: list[int] | tuple[int, ...]): return Given(cfg=cfg)
def sequence(cfg: Sequence[Act]): return Given(cfg=cfg)
def set_(cfg: frozenset[int]): return Given(cfg=cfg)
def point(cfg: Point): return Given(cfg=cfg)
def act(cfg: Act): return Given(cfg=cfg)
def optional_act(cfg: Act | None): return Given(cfg=cfg)
def text_or_act(cfg: str | Act): return Given(cfg=cfg)
def level(cfg: Level): return Given(cfg=cfg)
def path(cfg: Path): return Given(cfg=cfg)
def literal(cfg: Literal["torch.float16", "relu"]): return Given(cfg=cfg)
def text(cfg: str): return Given(cfg=cfg)
def dtype(cfg: torch.dtype): return Given(cfg=cfg)
def module(cfg: nn.Module): return Given(cfg=cfg)
def function(cfg: Callable[..., nn.Module]): return Given(cfg=cfg)
def width(cfg: Width): return Given(cfg=cfg)


class Method(Given):
    class Inner:
        def __init__(self, width: int) -> None:
            self.width = width

    def __init__(self, cfg: Inner) -> None:
        super().__init__(cfg=cfg)

    @classmethod
    def make(cls, cfg: Config, depths: tuple[int, ...] = ()):
        return Given(cfg=cfg)
"""
)


@pytest.fixture
def configs(folder: Path) -> Path:
    write(folder, configs=CONFIGS)
    return folder


def given(folder: Path, factory: str, value: Any) -> Any:
    """Return what a factory gets for the value of its argument `cfg`."""
    return got(build_network(f"configs.py:{factory}", {"cfg": value}, folder))["cfg"]


def got(network: Any) -> dict[str, Any]:
    """Return what the factory of a network was given."""
    given: dict[str, Any] = network.given
    return given


# ---------------------------------------------------------------------------------------------- classes and dtypes


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("class:torch.nn.GELU", nn.GELU),
        ("class:torch.nn.functional.relu", nn.functional.relu),
        ("class:torch.nn:GELU", nn.GELU),
        ("class:torch.nn.Linear.forward", nn.Linear.forward),
        ("class:torch.nn.modules.activation", nn.modules.activation),
        ("torch.bfloat16", torch.bfloat16),
        ("torch.channels_last", torch.channels_last),
        ("torch.something_unknown", "torch.something_unknown"),
        ("torch.nn", "torch.nn"),
        ("torch.float16 ", "torch.float16 "),
        ("float16", "float16"),
        ("text:torch.float16", "torch.float16"),
        ("text:class:a.b", "class:a.b"),
        ("text:text:x", "text:x"),
    ],
)
def test_a_text_that_names_a_class_or_a_dtype(text: str, named: Any, configs: Path) -> None:
    assert given(configs, "none", text) is named or given(configs, "none", text) == named


def test_names_stand_anywhere_in_lists_and_maps(configs: Path) -> None:
    value = {"acts": ["class:torch.nn.GELU", {"dtype": "torch.half"}], "n": [1, None, True]}
    assert given(configs, "none", value) == {"acts": [nn.GELU, {"dtype": torch.float16}], "n": [1, None, True]}


def test_a_module_that_nothing_has_imported_so_far(folder: Path) -> None:
    nets = GIVEN + "def net(cfg): return Given(cfg=cfg)\n"
    write(folder, nets=nets, parts__acts="class Act: pass\n")
    (folder / "parts" / "__init__.py").touch()
    network = build_network("nets.py:net", {"cfg": ["class:parts.acts.Act", "class:parts/acts.py:Act"]}, folder)
    first, second = got(network)["cfg"]
    assert first is second
    assert first.__module__ == "parts.acts"


def test_text_stays_text_where_the_annotation_says_so(configs: Path) -> None:
    for factory, value in [("text", "class:a.b"), ("text", "torch.float16"), ("literal", "torch.float16")]:
        assert given(configs, factory, value) == value


def test_a_list_is_a_tuple_where_that_is_written(configs: Path) -> None:
    value = given(configs, "none", {"tuple": [8, {"tuple": ["torch.half"]}]})
    assert value == (8, (torch.float16,))


def test_a_map_of_one_class_is_a_call_of_it(configs: Path) -> None:
    norm = given(configs, "none", {"class:torch.nn.LayerNorm": {"normalized_shape": [4], "eps": 0.1}})
    assert (type(norm), norm.normalized_shape, norm.eps) == (nn.LayerNorm, (4,), 0.1)
    config = given(configs, "anything", {"class:configs.Config": {"depths": [1, 2]}})
    assert config.depths == (1, 2)


@pytest.mark.parametrize(
    ("value", "message", "keys"),
    [
        ("class:torch.nn.GELUU", "cfg: torch.nn has no 'GELUU': did you mean 'GELU'?", ("cfg",)),
        ("class:torhc.nn.GELU", "cfg: no module named 'torhc'", ("cfg",)),
        ("class:torch.functionl.x", "cfg: torch has no 'functionl': did you mean 'functional'?", ("cfg",)),
        ("class:GELU", "cfg: expected module.attribute or file.py:attribute after `class:`, found 'GELU'", ("cfg",)),
        ("class:", "cfg: expected module.attribute or file.py:attribute after `class:`, found ''", ("cfg",)),
        ("class:timm:resnet18", "cfg: expected module.attribute or file.py:attribute, found 'timm:resnet18'", ("cfg",)),
        ("class:nope.py:Net", "cfg: no file nope.py in ROOT", ("cfg",)),
        (["a", {"b": "class:torch.nn.X"}], "cfg[1].b: torch.nn has no 'X'", ("cfg", 1, "b")),
        (
            {"class:torch.nn.LayerNorm": {"shape": 3}},
            "cfg.class:torch.nn.LayerNorm: LayerNorm accepts no argument 'shape' (it accepts normalized_shape, eps, "
            "elementwise_affine, bias, device, dtype)",
            ("cfg", "class:torch.nn.LayerNorm", "shape"),
        ),
    ],
)  # fmt: skip
def test_a_name_that_is_wrong(value: Any, message: str, keys: tuple[str | int, ...], configs: Path) -> None:
    error = failure("configs.py:none", configs, {"cfg": value})
    assert str(error) == message.replace("ROOT", str(configs))
    assert error.keys == keys


def test_names_are_looked_up_before_anything_is_built(configs: Path) -> None:
    with pytest.raises(BuildError, match=r"^cfg: torch\.nn has no 'X'$"):
        prepare_network("configs.py:none", {"cfg": "class:torch.nn.X"}, configs)


# ---------------------------------------------------------------------------------------------- configurations


@pytest.mark.parametrize("factory", ["dataclass_", "optional", "piped", "Method.make"])
def test_a_map_becomes_the_configuration_that_the_annotation_names(factory: str, configs: Path) -> None:
    value = {
        "width": 32,
        "depths": [2, 2],
        "block": {"width": 3, "kernel": [5, 5], "act": "GELU"},
        "blocks": [{"width": 4}, {"width": 5, "act": "relu"}],
        "named": {"stem": {"width": 6}},
        "scale": 0.5,
        "strides": [2],
    }
    config = given(configs, factory, value)
    assert (type(config).__name__, config.width, config.depths, config.scaled) == ("Config", 32, (2, 2), 16.0)
    assert config.strides == (2,)
    assert (config.block.width, config.block.kernel, config.block.act.name) == (3, (5, 5), "GELU")
    assert [(block.width, block.act.name) for block in config.blocks] == [(4, "RELU"), (5, "RELU")]
    assert config.named["stem"].width == 6


def test_nothing_stays_nothing(configs: Path) -> None:
    assert given(configs, "optional", None) is None
    assert given(configs, "optional_act", None) is None
    assert given(configs, "dataclass_", {"block": None}).block is None


def test_a_configuration_is_made_anew_for_each_build(configs: Path) -> None:
    build = prepare_network("configs.py:dataclass_", {"cfg": {"blocks": [{"width": 1}]}}, configs)
    first, second = got(build())["cfg"], got(build())["cfg"]
    assert first == second
    assert first.blocks[0] is not second.blocks[0]


@pytest.mark.parametrize(
    ("factory", "value", "kind", "fields"),
    [
        ("strict", {"width": 3, "depths": [1], "other": 4}, "Strict", {"width": 3, "depths": (1,), "renamed": 4}),
        ("attrs_", {"width": 3, "hidden": [4]}, "Attrs", {"width": 3, "_hidden": (4,)}),
        ("plain", {"width": 3, "act": "gelu"}, "Plain", {"width": 3}),
        ("namespace", {"width": 3, "depths": [1]}, "Namespace", {"width": 3, "depths": [1]}),
        ("point", {"x": 3}, "Point", {"x": 3}),
        ("point", [3, "GELU"], "Point", {"x": 3}),
        ("either", {"width": 3, "depths": [1]}, "Strict", {"width": 3}),
        ("either", {"width": 3, "hidden": [1]}, "Attrs", {"_hidden": (1,)}),
        ("Method", {"width": 3}, "Inner", {"width": 3}),
    ],
)
def test_configurations_of_any_make(factory: str, value: Any, kind: str, fields: dict[str, Any], configs: Path) -> None:
    config = given(configs, factory, value)
    assert type(config).__name__ == kind
    assert {name: getattr(config, name) for name in fields} == fields


@pytest.mark.parametrize("factory", ["dict_", "or_dict", "none", "anything", "absent", "function", "width"])
def test_a_map_stays_a_map_where_nothing_says_otherwise(factory: str, configs: Path) -> None:
    assert given(configs, factory, {"width": 3, "depths": [1]}) == {"width": 3, "depths": [1]}


def test_maps_of_configurations(configs: Path) -> None:
    assert given(configs, "mapping", {"a": {"width": 3}})["a"].width == 3
    assert given(configs, "by_number", {"7": {"width": 3}})[7].width == 3
    typed = given(configs, "typed", {"block": {"width": 3}, "width": 4})
    assert (type(typed), typed["block"].width, typed["width"]) == (dict, 3, 4)


def test_an_annotation_that_cannot_be_looked_up_hides_no_other(configs: Path) -> None:
    network = build_network("configs.py:absent", {"cfg": [1], "depths": [2]}, configs)
    assert got(network) == {"cfg": [1], "depths": (2,)}


@pytest.mark.parametrize(
    ("factory", "value", "message", "keys"),
    [
        ("dataclass_", {"widht": 3}, "cfg: Config accepts no argument 'widht': did you mean 'width'? (it accepts width,"
         " depths, block, blocks, named, scale, strides)", ("cfg", "widht")),
        ("optional", {"blocks": [{"width": 1}, {"width": 1, "q": 2}]}, "cfg.blocks[1]: Block accepts no argument 'q'"
         " (it accepts width, kernel, act)", ("cfg", "blocks", 1, "q")),
        ("piped", {"block": {"act": "gelu"}}, "cfg.block: Block is missing its argument 'width' (it accepts width,"
         " kernel, act)", ("cfg", "block", "width")),
        ("dataclass_", {"width": 0}, "cfg: Config raised ValueError: a width of 0", ("cfg",)),
        ("dataclass_", {"block": {"width": 1, "act": "gleu"}}, "cfg.block.act: Act has no 'gleu': did you mean 'GELU'?"
         " (it has RELU, GELU)", ("cfg", "block", "act")),
        ("strict", {"width": 3, "depth": [1]}, "cfg: Strict accepts no argument 'depth': did you mean 'depths'? (it"
         " accepts width, depths, inner, kind, renamed)", ("cfg", "depth")),
        ("nested", {"strict": {"width": 3, "kin": 1}}, "cfg.strict: Strict accepts no argument 'kin': did you mean"
         " 'kind'? (it accepts width, depths, inner, kind, renamed)", ("cfg", "strict", "kin")),
        ("strict", {"width": 0}, "cfg: Strict doesn't take width: Input should be greater than 0, found 0",
         ("cfg", "width")),
        ("strict", {"width": 1, "depths": [1, "x"]}, "cfg: Strict doesn't take depths[1]: Input should be a valid"
         " integer, unable to parse string as an integer, found 'x'", ("cfg", "depths", 1)),
        ("strict", {}, "cfg: Strict doesn't take width: Field required, found an empty map", ("cfg", "width")),
        ("either", {"width": 3, "q": 1}, "cfg: Strict accepts no argument 'q' (it accepts width, depths, inner, kind,"
         " renamed)", ("cfg", "q")),
        ("attrs_", {}, "cfg: Attrs is missing its argument 'width' (it accepts width, hidden)", ("cfg", "width")),
        ("act", "swish", "cfg: Act has no 'swish' (it has RELU, GELU)", ("cfg",)),
        ("act", 3, "cfg: Act has no 3 (it has RELU, GELU)", ("cfg",)),
        ("dtype", "torch.flaot16", "cfg: torch has no dtype 'torch.flaot16': did you mean 'float16'?", ("cfg",)),
        ("module", {"width": 1}, "cfg: Module raised TypeError: Module.__init__() got an unexpected keyword argument"
         " 'width'", ("cfg",)),
        ("sequence", ["RELU", "TANH"], "cfg[1]: Act has no 'TANH' (it has RELU, GELU)", ("cfg", 1)),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_configuration_is_told_at_its_key(
    factory: str, value: Any, message: str, keys: tuple[str | int, ...], configs: Path
) -> None:
    error = failure(f"configs.py:{factory}", configs, {"cfg": value})
    assert str(error) == message
    assert error.keys == keys


def test_the_line_of_the_users_class_that_raised(configs: Path) -> None:
    error = failure("configs.py:dataclass_", configs, {"cfg": {"width": 0}})
    line = CONFIGS.splitlines().index('            raise ValueError(f"a width of {self.width}")') + 1
    assert error.where is not None
    assert error.where.endswith(f"configs.py:{line}")


# ---------------------------------------------------------------------------------------------- lists, members, paths


@pytest.mark.parametrize(
    ("factory", "value", "expected"),
    [
        ("tuple_", [1, [2]], (1, [2])),
        ("tuples", [1, 2], (1, 2)),
        ("pairs", [[1, 2], [3, 4]], ((1, 2), (3, 4))),
        ("number_or_pair", [1, 2], (1, 2)),
        ("number_or_pair", 3, 3),
        ("list_or_tuple", [1, 2], [1, 2]),
        ("set_", [1, 1], frozenset({1})),
        ("none", [1, [2]], [1, [2]]),
        ("text_or_act", "GELU", "GELU"),
        ("dtype", "bfloat16", torch.bfloat16),
        ("dtype", "torch.bfloat16", torch.bfloat16),
        ("width", 3, 3),
    ],
)
def test_lists_become_what_the_annotation_says(factory: str, value: Any, expected: Any, configs: Path) -> None:
    found = given(configs, factory, value)
    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize(
    ("factory", "value", "name"),
    [("act", "GELU", "GELU"), ("act", "gelu", "GELU"), ("optional_act", "relu", "RELU"), ("level", 2, "HIGH"),
     ("level", "LOW", "LOW")],
)  # fmt: skip
def test_a_member_by_its_name_or_value(factory: str, value: Any, name: str, configs: Path) -> None:
    assert given(configs, factory, value).name == name


def test_members_and_configurations_in_lists(configs: Path) -> None:
    assert [act.name for act in given(configs, "sequence", ["RELU", "gelu"])] == ["RELU", "GELU"]
    act, block = given(configs, "mixed", ["gelu", {"width": 2}])
    assert (act.name, block.width) == ("GELU", 2)


def test_a_path_counts_from_the_specs_folder(configs: Path) -> None:
    assert given(configs, "path", "data/anchors.txt") == configs / "data/anchors.txt"
    assert given(configs, "path", "/tmp/x") == Path("/tmp/x")

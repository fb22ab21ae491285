"""The spec file's models and all of its validation: text in, `Spec` or every problem found, nothing of torch.

A spec is validated in two steps: pydantic checks each value by itself, then `_check_dimensions` checks what only the
whole can tell (dimension names, sizes). Both report with positions, all at once.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from archcheck.dims import Dim, format_shape, parse_dim
from archcheck.errors import ArchcheckError, DimError, Problem, SpecError, UsageError
from archcheck.records import ForwardInput, InputValue, TensorInput
from archcheck.source import Document, SourceLoc, parse_document, read_document
from archcheck.target import parse_target

SUFFIX = ".arch.yaml"
BATCH = "B"
DEFAULT_BATCH_SIZES = (2, 3)
DTYPES = (
    "float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64",
    "complex128",
)  # fmt: skip
INTEGER_DTYPES = ("int64", "int32", "int16", "int8", "uint8")
DIMENSION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Keys: TypeAlias = tuple[str | int, ...]


# ------------------------------------------------------------------------------------------- shape patterns


@dataclass(frozen=True, slots=True)
class TensorPattern:
    """The expected sizes of one tensor, such as `[B, 64, H/4, W/4]`."""

    dims: tuple[Dim, ...]

    def __str__(self) -> str:
        return format_shape(self.dims)

    def evaluate(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The sizes at the given values of the free dimensions; raises DimError where there are none."""
        return tuple(dim.evaluate(sizes) for dim in self.dims)


@dataclass(frozen=True, slots=True)
class InputPattern:
    """One input tensor: its sizes, dtype and, for integers, the exclusive upper bound of its values."""

    dims: tuple[Dim, ...]
    dtype: str = "float32"
    below: int | None = None

    def make(self, sizes: Mapping[str, int]) -> TensorInput:
        """The tensor to make at the given values of the free dimensions."""
        return TensorInput(tuple(dim.evaluate(sizes) for dim in self.dims), self.dtype, self.below)


ValuePattern: TypeAlias = "TensorPattern | tuple[ValuePattern, ...] | dict[str, ValuePattern] | None"
InputTree: TypeAlias = "InputPattern | tuple[InputTree, ...] | dict[str, InputTree]"


def _fail(message: str, path: Keys = ()) -> PydanticCustomError:
    return PydanticCustomError("archcheck", "{message}", {"message": message, "path": path})


def _is_dim(value: object) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def _parse_dims(value: Sequence[Any], path: Keys) -> tuple[Dim, ...]:
    dims = []
    for position, item in enumerate(value):
        if not _is_dim(item):
            raise _fail(f"expected a size or a dimension such as 64, B or H/4, found {_shown(item)}", (*path, position))
        try:
            dims.append(parse_dim(item))
        except DimError as error:
            raise _fail(str(error), (*path, position)) from None
    return tuple(dims)


def _parse_pattern(value: Any, path: Keys = ()) -> ValuePattern:
    """A shape, a list or map of them where a tuple or dict is returned, or null where no tensor is."""
    if value is None:
        return None
    if isinstance(value, dict):
        return {str(key): _parse_pattern(item, (*path, key)) for key, item in value.items()}
    if not isinstance(value, list):
        raise _fail(f"expected a shape such as [B, 64, H/4, W/4], found {_shown(value)}", path)
    if any(isinstance(item, (list, dict)) or item is None for item in value):
        return tuple(_parse_pattern(item, (*path, position)) for position, item in enumerate(value))
    return TensorPattern(_parse_dims(value, path))


def _parse_output(value: Any) -> ValuePattern:
    if value is None:
        raise _fail("expected a shape such as [B, 10], found nothing")
    return _parse_pattern(value)


def _parse_input_tensor(value: Mapping[str, Any], path: Keys) -> InputPattern:
    for key in value:
        if key not in ("shape", "dtype", "below"):
            raise _fail(_unknown("key", key, ("shape", "dtype", "below")), (*path, key))
    if not isinstance(value["shape"], list):
        raise _fail(f"expected a shape such as [B, 12], found {_shown(value['shape'])}", (*path, "shape"))
    below = value.get("below")
    dtype = value.get("dtype", "float32" if below is None else "int64")
    if dtype not in DTYPES:
        raise _fail(_unknown("dtype", str(dtype), DTYPES), (*path, "dtype"))
    if below is not None and (not isinstance(below, int) or isinstance(below, bool) or below < 1):
        raise _fail(f"expected a whole number of at least 1, found {_shown(below)}", (*path, "below"))
    if below is not None and dtype not in INTEGER_DTYPES:
        raise _fail(f"only integer inputs have a bound, {dtype} has none; integers: dtype: int64", (*path, "below"))
    return InputPattern(_parse_dims(value["shape"], (*path, "shape")), dtype, below)


def _parse_input(value: Any, path: Keys = ()) -> InputTree:
    """One tensor, a list of positional inputs, or a map of keyword inputs (nested further where the network asks)."""
    if isinstance(value, dict) and "shape" in value:
        return _parse_input_tensor(value, path)
    if isinstance(value, dict) and value:
        return {str(key): _parse_input(item, (*path, key)) for key, item in value.items()}
    if isinstance(value, list) and any(isinstance(item, (list, dict)) for item in value):
        return tuple(_parse_input(item, (*path, position)) for position, item in enumerate(value))
    if isinstance(value, list):
        return InputPattern(_parse_dims(value, path))
    raise _fail(f"expected a shape such as [B, 3, 224, 224], a list or a map of them, found {_shown(value)}", path)


# ------------------------------------------------------------------------------------------- scalars


@dataclass(frozen=True, slots=True)
class Macs:
    """Multiply-adds as written: equal to a count that rounds to the digits written."""

    text: str
    value: Decimal
    resolution: Decimal  # of the last digit written

    def matches(self, macs: int) -> bool:
        """True when `macs` is the written number after rounding to its digits (a tie rounds either way)."""
        return abs(Decimal(macs) - self.value) <= (self.resolution / 2 if self.resolution > 1 else 0)

    def reformat(self, macs: int) -> str:
        """Another count in the same unit, with the same number of decimals."""
        match = MACS.fullmatch(self.text)
        if match is None or not match["unit"]:
            return f"{macs:_}"
        digits = len(match["fraction"] or "")
        return f"{Decimal(macs) / UNITS[match['unit'].upper()]:.{digits}f}{match['space']}{match['unit']}"


UNITS = {"": Decimal(1), "K": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12)}
MACS = re.compile(r"(?P<whole>\d+(?:_\d+)*)(?:\.(?P<fraction>\d+))?(?P<space> ?)(?P<unit>[kKMGT]?)")


def _parse_macs(value: Any) -> Macs:
    text = f"{value:_}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    match = MACS.fullmatch(text)
    if match is None or (match["fraction"] and not match["unit"]):
        raise _fail(f"expected a count of multiply-adds such as 1.73 G or 416_520, found {_shown(value)}")
    unit = UNITS[match["unit"].upper()]
    number = Decimal(match["whole"].replace("_", "") + "." + (match["fraction"] or "0"))
    return Macs(text, number * unit, unit / 10 ** len(match["fraction"] or ""))


def _parse_percent(value: Any) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?%", value) if isinstance(value, str) else None
    if match is None or not 0 < float(match[1]) < 100:
        raise _fail(f"expected a percentage between 0% and 100%, such as 15%, found {_shown(value)}")
    return float(match[1]) / 100


def _parse_seconds(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
        return float(value)
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(s|min|h)", value) if isinstance(value, str) else None
    if match is None or float(match[1]) == 0:
        raise _fail(f"expected a duration such as 60 s or 2 min, found {_shown(value)}")
    return float(match[1]) * {"s": 1, "min": 60, "h": 3600}[match[2]]


def _parse_build(value: Any) -> str:
    if not isinstance(value, str):
        raise _fail(f"expected a build target such as mypackage.nets:resnet18, found {_shown(value)}")
    try:
        parse_target(value)
    except ArchcheckError as error:
        raise _fail(str(error)) from None
    return value


def _parse_size_list(value: Any) -> tuple[int, ...]:
    sizes = value if isinstance(value, list) else [value]
    for position, size in enumerate(sizes):
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            path = (position,) if isinstance(value, list) else ()
            raise _fail(f"expected a whole number of at least 1, found {_shown(size)}", path)
    if not sizes:
        raise _fail("expected at least one size, such as [224, 96]")
    return tuple(sizes)


def _parse_count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _fail(f"expected a whole number such as 74_112, found {_shown(value)}")
    return value


def _named(value: Any) -> Any:
    """`SGD` is short for `{name: SGD}`."""
    return {"name": value} if isinstance(value, str) else value


_SHAPE_SCHEMA = {
    "description": "a shape such as [B, 64, H/4, W/4]; a list or map of shapes where a tuple or dict is returned",
    "anyOf": [
        {"type": "array", "items": {"anyOf": [{"type": ["integer", "string", "array", "object", "null"]}]}},
        {"type": "object"},
        {"type": "null"},
    ],
}
_INPUT_SCHEMA = {
    "description": "a shape, {shape, dtype, below}, a list of positional inputs, or a map of keyword inputs",
    "anyOf": [{"type": "array"}, {"type": "object"}],
}
Output: TypeAlias = Annotated[Any, PlainValidator(_parse_output), WithJsonSchema(_SHAPE_SCHEMA)]
Input: TypeAlias = Annotated[Any, PlainValidator(_parse_input), WithJsonSchema(_INPUT_SCHEMA)]
MacsField: TypeAlias = Annotated[
    Macs,
    PlainValidator(_parse_macs),
    WithJsonSchema({"type": ["integer", "string"], "examples": ["1.73 G", 416520]}),
]
Percent: TypeAlias = Annotated[
    float, PlainValidator(_parse_percent), WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)? ?%$"})
]
Seconds: TypeAlias = Annotated[
    float, PlainValidator(_parse_seconds), WithJsonSchema({"type": ["number", "string"], "examples": ["60 s"]})
]
BuildTarget: TypeAlias = Annotated[
    str,
    PlainValidator(_parse_build),
    WithJsonSchema({"type": "string", "examples": ["mypackage.nets:resnet18", "nets.py:Net", "torchvision:resnet18"]}),
]
SizeList: TypeAlias = Annotated[
    tuple[int, ...],
    PlainValidator(_parse_size_list),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": "integer", "minimum": 1}}, {"type": "integer"}]}),
]
Count: TypeAlias = Annotated[int, PlainValidator(_parse_count), WithJsonSchema({"type": "integer", "minimum": 0})]
Text: TypeAlias = Annotated[str, Field(strict=True, min_length=1)]
Accuracy: TypeAlias = Annotated[float, Field(gt=0, le=1)]
Positive: TypeAlias = Annotated[float, Field(gt=0)]
PositiveInt: TypeAlias = Annotated[int, Field(ge=1, strict=True)]
ByDevice: TypeAlias = Positive | dict[str, Positive]


# ------------------------------------------------------------------------------------------- sections


class Section(BaseModel):
    """The base of every section: unknown keys are errors, values don't change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Layer(Section):
    """What is promised of one layer: the class's name, the shape of its output, the parameters in it and below it."""

    type: Text | None = None
    output: Output = None
    parameters: Count | None = None


class Parameters(Section):
    """Elements of parameters, in all and trainable, and of buffers."""

    total: Count | None = None
    trainable: Count | None = None
    buffers: Count | None = None


class Named(BaseModel):
    """Something of torch's by class name, with its own arguments beside it."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)
    name: Text


NamedField: TypeAlias = Annotated[Named, BeforeValidator(_named)]


class TrainingKeys(Section):
    """What describes a training run; each key may stand in `quick` too."""

    dataset: Text | dict[str, Any] | None = None
    resize: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None
    augment: list[Any] | dict[str, Any] | None = None
    normalize: bool | dict[str, Any] | None = None
    loss: NamedField | None = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | None = None
    optimizer: NamedField | None = None
    scheduler: NamedField | None = None
    clip_grad_norm: Positive | None = None
    init: Text | None = None
    batch_size: PositiveInt | None = None
    epochs: PositiveInt | None = None
    precision: Literal["fp32", "bf16"] | None = None
    memory_format: Literal["contiguous", "channels_last"] | None = None
    compile: bool | None = None
    seed: Annotated[int, Field(ge=0, strict=True)] | None = None
    time_budget: Seconds | None = None
    stop_at_accuracy: bool | None = None
    accuracy: Accuracy | None = None


class Quick(TrainingKeys):
    """What changes where there is no accelerator."""

    args: dict[str, Any] | None = None
    input: Input = None


class Training(TrainingKeys):
    """How the network is trained and what it must reach."""

    quick: Quick | None = None


class Throughput(Section):
    """How fast the network must be, and how much slower it may get."""

    batch_size: PositiveInt | None = None
    resize: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None
    mode: Literal["train", "inference"] = "train"
    precision: Literal["fp32", "bf16"] | None = None
    max_regression: Percent | None = None
    min_examples_per_sec: ByDevice | None = None
    min_utilization: ByDevice | None = None


class Claim(Section):
    """Another spec, and the factor or margin to beat it by."""

    spec: Text
    by: float


class Claims(Section):
    """What must hold between specs, on any machine."""

    faster_than: Claim | list[Claim] | None = None
    better_than: Claim | list[Claim] | None = None


class Health(Section):
    """Relaxations for networks that are sound but unusual: names or globs of the modules excused."""

    allow_unused: list[Text] = []
    allow_random: list[Text] = []
    allow_batch_dependent: list[Text] = []


class EquivalentTo(Section):
    """Another build of the same function."""

    build: BuildTarget
    args: dict[str, Any] = {}


def _layer(value: Any) -> Any:
    """The short form of a layer is the shape of its output."""
    if not isinstance(value, (list, dict)):
        raise _fail(
            f"expected a shape such as [B, 64], or a map with type, output or parameters, found {_shown(value)}"
        )
    return {"output": value} if isinstance(value, list) else value


def _layers(value: Any) -> Any:
    if not isinstance(value, dict):
        raise _fail(f"expected a map of layer names, found {_shown(value)}")
    return value


def _parameters(value: Any) -> Any:
    """A bare number is the total."""
    return value if isinstance(value, dict) else {"total": _parse_count(value)}


def _equivalent_to(value: Any) -> Any:
    """A bare target is a build without arguments."""
    return {"build": value} if isinstance(value, str) else value


class Spec(Section):
    """One architecture: how it is built, what goes in, and everything that is promised of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="archcheck spec")

    name: Text | None = None
    source: Text | None = None
    build: BuildTarget
    args: dict[str, Any] = {}
    input: Input
    sizes: dict[str, SizeList] = {}
    layers: Annotated[
        dict[str, Annotated[Layer, BeforeValidator(_layer, json_schema_input_type=list[Any] | Layer)]],
        BeforeValidator(_layers),
    ] = {}
    output: Output = None
    parameters: Annotated[Parameters, BeforeValidator(_parameters, json_schema_input_type=int | Parameters)] | None = (
        None
    )
    macs: MacsField | None = None
    function: dict[str, Any] | None = None
    equivalent_to: (
        Annotated[EquivalentTo, BeforeValidator(_equivalent_to, json_schema_input_type=str | EquivalentTo)] | None
    ) = None
    health: Literal["off"] | Health | None = None
    training: Training | None = None
    throughput: Throughput | None = None
    claims: Claims | None = None

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """The batch sizes to try; a network without a free batch dimension has one trial without a name."""
        if BATCH not in input_names(self.input):
            return ()
        return self.sizes.get(BATCH, DEFAULT_BATCH_SIZES)

    def bindings(self) -> list[dict[str, int]]:
        """Every assignment of the free dimensions to verify: the sizes in their order, each at every batch size."""
        free = {name: sizes for name, sizes in self.sizes.items() if name != BATCH}
        zipped = [dict(zip(free, values, strict=True)) for values in zip(*free.values(), strict=True)] or [{}]
        batches: list[dict[str, int]] = [{BATCH: size} for size in self.batch_sizes] or [{}]
        return [{**batch, **sizes} for sizes, batch in product(zipped, batches)]

    def forward_inputs(self) -> list[ForwardInput]:
        """The arguments of each forward pass to verify."""
        return [make_forward_input(self.input, sizes) for sizes in self.bindings()]

    def one_example(self) -> ForwardInput | None:
        """The arguments for a batch of one at the first size; None where the batch is not free."""
        first = self.bindings()[0]
        return make_forward_input(self.input, {**first, BATCH: 1}) if BATCH in first else None


def make_forward_input(tree: InputTree, sizes: Mapping[str, int]) -> ForwardInput:
    """The arguments for one forward pass: one tensor or a list of them by position, a map by keyword."""
    if isinstance(tree, dict):
        return ForwardInput(kwargs={key: _make_input(item, sizes) for key, item in tree.items()}, sizes=sizes)
    items = tree if isinstance(tree, tuple) else (tree,)
    return ForwardInput(args=tuple(_make_input(item, sizes) for item in items), sizes=sizes)


def _make_input(tree: InputTree, sizes: Mapping[str, int]) -> InputValue:
    if isinstance(tree, InputPattern):
        return tree.make(sizes)
    if isinstance(tree, dict):
        return {key: _make_input(item, sizes) for key, item in tree.items()}
    return tuple(_make_input(item, sizes) for item in tree)


def input_names(tree: InputTree) -> dict[str, None]:
    """The free dimensions of the inputs, in order of appearance."""
    return dict.fromkeys(name for _, pattern in _tensors(tree) for dim in pattern.dims for name in sorted(dim.names))


def _tensors(tree: InputTree, path: Keys = ()) -> Iterator[tuple[Keys, InputPattern]]:
    if isinstance(tree, InputPattern):
        yield path, tree
        return
    for key, item in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield from _tensors(item, (*path, key))


def iter_tensor_patterns(pattern: ValuePattern, path: Keys = ()) -> Iterator[tuple[Keys, TensorPattern]]:
    """Every tensor of a pattern with its path inside the value."""
    if isinstance(pattern, TensorPattern):
        yield path, pattern
    elif pattern is not None:
        for key, item in pattern.items() if isinstance(pattern, dict) else enumerate(pattern):
            yield from iter_tensor_patterns(item, (*path, key))


# ------------------------------------------------------------------------------------------- layer names


@dataclass(frozen=True, slots=True)
class LayerKey:
    """A key of `layers`: a module's name or a glob, and the call it speaks of where it ends in `[k]`."""

    text: str
    pattern: str
    call: int | None

    @property
    def is_glob(self) -> bool:
        """True where the key may speak of several modules."""
        return "*" in self.pattern or "?" in self.pattern

    def matches(self, name: str) -> bool:
        """True for a module's dotted name; `*` and `?` stay within one part of the path, `**` crosses dots."""
        return _glob(self.pattern).fullmatch(name) is not None if self.is_glob else name == self.pattern


@functools.lru_cache(maxsize=4096)
def parse_layer_key(text: str) -> LayerKey:
    """A key such as `b2.*` or `attn[1]` in its parts."""
    match = re.fullmatch(r"(.+)\[(\d{1,9})\]", text)
    return LayerKey(text, match[1], int(match[2])) if match else LayerKey(text, text, None)


@functools.lru_cache(maxsize=4096)
def _glob(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"(\*\*\.|\*\*|\*|\?)", pattern)
    known = {"**.": r"(?:.*\.)?", "**": ".*", "*": r"[^.]*", "?": r"[^.]"}
    return re.compile("".join(known.get(piece, re.escape(piece)) for piece in pieces))


# ------------------------------------------------------------------------------------------- whole files


@dataclass(frozen=True, slots=True)
class SpecFile:
    """A valid spec with the text it was read from."""

    path: Path
    document: Document
    spec: Spec

    @property
    def name(self) -> str:
        """The name written in the spec, or else the file's."""
        return self.spec.name or spec_name(self.path)

    def locate(self, keys: Keys, *, key: bool = False) -> SourceLoc:
        """Where a value of the spec (or its key) is written, or the nearest section around it."""
        return self.document.locate(self.written(keys), key=key)

    def written(self, keys: Keys) -> Keys:
        """The keys as the file has them: in a layer's short form the output is the layer's value itself."""
        if keys[:1] != ("layers",) or len(keys) < 3 or keys[2] != "output":
            return keys
        short = isinstance(self.document.value["layers"][keys[1]], list)
        return (*keys[:2], *keys[3:]) if short else keys


def spec_name(path: Path) -> str:
    """The file's name without its ending."""
    return path.name.removesuffix(SUFFIX)


def read_spec(path: Path, shown: str | None = None) -> SpecFile:
    """Read and validate a spec file; `shown` is how messages call it. Raises SpecError with every problem found."""
    return _validated(path, read_document(path, shown or str(path)))


def parse_spec(text: str, path: str = "<spec>") -> SpecFile:
    """Validate the text of a spec. Raises SpecError with every problem found."""
    return _validated(Path(path), parse_document(text, path))


def _validated(path: Path, document: Document) -> SpecFile:
    try:
        spec = Spec.model_validate(document.value)
    except ValidationError as error:
        found = list(_problems(document, error.errors(include_url=False)))
        elsewhere = _problems_elsewhere(path, document, [keys for keys, _ in found])
        raise SpecError(_in_order([*(problem for _, problem in found), *elsewhere])) from None
    spec_file = SpecFile(path, document, spec)
    problems = _problems_of_the_whole(spec_file)
    if problems:
        raise SpecError(problems)
    return spec_file


def _problems_of_the_whole(spec_file: SpecFile) -> list[Problem]:
    found = _check_dimensions(spec_file.spec)
    return _in_order(Problem(spec_file.locate(keys), message) for keys, message in found)


def _problems_elsewhere(path: Path, document: Document, found: Sequence[Keys]) -> list[Problem]:
    """What the whole can still tell of a spec without its broken parts, so that one look tells everything."""
    value = dict(document.value)
    for keys in found:
        layers = value.get("layers")
        if len(keys) > 1 and keys[0] == "layers" and isinstance(layers, dict):
            value["layers"] = {name: layer for name, layer in layers.items() if name != keys[1]}
        elif keys:
            value.pop(str(keys[0]), None)
    broken_sizes = any(keys[:1] == ("sizes",) for keys in found)
    if "input" not in value or broken_sizes:
        return []  # nothing can be told without the dimensions
    spec = Spec.model_validate({"build": "module:callable", **value})
    return _problems_of_the_whole(SpecFile(path, document, spec))


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda problem: (problem.loc.line, problem.loc.column))


def _problems(document: Document, details: Sequence[Any]) -> Iterator[tuple[Keys, Problem]]:
    """Pydantic's errors in our words, with the places they speak of."""
    found: dict[tuple[Keys, Any], list[Any]] = {}
    for detail in details:
        loc = detail["loc"] + tuple(detail.get("ctx", {}).get("path", ()))
        missing = detail["loc"] if detail["type"] == "missing" else None  # several may be missing at one place
        found.setdefault((_document_keys(document.value, loc), missing), []).append(detail)
    for (keys, missing), here in found.items():
        # Where one of several allowed forms was meant and is wrong inside, the others have nothing to say.
        inside = any(other[: len(keys)] == keys and (other, lack) != (keys, missing) for other, lack in found)
        told = [detail for detail in here if detail["type"] in _OURS] if inside else here
        if told:
            yield keys, _problem(document, keys, told)


_OURS = ("extra_forbidden", "missing", "archcheck")


def _problem(document: Document, keys: Keys, details: Sequence[Any]) -> Problem:
    """What is wrong at one place: one message, or the several forms that would be right."""
    detail = next((detail for detail in details if detail["type"] in _OURS), details[0])
    kind, name = detail["type"], str(detail["loc"][-1])
    if kind == "extra_forbidden":
        known = _model_at(detail["loc"][:-1]).model_fields
        return Problem(document.locate(keys, key=True), _unknown("key", name, known))
    if kind == "missing":
        return Problem(document.locate(keys), f"missing key `{name}`{_MISSING.get(detail['loc'], '')}")
    if kind == "archcheck":
        message = detail["ctx"]["message"]
    else:
        expected = " or ".join(dict.fromkeys(_expected(one) for one in details))
        message = f"expected {expected}, found {_shown(detail['input'])}"
    names = [part for part in keys if isinstance(part, str)]
    return Problem(document.locate(keys), f"{_key_text(names[-1])}: {message}" if names else message)


_MISSING = {
    ("build",): "; expected the callable that builds the network, such as build: mypackage.nets:resnet18",
    ("input",): "; expected the input's shape, such as input: [B, 3, 224, 224]",
}
_EXPECTED = {
    "string_type": "text",
    "string_too_short": "text",
    "dict_type": "a map",
    "model_type": "a map",
    "model_attributes_type": "a map",
    "list_type": "a list",
    "tuple_type": "a list",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
}
_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "of at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "of at most"),
}


def _expected(detail: Any) -> str:
    context = detail.get("ctx", {})
    if detail["type"] in _BOUNDS:
        bound, words = _BOUNDS[detail["type"]]
        return f"a number {words} {context[bound]:g}"
    if detail["type"] == "literal_error":
        return str(context["expected"])
    return _EXPECTED.get(detail["type"], str(detail["msg"][:1].lower() + detail["msg"][1:]))


def _document_keys(value: Any, loc: Sequence[str | int]) -> Keys:
    """The part of pydantic's location that exists in the document (it also names union members and our short forms)."""
    keys: list[str | int] = []
    for part in loc:
        in_list = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if in_list or (isinstance(value, dict) and part in value):
            keys.append(part)
            value = value[part]
    return tuple(keys)


def _model_at(loc: Sequence[str | int]) -> type[BaseModel]:
    """The model whose keys stand at a location."""
    model: type[BaseModel] = Spec
    by_name: dict[str, type[BaseModel]] = {
        "layers": Layer, "parameters": Parameters, "training": Training, "quick": Quick, "throughput": Throughput,
        "claims": Claims, "faster_than": Claim, "better_than": Claim, "health": Health, "equivalent_to": EquivalentTo,
    }  # fmt: skip
    for part in loc[:1] if loc and loc[0] == "layers" else loc:
        model = by_name.get(str(part), model)
    return model


def _unknown(what: str, found: str, known: Sequence[str] | Mapping[str, object]) -> str:
    import difflib

    close = difflib.get_close_matches(found, list(known), n=1)
    hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(known)}"
    return f"unknown {what} {_clip(found)!r}; {hint}"


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)) and not value:
        return "an empty map" if isinstance(value, dict) else "an empty list"
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(_clip(value)) if isinstance(value, str) else str(value)


def _key_text(key: str) -> str:
    """A key as a message names it: as it is, unless it would break the line."""
    return _clip(key) if key.isprintable() and key.strip() else repr(_clip(key))


def _clip(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


# ------------------------------------------------------------------------------------------- the whole


def _check_dimensions(spec: Spec) -> list[tuple[Keys, str]]:
    """What no single value can tell: every dimension is known, has sizes, and has a value at each of them."""
    names = input_names(spec.input)
    problems = [*_check_sizes(spec, names), *_check_parameters(spec), *_check_empty_layers(spec)]
    free = [(keys, dim) for keys, dim in _all_dims(spec) if dim.names]
    for keys, dim in free:
        unknown = sorted(dim.names - names.keys())
        if unknown:
            known = f"the input has {', '.join(names)}" if names else "the input has no free dimension"
            problems.append((keys, f"unknown dimension {unknown[0]} in {dim.text}; {known}"))
    return problems or _check_values(spec, free)


def _check_sizes(spec: Spec, names: Mapping[str, None]) -> Iterator[tuple[Keys, str]]:
    for name in spec.sizes:
        if name not in names:
            yield ("sizes", name), _unknown("dimension", name, names) if names else f"the input has no dimension {name}"
    for keys, pattern in _tensors(spec.input):
        for name in sorted({name for dim in pattern.dims for name in dim.names} - spec.sizes.keys() - {BATCH}):
            yield ("input", *keys), f"free dimension {name} has no sizes; expected sizes: {{{name}: [224, 96]}}"
    lengths = {name: len(sizes) for name, sizes in spec.sizes.items() if name != BATCH}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        yield ("sizes",), f"sizes go together, one of each at a time, so the lists need one length: {listed}"
    if len(set(spec.sizes.get(BATCH, DEFAULT_BATCH_SIZES))) < 2:
        yield ("sizes", BATCH), "the batch is tried at two sizes at least, such as B: [2, 3]"


def _check_parameters(spec: Spec) -> Iterator[tuple[Keys, str]]:
    if spec.parameters is not None and not spec.parameters.model_fields_set:
        yield ("parameters",), "expected a count, or a map with total, trainable or buffers"


def _check_empty_layers(spec: Spec) -> Iterator[tuple[Keys, str]]:
    for name, layer in spec.layers.items():
        if not layer.model_fields_set:
            yield ("layers", name), f"{_key_text(name)}: expected a shape such as [B, 64], or type, output or parameters"


def _all_dims(spec: Spec) -> Iterator[tuple[Keys, Dim]]:
    """Every dimension of every pattern with its place in the spec."""
    patterns: list[tuple[Keys, tuple[Dim, ...]]] = [
        (("input", *path), pattern.dims) for path, pattern in _tensors(spec.input)
    ]
    for name, layer in spec.layers.items():
        patterns += [(("layers", name, "output", *path), one.dims) for path, one in iter_tensor_patterns(layer.output)]
    patterns += [(("output", *path), pattern.dims) for path, pattern in iter_tensor_patterns(spec.output)]
    for keys, dims in patterns:
        for position, dim in enumerate(dims):
            yield (*keys, position), dim


def _check_values(spec: Spec, free: Sequence[tuple[Keys, Dim]]) -> list[tuple[Keys, str]]:
    """Every dimension must have a value at every size, before anything is built."""
    first: dict[Dim, Keys] = {}
    for keys, dim in free:
        first.setdefault(dim, keys)
    problems: dict[Keys, str] = {}
    for sizes in spec.bindings():
        for dim, keys in first.items():
            try:
                dim.evaluate(sizes)
            except DimError as error:
                problems.setdefault(keys, str(error))
    return list(problems.items())


def spec_json_schema() -> dict[str, Any]:
    """The JSON Schema of a spec file, for editors."""
    schema = Spec.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


# ------------------------------------------------------------------------------------------- the command line's form

_INPUT_TEXT = re.compile(r"(?:(?P<name>[A-Za-z_]\w*)=)?(?P<shape>[^:<]*)(?::(?P<dtype>\w+))?(?:<(?P<below>[\d_]+))?")


def parse_input_option(texts: Sequence[str]) -> Any:
    """`B,12:int64<100`, repeated, as the value of a spec's `input` key; `name=B,12` gives a keyword its name.

    Raises:
        UsageError: the text can't be understood.
    """
    values: list[tuple[str | None, Any]] = [_parse_input_item(text) for text in texts]
    named = {name: value for name, value in values if name is not None}
    if named and len(named) != len(values):
        raise UsageError("inputs are named all or none, each by its own name: --input ids=B,12 --input mask=B,12")
    if named:
        return named
    return values[0][1] if len(values) == 1 else [value for _, value in values]


def _parse_input_item(text: str) -> tuple[str | None, Any]:
    match = _INPUT_TEXT.fullmatch(text.strip().replace(" ", ""))
    if match is None:
        raise UsageError(f"input {_clip(text)!r}: expected sizes such as B,3,224,224 or B,12:int64<100")
    sizes = match["shape"].strip("[]()")
    shape = [int(size) if size.isdecimal() else size for size in sizes.split(",")] if sizes else []
    if match["dtype"] is None and match["below"] is None:
        return match["name"], shape
    value: dict[str, Any] = {"shape": shape}
    if match["dtype"]:
        value["dtype"] = match["dtype"]
    if match["below"]:
        value["below"] = int(match["below"].replace("_", ""))
    return match["name"], value


def parse_input_text(texts: Sequence[str]) -> InputTree:
    """The inputs that `--input` options describe. Raises UsageError where they can't be understood."""
    try:
        return _parse_input(parse_input_option(texts))
    except PydanticCustomError as error:
        raise UsageError(f"input: {error.message()}") from None

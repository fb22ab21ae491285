"""The spec file's models and all of its validation: text in, `Spec` or every problem found, nothing of torch.

A spec is validated in two steps: pydantic checks each value by itself, then `_check_dimensions` checks what only the
whole can tell (dimension names, sizes). Both report with positions, all at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError, WithJsonSchema

from archcheck.errors import DimError, Problem, SpecError
from archcheck.spec.dims import Dim
from archcheck.spec.document import Document, SourceLoc, parse_document, read_document
from archcheck.spec.messages import in_order, problems_of
from archcheck.spec.values import (
    BATCH,
    DEFAULT_BATCH_SIZES,
    Keys,
    Macs,
    fail,
    input_names,
    iter_input_patterns,
    iter_tensor_patterns,
    make_forward_input,
    parse_build,
    parse_count,
    parse_input,
    parse_macs,
    parse_memory,
    parse_output,
    parse_percent,
    parse_seconds,
    parse_size_list,
)
from archcheck.structure.records import ForwardInput
from archcheck.text.words import key_text, shown, unknown

SUFFIX = ".arch.yaml"


# ------------------------------------------------------------------------------------------- field types


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
Output: TypeAlias = Annotated[Any, PlainValidator(parse_output), WithJsonSchema(_SHAPE_SCHEMA)]
Input: TypeAlias = Annotated[Any, PlainValidator(parse_input), WithJsonSchema(_INPUT_SCHEMA)]
MacsField: TypeAlias = Annotated[
    Macs,
    PlainValidator(parse_macs),
    WithJsonSchema(
        {
            "description": "multiply-adds of one example at the first size, equal to the digits written",
            "type": ["integer", "string"],
            "examples": ["1.73 G", 416520],
        }
    ),
]
Percent: TypeAlias = Annotated[
    float, PlainValidator(parse_percent), WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)? ?%$"})
]
Seconds: TypeAlias = Annotated[
    float, PlainValidator(parse_seconds), WithJsonSchema({"type": ["number", "string"], "examples": ["60 s"]})
]
BuildTarget: TypeAlias = Annotated[
    str,
    PlainValidator(parse_build),
    WithJsonSchema(
        {
            "description": "module:callable, path/file.py:callable (from this folder), torchvision:NAME or timm:NAME",
            "type": "string",
            "examples": ["mypackage.nets:resnet18", "nets.py:Net", "torchvision:resnet18"],
        }
    ),
]
SizeList: TypeAlias = Annotated[
    tuple[int, ...],
    PlainValidator(parse_size_list),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": "integer", "minimum": 1}}, {"type": "integer"}]}),
]
Bytes: TypeAlias = Annotated[
    int,
    PlainValidator(parse_memory),
    WithJsonSchema({"type": "string", "examples": ["2 GiB"]}),
]
Count: TypeAlias = Annotated[int, PlainValidator(parse_count), WithJsonSchema({"type": "integer", "minimum": 0})]
Text: TypeAlias = Annotated[str, Field(strict=True, min_length=1)]
# Strict: YAML's own types mean what they say, so that `true` is no number and `on` no truth.
Flag: TypeAlias = Annotated[bool, Field(strict=True)]
Accuracy: TypeAlias = Annotated[float, Field(gt=0, le=1, strict=True)]
Positive: TypeAlias = Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]
Number: TypeAlias = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Share: TypeAlias = Annotated[float, Field(gt=0, le=1, strict=True)]
PositiveInt: TypeAlias = Annotated[int, Field(ge=1, strict=True)]
ByDevice: TypeAlias = Positive | dict[str, Positive]


# ------------------------------------------------------------------------------------------- sections


class Section(BaseModel):
    """The base of every section: unknown keys are errors, values don't change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def _key(description: str) -> Any:
    """An optional key with what editors say of it."""
    return Field(default=None, description=description)


class Layer(Section):
    """What is promised of one layer: the class's name, the shape of its output, the parameters in it and below it."""

    type: Text | None = _key("the class's name, such as Conv2d, or with its module in front")
    output: Output = None
    parameters: Count | None = _key("elements of parameters in the module and below it, shared ones once")


class Parameters(Section):
    """Elements of parameters, in all and trainable, and of buffers."""

    total: Count | None = _key("all parameters, shared ones once")
    trainable: Count | None = _key("those that require a gradient")
    buffers: Count | None = _key("elements of buffers, such as batch norm's statistics")


class Named(BaseModel):
    """Something of torch's by class name, with its own arguments beside it."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)
    name: Text


def _named(value: Any) -> Any:
    """`SGD` is short for `{name: SGD}`."""
    return {"name": value} if isinstance(value, str) else value


NamedField: TypeAlias = Annotated[Named, BeforeValidator(_named, json_schema_input_type=str | Named)]


class Normalize(Section):
    """What is subtracted from the pixels (from 0 to 1) of each channel, and what they are divided by."""

    mean: list[Annotated[float, Field(strict=True)]] = Field(min_length=1)
    std: list[Positive] = Field(min_length=1)


class Calibration(Section):
    """The runs that a minimum was set from: their mean and standard deviation, how many, where and when."""

    mean: Annotated[float, Field(strict=True)]
    std: Annotated[float, Field(ge=0, strict=True)]
    seeds: PositiveInt
    device: Text
    torch: Text
    date: Text


class TrainingKeys(Section):
    """What describes a training run; each key may stand in `quick` too."""

    dataset: NamedField | None = _key(
        "a registered name, or module:callable -> (train, test) data sets, with its own arguments beside it"
    )
    resize: PositiveInt | tuple[PositiveInt, PositiveInt] | None = _key("pixels, or [height, width]")
    augment: list[NamedField] | None = _key("horizontal_flip, vertical_flip, {name: random_crop, padding: 4}")
    normalize: Flag | Normalize | None = _key("true: by the training set's own mean and standard deviation")
    loss: NamedField | None = _key("a torch.nn loss by class name: CrossEntropyLoss")
    label_smoothing: Annotated[float, Field(ge=0, lt=1, strict=True)] | None = None
    optimizer: NamedField | None = _key("a torch.optim class with its own arguments: {name: SGD, lr: 0.05}")
    scheduler: NamedField | None = _key("a torch.optim.lr_scheduler class with its own arguments")
    clip_grad_norm: Positive | None = None
    init: NamedField | None = _key("xavier_uniform, kaiming_normal, ... of linear and convolutional layers' weights")
    batch_size: PositiveInt | None = None
    epochs: PositiveInt | None = None
    precision: Literal["fp32", "bf16"] | None = None
    memory_format: Literal["contiguous", "channels_last"] | None = None
    compile: Flag | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32, strict=True)] | None = None
    time_budget: Seconds | None = None
    stop_at_accuracy: Flag | None = _key("stop as soon as the minimum is reached and confirmed")
    accuracy: Accuracy | None = _key("minimum top-1, from 0 to 1")
    calibration: Calibration | None = _key("how the minimum came about, recorded by archcheck calibrate")


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
    resize: PositiveInt | tuple[PositiveInt, PositiveInt] | None = _key("pixels, or [height, width]")
    mode: Literal["train", "inference"] = "train"
    precision: Literal["fp32", "bf16"] | None = None
    max_regression: Percent | None = _key("how much longer a step may take than before (7.5%)")
    min_examples_per_sec: ByDevice | None = _key("a number, or one by device: {cpu: 30, NVIDIA H200: 20_000}")
    min_utilization: Share | dict[str, Share] | None = _key("fraction of the measured peak, or one by device")


class Faster(Section):
    """Another spec, and the factor to be faster by."""

    spec: Text
    by: Positive


class Better(Section):
    """Another spec, and the margin of accuracy to be better by, as the mean over some seeds."""

    spec: Text
    by: Annotated[float, Field(strict=True)] = 0.0
    seeds: PositiveInt = 1
    quick: Flag = Field(default=False, description="true where the claim holds for quick recipes too")


class Claims(Section):
    """What must hold between specs, on any machine."""

    faster_than: Faster | list[Faster] | None = None
    better_than: Better | list[Better] | None = None


class Health(Section):
    """Relaxations for sound but unusual networks: names or globs of the modules or parameters excused."""

    allow_unused: list[Text] = Field(default=[], description="may get no gradient: auxiliary heads, frozen branches")
    allow_random: list[Text] = Field(default=[], description="may draw random numbers in eval mode")
    allow_batch_dependent: list[Text] = Field(default=[], description="may mix the examples of a batch in eval mode")


class Digests(Section):
    """What one layer computes, in a few numbers; see README, "What is recorded"."""

    mean: Number | None = _key("of the output in eval mode")
    rms: Number | None = _key("the output's root mean square in eval mode")
    eval: Number | None = _key("check of the output in eval mode")
    train: Number | None = _key("check of the output in train mode")
    large: Number | None = _key("check of the output in train mode with large biases and scales")
    gradient: Number | None = _key("check of the gradients of the parameters in it")
    buffers: Number | None = _key("check of the buffers in it that a step in train mode changes")
    initial: Number | None = _key("check of the constants that the parameters in it start from")
    inputs: Number | None = _key("check of the gradients of the network's inputs")
    inside: list[Number] = Field(default=[], description="a number for each call before it that has no line of its own")


class Budget(Section):
    """What recording or verifying the function may take."""

    time: Seconds | None = _key("of two cores: 2 s by default")
    memory: Bytes | None = _key("2 GiB by default")


class Function(Section):
    """What the network computes for a fixed input under fixed weights; recorded by archcheck, not written by hand."""

    input: Input = None
    at: dict[str, PositiveInt] = Field(default={}, description="the size of each free dimension of the input")
    precision: Literal["float64", "float32"] = "float64"
    train: Flag = Field(default=True, description="false where the network can't be run in train mode")
    budget: Budget | None = None
    large: PositiveInt = Field(
        default=32, description="by what biases and scales are multiplied for large values; less where 32 is too much"
    )
    gains: dict[str, Annotated[int, Field(strict=True)]] = Field(
        default={}, description="of the n-th weight in the order of use: the power of 2 that it's larger by"
    )
    layers: dict[str, Digests] = Field(default={}, description="module name, or name[k] of its k-th call")
    output: Digests | None = _key("of the network as a whole")


class EquivalentTo(Section):
    """Another build of the same function."""

    build: BuildTarget
    args: dict[str, Any] = {}


def _layer(value: Any) -> Any:
    """The short form of a layer is the shape of its output."""
    if not isinstance(value, (list, dict)):
        raise fail(f"expected a shape such as [B, 64], or a map with type, output or parameters, found {shown(value)}")
    return {"output": value} if isinstance(value, list) else value


def _layers(value: Any) -> Any:
    if not isinstance(value, dict):
        raise fail(f"expected a map of layer names, found {shown(value)}")
    return value


def _parameters(value: Any) -> Any:
    """A bare number is the total."""
    return value if isinstance(value, dict) else {"total": parse_count(value)}


def _equivalent_to(value: Any) -> Any:
    """A bare target is a build without arguments."""
    return {"build": value} if isinstance(value, str) else value


class Spec(Section):
    """One architecture: how it is built, what goes in, and everything that is promised of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="archcheck spec")

    name: Text | None = _key("what to call it; the file's name without it")
    source: Text | None = _key("where the numbers come from")
    build: BuildTarget
    args: dict[str, Any] = Field(default={}, description="keyword arguments of `build`")
    input: Input
    sizes: dict[str, SizeList] = Field(
        default={}, description="values of each free dimension, one of each at a time; B is [2, 3] by default"
    )
    layers: Annotated[
        dict[str, Annotated[Layer, BeforeValidator(_layer, json_schema_input_type=list[Any] | Layer)]],
        BeforeValidator(_layers),
    ] = Field(
        default={},
        description="module name or glob (*, ?, **; name[k] is the k-th call): what comes out of it",
    )
    output: Output = None
    parameters: Annotated[Parameters, BeforeValidator(_parameters, json_schema_input_type=int | Parameters)] | None = (
        _key("the total, or {total, trainable, buffers}; shared parameters count once")
    )
    macs: MacsField | None = None
    function: Literal["off"] | Function | None = None
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

    @property
    def function_input(self) -> Any:
        """What goes in where the function is recorded: the network's input unless the section has one of its own."""
        own = self.function.input if isinstance(self.function, Function) else None
        return self.input if own is None else own

    def forward_inputs(self) -> list[ForwardInput]:
        """The arguments of each forward pass to verify."""
        return [make_forward_input(self.input, sizes) for sizes in self.bindings()]

    def one_example(self) -> ForwardInput | None:
        """The arguments for a batch of one at the first size; None where the batch is not free."""
        first = self.bindings()[0]
        return make_forward_input(self.input, {**first, BATCH: 1}) if BATCH in first else None


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


def parse_spec(text: str, shown: str = "<spec>", path: Path | None = None) -> SpecFile:
    """Validate the text of a spec. Raises SpecError with every problem found.

    `shown` is what messages call it; files that it names count from the folder of `path`.
    """
    return _validated(path or Path(shown), parse_document(text, shown))


def _validated(path: Path, document: Document) -> SpecFile:
    try:
        spec = Spec.model_validate(document.value)
    except ValidationError as error:
        found = list(problems_of(document, error.errors(include_url=False), _known_keys))
        elsewhere = _problems_elsewhere(path, document, [keys for keys, _ in found])
        raise SpecError(in_order([*(problem for _, problem in found), *elsewhere])) from None
    spec_file = SpecFile(path, document, spec)
    problems = _problems_of_the_whole(spec_file)
    if problems:
        raise SpecError(problems)
    return spec_file


def _problems_of_the_whole(spec_file: SpecFile) -> list[Problem]:
    spec = spec_file.spec
    found = [*_check_dimensions(spec), *_check_training(spec), *_check_function(spec)]
    # What is missing from a section is told at its name, what is wrong at the value.
    return in_order(Problem(spec_file.locate(keys, key=keys == ("training",)), message) for keys, message in found)


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


def _known_keys(loc: Sequence[str | int]) -> Iterable[str]:
    """The keys that may stand at a place of a spec."""
    return _model_at(loc).model_fields


def _model_at(loc: Sequence[str | int]) -> type[BaseModel]:
    """The model whose keys stand at a location."""
    model: type[BaseModel] = Spec
    by_name: dict[str, type[BaseModel]] = {
        "layers": Layer, "parameters": Parameters, "training": Training, "quick": Quick, "throughput": Throughput,
        "claims": Claims, "faster_than": Faster, "better_than": Better, "health": Health, "equivalent_to": EquivalentTo,
        "function": Function, "budget": Budget,
    }  # fmt: skip
    if loc[:1] == ("function",) and {"layers", "output"} & set(loc[1:3]):  # pydantic puts in which form it tried
        return Digests
    for part in loc[:1] if loc and loc[0] == "layers" else loc:
        model = by_name.get(str(part), model)
    return model


# ------------------------------------------------------------------------------------------- the whole


def _check_dimensions(spec: Spec) -> list[tuple[Keys, str]]:
    """What no single value can tell: every dimension is known, has sizes, and has a value at each of them."""
    names = input_names(spec.input)
    problems = [*_check_sizes(spec, names), *_check_parameters(spec), *_check_empty_layers(spec)]
    free = [(keys, dim) for keys, dim in _all_dims(spec) if dim.names or not dim.text.isdecimal()]
    for keys, dim in free:
        unknown = sorted(dim.names - names.keys())
        if unknown:
            known = f"the input has {', '.join(names)}" if names else "the input has no free dimension"
            problems.append((keys, f"unknown dimension {unknown[0]} in {dim.text}; {known}"))
    return problems or _check_values(spec, free)


def _check_sizes(spec: Spec, names: Mapping[str, None]) -> Iterator[tuple[Keys, str]]:
    for name in spec.sizes:
        if name not in names:
            yield ("sizes", name), unknown("dimension", name, names) if names else f"the input has no dimension {name}"
    for keys, pattern in iter_input_patterns(spec.input):
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
            yield ("layers", name), f"{key_text(name)}: expected a shape such as [B, 64], or type, output or parameters"


def _check_training(spec: Spec) -> Iterator[tuple[Keys, str]]:
    if spec.training is not None and spec.training.dataset is None:
        yield ("training",), "training: expected a dataset, such as dataset: fashion-mnist"


def _check_function(spec: Spec) -> Iterator[tuple[Keys, str]]:
    """Its input has the dimensions that `at` has sizes for, and the weights' positions are numbers."""
    if not isinstance(spec.function, Function):
        return
    names = input_names(spec.function_input)
    for name in spec.function.at:
        if name not in names:
            yield ("function", "at", name), unknown("dimension", name, names) if names else f"no free dimension {name}"
    missing = [name for name in names if name not in spec.function.at]
    if missing:
        yield ("function",), f"expected at: {{{missing[0]}: 2}}, the size that {missing[0]} had"
    for position in spec.function.gains:
        if not position.isdecimal():
            yield ("function", "gains", position), f"expected the number of a weight, found {shown(position)}"


def _all_dims(spec: Spec) -> Iterator[tuple[Keys, Dim]]:
    """Every dimension of every pattern with its place in the spec."""
    patterns: list[tuple[Keys, tuple[Dim, ...]]] = [
        (("input", *path), pattern.dims) for path, pattern in iter_input_patterns(spec.input)
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
    schema: dict[str, Any] = _without_noise(Spec.model_json_schema(mode="validation"))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "archcheck spec", **schema}


def _without_noise(schema: Any) -> Any:
    """Without the titles that repeat a key's name, and the null that stands for an absent key."""
    if isinstance(schema, list):
        return [_without_noise(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    properties = schema.get("properties")
    kept = {key: value for key, value in schema.items() if not (key == "title" and isinstance(value, str))}
    if "default" in kept and kept["default"] in (None, {}, []):
        del kept["default"]
    cleaned = {key: _without_noise(value) for key, value in kept.items() if key != "properties"}
    if properties is not None:
        # The names below are a spec's own keys: none of them is a keyword of the schema.
        cleaned["properties"] = {name: _without_noise(value) for name, value in properties.items()}
    return cleaned

"""The spec file's models and all of its validation: text in, `Spec` or every problem found, nothing of torch.

A spec is validated in two steps: pydantic checks each value by itself, then `_check_dimensions` checks what only the
whole can tell (dimension names, sizes). Both report with positions, all at once.
"""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema

from archcheck.spec.dims import BATCH, DEFAULT_BATCH_SIZES
from archcheck.spec.inputs import ForwardInput, input_names, make_forward_input, parse_input
from archcheck.spec.values import (
    Macs,
    fail,
    parse_build,
    parse_count,
    parse_macs,
    parse_memory,
    parse_output,
    parse_percent,
    parse_seconds,
    parse_size_list,
)
from archcheck.text.words import shown

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


# ------------------------------------------------------------------------------------------- the whole

"""The sections of a spec as pydantic models: each checks its values one by one.

What only the whole of a spec can tell (dimension names, sizes) is checked in `validation`. The order of the fields is
the order of the keys in a spec: what is added to a file finds its place by it. The descriptions are what editors show
and what the documentation's tables of keys say.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from archcheck.spec.dims import BATCH, DEFAULT_BATCH_SIZES
from archcheck.spec.field_types import (
    Accuracy,
    Amount,
    BuildTarget,
    ByDevice,
    Bytes,
    Count,
    Flag,
    ImageSize,
    Input,
    InputsFrom,
    Loop,
    MacsField,
    Output,
    Percent,
    Positive,
    PositiveInt,
    Seconds,
    Sha256,
    Share,
    SizeList,
    StateKeys,
    Text,
    WeightText,
)
from archcheck.spec.inputs import ForwardInput, InputSource, input_names, make_forward_input
from archcheck.spec.target import TARGET_FORMS
from archcheck.spec.values import EMPTY, Rounded, fail, parse_amount, parse_count
from archcheck.text.words import shown


class Section(BaseModel):
    """The base of every section: unknown keys are errors, values don't change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def _key(description: str) -> Any:
    """Return the field of an optional key."""
    return Field(default=None, description=description)


# ------------------------------------------------------------------------------------------- structure


class Layer(Section):
    """One layer: its class's name, the shape of its output, the parameters in it and below it."""

    type: Text | None = _key("the class's name, such as Conv2d, or with its module in front")
    output: Output = _key("the shape of what comes out, such as [B, 64, H/4, W/4]; nested where the layer's output is")
    parameters: Count | None = _key("elements of parameters in the module and below it, shared ones once")


class Parameters(Section):
    """Elements of parameters, in all and trainable, and of buffers."""

    total: Count | None = _key("all parameters, shared ones once")
    trainable: Count | None = _key("those that require a gradient")
    buffers: Count | None = _key("elements of buffers, such as batch norm's statistics")


# ------------------------------------------------------------------------------------------- function and health


class Budget(Section):
    """The time and memory that recording or verifying the function may take."""

    time: Seconds | None = _key("of two cores: 2 s by default")
    memory: Bytes | None = _key("3 GiB by default")


class FunctionKeys(Section):
    """How the network is run to tell its function from another: in a spec as far as its author decides that."""

    input: Input = _key("the input that it is recorded with, where the network's own would take too long")
    at: dict[str, PositiveInt] = Field(default={}, description="the size of each free dimension of the input")
    precision: Literal["float64", "float32"] = Field(
        default="float64", description="float32 for very large networks: half the memory, and a larger tolerance"
    )
    train: Flag = Field(default=True, description="false where the network can't be run in train mode")
    budget: Budget | None = _key("what recording or verifying may take: {time: 2 s, memory: 3 GiB} by default")


FULLGRAPH = "fullgraph"
RECORDED = (
    "layers",
    "output",
    "gains",
    "large",
    "opened",
    "inputs_from",
)  # of a function; once these stood in the spec


class Function(FunctionKeys):
    """How the function that the network computes is recorded, as far as not archcheck decides; the rest is recorded."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_recorded(cls, value: Any) -> Any:
        """Say how to move what was recorded to where it stands now."""
        if isinstance(value, dict) and not value.keys().isdisjoint(RECORDED):
            raise fail(
                "what was recorded stands in a file of its own now, beside the spec, which ends in .arch.lock; "
                "move it there: --archcheck-update"
            )
        return value


class EquivalentTo(Section):
    """Another build of the same function."""

    build: BuildTarget = Field(description="what builds the network that computes the same")
    args: dict[str, Any] = Field(default={}, description="keyword arguments of that `build`")
    weights: dict[str, WeightText] = Field(
        default={}, description="by name, what its parameters are made of; those of one shape match in order of use"
    )


class Health(Section):
    """Relaxations for sound but unusual networks: names or globs of the modules or parameters excused."""

    allow_unused: list[Text] = Field(default=[], description="may get no gradient: auxiliary heads, frozen branches")
    allow_random: list[Text] = Field(default=[], description="may draw random numbers in eval mode")
    allow_batch_dependent: list[Text] = Field(default=[], description="may mix the examples of a batch in eval mode")
    allow_updates: list[Text] = Field(default=[], description="buffers and parameters that eval mode may write to")
    allow_unsaved: list[Text] = Field(
        default=[], description="buffers, and numbers that train mode sets, that no checkpoint needs to hold"
    )
    allow_device: list[Text] = Field(default=[], description="may put tensors of the CPU and of a GPU together")


# ------------------------------------------------------------------------------------------- deployment


class Compile(Section):
    """The graphs that torch.compile makes of the network; as many as written."""

    graph_breaks: Count | None = _key("places at which a graph ends before the forward does; 0 is one graph")
    recompiles: Count | None = _key("forward passes at further sizes that have something compiled again")
    dynamic: list[Text] = Field(default=[], description="free dimensions that are marked as dynamic beforehand")


class Export(Section):
    """What torch.export makes of the network."""

    dynamic: list[Text] = Field(default=[], description="free dimensions that stay free in what is exported")
    onnx: Flag = Field(default=False, description="true: it goes into an ONNX file, which computes the same")


def _compile(value: Any) -> Any:
    """Read `fullgraph` as no graph breaks."""
    if value == FULLGRAPH:
        return {"graph_breaks": 0}
    if not isinstance(value, dict) or value.keys() <= {"dynamic"}:
        raise fail(f"expected {FULLGRAPH}, or a map with graph_breaks or recompiles, found {shown(value)}")
    return value


# ------------------------------------------------------------------------------------------- training and speed


class Named(BaseModel):
    """A class of torch or a data set by name, with its own arguments beside it."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)
    name: Text = Field(description="of the class or data set; its arguments stand beside it")


def _named(value: Any) -> Any:
    """Read `SGD` as `{name: SGD}`."""
    return {"name": value} if isinstance(value, str) else value


NamedField: TypeAlias = Annotated[Named, BeforeValidator(_named, json_schema_input_type=str | Named)]


class Normalize(Section):
    """The mean of each channel, subtracted from its pixels (from 0 to 1), and the deviation that divides them."""

    mean: list[Annotated[float, Field(strict=True)]] = Field(min_length=1, description="of each channel, subtracted")
    std: list[Positive] = Field(min_length=1, description="of each channel, divided by")


class Calibration(Section):
    """The runs that a minimum was set from: their mean and standard deviation, how many, where and when."""

    mean: Annotated[float, Field(strict=True)] = Field(description="accuracy that the runs reached, on average")
    std: Annotated[float, Field(ge=0, strict=True)] = Field(description="its standard deviation over the runs")
    seeds: PositiveInt = Field(description="how many runs there were, each with another seed")
    device: Text = Field(description="what they ran on, such as NVIDIA H200")
    torch: Text = Field(description="the version of torch")
    date: Text = Field(description="the day, such as 2026-01-02")


class TrainingKeys(Section):
    """The keys of a training run, each of which may stand in `quick` too."""

    dataset: NamedField | None = _key(
        "a registered name, or module:callable -> (train, test) data sets, with its own arguments beside it"
    )
    loop: Loop | None = _key("your own function that trains the network, instead of a recipe; or lightning")
    loop_args: dict[str, Any] | None = _key("arguments of your loop beside those that archcheck gives; of the Trainer")
    datamodule: NamedField | None = _key("of lightning: module:callable -> a LightningDataModule, with its arguments")
    metric: Text | None = _key("of lightning: the name that the module logs its accuracy by; val_acc by default")
    resize: ImageSize | None = _key("pixels, or [height, width]; as the images are unless given")
    augment: list[NamedField] | None = _key("horizontal_flip, vertical_flip, {name: random_crop, padding: 4}")
    normalize: Flag | Normalize | None = _key("true: by the training set's own mean and standard deviation")
    loss: NamedField | None = _key("a torch.nn loss by class name, with its own arguments; CrossEntropyLoss by default")
    label_smoothing: Annotated[float, Field(ge=0, lt=1, strict=True)] | None = _key(
        "of CrossEntropyLoss, from 0 to 1; 0 by default"
    )
    optimizer: NamedField | None = _key("a torch.optim class with its own arguments; {name: SGD, lr: 0.1} by default")
    scheduler: NamedField | None = _key(
        "a torch.optim.lr_scheduler class with its own arguments; stepped once an epoch, "
        "OneCycleLR and CyclicLR once a batch"
    )
    clip_grad_norm: Positive | None = _key("the largest norm of all gradients together")
    init: NamedField | None = _key("xavier_uniform, kaiming_normal, ... of linear and convolutional layers' weights")
    batch_size: PositiveInt | None = _key("examples of a step; 128 by default. The last incomplete batch is left out")
    epochs: PositiveInt | None = _key("passes over the training set; 10 by default")
    steps_per_epoch: PositiveInt | None = _key("batches of an epoch, other ones each time; all of them by default")
    precision: Literal["fp32", "bf16"] | None = _key("fp32 by default; bf16: autocast, with weights in float32")
    memory_format: Literal["contiguous", "channels_last"] | None = _key("of images and weights; contiguous by default")
    compile: Flag | None = _key("true: the training step goes through torch.compile")
    graph: Flag | None = _key("true: the training step is captured once and replayed, on devices that have graphs")
    seed: Annotated[int, Field(ge=0, lt=2**32, strict=True)] | None = _key(
        "of initialisation, order, augmentation and dropout; 0 by default"
    )
    time_budget: Seconds | None = _key(
        "such as 60 s, without loading and the first step: a run that takes longer fails"
    )
    stop_at_accuracy: Flag | None = _key("stop as soon as the minimum is reached and confirmed; true by default")
    accuracy: Accuracy | None = _key("minimum top-1 on the test set, from 0 to 1; R² for the losses of a regression")
    calibration: Calibration | None = _key("how the minimum came about, recorded by archcheck calibrate")


class NetworkKeys(Section):
    """The keys of the network that may differ where it is trained."""

    args: dict[str, Any] | None = _key("keyword arguments of `build` that differ")
    input: Input = _key("what goes in, instead of the spec's `input`")


class Quick(TrainingKeys, NetworkKeys):
    """Changes to the training where there is no accelerator."""


class Training(TrainingKeys):
    """The training of the network, and the accuracy that it must reach."""

    published: Accuracy | None = _key("the accuracy that the source states for it: drawn in reports, never a verdict")
    quick: Quick | None = _key("what changes where there is no accelerator: any key of training, args and input")


class Throughput(Section):
    """The speed that the network must have, and how much slower it may get."""

    batch_size: PositiveInt | None = _key("examples of a step; the recipe's in `training` by default")
    resize: ImageSize | None = _key("pixels, or [height, width]; the recipe's by default")
    mode: Literal["train", "inference"] = Field(
        default="train", description="train: forward, loss, backward and update; inference: forward in eval mode"
    )
    precision: Literal["fp32", "bf16"] | None = _key("fp32 or bf16 (autocast); the recipe's by default")
    max_regression: Percent | None = _key("how much longer a step may take than before (7.5%)")
    min_examples_per_sec: ByDevice | None = _key("a number, or one by device: {cpu: 30, NVIDIA H200: 20_000}")
    min_utilization: Share | dict[str, Share] | None = _key("fraction of the measured peak, or one by device")


class Faster(Section):
    """Another spec, and the factor to be faster by."""

    spec: Text = Field(description="the other spec, by its path or name")
    by: Positive = Field(description="factor of the examples per second")


class Better(Section):
    """Another spec, and the margin of accuracy to be better by, as the mean over some seeds."""

    spec: Text = Field(description="the other spec, by its path or name")
    by: Annotated[float, Field(gt=-1, lt=1, strict=True)] = Field(
        default=0.0, description="by how much accuracy, such as 0.01"
    )
    seeds: PositiveInt = Field(default=1, description="runs of each spec, whose mean is compared")
    quick: Flag = Field(default=False, description="true where the claim holds for quick recipes too")


class Claims(Section):
    """Relations to other specs that must hold on any machine."""

    faster_than: Faster | list[Faster] | None = _key("another spec, and the factor to be faster by; or several")
    better_than: Better | list[Better] | None = _key("another spec, and the margin to be better by; or several")


# ------------------------------------------------------------------------------------------- checkpoints


class CheckpointAccuracy(Section):
    """The accuracy of a network with a checkpoint's weights; keys left out are as in `training`, where there is one."""

    dataset: NamedField = Field(description="a registered name, or module:callable -> (train, test) data sets")
    at_least: Accuracy = Field(description="minimum top-1 on the test set, from 0 to 1")
    resize: ImageSize | None = _key("pixels, or [height, width]")
    normalize: Flag | Normalize | None = _key("true: by the training set's own mean and standard deviation")
    batch_size: PositiveInt | None = _key("examples of a forward pass")


class Checkpoint(Section):
    """A file of weights that the network loads."""

    path: Text = Field(description="the file, from the spec's folder: of torch.save, or .safetensors")
    sha256: Sha256 | None = _key("of the file, in hexadecimal")
    strict: Flag = Field(default=True, description="false: keys may be missing or not expected; shapes must agree")
    key: Text | None = _key("where in the file the state_dict is, such as ema or model.ema")
    accuracy: CheckpointAccuracy | None = _key("what the network reaches with these weights")


class StateDict(Section):
    """The entries of the network's checkpoints, and checkpoints that the network loads."""

    keys: StateKeys = _key("recorded; a list of names; or a map of names and shapes, {shape, dtype} unless float32")
    checkpoints: list[Checkpoint] = Field(default=[], description="files that the network loads")


def _state_dict(value: Any) -> Any:
    """Read `recorded` as keys to record."""
    if value == "recorded":
        return {"keys": value}
    if not isinstance(value, dict) or value in ({}, {"checkpoints": []}):
        raise fail(f"expected `recorded`, or a map with keys or checkpoints, found {shown(value)}")
    return value


# ------------------------------------------------------------------------------------------- cost


class MemoryByKind(Section):
    """What tensors hold when they hold most, by what they are for."""

    parameters: Amount | None = _key("the network's parameters")
    buffers: Amount | None = _key("its buffers, such as batch norm's statistics")
    gradients: Amount | None = _key("the parameters' gradients, as far as they are there by then")
    optimizer: Amount | None = _key("the optimizer's state, such as Adam's two moments")
    activations: Amount | None = _key("everything else: outputs kept for the backward pass, and what is in between")
    inputs: Amount | None = _key("the batch and its targets")


def _memory(value: Any) -> Any:
    """Read a map as memory by kind, anything else as an amount."""
    return MemoryByKind.model_validate(value) if isinstance(value, dict) else parse_amount(value)


Memory: TypeAlias = Annotated[
    Rounded | MemoryByKind, BeforeValidator(_memory, json_schema_input_type=int | str | MemoryByKind)
]


class CostKeys(Section):
    """The figures of a step: exact, and on every machine the same."""

    memory: Memory | None = _key("what tensors hold when they hold most, such as 1.92 GiB; or a map of it by kind")
    traffic: Amount | None = _key("what the operations of a step read and write, such as 4.10 GiB")
    operations: Count | None = _key("operations launched in a step, without views and allocations")
    syncs: Count | None = _key("how often a step waits for the device: .item(), nonzero, a tensor in an `if`")


class Ceilings(CostKeys):
    """What a step may cost at most."""


class Cost(CostKeys):
    """What a step of the network costs, told without running a kernel: equal when rounded to the digits written."""

    batch_size: PositiveInt | None = _key("examples of a step; the recipe's in `training` by default, else 1")
    mode: Literal["train", "inference"] = Field(
        default="train", description="train: forward, loss, backward and update; inference: forward in eval mode"
    )
    optimizer: NamedField | None = _key("a torch.optim class with its own arguments; the recipe's by default, else SGD")
    precision: Literal["fp32", "bf16"] | None = _key("fp32 or bf16 (autocast); the recipe's by default, else fp32")
    at_most: Ceilings | None = _key("ceilings instead: {memory: 16 GiB}")


# ------------------------------------------------------------------------------------------- the spec


def _layer(value: Any) -> Any:
    """Read the short form of a layer, the shape of its output."""
    if not isinstance(value, (list, dict)) and value not in EMPTY:
        raise fail(f"expected a shape such as [B, 64], or a map with type, output or parameters, found {shown(value)}")
    return value if isinstance(value, dict) else {"output": value}


def _layers(value: Any) -> Any:
    if not isinstance(value, dict):
        raise fail(f"expected a map of layer names, found {shown(value)}")
    return value


def _parameters(value: Any) -> Any:
    """Read a bare number as the total."""
    return value if isinstance(value, dict) else {"total": parse_count(value)}


def _equivalent_to(value: Any) -> Any:
    """Read a bare target as a build without arguments."""
    return {"build": value} if isinstance(value, str) else value


class Spec(Section):
    """One architecture: how it is built, what goes in, and everything that is promised of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="archcheck spec")

    name: Text | None = _key("what to call it; the file's name without it")
    source: Text | None = _key("where the numbers come from")
    build: BuildTarget = Field(description=f"what builds the network: {TARGET_FORMS}; files count from this folder")
    args: dict[str, Any] = Field(
        default={},
        description="keyword arguments of `build`; class:module.attr and torch.bfloat16 are what they name",
    )
    input: Input = Field(
        description="what goes in: a shape, {shape, dtype, ...}, a list of positional inputs, "
        "or a map of keyword inputs; other values as they are"
    )
    inputs_from: InputsFrom | None = _key(
        "a callable that makes the inputs, instead of `input`: module:callable or path/file.py:callable"
    )
    train_input: Input | None = _key("what train mode takes, where that is more than `input`, such as targets")
    sizes: dict[str, SizeList] = Field(
        default={}, description="values of each free dimension, one of each at a time; B is [2, 3] by default"
    )
    layers: Annotated[
        dict[
            str,
            Annotated[
                Layer, BeforeValidator(_layer, json_schema_input_type=list[Any] | Literal["[]", "()", "{}"] | Layer)
            ],
        ],
        BeforeValidator(_layers),
    ] = Field(
        default={},
        description="module name or glob (*, ?, **; name[k] is the k-th call; a backslash before one of these takes it "
        "as it is): what comes out of it",
    )
    output: Output = _key("what the network returns: a shape; a list or map of shapes for a tuple or dict")
    parameters: Annotated[Parameters, BeforeValidator(_parameters, json_schema_input_type=int | Parameters)] | None = (
        _key("the total, or {total, trainable, buffers}; shared parameters count once")
    )
    macs: MacsField | None = _key("multiply-adds of one example at the first size, equal to the digits written")
    function: Literal["off"] | Function | None = _key(
        "how what the network computes is recorded, where that isn't left to archcheck; or off"
    )
    state_dict: (
        Annotated[StateDict, BeforeValidator(_state_dict, json_schema_input_type=Literal["recorded"] | StateDict)]
        | None
    ) = _key("what a checkpoint holds: recorded, or {keys, checkpoints}")
    cost: Cost | None = _key("what a step costs: memory, traffic, operations and syncs, told without running it")
    equivalent_to: (
        Annotated[EquivalentTo, BeforeValidator(_equivalent_to, json_schema_input_type=str | EquivalentTo)] | None
    ) = _key("another build that computes the same: its target, or {build, args, weights}")
    health: Literal["off"] | Health | None = _key("what no sound network does is looked for unasked: excuses, or off")
    compile: (
        Annotated[Compile, BeforeValidator(_compile, json_schema_input_type=Literal["fullgraph"] | Compile)] | None
    ) = _key("the graphs that torch.compile makes: fullgraph, or {graph_breaks, recompiles, dynamic}")
    export: Export | None = _key("what torch.export makes: {dynamic, onnx}")
    training: Training | None = _key("how the network is trained, and the least accuracy that it must reach")
    throughput: Throughput | None = _key("how fast a step is, and how much slower it may become")
    claims: Claims | None = _key("what must hold between this spec and another")

    @model_validator(mode="before")
    @classmethod
    def _input_of_source(cls, value: Any) -> Any:
        """Let `inputs_from` stand in the place of `input`."""
        if not isinstance(value, dict) or value.get("inputs_from") is None or "input" in value:
            return value
        sizes = value.get("sizes")
        names = tuple(dict.fromkeys([BATCH, *(map(str, sizes) if isinstance(sizes, dict) else ())]))
        return {**value, "input": InputSource(str(value["inputs_from"]), names=names)}

    @property
    def dimensions(self) -> dict[str, None]:
        """Return the free dimensions of all inputs, in order of appearance."""
        return input_names(self.input) | (input_names(self.train_input) if self.train_input is not None else {})

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """The batch sizes to try; a network without a free batch dimension has one trial without a name."""
        if BATCH not in self.dimensions:
            return ()
        return self.sizes.get(BATCH, DEFAULT_BATCH_SIZES)

    def tried_dimensions(self) -> list[str]:
        """Return the free dimensions that are tried at two sizes at least."""
        return [name for name in self.dimensions if len({sizes.get(name) for sizes in self.bindings()}) > 1]

    def bindings(self) -> list[dict[str, int]]:
        """Return every assignment of the free dimensions to verify: the sizes in order, each at every batch size."""
        free = {name: sizes for name, sizes in self.sizes.items() if name != BATCH}
        zipped = [dict(zip(free, values, strict=True)) for values in zip(*free.values(), strict=True)] or [{}]
        batches: list[dict[str, int]] = [{BATCH: size} for size in self.batch_sizes] or [{}]
        return [{**batch, **sizes} for sizes, batch in product(zipped, batches)]

    def train_inputs(self, sizes: Mapping[str, int]) -> ForwardInput | None:
        """Return the arguments of a forward pass in train mode, where they are others than in eval mode."""
        return None if self.train_input is None else make_forward_input(self.train_input, sizes)

    def forward_inputs(self) -> list[ForwardInput]:
        """Return the arguments of each forward pass to verify."""
        return [make_forward_input(self.input, sizes) for sizes in self.bindings()]

    def one_example(self) -> ForwardInput | None:
        """Return the arguments for a batch of one at the first size; None where the batch is not free."""
        first = self.bindings()[0]
        return make_forward_input(self.input, {**first, BATCH: 1}) if BATCH in first else None

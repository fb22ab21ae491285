"""Checks of a spec as a whole: dimension names, sizes, sections that need each other."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from archcheck.errors import DimError
from archcheck.findings import Keys
from archcheck.spec.dims import BATCH, DEFAULT_BATCH_SIZES, Dim, parse_dim
from archcheck.spec.domains import describe_emptiness, describe_repetition
from archcheck.spec.inputs import MAX_ELEMENTS, InputPattern, InputSource, LiteralInput, input_names
from archcheck.spec.models import Function, Spec, Training, TrainingKeys
from archcheck.spec.tree import iter_leaves
from archcheck.spec.values import LIGHTNING, iter_dims
from archcheck.text.words import key_text, shown, unknown
from archcheck.text.yaml_flow import format_flow

# The keys of `training` that say what a step does, and those that say how a data set becomes batches.
KEYS_OF_RECIPES: Final = (
    "loss", "label_smoothing", "optimizer", "scheduler", "clip_grad_norm", "init", "precision", "memory_format",
    "compile", "graph",
)  # fmt: skip
KEYS_OF_BATCHES: Final = ("resize", "augment", "normalize", "batch_size", "steps_per_epoch")


def check_spec(spec: Spec) -> list[tuple[Keys, str]]:
    """Check what no single value can tell: where something is wrong, and the message."""
    return [
        *_check_dimensions(spec),
        *_check_training(spec),
        *_check_function(spec),
        *_check_free(spec),
        *_check_promises(spec),
    ]


def _check_promises(spec: Spec) -> Iterator[tuple[Keys, str]]:
    """Check that what is there to promise something does: a check that holds nothing against anything would pass."""
    for key in type(spec).model_fields:
        if key in spec.model_fields_set and getattr(spec, key) is None:
            yield (key,), "expected a value, found nothing; a key that says nothing is left out"
    if spec.claims is not None:
        claims = {key: getattr(spec.claims, key) for key in type(spec.claims).model_fields}
        for key, value in claims.items():
            if value == []:
                yield ("claims", key), "expected a claim, or a list of them, found an empty list"
        if not any(value is not None for value in claims.values()):
            yield ("claims",), f"expected {' or '.join(claims)}, found no claim"


def _check_dimensions(spec: Spec) -> list[tuple[Keys, str]]:
    """Check that every dimension is known, has sizes, and has a value at each of them."""
    names = spec.dimensions
    problems = [*_check_source(spec), *_check_sizes(spec, names), *_check_parameters(spec), *_check_empty_layers(spec)]
    problems += _check_half_shapes(spec, names)
    free = [(keys, dim) for keys, dim in _all_dims(spec) if dim.names or not dim.text.isdecimal()]
    for keys, dim in free:
        strange = sorted(dim.names - names.keys())
        if strange:
            known = f"the input has {', '.join(names)}" if names else "the input has no free dimension"
            problems.append((keys, f"unknown dimension {strange[0]} in {dim.text}; {known}"))
    return problems or [*_check_values(spec, free), *_check_domains(spec), *_check_elements(spec)]


def _inputs(spec: Spec) -> Iterator[tuple[Keys, InputPattern | LiteralInput]]:
    """Yield every tensor and every other value of the inputs with its place in the spec."""
    for key, tree in (("input", spec.input), ("train_input", spec.train_input)):
        if tree is not None and not isinstance(tree, InputSource):
            yield from iter_leaves(tree, (key,))


def _input_patterns(spec: Spec) -> Iterator[tuple[Keys, InputPattern]]:
    """Yield every tensor of the inputs with its place in the spec."""
    return ((keys, leaf) for keys, leaf in _inputs(spec) if isinstance(leaf, InputPattern))


def _check_half_shapes(spec: Spec, names: Mapping[str, None]) -> Iterator[tuple[Keys, str]]:
    """Check that no dimension is taken for a text because what stands beside it, as in `[B, 0.5]`, is no size."""
    for keys, leaf in _inputs(spec):
        if isinstance(leaf, LiteralInput) and not leaf.is_declared:
            for path, value in _plain_lists(leaf.value):
                dims = [item for item in value if isinstance(item, str) and _is_made_of(item, {*names, BATCH})]
                other = next((item for item in value if isinstance(item, bool) or not isinstance(item, int | str)), "")
                if dims and other != "":
                    meant = f"for a list in which {dims[0]} is a text write {{literal: {format_flow(value)}}}"
                    message = f"{shown(other)} is no size beside the dimension {dims[0]}; {meant}"
                    yield (*keys, *path, value.index(other)), message


def _plain_lists(value: Any, path: Keys = ()) -> Iterator[tuple[Keys, list[Any]]]:
    """Yield the lists without lists or maps inside, each with the way to it."""
    if not isinstance(value, list | dict):
        return
    inside = list(enumerate(value) if isinstance(value, list) else value.items())
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        yield path, value
    for key, item in inside:
        yield from _plain_lists(item, (*path, key))


def _is_made_of(text: str, names: Collection[str]) -> bool:
    """Return whether a text is a dimension of these names, such as B or H/4."""
    try:
        dim = parse_dim(text)
    except DimError:
        return False
    return bool(dim.names) and dim.names <= set(names)


def _check_source(spec: Spec) -> Iterator[tuple[Keys, str]]:
    if spec.inputs_from is not None and not isinstance(spec.input, InputSource):
        yield ("inputs_from",), "inputs_from: makes what goes in, as `input` says: leave out one of the two"


def _check_sizes(spec: Spec, names: Mapping[str, None]) -> Iterator[tuple[Keys, str]]:
    for name in spec.sizes:
        if name not in names:
            yield ("sizes", name), unknown("dimension", name, names) if names else f"the input has no dimension {name}"
    for keys, pattern in _input_patterns(spec):
        for name in sorted(pattern.names - spec.sizes.keys() - {BATCH}):
            meant = _perhaps_a_text(keys, pattern)
            yield keys, f"free dimension {name} has no sizes; expected sizes: {{{name}: [224, 96]}}{meant}"
    lengths = {name: len(sizes) for name, sizes in spec.sizes.items() if name != BATCH}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        yield ("sizes",), f"sizes go together, one of each at a time, so the lists need one length: {found}"
    if len(set(spec.sizes.get(BATCH, DEFAULT_BATCH_SIZES))) < 2:
        yield ("sizes", BATCH), "the batch is tried at two sizes at least, such as B: [2, 3]"


def _perhaps_a_text(keys: Keys, pattern: InputPattern) -> str:
    """Say how a text is written, where an argument is a single word that may be meant as one."""
    if len(keys) < 2 or len(pattern.dims) != 1 or not pattern.dims[0].text.isidentifier():
        return ""
    named = f"{keys[-1]}: " if isinstance(keys[-1], str) else ""
    return f", or {named}{pattern.dims[0].text} if that is a text"


def _check_parameters(spec: Spec) -> Iterator[tuple[Keys, str]]:
    if spec.parameters is not None and not spec.parameters.model_fields_set:
        yield ("parameters",), "expected a count, or a map with total, trainable or buffers"


def _check_empty_layers(spec: Spec) -> Iterator[tuple[Keys, str]]:
    for name, layer in spec.layers.items():
        if not layer.model_fields_set:
            yield ("layers", name), f"{key_text(name)}: expected a shape such as [B, 64], or type, output or parameters"


def _check_training(spec: Spec) -> Iterator[tuple[Keys, str]]:
    """Check that there is a data set to train on or a loop that has its own, and no keys that this loop ignores."""
    training = spec.training
    if training is None:
        return
    if training.dataset is None and training.loop is None:
        yield ("training",), "training: expected a dataset, such as dataset: fashion-mnist, or a loop of your own"
    for place, keys in ((("training",), training), (("training", "quick"), training.quick)):
        if keys is not None:
            yield from (((*place, key), f"{key}: {problem}") for key, problem in _out_of_place(training, keys))


def _out_of_place(training: Training, keys: TrainingKeys) -> Iterator[tuple[str, str]]:
    """Yield the keys that don't go with how the network is trained, by a loop or by a recipe, each with the reason."""
    given = [key for key in keys.model_fields_set if getattr(keys, key) is not None]
    if training.loop is None:
        wrong = "a recipe has no use for it, only a `loop` in `training` has"
        yield from ((key, wrong) for key in ("loop", "loop_args", "datamodule", "metric") if key in given)
        return
    for key in KEYS_OF_RECIPES:
        if key in given:
            yield key, "the loop decides that; leave it out"
    if training.dataset is None and getattr(training.quick, "dataset", None) is None:
        for key in KEYS_OF_BATCHES:
            if key in given:
                yield key, "the loop decides that, as it has data of its own; leave it out"
    if (keys.loop or training.loop) != LIGHTNING:
        yield from ((key, f"only `loop: {LIGHTNING}` takes it") for key in ("datamodule", "metric") if key in given)
    elif (keys.datamodule or training.datamodule) and (keys.dataset or training.dataset):
        own = [key for key in ("datamodule", "dataset") if key in given]
        yield from ((key, "expected a datamodule or a dataset, not both") for key in own[:1])


def _check_function(spec: Spec) -> Iterator[tuple[Keys, str]]:
    """Check that `at`, where the spec has it, has a size for each dimension of the input and no other."""
    if not isinstance(spec.function, Function) or spec.function.model_fields_set.isdisjoint(("input", "at")):
        return
    trained = {} if spec.train_input is None else input_names(spec.train_input)
    names = input_names(spec.input if spec.function.input is None else spec.function.input) | trained
    for name in spec.function.at:
        if name not in names:
            yield ("function", "at", name), unknown("dimension", name, names) if names else f"no free dimension {name}"
    missing = [name for name in names if name not in spec.function.at]
    if missing:
        yield ("function",), f"expected at: {{{missing[0]}: 2}}, a size of {missing[0]}"


def _check_free(spec: Spec) -> Iterator[tuple[Keys, str]]:
    """Check that what stays free when the network is compiled or exported is a free dimension, at two sizes."""
    names = spec.dimensions
    tried = {**spec.sizes, BATCH: spec.batch_sizes}
    for section, keys in (("compile", spec.compile), ("export", spec.export)):
        for position, name in enumerate(keys.dynamic if keys is not None else ()):
            place: Keys = (section, "dynamic", position)
            if name not in names:
                yield place, unknown("dimension", name, names) if names else f"the input has no free dimension {name}"
            elif len(set(tried.get(name, ()))) < 2:
                yield place, f"{name} has one size, and is held at another too: sizes: {{{name}: [..., ...]}}"


def _all_dims(spec: Spec) -> Iterator[tuple[Keys, Dim]]:
    """Yield every dimension of every pattern with its place in the spec."""
    for keys, pattern in _input_patterns(spec):
        yield from (((*keys, position), dim) for position, dim in enumerate(pattern.dims))
    for name, layer in spec.layers.items():
        yield from iter_dims(layer.output, ("layers", name, "output"))
    yield from iter_dims(spec.output, ("output",))


def _check_elements(spec: Spec) -> Iterator[tuple[Keys, str]]:
    """Check that no input is larger than any that torch could make, as one with a slip in a size is."""
    for keys, pattern in _input_patterns(spec):
        shapes: list[list[int]] = []
        for sizes in spec.bindings():
            with suppress(DimError):  # told by another check
                shapes.append([dim.evaluate(sizes) for dim in pattern.dims])
        largest = max(shapes, key=math.prod, default=[])
        if math.prod(largest) > MAX_ELEMENTS:
            yield keys, f"expected an input that fits in memory, found {math.prod(largest):.0e} numbers: {largest}"


def _check_domains(spec: Spec) -> Iterator[tuple[Keys, str]]:
    """Check that every input has values to choose from at every size; bounds may be dimensions."""
    for keys, pattern in _input_patterns(spec):
        for sizes in spec.bindings():
            try:
                domain, shape = pattern.domain.at(sizes), [dim.evaluate(sizes) for dim in pattern.dims]
                problem = describe_emptiness(domain, pattern.dtype) if any(pattern.domain.dims) else None
                problem = problem or describe_repetition(domain, pattern.dtype, shape)
                problem = problem and f"{problem} at {', '.join(f'{name}={size}' for name, size in sizes.items())}"
            except DimError as error:
                problem = str(error)
            if problem is not None:
                yield (*keys, *[key for key, _ in pattern.domain.dims][:1]), problem
                break


def _check_values(spec: Spec, free: Sequence[tuple[Keys, Dim]]) -> list[tuple[Keys, str]]:
    """Check that every dimension has a value at every size, before anything is built."""
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

"""Defects that no sound network has, looked for while a network is run with fixed weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from numbers import Number
from typing import Any, Final

import torch
from torch import Tensor, nn

from archcheck.function.fingerprint.call_digests import CallOutput
from archcheck.function.fingerprint.config import OTHER_SEED
from archcheck.function.fingerprint.deterministic_random import DrawSequence
from archcheck.function.fingerprint.digests import Digest, digest, parts_of, tensors_in
from archcheck.function.fingerprint.fingerprint import EvalTraces, HealthProbe
from archcheck.function.fingerprint.fixed_inputs import make_fixed_inputs
from archcheck.function.fingerprint.forward_pass import PassResult, PassRunner
from archcheck.function.fingerprint.gradients import GradientStep, run_gradient_step
from archcheck.function.fingerprint.opened_gates import used_under_other_weights
from archcheck.function.fingerprint.preparation import NetworkFactory, PreparedNetwork, prepare_for_filling
from archcheck.function.fingerprint.weight_filler import WeightFiller
from archcheck.function.object_equality import are_surely_equal
from archcheck.function.records import HealthRecord, Unsaved
from archcheck.network.exceptions import one_line
from archcheck.network.signatures import signature_of
from archcheck.spec.dims import BATCH
from archcheck.spec.inputs import ForwardInput
from archcheck.spec.tree import map_leaves
from archcheck.structure.meta.module_tree import named_params, parameters_of
from archcheck.structure.meta.network_snapshot import STANDARD_ATTRIBUTES
from archcheck.text.words import listed

_TOLERANCE: Final = {torch.float64: 1e-7, torch.float32: 1e-3}  # sums of other lengths round differently
_CERTAIN: Final = 1e-4  # relative, of outputs that rounding alone doesn't explain
_MAX_COPIED: Final = 2**26  # weights: larger networks are not copied
_MAX_TRIED_ALONE: Final = 4  # of the numbers that a step has set
_TWIN_SEED: Final = 2_718_281  # of what builds draw without seeding anything, which nobody's own seed is
_SAVING_METHODS: Final = (
    "state_dict",
    "_save_to_state_dict",
    "_load_from_state_dict",
    "get_extra_state",
    "set_extra_state",
)


def make_health_probe(build: NetworkFactory, one_example: ForwardInput | None) -> HealthProbe:
    """Make the probe of a network that `build` builds; `one_example` is None where the input has no batch."""

    def probe(runner: PassRunner, eval_pass: PassResult, step: GradientStep, left: EvalTraces) -> HealthRecord:
        return _Examination(runner, build, one_example).run(eval_pass, step, left)

    return probe


class _Examination:
    """The examination of one network, after an eval pass and a step in train mode."""

    def __init__(self, runner: PassRunner, build: NetworkFactory, one_example: ForwardInput | None) -> None:
        self._tie = None if one_example is None else _tie_of(runner.config.inputs, one_example)
        self._runner, self._build = runner, build
        self._one_example = one_example if self._tie is None else None
        self._tolerance = _TOLERANCE[runner.config.dtype]

    def run(self, eval_pass: PassResult, step: GradientStep, left: EvalTraces) -> HealthRecord:
        """Examine the network in every way."""
        draws = dict(self._runner.watcher.draws)
        with torch.no_grad():
            unsaved = self._unsaved()
            carried = self._carried() if left.keeps_state and not draws else None
            unsaved = None if carried is not None else unsaved  # what one batch leaves to the next isn't saved, either
            unrepeatable, mixing = (None, None) if carried is not None else self._differences(eval_pass, step.forward)
        gradients = self._gradients(eval_pass, step)
        changed = tuple(dict.fromkeys((*eval_pass.changed_inputs, *step.forward.changed_inputs)))
        return HealthRecord(
            draws, unrepeatable, mixing, changed, carried, left.updated, gradients.none, gradients.some,
            gradients.not_finite, unsaved, (*gradients.unseen, *([] if self._tie is None else [self._tie])),
            frozenset([*self._runner.network.params, *self._runner.network.buffers()]),
        )  # fmt: skip

    # ----------------------------------------------------------------------------------------- gradients

    def _gradients(self, eval_pass: PassResult, step: GradientStep) -> _Gradients:
        """Look at the gradients in train mode; for what got none in eval mode, too, and for inputs of the other sign.

        Which branch a network takes, or which expert it asks, may depend on its inputs. A loss may be kept on a module.
        """
        params = {name: one for name, one in self._runner.network.params.items() if one.requires_grad and one.numel()}
        steps, trains = [step], self._runner.config.train
        further: list[dict[str, Any]] = [
            {"training": False},
            {"training": True, "from_kept": True},
            {"training": True, "make_inputs": partial(self._negated, training=True)},
            {"training": False, "make_inputs": self._negated},
        ]
        for options in further:
            missing = [name for name in params if not any(_has_gradient(one, name) for one in steps)]
            if missing and trains:
                steps.append(run_gradient_step(self._runner, wanted=missing, **options))
        found = {name: one for step in steps for name, one in step.params.items()}
        used = {name for name in params if any(_has_gradient(one, name) for one in steps)}
        passed_over = params.keys() - found.keys()
        if passed_over and trains and self._runner.reads_values:
            used |= used_under_other_weights(self._runner, passed_over)
        some = tuple(name for name in params if name in used)
        none = tuple(name for name in params if name not in used)
        not_finite = tuple(name for name, one in found.items() if not math.isfinite(one.check))
        unseen = []
        opaque = sorted({*eval_pass.opaque, *step.forward.opaque})
        if none and opaque:
            unseen.append(
                f"can't see into {listed(opaque, 3)}, which comes out: {none[0]}{_more(none)} may get a gradient there"
            )
            none = ()
        if none and not trains:  # what only trains an auxiliary output, or picks what comes out, shows there alone
            unseen.append(
                "train mode can't be run with these inputs: whether all parameters get a gradient isn't known"
            )
            none = ()
        return _Gradients(none, some, not_finite, tuple(unseen))

    def _negated(self, *, training: bool = False) -> tuple[Any, Any]:
        """Return the usual inputs with every number negated that may be any."""
        return self._runner.change_free_inputs(torch.neg, training=training)

    # ----------------------------------------------------------------------------------------- another run

    def _carried(self) -> str | None:
        """Return the first module whose output differs in a run that goes on from one of other inputs."""
        usual = self._runner.forward(training=False, seed=OTHER_SEED)
        self._runner.forward(training=False, seed=OTHER_SEED, make_inputs=self._in_other_order)
        second = self._runner.forward(training=False, seed=OTHER_SEED, reset=False)
        return self._first_difference(usual.calls, second.calls) if second.crash is None else None

    def _in_other_order(self) -> tuple[Any, Any]:
        """Return the usual inputs with the examples in the reverse order."""
        inputs = self._runner.make_inputs()
        if self._one_example is None:
            return inputs

        def turned(batch: Tensor, one: Tensor) -> Tensor:
            dims = [dim for dim, (n, full) in enumerate(zip(one.shape, batch.shape, strict=True)) if n < full]
            return batch.flip(dims)

        return self._map_batches(turned, inputs)

    def _differences(self, eval_pass: PassResult, train_pass: PassResult) -> tuple[str | None, str | None]:
        """Return the first module whose output differs in a second run, and the first that mixes examples.

        An example that comes out alone as it did in the batch shows both at once that there are none, but for what
        examples do to those behind them. So does, where there's no batch, a step in train mode that gave what eval mode
        did.
        """
        if self._one_example is None:
            if self._first_difference(eval_pass.calls, train_pass.calls) is None:
                return None, None
            return self._unrepeatable(eval_pass), None
        num_examples = 1
        alone = self._shared_forward(partial(self._first_examples, num_examples))
        if alone.crash is not None:  # batch norm in train mode refuses a single value
            num_examples = 2
            alone = self._shared_forward(partial(self._first_examples, num_examples))
        has_examples = alone.crash is None and _has_examples(eval_pass, alone)
        if has_examples and self._alike(eval_pass.output, alone.output, ignores_same_shapes=True):
            return None, self._mixing_of_earlier(eval_pass)
        unrepeatable = self._unrepeatable(eval_pass)
        if unrepeatable is not None or self._runner.watcher.draws:  # fewer examples draw others
            return unrepeatable, None
        return None, self._mixing(alone if has_examples else None, num_examples)

    def _unrepeatable(self, eval_pass: PassResult) -> str | None:
        """Return the first module whose output differs in a second run."""
        again = self._runner.forward(training=False, seed=OTHER_SEED)
        return self._first_difference(eval_pass.calls, again.calls)

    def _mixing_of_earlier(self, eval_pass: PassResult) -> str | None:
        """Return the first module in which the last example's output depends on those before it, if that's proven."""
        alone = self._shared_forward(self._last_example)
        if alone.crash is not None:
            return None
        if self._alike(eval_pass.output, alone.output, ignores_same_shapes=True, at_end=True):
            return None
        batch = self._runner.config.inputs.sizes[BATCH]
        replaced = self._shared_forward(partial(self._with_copies, [0], batch - 1), batch, reads_last=True)
        usual = self._shared_forward(self._runner.make_inputs, batch, reads_last=True)
        if self._one_changes(usual, replaced, None, batch, 1, is_last=True):
            return self._first_difference(usual.calls, replaced.calls) or ""
        return None

    def _mixing(self, alone: PassResult | None, num_examples: int) -> str | None:
        """Return the first module in which the first example's output depends on other examples, if that's proven.

        It is where that output changes though only another example did, or only the number of copies of the example.
        """
        batch = self._runner.config.inputs.sizes[BATCH]
        replaced = self._shared_forward(partial(self._with_copies, [batch - 1]), batch)
        usual = self._shared_forward(self._runner.make_inputs, batch)
        if self._one_changes(usual, replaced, alone, batch, num_examples):
            return self._first_difference(usual.calls, replaced.calls) or ""
        if alone is None or num_examples > 1:
            return None
        copies = self._shared_forward(partial(self._with_copies, range(1, batch)), batch)
        if self._one_changes(copies, alone, alone, batch, num_examples, tolerance=_CERTAIN):
            return self._first_difference(copies.calls, alone.calls) or ""
        return None

    def _shared_forward(
        self, make_inputs: Callable[[], Any], num_shares: int = 1, *, reads_last: bool = False
    ) -> PassResult:
        return self._runner.forward(
            training=False, make_inputs=make_inputs, seed=OTHER_SEED, num_shares=num_shares, reads_last=reads_last
        )

    def _one_changes(
        self, ours: PassResult, theirs: PassResult, alone: PassResult | None, batch: int, num_examples: int,
        tolerance: float | None = None, is_last: bool = False,
    ) -> bool:  # fmt: skip
        """Return whether what comes out for the first example (or the last) differs, wherever that surely is."""
        if ours.crash is not None or theirs.crash is not None:
            return False
        a, b = list(tensors_in(ours.output)), list(tensors_in(theirs.output))
        few = [None] * len(a) if alone is None else list(tensors_in(alone.output))
        if not len(a) == len(b) == len(few):
            return False
        for one, other, of_few in zip(a, b, few, strict=True):
            dim = _batch_axis(one, of_few, batch, num_examples)
            if dim is None or other.ndim != one.ndim:
                continue
            size = one.shape[dim] // batch
            if other.shape[dim] not in (size, one.shape[dim]):
                continue
            limit = self._tolerance if tolerance is None else tolerance
            shares = [_share_by_block, _share_by_turn]  # batch first, or time first and the batch within
            if not any(
                _close(share(one, dim, size, is_last), share(other, dim, size, is_last), limit) for share in shares
            ):
                return True
        return False

    def _first_examples(self, num_examples: int) -> tuple[Any, Any]:
        """Return the first examples of the usual inputs."""

        def cut(batch: Tensor, one: Tensor) -> Tensor:
            sizes = zip(one.shape, batch.shape, strict=True)
            return _cut(batch, [n * num_examples if n < full else full for n, full in sizes]).clone()

        return self._map_batches(cut, self._runner.make_inputs())

    def _last_example(self) -> tuple[Any, Any]:
        """Return the last example of the usual inputs."""

        def cut(batch: Tensor, one: Tensor) -> Tensor:
            return _cut(batch, one.shape, at_end=True).clone()

        return self._map_batches(cut, self._runner.make_inputs())

    def _with_copies(self, positions: Iterable[int], source: int = 0) -> tuple[Any, Any]:
        """Return the usual inputs with one example in the place of others: whatever inputs must be, it is."""
        num_examples = self._runner.config.inputs.sizes[BATCH]

        def copied(batch: Tensor, one: Tensor) -> Tensor:
            made = batch.clone()
            for dim, (n, full) in enumerate(zip(one.shape, batch.shape, strict=True)):
                size = full // num_examples
                for position in positions if n < full else ():
                    made.narrow(dim, position * size, size).copy_(made.narrow(dim, source * size, size).clone())
            return made

        return self._map_batches(copied, self._runner.make_inputs())

    def _map_batches(self, change: Callable[[Tensor, Tensor], Tensor], inputs: tuple[Any, Any]) -> tuple[Any, Any]:
        """Return inputs with every tensor changed; `change` takes it, and the same one of a single example."""

        def changed(batch: Any, one: Any) -> Any:
            return change(batch, one) if isinstance(batch, Tensor) else batch

        assert self._one_example is not None
        config = self._runner.config
        alone = make_fixed_inputs(self._one_example, config.dtype, config.device)
        arguments: tuple[Any, Any] = map_leaves(changed, inputs, alone)
        return arguments

    def _alike(self, ours: Any, theirs: Any, *, ignores_same_shapes: bool = False, at_end: bool = False) -> bool:
        """Return whether two outputs are the same, as far as both have them: from the start, or up to the end.

        With `ignores_same_shapes`, tensors that have no axis for examples, and so the same shape, aren't compared.
        """
        ours, theirs = list(tensors_in(ours)), list(tensors_in(theirs))
        if len(ours) != len(theirs):
            return False
        return all(
            (ignores_same_shapes and one.shape == other.shape)
            or _close(_cut(one, other.shape, at_end=at_end), other, self._tolerance)
            for one, other in zip(ours, theirs, strict=True)
        )

    def _first_difference(self, ours: Sequence[CallOutput], theirs: Sequence[CallOutput]) -> str | None:
        """Return the first module whose output differs in two passes, inner ones before those around them."""
        digests = {(one.name, one.index): one.digest for one in theirs}
        for one in ours:
            other = digests.get((one.name, one.index))
            if one.digest is None or other is None:
                continue
            if not _are_close(one.digest, other, self._tolerance):
                return one.name
        return None

    # ----------------------------------------------------------------------------------------- saved and loaded

    def _unsaved(self) -> Unsaved | None:
        """Tell how the network differs from one built anew and given its state_dict, after a step in train mode."""
        unregistered, is_trained = self._unregistered()
        if is_trained or (unregistered is None and not self._may_hold_unsaved_state()):
            return None if unregistered is None else Unsaved(unregistered)
        saved = self._runner.network.saved_names()
        lost = [name for name, _ in self._runner.state.changed() if name not in saved]
        try:
            twin = self._make_twin(copied=False)
            if not self._runner.state.has_changed and _hold_the_same(self._runner.network, twin.network):
                return None
            if sum(one.numel() for one in twin.network.params.values()) <= _MAX_COPIED:
                twin = self._make_twin(copied=True)
        except Exception as error:
            return Unsaved(one_line(error))
        ours, theirs = self._forwards_of_both(twin)
        if ours.crash is not None or theirs.crash is not None:
            return None
        if self._alike(ours.output, theirs.output):
            return self._lost_in_next_step(twin, lost)
        if unregistered is not None:
            return Unsaved(unregistered)
        name = self._first_difference(ours.calls, theirs.calls) or "the network"
        buffers = self._lost_buffers(twin)
        lost_here = buffers or self._lost_attributes(twin)
        if lost_here:
            return Unsaved(f"{name} comes out otherwise", lost_here)
        return Unsaved(f"{name} computes with something that is no parameter and no buffer")

    def _lost_buffers(self, twin: PassRunner) -> tuple[str, ...]:
        """Return the buffers that nothing saves, if the twin comes out the same once it has their values."""
        saved, there = self._runner.network.saved_names(), twin.network.buffers()
        lost = {
            name: one
            for name, one in self._runner.network.buffers().items()
            if name not in saved and name in there and not _is_surely_same(one, there[name])
        }
        for name, one in lost.items():
            module, _, attribute = name.rpartition(".")
            setattr(twin.network.modules[module], attribute, one.clone())
        ours, theirs = self._forwards_of_both(twin, reset=False)
        return tuple(lost) if theirs.crash is None and self._alike(ours.output, theirs.output) else ()

    def _lost_attributes(self, twin: PassRunner) -> tuple[str, ...]:
        """Return the numbers and names on modules that the step has set, if the twin comes out the same with them."""
        ours, theirs = self._runner.network.modules, twin.network.modules
        lost = [
            (name, key, value)
            for name, module in ours.items()
            for key, value in vars(module).items()
            if key not in STANDARD_ATTRIBUTES and isinstance(value, Number | str)
            and name in theirs and vars(theirs[name]).get(key, value) != value
        ]  # fmt: skip
        alone = [[one] for one in lost[:_MAX_TRIED_ALONE]] if len(lost) > 1 else []
        for some in [*alone, lost] if lost else []:
            kept = [vars(theirs[name])[key] for name, key, _ in some]
            for name, key, value in some:
                setattr(theirs[name], key, value)
            here, there = self._forwards_of_both(twin, reset=False)
            if there.crash is None and self._alike(here.output, there.output):
                return tuple(sorted(f"{name}.{key}" if name else key for name, key, _ in some))
            for (name, key, _), value in zip(some, kept, strict=True):
                setattr(theirs[name], key, value)
        return ()

    def _lost_in_next_step(self, twin: PassRunner, lost: Sequence[str]) -> Unsaved | None:
        """Tell of buffers that a step has changed and nothing saves, if the next step comes out otherwise without."""
        if not lost or not self._runner.config.train:
            return None
        with twin.watcher.watching(twin.network.modules):
            options: dict[str, Any] = {
                "training": True,
                "reset": False,
                "make_inputs": partial(self._negated, training=True),
            }
            ours, theirs = (one.forward(**options) for one in (self._runner, twin))
        if ours.crash is not None or theirs.crash is not None:
            return None
        saved, there = self._runner.network.saved_names(), twin.network.buffers()
        buffers = {name: one for name, one in self._runner.network.buffers().items() if name in saved and name in there}
        same_state = all(_close(one, there[name], self._tolerance) for name, one in buffers.items())
        if same_state and self._alike(ours.output, theirs.output):
            return None
        return Unsaved("the next step in train mode comes out otherwise", tuple(lost))

    def _may_hold_unsaved_state(self) -> bool:
        """Return whether the network may hold anything that its state_dict doesn't know of."""
        return any(map(_is_peculiar, self._runner.network.modules.values())) or self._runner.state.has_changed

    def _forwards_of_both(self, twin: PassRunner, *, reset: bool = True) -> tuple[PassResult, PassResult]:
        """Run the network as the step left it, and its twin, on few examples, or on as many as the step had.

        Without `reset` the twin has the state that it was given.
        """
        with twin.watcher.watching(twin.network.modules):
            for make_inputs in (self._fewest_examples, self._runner.make_inputs):
                ours = self._runner.forward(training=False, make_inputs=make_inputs, reset=False)
                theirs = twin.forward(training=False, make_inputs=make_inputs, reset=reset)
                if ours.crash is None:
                    break
        return ours, theirs

    def _fewest_examples(self) -> tuple[Any, Any]:
        return self._first_examples(1) if self._one_example is not None else self._runner.make_inputs()

    def _make_twin(self, *, copied: bool) -> PassRunner:
        """Build the network anew with this one's state_dict: copies of its values, or the very same tensors."""
        config = self._runner.config
        # What a build draws after it has seeded a generator itself is no chance: it is in the twin what it was.
        draws = partial(DrawSequence, "twin", self._runner.network.seeds - {_TWIN_SEED})
        network = prepare_for_filling(self._build, replace(config, seed=_TWIN_SEED), draws)
        load, state = network.model.load_state_dict, self._runner.network.model.state_dict()
        if copied or "assign" not in signature_of(load).parameters:  # as of who overrides it
            load(state)
        else:
            load(state, assign=True)
        twin = PassRunner(network, config, filler=WeightFiller((), (), {}))
        twin.needs_gradients = self._runner.needs_gradients
        return twin

    def _unregistered(self) -> tuple[str | None, bool]:
        """Tell of a layer or a weight that a module holds in a container of its own, where nothing trains or saves it.

        Returns also whether it got a gradient in the step, as what is to be trained does.
        """
        network = self._runner.network
        known = set(map(id, network.modules.values())) | set(map(id, network.params.values()))
        found: tuple[str | None, bool] = (None, False)
        for name, module in network.modules.items():
            for key, value in vars(module).items():
                if key.startswith("_") or not isinstance(value, list | tuple | dict | Tensor):
                    continue
                for one in parts_of(value) if not isinstance(value, Tensor) else [value]:
                    weights = [] if id(one) in known else _weights_of(one)
                    is_trained = any(weight.grad is not None for weight in weights)
                    if weights and (found[0] is None or is_trained > found[1]):
                        where = f"{name}.{key}" if name else key
                        found = (f"{where} holds a {type(one).__name__} that is no part of the network", is_trained)
        return found


def _weights_of(value: Any) -> list[Tensor]:
    """Return the weights that a layer, or a tensor by itself, would have trained."""
    if isinstance(value, nn.Module):
        return [*parameters_of(value)]
    return [value] if isinstance(value, Tensor) and value.requires_grad and value.is_leaf else []


@dataclass(frozen=True, slots=True)
class _Gradients:
    """Parameters without a gradient, with one, and with one that isn't finite; and what couldn't be seen."""

    none: tuple[str, ...]
    some: tuple[str, ...]
    not_finite: tuple[str, ...]
    unseen: tuple[str, ...]


def _has_gradient(step: GradientStep, name: str) -> bool:
    return name in step.params and step.params[name].rms != 0


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def _has_examples(together: PassResult, alone: PassResult) -> bool:
    """Return whether any output has an axis for examples; a loss, for one, is computed from all of them."""
    pairs = zip(tensors_in(together.output), tensors_in(alone.output), strict=False)
    return any(one.shape != other.shape for one, other in pairs)


def _is_peculiar(module: nn.Module) -> bool:
    """Return whether a module has tensors outside of parameters and buffers, or code of its own to save itself."""
    if module._non_persistent_buffers_set or any(
        getattr(type(module), name) is not getattr(nn.Module, name) for name in _SAVING_METHODS
    ):
        return True
    own = vars(module)
    return any(next(tensors_in(own[name]), None) is not None for name in own.keys() - STANDARD_ATTRIBUTES)


def _tie_of(inputs: ForwardInput, one_example: ForwardInput) -> str | None:
    """Say why the examples of a batch can't be told apart: none could be taken out, and the others left as they are."""
    unknown = "whether an example's output depends on the others isn't known"
    if inputs.source is not None:
        return f"{unknown}, as {inputs.source.target} makes the whole batch"
    for number, (many, one) in enumerate(zip(inputs.tensors(), one_example.tensors(), strict=True), 1):
        domain = many.domain
        is_row = many.shape[-1:] != one.shape[-1:] and (domain.order or domain.unique or domain.sums_to is not None)
        if is_row or domain != one.domain:
            return f"{unknown}, as the values of input {number} belong together"
    return None


def _share_by_block(tensor: Tensor, dim: int, size: int, is_last: bool) -> Tensor:
    return tensor.narrow(dim, tensor.shape[dim] - size if is_last else 0, size)


def _share_by_turn(tensor: Tensor, dim: int, size: int, is_last: bool) -> Tensor:
    by_turn = tensor.reshape(*tensor.shape[:dim], size, -1, *tensor.shape[dim + 1 :])
    return by_turn.select(dim + 1, -1 if is_last else 0)


def _batch_axis(tensor: Tensor, few: Tensor | None, batch: int, num_examples: int) -> int | None:
    """Return the axis along which examples surely lie in an output; `few` is the output for fewer examples."""
    if few is None:
        axes = [dim for dim, size in enumerate(tensor.shape) if size == batch]
    elif few.ndim != tensor.ndim:
        return None
    else:
        pairs = list(enumerate(zip(tensor.shape, few.shape, strict=True)))
        axes = [dim for dim, (size, smaller) in pairs if size != smaller]
        if any(size * num_examples != smaller * batch for _, (size, smaller) in pairs if size != smaller):
            return None
    return axes[0] if len(axes) == 1 else None


def _hold_the_same(ours: PreparedNetwork, theirs: PreparedNetwork) -> bool:
    """Return whether the parameters, buffers and all attributes of modules are surely the same in two networks."""

    def held(network: PreparedNetwork) -> list[Any]:
        modules = network.modules.values()
        others = [{k: v for k, v in vars(one).items() if k not in STANDARD_ATTRIBUTES} for one in modules]
        params = named_params(network.modules).values()  # as they are now: loading may have replaced them
        return [*params, *network.buffers().values(), *map(type, modules), *others]

    try:
        return are_surely_equal(held(ours), held(theirs))
    except Exception:  # an object that can't be compared may be another
        return False


def _cut(tensor: Tensor, shape: Sequence[int], *, at_end: bool = False) -> Tensor:
    """Return the first part (or the last) of each dimension in which a tensor is larger than `shape`."""
    if tensor.layout is not torch.strided and not tensor.is_nested:
        tensor = tensor.to_dense()
    if tensor.ndim != len(shape):
        return tensor
    for dim, size in enumerate(shape):
        if 0 < size < tensor.shape[dim]:
            tensor = tensor.narrow(dim, tensor.shape[dim] - size if at_end else 0, size)
    return tensor


def _is_surely_same(a: Tensor, b: Tensor) -> bool:
    try:
        return are_surely_equal(a, b)
    except RuntimeError:  # of a layout that can't be compared, as sparse ones
        return False


def _close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    if a.shape != b.shape:
        return False
    ours, theirs = digest(a), digest(b)
    if ours is None or theirs is None:
        return (ours is None) == (theirs is None)
    return _are_close(ours, theirs, tolerance)


def _are_close(a: Digest, b: Digest, tolerance: float) -> bool:
    if not (a.is_finite and b.is_finite):
        return a.is_finite == b.is_finite
    return abs(a.check - b.check) <= tolerance * max(abs(a.check), abs(b.check))

"""A network run with fixed weights on a fixed input: once in eval mode, twice in train mode, and what came of it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from archcheck.errors import NotMeasured, UsageError
from archcheck.function.fingerprint.deterministic_random import DeterministicRandom, DrawSequence
from archcheck.function.fingerprint.digests import Digest, combine, combine_starts, digest, tensors_in
from archcheck.function.fingerprint.number_pool import core, uniform
from archcheck.function.fingerprint.weight_filler import FillOnFirstUse, WeightFiller, choose_exponent
from archcheck.function.records import CallDigest, FunctionRecord, HealthRecord
from archcheck.network.exceptions import raised_outside_torch, type_and_first_line
from archcheck.network.forward_watcher import ForwardWatcher, uncompiled_forward
from archcheck.network.isolation import gc_paused, isolated_user_code, raised_recursion_limit
from archcheck.network.torch_state import seed_generators
from archcheck.spec.inputs import ForwardInput, InputTree, InputValue, TensorInput
from archcheck.structure.meta.building import build_seeded
from archcheck.structure.meta.model_copy import copy_to_cpu
from archcheck.structure.meta.module_tree import named_network
from archcheck.structure.meta.network_snapshot import NetworkSnapshot
from archcheck.structure.records import Crash

_COUNTER: Final = "num_batches_tracked"
_CPU: Final = torch.device("cpu")
OTHER_SEED: Final = 1  # under which what isn't torch's to draw comes out another way
LARGE: Final = (32.0, 8.0, 2.0)  # by which biases and scales are multiplied to reach what only large values reach
_MANY_CALLS: Final = 60  # of modules: with fewer of them rounding errors have no room to grow
_VERY_MANY: Final = 300  # with more of them it isn't tried how large is too large
_TREMOR: Final = 1e-10
_MOST_GROWN: Final = 1e5  # times: a rounding error of 1e-14 then stays below every tolerance
_NOISE: Final = {torch.float64: 1e-8, torch.float32: 1e-3}  # of the largest gradient: what is smaller is rounding


# ------------------------------------------------------------------------------------------- a network to run


@dataclass(slots=True)
class PreparedNetwork:
    """A network whose weights wait to be filled.

    filled: the parameters that get fixed values: all but those which are given and not trained, such as a filter.
    starts: by parameter name what one starts from that isn't drawn: its constant, or a check of its values.
    """

    model: nn.Module
    modules: dict[str, nn.Module]
    params: dict[str, Tensor]
    filled: dict[str, Tensor]
    starts: dict[str, float | None] = field(default_factory=dict)


def prepare(make: Callable[[], nn.Module], how: FingerprintConfig, salt: str = "") -> PreparedNetwork:
    """Build a network without drawing its weights, in the precision that it's run in.

    Raises:
        NotMeasured: it has weights that can't be filled.
    """
    steady, is_known = DeterministicRandom(DrawSequence(salt), traces=True), how.knows_starts
    with steady:
        model = build_seeded(make, how.seed)
        if sys.getrefcount(model) > _OURS_ALONE:  # somebody else's, too: an attribute of a module, a cached one
            model, is_known = _copied(model), False
    _refuse_unfillable(model)
    if any(is_lazy(param) for param in model.parameters()):
        _materialize(model, how.inputs, steady)
        lazy = [name for name, param in model.named_parameters() if is_lazy(param)]
        if lazy:
            raise NotMeasured(
                f"the forward never reaches {', '.join(lazy)}, which therefore have no shape to be filled"
            )
    params: dict[str, Tensor] = dict(model.named_parameters())
    starts = {name: _start(param, is_known) for name, param in params.items() if not steady.is_drawn(param)}
    given = {id(params[name]) for name in starts if is_known and not params[name].requires_grad}
    _convert(model, how.dtype, how.device, given)
    filled = {name: param for name, param in params.items() if id(param) not in given}
    return PreparedNetwork(model, named_network(model).modules, params, filled, starts)


_OURS_ALONE: Final = 2  # references to what nobody else holds: a variable's, and a call's argument


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy_to_cpu(model)
    except UsageError as error:
        raise NotMeasured(str(error)) from None


def _refuse_unfillable(model: nn.Module) -> None:
    for name, module in model.named_modules():
        packed = [key for key, value in vars(module).items() if isinstance(value, torch.ScriptObject)]
        if packed and not isinstance(module, torch.jit.ScriptModule):
            raise NotMeasured(
                f"{name or type(module).__name__} keeps its weights in {packed[0]}, which can't be filled"
            )
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        plain = type(tensor.data) is Tensor and not tensor.is_quantized and tensor.layout is torch.strided
        integer_weight = isinstance(tensor, nn.Parameter) and not (tensor.is_floating_point() or tensor.is_complex())
        if not is_lazy(tensor) and (not plain or integer_weight):
            kind = type(tensor.data).__name__ if type(tensor.data) is not Tensor else str(tensor.dtype)
            raise NotMeasured(f"{name} is a {kind.removeprefix('torch.')}, which can't be filled with fixed weights")


def _materialize(model: nn.Module, inputs: ForwardInput, steady: DeterministicRandom) -> None:
    """Lazy modules become what they are by a first forward pass."""
    args, kwargs = make_fixed_inputs(inputs, torch.float32, torch.device("cpu"))
    training = {module: module.training for module in model.modules()}
    with torch.no_grad(), steady:
        model.eval()
        model(*args, **kwargs)
    for module in model.modules():
        module.training = training.get(module, module.training)


def _start(param: Tensor, is_known: bool) -> float | None:
    """A number for the values that a parameter starts from: for a constant, or where it's known that none is drawn."""
    if not param.numel() or param.is_meta or not param.is_floating_point():
        return None
    low, high = (float(one) for one in torch.aminmax(param.detach()))
    if low == high:
        return low
    found = digest(param) if is_known else None
    return None if found is None else found.check


def _convert(model: nn.Module, dtype: torch.dtype, device: torch.device, given: set[int]) -> None:
    """Weights become room to be filled, everything else of floating point changes its precision."""

    def converted(value: Any) -> Any:
        if isinstance(value, Tensor) and not isinstance(value, nn.Parameter) and not value.is_meta:
            made = value.detach().to(device, dtype if value.is_floating_point() else value.dtype)
            return made.requires_grad_(value.requires_grad)
        if type(value) in (list, tuple):
            return type(value)(converted(item) for item in value)
        return {key: converted(item) for key, item in value.items()} if type(value) is dict else value

    for param in model.parameters():
        wanted = torch.complex128 if param.is_complex() else dtype
        made = (
            param.data.to(device, wanted)
            if id(param) in given
            else torch.empty_like(param, dtype=wanted, device=device)
        )
        param.data, param.grad = made.contiguous(), None
    for module in model.modules():
        if not isinstance(module, torch.jit.ScriptModule):
            for name in vars(module).keys() - OF_EVERY_MODULE:
                vars(module)[name] = converted(vars(module)[name])
            # Copies: a module-level instance, or a table that is shared, keeps its own.
            module._buffers |= {n: converted(b).clone() for n, b in module._buffers.items() if b is not None}


OF_EVERY_MODULE: Final = frozenset(vars(nn.Module())) | {"forward"}  # which is listened to


def make_fixed_inputs(
    inputs: ForwardInput, dtype: torch.dtype, device: torch.device
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a forward pass: evenly spread noise of variance 1, whole numbers below their bound."""
    number = iter(range(1 << 30))

    def made(value: InputValue) -> Any:
        if isinstance(value, TensorInput):
            return _fixed_tensor(value, f"input {next(number)}", dtype, device)
        if isinstance(value, Mapping):
            return {key: made(item) for key, item in value.items()}
        return type(value)(made(item) for item in value)  # type: ignore[call-arg]

    return [made(arg) for arg in inputs.args], {key: made(arg) for key, arg in inputs.kwargs.items()}


def _fixed_tensor(value: TensorInput, key: str, dtype: torch.dtype, device: torch.device) -> Tensor:
    noise = uniform(value.shape, key, device)
    wanted: torch.dtype = getattr(torch, value.dtype)
    if wanted.is_complex:
        return torch.complex(noise, noise.flip(-1)).to(torch.complex128)
    if wanted.is_floating_point:
        return (noise * 3**0.5).to(dtype)
    if wanted is torch.bool or value.below is not None:
        below = 2 if value.below is None else value.below
        return _with_edges(((noise + 1) / 2 * below).floor().clamp_(max=below - 1), below).to(wanted)
    return torch.zeros(value.shape, dtype=wanted, device=device)


def _with_edges(numbers: Tensor, below: int) -> Tensor:
    """Whole numbers with those among them that often mean something: 0 at the ends of rows, as padding is, 1, the last.

    No row is the same throughout: a mask that leaves nothing gives no number.
    """
    rows = numbers.view(-1, numbers.shape[-1]) if numbers.ndim and numbers.numel() else numbers.view(-1, 1)
    if rows.shape[1] < _FEWEST_IN_ROW:
        return numbers
    rows[::2, -max(1, rows.shape[1] // 4) :] = 0
    rows[::2, 0] = rows[1::2, -1] = below - 1
    rows[1::2, 0] = 0 if below == 2 else 1
    return numbers


_FEWEST_IN_ROW: Final = 3


# ------------------------------------------------------------------------------------------- what is heard


@dataclass(slots=True)
class CallOutput:
    """One call of a module in one pass."""

    name: str
    index: int
    digest: Digest | None = None


class DigestingWatcher(ForwardWatcher):
    """Takes the digest of what every call of a module returns, in the order in which they return."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[CallOutput] = []
        self.draws: dict[str, str] = {}
        self.share = 1  # of the examples, what is read: all, or the first of so many
        self.is_listening = True  # no more while gradients are computed, when checkpointed layers run again
        self._running: list[str] = []
        self._counts: dict[str, int] = {}
        self._last: tuple[Any, int, Digest | None] = (None, -1, None)

    def begin(self) -> None:
        """Before another pass."""
        self.heard, self.is_listening = [], True
        self._counts.clear()
        self._running.clear()
        self.forget_failure()

    def note_draw(self, name: str) -> None:
        """Something drew random numbers."""
        self.draws.setdefault(self._running[-1] if self._running else "", name)

    def note_final_output(self, name: str, out: Any) -> None:
        """The output of a module's last call, as the module's own hooks have left it."""
        if self.is_listening:
            call = next(one for one in reversed(self.heard) if one.name == name)
            call.digest = self._digest(out)

    def wrap_forward(self, name: str, module: nn.Module) -> Callable[..., Any]:
        """The module's forward, listened to."""
        run = uncompiled_forward(module)

        def forward(*args: Any, **kwargs: Any) -> Any:
            if not self.is_listening:
                return run(*args, **kwargs)
            index = self._counts[name] = self._counts.get(name, -1) + 1
            self._running.append(name)
            try:
                out = run(*args, **kwargs)
            except BaseException as error:
                self.note_failure(name, error)
                raise
            finally:
                self._running.pop()
            self.heard.append(CallOutput(name, index, self._digest(out)))
            return out

        return forward

    def _digest(self, out: Any) -> Digest | None:
        """Containers return what their last layer did: that's read once."""
        with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch(), torch.no_grad():
            version = _version(out) if isinstance(out, Tensor) else -1
            if out is not self._last[0] or version != self._last[1] or out is None:
                shared = out if self.share == 1 else [_first_of(one, self.share) for one in tensors_in(out)]
                self._last = (out if isinstance(out, Tensor) else None, version, digest(shared))
            return self._last[2]


# ------------------------------------------------------------------------------------------- the passes


@dataclass(frozen=True, slots=True)
class FingerprintConfig:
    """How a network is run: its inputs, the precision, and what is known about its weights.

    exponents, large: None to choose them. train: whether it can be run in train mode. knows_starts: whether the
    network's values are those that it's built with, and it's seen how. seed: of what isn't torch's to draw. pattern:
    what the inputs were made of, where that isn't the spec's own.
    """

    inputs: ForwardInput
    dtype: torch.dtype = torch.float64
    exponents: Mapping[int, int] | None = None
    large: float | None = None
    train: bool = True
    knows_starts: bool = True
    seed: int = 0
    pattern: InputTree | None = None
    device: torch.device = _CPU

    @property
    def precision(self) -> str:
        """The dtype as a spec writes it."""
        return str(self.dtype).removeprefix("torch.")


def fingerprint(
    make: Callable[[], nn.Module], how: FingerprintConfig, examine: Examine | None = None
) -> FunctionRecord:
    """Build with `make()` and run it; `examine` may run it further, after the step in train mode.

    Raises:
        BuildError: or whatever else `make()` raises.
        NotMeasured: it has weights that can't be filled.
    """
    with isolated(how.device):
        return Passes(prepare(make, how), how, examine).run()


def run_in_eval_mode(make: Callable[[], nn.Module], how: FingerprintConfig) -> FunctionRecord:
    """The first pass only. Raises as `fingerprint`."""
    with isolated(how.device):
        return Passes(prepare(make, how), how).run(only_eval=True)


@contextmanager
def isolated(device: torch.device = _CPU) -> Iterator[None]:
    """The caller's torch stays as it is; inside, it computes exactly, and the same way every time."""
    with isolated_user_code(), gc_paused(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the structure's forward pass has let them be heard
        torch.set_float32_matmul_precision("highest")
        if device.type != "cpu":  # which is deterministic anyway, and would fill all memory first
            torch.use_deterministic_algorithms(True, warn_only=True)
        yield


def _version(tensor: Tensor) -> int:
    """How often a tensor was written to; -1 for one of inference mode, which doesn't count."""
    return -1 if tensor.is_inference() else tensor._version


def _first_of(tensor: Tensor, share: int) -> Tensor:
    is_batch = tensor.ndim > 0 and len(tensor) % share == 0
    return tensor[: len(tensor) // share] if is_batch else tensor


@dataclass(slots=True)
class Pass:
    """What was heard in a pass."""

    heard: list[CallOutput] = field(default_factory=list)
    output: Any = None
    changed_inputs: tuple[str, ...] = ()
    crash: Crash | None = None


def named_tensors(args: Any, kwargs: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors among a forward's arguments by position, from 1, or keyword."""
    for name, value in [*enumerate(args, 1), *kwargs.items()]:
        for position, one in enumerate(tensors_in(value)):
            yield (f"{name}[{position}]" if position else f"{name}"), one


class Passes:
    """The passes of one network."""

    def __init__(self, network: PreparedNetwork, how: FingerprintConfig, examine: Examine | None = None) -> None:
        self.network, self.how = network, how
        self._examine = examine
        self.health: HealthRecord | None = None
        self.fills = WeightFiller(_fillable(network.filled), _states(network.model), how.exponents or {})
        self.listener = DigestingWatcher()
        self._state: NetworkSnapshot | None = None
        self._versions: dict[str, int] = {}
        self._draws = DrawSequence()
        self._buffers: dict[str, tuple[Tensor, Tensor]] = {}
        self._changed: dict[str, Digest] = {}
        self.gradients: dict[str, Digest] = {}
        self.input_gradients: dict[str, Digest] = {}
        self._own: dict[str, dict[str, str]] = {}
        self._is_trained: dict[str, bool] = {}
        self._vectors: list[tuple[Tensor, Tensor]] = []
        self._large = LARGE[0]

    def run(self, *, only_eval: bool = False) -> FunctionRecord:
        """Eval; train with gradients; train with large values. A pass that dies ends it."""
        with self.listener.watching(self.network.modules), raised_recursion_limit(self.network.modules):
            self._state = NetworkSnapshot(self.network.modules.values(), values=False)
            first = self.forward(training=False, note_draws=True)
            if first.crash is None and not only_eval:
                self.fills.fill_rest()
                named = self.network.model.named_buffers()
                self._buffers = {name: (buffer, buffer.detach().clone()) for name, buffer in named}
                self._note_versions()
                second = self.step(training=self.how.train)
                if self.how.train:
                    self._note_changed_buffers()
                if second.crash is None and self._examine is not None:
                    self.health = self._examine(self, first, second)
                first.output = None
                if second.crash is None and self.how.train:
                    return self._record(first, second, self._with_large_values())
                return self._record(first, second, None)
        return self._record(first, None, None)

    # ----------------------------------------------------------------------------------------- one pass

    @property
    def keeps_state(self) -> bool:
        """Whether the network holds anything that its state_dict may not know of."""
        modules = self.network.modules.values()
        return any(map(_is_peculiar, modules)) or self.has_changed

    @property
    def has_changed(self) -> bool:
        """Whether running it has changed anything but parameters and buffers."""
        return self._state is not None and self._state.has_changed()

    def without_fills(self) -> Passes:
        """For a network that has its weights already."""
        self.fills = WeightFiller((), (), {})
        return self

    def inputs(self) -> tuple[Any, Any]:
        """Fresh arguments for a forward pass, positional and by keyword."""
        return make_fixed_inputs(self.how.inputs, self.how.dtype, self.how.device)

    def forward(
        self,
        *,
        training: bool,
        note_draws: bool = False,
        inputs: tuple[Any, Any] | None = None,
        reset: bool = True,
        seed: int | None = None,
    ) -> Pass:
        """One forward pass; of the network as it was before it ran, unless it goes on from there."""
        args, kwargs = inputs or self.inputs()
        if reset:
            self._reset()
        seed_generators(self.how.seed if seed is None else seed)
        self._draws = DrawSequence()
        self.listener.begin()
        self.network.model.train(training)
        made, versions = Pass(), {name: (one, _version(one)) for name, one in named_tensors(args, kwargs)}
        try:
            with self._modes(note_draws):
                made.output = self.listener.callable_for(self.network.model)(*args, **kwargs)
        except (Exception, SystemExit) as error:
            made.crash = Crash(
                self.listener.failing_module(error), type_and_first_line(error), raised_outside_torch(error)
            )
        made.heard = self.listener.heard
        made.changed_inputs = tuple(name for name, (one, version) in versions.items() if _version(one) != version)
        self.listener.is_listening = False
        return made

    @contextmanager
    def _modes(self, note_draws: bool) -> Iterator[None]:
        adjust = self._adjust if self.how.exponents is None else None
        note = self.listener.note_draw if note_draws else None
        widen = self.how.dtype is torch.float64
        with ExitStack() as stack:
            default = torch.get_default_dtype()
            stack.callback(torch.set_default_dtype, default)
            torch.set_default_dtype(self.how.dtype)
            stack.enter_context(DeterministicRandom(self._draws, note, self.fills.touch))
            stack.enter_context(FillOnFirstUse(self.fills, widen=widen, adjust=adjust))
            yield

    def _adjust(self, weight: Tensor, out: Any) -> bool:
        """Scale a weight so that its layer's output is neither drowned nor a flood. Returns whether it was."""
        with torch.no_grad():
            exponent = choose_exponent(out)
            if exponent:
                weight.detach().mul_(2.0**exponent)
                self.fills.exponents[self.fills.positions[id(weight)]] = exponent
        return exponent != 0

    def _reset(self) -> None:
        """The network as it was before it ran."""
        if self._state is not None:
            self._state.restore(keep_layers=True)
        with torch.no_grad():
            for buffer, values in self._buffers.values():
                buffer.copy_(values)
            for name, param in self.network.filled.items():
                if self._versions.get(name, param._version) != param._version:  # a teacher that follows its student
                    self.fills.refill(param if param.is_leaf else param.detach_())
                    self._versions[name] = param._version

    # ----------------------------------------------------------------------------------------- gradients

    def step(self, *, training: bool, wanted: Collection[str] | None = None) -> Pass:
        """A forward pass with gradients, of all parameters or of those `wanted`, which are `gradients` then."""
        args, kwargs = self.inputs()
        leaves: list[Tensor] = []

        def tracked(value: Any) -> Any:
            if isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex()):
                leaves.append(value.requires_grad_(True))
                return value.clone()  # which a network may write to
            if isinstance(value, dict):
                return {key: tracked(item) for key, item in value.items()}
            return type(value)(map(tracked, value)) if isinstance(value, list | tuple) else value

        with torch.enable_grad(), self._gradients_noted():
            made = self.forward(training=training, inputs=(tracked(args), tracked(kwargs)), seed=OTHER_SEED)
            if made.crash is None:
                self._backward(made, None if wanted is None else [self.network.params[name] for name in wanted])
        gradients = {f"input {i}": digest(leaf.grad) for i, leaf in enumerate(leaves) if leaf.grad is not None}
        self.input_gradients = {key: one for key, one in gradients.items() if one is not None}
        made.output = None
        return made

    def _backward(self, made: Pass, wanted: Sequence[Tensor] | None) -> None:
        outputs = [one for one in tensors_in(made.output) if one.requires_grad]
        if not outputs:
            return
        try:
            with self._modes(note_draws=False):
                pulls = [self._pull(one, position) for position, one in enumerate(outputs)]
                torch.autograd.backward(outputs, pulls, inputs=wanted)
        except Exception as error:
            made.crash = Crash("", type_and_first_line(error), raised_outside_torch(error))

    def _pull(self, output: Tensor, position: int) -> Tensor:
        """The gradient that comes back from an output: a number of its own for each element, none of them near 0."""
        numbers = uniform(output.shape, f"pull {position}", output.device)
        return (numbers + 2 * numbers.sign()).to(output.dtype)

    @contextmanager
    def _gradients_noted(self) -> Iterator[None]:
        """Each parameter's gradient becomes a digest as soon as it's there, and makes room for the next."""
        self.gradients = {}

        def note(name: str, param: Tensor) -> None:
            found = digest(param.grad)
            param.grad = None
            if found is not None:
                self.gradients[name] = found

        wanting = {name: param for name, param in self.network.params.items() if param.requires_grad and param.is_leaf}
        handles = [
            param.register_post_accumulate_grad_hook(partial(note, name))  # type: ignore[no-untyped-call]
            for name, param in wanting.items()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _with_large_values(self) -> Pass:
        """Train mode once more with large biases and scales, which reach the bounds that some activations have.

        As large as can be: where a network hardly does anything but saturate, its rounding errors grow layer by layer
        until they are all that's left.
        """
        params = self.network.params.values()
        vectors = [one for one in params if len(core(one.shape)) < 2 and id(one) in self.fills.keys]
        self._vectors = [(one, one.detach().clone()) for one in vectors]
        for large in self._scales():
            self._large = large
            self._enlarge()
            made = self.forward(training=True)
            made.output = None
            if self.how.large is not None or self._is_steady(made):
                break
        return made

    def _scales(self) -> Sequence[float]:
        if self.how.large is not None:
            return (self.how.large,)
        return LARGE if len(self.listener.heard) < _VERY_MANY else LARGE[1:]

    def _enlarge(self, tremor: float = 0.0) -> None:
        """Every other one is negative: units which are always on, as in small networks some are, are off for once."""
        with torch.no_grad():
            for param, values in self._vectors:
                made = values * self._large
                made.view(-1)[::2].neg_()
                if tremor:
                    made *= 1 + tremor * uniform(made.shape, "tremor", made.device)
                param.detach().copy_(made)
        self._note_versions()

    def _is_steady(self, made: Pass) -> bool:
        """Whether other rounding errors would make no difference; in what has only few layers they don't."""
        if made.crash is not None or not made.heard:
            return True
        ours = made.heard[-1].digest
        if ours is None or len(made.heard) < _MANY_CALLS:
            return ours is None or ours.is_finite
        self._enlarge(_TREMOR)
        theirs = self.forward(training=True).heard[-1].digest
        return theirs is not None and abs(ours.check - theirs.check) <= _MOST_GROWN * _TREMOR * abs(ours.check)

    def _note_versions(self) -> None:
        """How often parameters were written to so far, which was our own doing."""
        self._versions = {name: param._version for name, param in self.network.filled.items()}

    def _note_changed_buffers(self) -> None:
        """The buffers that a step in train mode has changed, but for batch norm's counter of steps."""
        now = dict(self.network.model.named_buffers())
        for name, (buffer, old) in self._buffers.items():
            new = now.get(name, buffer)
            if not name.endswith(_COUNTER) and (new.shape != old.shape or not torch.equal(new, old)):
                one = digest(new)
                if one is not None:
                    self._changed[name] = one

    # ----------------------------------------------------------------------------------------- the record

    def _record(self, first: Pass, second: Pass | None, third: Pass | None) -> FunctionRecord:
        died = next((one for one in (first, second) if one is not None and one.crash is not None), None)
        calls = self._calls(first, second, third)
        floor = _NOISE[self.how.dtype] * max((one.rms for one in self.gradients.values()), default=0.0)
        self._note_owners()
        for (name, index), numbers in calls.items():
            if index == 0:
                numbers |= self._numbers_within(name, floor)
        if ("", 0) in calls and self.input_gradients:
            calls["", 0]["inputs"] = combine(self.input_gradients, 0.0)
        modules = self.network.modules
        return FunctionRecord(
            tuple(CallDigest(*key, type(modules[key[0]]).__name__, numbers) for key, numbers in calls.items()),
            self._weights(),
            dict(self.fills.exponents),
            self._large,
            self.health,
            died.crash if died is not None else None,
            "" if died is None else "eval" if died is first else "train" if self.how.train else "backward",
        )

    def _weights(self) -> dict[str, str]:
        """The parameters by their names, in the order in which they were filled."""
        names = {id(param): name for name, param in self.network.params.items()}
        return {names[key]: numbers for key, numbers in self.fills.keys.items() if key in names}

    def _calls(self, *passes: Pass | None) -> dict[tuple[str, int], dict[str, float]]:
        """Every call that returned, with its checks pass by pass; the network's own last."""
        found: dict[tuple[str, int], dict[str, float]] = {}
        for key, made in zip(("eval", "train", "large"), passes, strict=True):
            if made is None or (made.crash is not None and key != "eval"):
                continue
            for one in made.heard:
                numbers = found.setdefault((one.name, one.index), {})
                if one.digest is None:
                    continue
                if key == "eval":
                    numbers |= {"mean": one.digest.mean, "rms": one.digest.rms}
                if key != "train" or self.how.train:
                    numbers[key] = one.digest.check
        if ("", 0) in found:
            found[("", 0)] = found.pop(("", 0))
        return found

    def _note_owners(self) -> None:
        """The parameters in each module and below it, by name, with the numbers that each got."""
        names = {id(param): name for name, param in self.network.params.items()}
        self._is_trained = {name: param.requires_grad for name, param in self.network.params.items()}
        modules = {id(module): name for name, module in self.network.modules.items()}
        self._own = {name: {} for name in modules.values()}
        for module_name, module in reversed(self.network.modules.items()):  # those inside before those around them
            own = self._own[module_name]
            for param in module._parameters.values():
                if param is not None and id(param) in names:
                    own[names[id(param)]] = self.fills.keys.get(id(param), "")
            for child in module._modules.values():
                own |= self._own[modules[id(child)]] if id(child) in modules else {}

    def _numbers_within(self, module_name: str, floor: float) -> dict[str, float]:
        """What is known of the parameters and buffers in a module and below it."""
        own = self._own[module_name]
        nothing = Digest(0.0, 0.0, 0.0)
        gradients = {key: self.gradients.get(name, nothing) for name, key in own.items() if self._is_trained[name]}
        starts = {key: self.network.starts.get(name) for name, key in own.items()}
        prefix = f"{module_name}." if module_name else ""
        changed = {
            self.fills.keys.get(id(self._buffers[name][0]), name): one
            for name, one in self._changed.items()
            if name.startswith(prefix)
        }
        numbers = {
            "gradient": combine(gradients, floor),
            "buffers": combine(changed, 0.0),
            "initial": combine_starts(starts) if any(one is not None for one in starts.values()) else 0.0,
        }
        return {key: number for key, number in numbers.items() if number}


def _fillable(params: Mapping[str, Tensor]) -> Iterator[Tensor]:
    return (param for param in params.values() if param.numel())


def _states(model: nn.Module) -> Iterator[Tensor]:
    """Buffers that a network keeps statistics in: those that start from a constant."""
    for buffer in model.buffers():
        if buffer.is_floating_point() and buffer.ndim and buffer.numel():
            low, high = torch.aminmax(buffer)
            if low == high and bool(torch.isfinite(low)):
                yield buffer


_SAVING: Final = ("state_dict", "_save_to_state_dict", "_load_from_state_dict", "get_extra_state", "set_extra_state")


def _is_peculiar(module: nn.Module) -> bool:
    """A module with tensors of its own, or with its own ideas of how it's saved."""
    if module._non_persistent_buffers_set or any(
        getattr(type(module), name) is not getattr(nn.Module, name) for name in _SAVING
    ):
        return True
    own = vars(module)
    return any(next(tensors_in(own[name]), None) is not None for name in own.keys() - OF_EVERY_MODULE)


Examine = Callable[[Passes, Pass, Pass], HealthRecord]

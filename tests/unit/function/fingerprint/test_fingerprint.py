"""A network run with fixed weights: what comes of it tells it from others, and nothing of it stays behind."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archcheck.function.fingerprint.preparation import NetworkFactory
from archcheck.function.records import FunctionRecord
from archcheck.structure.meta.model_copy import copy_to_cpu
from tests.unit.function.running import (
    IMAGES,
    ROWS,
    WORDS,
    Applied,
    Computed,
    between,
    difference,
    held_against,
    numbers_of,
    recorded,
)

OUTPUT = "the output differs"
TRAIN = "the output in train mode differs"
LARGE = "the output at large values differs"
BUFFERS = "its buffers after a step in train mode differ"
INITIAL = "its parameters start from other constants"
GRADIENT = "the gradients of its parameters differ"
OF_THE_INPUT = "the gradient of the input differs"


def base() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def normed(**options: Any) -> NetworkFactory:
    return between(lambda: nn.BatchNorm1d(16, **options))


# ------------------------------------------------------------------------------------------- deep networks

ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU}
DEPTH = 150
ACTS = (*ACTIVATIONS.values(), nn.LeakyReLU)
ACT_NAMES = {kind.__name__ for kind in ACTS}


class Block(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, act: type[nn.Module], norm: bool) -> None:
        super().__init__()
        self.act = act()
        self.conv1, self.conv2 = (nn.Conv2d(16, 16, 3, padding=1, bias=not norm) for _ in range(2))
        self.norm1, self.norm2 = (nn.BatchNorm2d(16) if norm else nn.Identity() for _ in range(2))
        self.out = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        branch = self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))
        out: Tensor = self.out(x + branch)
        return out


def plain(act: type[nn.Module], first: type[nn.Module] | None = None) -> nn.Module:
    acts = [first or act, *[act] * (DEPTH - 1)]
    return nn.Sequential(*(layer for one in acts for layer in (nn.Linear(32, 32), one())))


def residual(act: type[nn.Module], norm: bool, first: type[nn.Module] | None = None) -> nn.Module:
    blocks = [Block(first or act, norm), *(Block(act, norm) for _ in range(DEPTH - 1))]
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), *blocks)


NETWORKS: dict[str, tuple[Callable[..., nn.Module], list[int]]] = {
    **{f"plain {name}": ((lambda first=None, a=act: plain(a, first)), [4, 32]) for name, act in ACTIVATIONS.items()},
    **{
        f"residual {name}{' with batch norm' * norm}": (
            (lambda first=None, a=act, n=norm: residual(a, n, first)),
            [4, 3, 4, 4],
        )
        for name, act in ACTIVATIONS.items()
        for norm in (False, True)
    },
}


@contextmanager
def eval_activations() -> Iterator[list[tuple[str, Tensor, Tensor]]]:
    """What goes into activations and comes out of them in eval mode, in the order of their calls."""
    seen: list[tuple[str, Tensor, Tensor]] = []

    def hook(module: nn.Module, args: Any, out: Tensor) -> None:
        if isinstance(module, ACTS) and not module.training:
            with torch._C.DisableTorchFunction():
                seen.append((type(module).__name__, args[0].detach().clone(), out.detach().clone()))

    handle = nn.modules.module.register_module_forward_hook(hook)
    try:
        yield seen
    finally:
        handle.remove()


@cache
def deep_record(name: str) -> tuple[FunctionRecord, list[tuple[str, Tensor, Tensor]]]:
    make, pattern = NETWORKS[name]
    with eval_activations() as seen:
        record = recorded(make, pattern)
    return record, seen[: sum(call.type_name in ACT_NAMES for call in record.calls)]  # those of the first pass


@pytest.mark.parametrize("name", NETWORKS)
def test_signals_neither_die_nor_grow_over_150_layers(name: str) -> None:
    record, seen = deep_record(name)
    assert record.crash is None
    assert len(seen) >= DEPTH
    for kind, before, after in seen:
        assert float(after.abs().max()) < 1e5
        units = after.transpose(0, 1).flatten(1)
        if kind == "ReLU":
            assert float((units == 0).all(1).double().mean()) < 0.6
        if kind == "Sigmoid":
            assert float((before.abs() < 5).double().mean()) > 0.05
    last = seen[-1][2]
    spread = float((last - last.mean(0)).pow(2).mean().sqrt() / last.pow(2).mean().sqrt())
    assert spread > 1e-2


@pytest.mark.parametrize("name", NETWORKS)
def test_a_mistake_in_the_first_of_150_layers_is_seen_and_named(name: str) -> None:
    make, pattern = NETWORKS[name]
    first = nn.Sigmoid if "tanh" in name else nn.Tanh
    subject = "1" if "plain" in name else "1.act"
    assert held_against(deep_record(name)[0], lambda: make(first), pattern) == (subject, OUTPUT)


# ------------------------------------------------------------------------------------------- defects


def detaching(detached: bool) -> nn.Module:
    def forward(net: Any, x: Tensor) -> Any:
        aside = net.b(x)
        out: Tensor = net.a(x) + (aside.detach() if detached else aside)
        return out

    return Computed(forward, a=nn.Linear(8, 4), b=nn.Linear(8, 4))


def starting_anew(detached: bool) -> nn.Module:
    """Makes a leaf of its input, as networks do that differentiate by their coordinates."""

    def forward(net: Any, x: Tensor) -> Any:
        x = x.clone().detach().requires_grad_() if detached else x.clone()
        return net.a(x).sin()

    return Computed(forward, a=nn.Linear(8, 4))


def attending(causal: bool, scale: float | None = None) -> nn.Module:
    def forward(net: Any, x: Tensor) -> Any:
        q, k, v = net.q(x), net.k(x), net.v(x)
        out: Tensor = net.o(nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale))
        return out

    return Computed(forward, **{name: nn.Linear(8, 8) for name in "qkvo"})


def zero_gamma(zero: bool) -> nn.Module:
    net = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Linear(16, 4))
    if zero:
        assert isinstance(net[1].weight, Tensor)
        nn.init.zeros_(net[1].weight)
    return net


def frozen() -> nn.Module:
    net = base()
    next(net.parameters()).requires_grad_(False)
    return net


def normalized(mean: float) -> nn.Module:
    return Computed(lambda net, x: net.fc(x - net.mean), fc=nn.Linear(8, 4), mean=torch.full((8,), mean))


DEFECTS: dict[str, tuple[NetworkFactory, NetworkFactory, list[int], tuple[str, str]]] = {
    "momentum": (normed(), normed(momentum=0.2), ROWS, ("1", BUFFERS)),
    "eps": (normed(), normed(eps=1e-3), ROWS, ("1", OUTPUT)),
    "a small eps": (normed(), normed(eps=1e-6), ROWS, ("1", OUTPUT)),
    "no running statistics": (normed(), normed(track_running_stats=False), ROWS, ("1", OUTPUT)),
    "no scale and shift": (normed(), normed(affine=False), ROWS, ("1", OUTPUT)),
    "dropout": (between(lambda: nn.Dropout(0.1)), between(lambda: nn.Dropout(0.2)), ROWS, ("1", TRAIN)),
    "no dropout": (between(lambda: nn.Dropout(0.1)), between(nn.Identity), ROWS, ("1", TRAIN)),
    "approximate GELU": (between(nn.GELU), between(lambda: nn.GELU("tanh")), ROWS, ("1", OUTPUT)),
    "slope": (between(nn.LeakyReLU), between(lambda: nn.LeakyReLU(0.02)), ROWS, ("1", OUTPUT)),
    "ReLU6": (between(nn.ReLU6), between(nn.ReLU), ROWS, ("1", LARGE)),
    "Hardswish": (between(nn.Hardswish), between(nn.SiLU), ROWS, ("1", OUTPUT)),
    "initial slope": (between(nn.PReLU), between(lambda: nn.PReLU(init=0.1)), ROWS, ("1", INITIAL)),
    "detached branch": (lambda: detaching(False), lambda: detaching(True), ROWS, ("b", GRADIENT)),
    "detached input": (lambda: starting_anew(False), lambda: starting_anew(True), ROWS, ("output", OF_THE_INPUT)),
    "input not detached": (lambda: starting_anew(True), lambda: starting_anew(False), ROWS, ("output", OF_THE_INPUT)),
    "gamma no longer zero": (lambda: zero_gamma(True), lambda: zero_gamma(False), ROWS, ("1", INITIAL)),
    "gamma zero": (lambda: zero_gamma(False), lambda: zero_gamma(True), ROWS, ("1", INITIAL)),
    "frozen": (base, frozen, ROWS, ("0", GRADIENT)),
    "causal": (lambda: attending(True), lambda: attending(False), WORDS, ("o", OUTPUT)),
    "scale": (lambda: attending(True), lambda: attending(True, 0.4), WORDS, ("o", OUTPUT)),
    "wrong axis": (
        between(lambda: nn.Softmax(1), nn.Identity),
        between(lambda: nn.Softmax(0), nn.Identity),
        ROWS,
        ("1", OUTPUT),
    ),
    "pooling": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.Flatten()),
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.AvgPool2d(2), nn.Flatten()),
        IMAGES,
        ("1", OUTPUT),
    ),
    "constant of a buffer": (lambda: normalized(0.5), lambda: normalized(0.6), ROWS, ("fc", OUTPUT)),
    "in train mode only": (
        between(lambda: Modal(1.0)),
        between(lambda: Modal(1.001)),
        ROWS,
        ("1", TRAIN),
    ),
    "padding index": (
        lambda: nn.Sequential(Indexed(), nn.Embedding(10, 4)),
        lambda: nn.Sequential(Indexed(), nn.Embedding(10, 4, padding_idx=0)),  # whose row starts from 0
        ROWS,
        ("1", INITIAL),
    ),
}


class Modal(nn.Module):
    """Scales in train mode."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale if self.training else x


class Indexed(nn.Module):
    """Whole numbers from 0 to 9."""

    def forward(self, x: Tensor) -> Tensor:
        return (x.abs() * 4).long().clamp(max=9)


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_seen_and_its_layer_named(name: str) -> None:
    make, other, pattern, expected = DEFECTS[name]
    assert difference(make, other, pattern) == expected


@pytest.mark.parametrize("name", DEFECTS)
def test_the_same_network_built_again_is_no_defect(name: str) -> None:
    make, _, pattern, _ = DEFECTS[name]
    assert difference(make, make, pattern) is None


# ------------------------------------------------------------------------------------------- rewrites


def functional_norm(net: Any, x: Tensor) -> Any:
    bn = net.bn
    normed = nn.functional.batch_norm(
        net.a(x), bn.running_mean, bn.running_var, bn.weight, bn.bias, net.training, 0.1, 1e-5
    )
    out: Tensor = net.b(normed)
    return out


REWRITES: dict[str, tuple[NetworkFactory, NetworkFactory, list[int]]] = {
    "functional batch norm": (
        normed(),
        lambda: Computed(functional_norm, bn=nn.BatchNorm1d(16), b=nn.Linear(16, 4), a=nn.Linear(8, 16)),
        ROWS,
    ),
    "synchronized batch norm": (normed(), lambda: nn.SyncBatchNorm.convert_sync_batchnorm(normed()()), ROWS),  # type: ignore[no-untyped-call]
    "channels last": (
        lambda: nn.Conv2d(3, 4, 3),
        lambda: nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last),
        IMAGES,
    ),
    "lazy": (base, lambda: nn.Sequential(nn.LazyLinear(16), nn.ReLU(), nn.LazyLinear(4)), ROWS),
    "half precision": (base, lambda: base().half(), ROWS),
    "in place": (base, lambda: nn.Sequential(nn.Linear(8, 16), nn.ReLU(inplace=True), nn.Linear(16, 4)), ROWS),
    "scripted layer": (
        base,
        lambda: nn.Sequential(torch.jit.script(nn.Linear(8, 16)), nn.ReLU(), nn.Linear(16, 4)),
        ROWS,
    ),
    "other initialisation": (base, lambda: initialised(base()), ROWS),
}


def initialised(net: nn.Module) -> nn.Module:
    for param in net.parameters():
        nn.init.normal_(param, std=3)
    return net


@pytest.mark.parametrize("name", REWRITES)
def test_a_rewrite_is_no_difference(name: str) -> None:
    make, other, pattern = REWRITES[name]
    assert difference(make, other, pattern) is None


# ------------------------------------------------------------------------------------------- inputs and outputs


def mixed(net: Any, x: Tensor, *, ids: Tensor, keep: Tensor) -> Any:
    words = net.embed(ids) * keep[:, None]
    return {"sum": net.fc(x) + words, "parts": (words, [None, "text"])}


@pytest.mark.parametrize(
    ("make", "pattern"),
    [
        pytest.param(
            lambda: Computed(mixed, fc=nn.Linear(8, 4), embed=nn.Embedding(9, 4)),
            {"x": [3, 8], "ids": {"shape": [3], "dtype": "int64", "below": 9}, "keep": {"shape": [3], "dtype": "bool"}},
            id="a map of all kinds",
        ),
        pytest.param(lambda: nn.Linear(8, 4, dtype=torch.complex64), {"shape": [3, 8], "dtype": "complex64"}, id="c"),
        pytest.param(lambda: Computed(lambda net, x: torch.fft.rfft(net.fc(x)), fc=nn.Linear(8, 4)), ROWS, id="rfft"),
        pytest.param(lambda: nn.LSTM(8, 6, batch_first=True), WORDS, id="nested tuples"),
        pytest.param(lambda: nn.Bilinear(8, 5, 3), [[4, 8], [4, 5]], id="two inputs"),
        pytest.param(lambda: nn.Embedding(9, 4), {"shape": [3, 2], "dtype": "int64", "below": 9}, id="indices"),
        pytest.param(lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8)), ROWS, id="spectral norm"),
        pytest.param(lambda: nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)), ROWS, id="weight norm"),
    ],
)
def test_inputs_and_outputs_of_all_kinds(make: NetworkFactory, pattern: Any) -> None:
    record = recorded(make, pattern)
    assert record.crash is None
    assert record.root.numbers["rms"] > 0.01
    assert held_against(record, make, pattern, seed=1) is None


def test_a_nan_in_the_output_is_a_difference() -> None:
    def broken(net: Any, x: Tensor) -> Any:
        return torch.where(x[:, :4] > 1, net.fc(x) * torch.nan, net.fc(x))

    fine = lambda: Computed(lambda net, x: net.fc(x), fc=nn.Linear(8, 4))  # noqa: E731
    assert difference(fine, lambda: Computed(broken, fc=nn.Linear(8, 4))) == ("output", OUTPUT)


def test_infinities_are_no_obstacle() -> None:
    def masked(net: Any, x: Tensor) -> Any:
        return net.fc(x).masked_fill(x[:, :4] > 0, -torch.inf)

    make = lambda: Computed(masked, fc=nn.Linear(8, 4))  # noqa: E731
    assert difference(make, make) is None


# ------------------------------------------------------------------------------------------- what can't be run


def test_a_crash_in_train_mode_is_told_of_beside_what_eval_mode_gave() -> None:
    record = recorded(lambda: nn.Sequential(nn.Linear(8, 4), Applied(lambda x: x[:1]), nn.BatchNorm1d(4)))
    assert record.stage == "train"
    assert record.crash is not None
    assert record.crash.module == "2"
    assert record.crash.error.startswith("ValueError: Expected more than 1 value per channel when training")
    assert record.root.numbers["eval"] != 0


def test_without_train_mode_there_are_gradients_still() -> None:
    record = recorded(lambda: nn.Sequential(nn.Linear(8, 4), Applied(lambda x: x[:1]), nn.BatchNorm1d(4)), train=False)
    assert record.crash is None
    assert record.root.numbers["gradient"] != 0
    assert not record.root.numbers.keys() & {"train", "large", "buffers"}


def test_a_crash_in_eval_mode_ends_it() -> None:
    record = recorded(lambda: nn.Sequential(nn.Linear(8, 4), nn.Linear(5, 3)))
    assert record.stage == "eval"
    assert record.crash is not None
    assert record.crash.module == "1"


# ------------------------------------------------------------------------------------------- the same everywhere


def convolutions() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 16, 3), *(Block(nn.SiLU, True) for _ in range(5)))


@pytest.mark.parametrize("name", ["plain sigmoid", "convolutions"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("mkldnn", [True, False])
def test_the_numbers_are_those_of_every_machine(name: str, threads: int, mkldnn: bool) -> None:
    make, pattern = (convolutions, [4, 3, 32, 32]) if name == "convolutions" else NETWORKS[name]
    record, before = recorded(make, pattern), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.backends.mkldnn.flags(enabled=mkldnn):
            other = recorded(make, pattern)
    finally:
        torch.set_num_threads(before)
    assert other.gains == record.gains
    for label, numbers in numbers_of(record).items():
        assert numbers_of(other)[label] == pytest.approx(numbers, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_callers_default_precision_plays_no_part(dtype: torch.dtype) -> None:
    record = recorded(normed())
    torch.set_default_dtype(dtype)
    try:
        assert held_against(record, normed()) is None
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_callers_autocast_and_inference_mode_play_no_part() -> None:
    record = recorded(normed())
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        assert held_against(record, normed()) is None


# ------------------------------------------------------------------------------------------- nothing stays behind


def world() -> dict[str, Any]:
    return {
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "threads": torch.get_num_threads(),
        "matmul": torch.get_float32_matmul_precision(),
        "anomaly": torch.is_anomaly_enabled(),
        "torch": torch.get_rng_state().tolist(),
        "python": random.getstate(),
    }


def unruly() -> nn.Module:
    def forward(net: Any, x: Tensor) -> Any:
        torch.manual_seed(random.randrange(100))
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float32)
        out: Tensor = net.fc(x)
        return out

    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(False)
    torch.set_float32_matmul_precision("medium")
    torch.set_num_threads(1 + torch.get_num_threads())
    random.seed(1)
    return Computed(forward, fc=nn.Linear(8, 4))


def failing() -> nn.Module:
    torch.set_default_dtype(torch.float64)
    raise ValueError("no such width")


@pytest.mark.parametrize("grad", [True, False])
def test_the_world_stays_as_it_was(grad: bool) -> None:
    with torch.set_grad_enabled(grad):
        before = world()
        recorded(unruly)
        assert world() == before


def test_the_world_stays_as_it_was_where_the_build_fails() -> None:
    before = world()
    with pytest.raises(ValueError, match="no such width"):
        recorded(failing)
    assert world() == before


def test_a_live_model_stays_as_it_was() -> None:
    model: Any = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Dropout(), nn.Linear(16, 4)).train()
    model[1].eval()
    model[3].weight.requires_grad_(False)
    model[0].weight.grad = torch.ones(16, 8)
    before = copy.deepcopy(model.state_dict())
    recorded(lambda: copy_to_cpu(model))
    after = model.state_dict()
    assert all(torch.equal(after[name], value) and after[name].dtype == value.dtype for name, value in before.items())
    assert [module.training for module in model.modules()] == [True, True, False, True, True]
    assert not model[3].weight.requires_grad
    assert float(model[0].weight.grad.sum()) == 128
    assert "forward" not in vars(model[0])


def test_a_network_that_counts_its_calls_is_as_new_in_every_pass() -> None:
    class Counting(nn.Linear):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return super().forward(x) * self.calls

    record = recorded(lambda: Counting(8, 4))
    assert record.root.numbers["train"] == record.root.numbers["eval"]

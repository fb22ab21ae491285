"""Dtypes that a network's code names: what counts as a difference, which module is named, and in which words."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archcheck.findings import Mismatch
from archcheck.function.dtype_comparison import compare_dtypes
from archcheck.function.fingerprint.preparation import NetworkFactory
from archcheck.function.measure import measure_function, record_section
from archcheck.spec.spec_file import SpecFile, parse_spec
from archcheck.structure.trace import trace_structure
from tests.unit.function.running import Applied, locked

HEAD = "build: nets:net\ninput: [B, 8]\n"
BFLOAT16 = torch.bfloat16


def around(act: Callable[[Tensor], Tensor], **buffers: Tensor) -> nn.Module:
    """A network of two layers with something between them, that may hold buffers."""
    model = nn.Sequential(nn.Linear(8, 16), Applied(act), nn.Linear(16, 4))
    for name, buffer in buffers.items():
        model[1].register_buffer(name, buffer, persistent=False)
    return model


def recorded(make: NetworkFactory) -> SpecFile:
    spec_file = parse_spec(HEAD, "s.yaml")
    trace = trace_structure(make, spec_file.spec.forward_inputs())
    return locked(HEAD, record_section(spec_file, make, trace).section)


def difference(make: NetworkFactory, other: NetworkFactory, *, is_live: bool = False) -> Mismatch | None:
    spec_file = recorded(make)
    trace = trace_structure(other, spec_file.spec.forward_inputs())
    _, record = measure_function(spec_file, other, trace, is_live=is_live)
    return compare_dtypes(spec_file, record, trace, is_live=is_live)


def softmax(x: Tensor) -> Tensor:
    return functional.softmax(x, -1)


def within(block: Callable[[], torch.autocast]) -> Callable[[Tensor], Tensor]:
    def act(x: Tensor) -> Tensor:
        with block():
            return softmax(x)

    return act


def made_before() -> Callable[[Tensor], Tensor]:
    """A function that autocast decorates, for a device that may not be there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decorate: Callable[[Callable[[Tensor], Tensor]], Callable[[Tensor], Tensor]] = torch.autocast("cuda")
    return decorate(softmax)


LEGACY = "ignore:.torch.cuda.amp.autocast:FutureWarning"


@pytest.mark.filterwarnings("ignore:User provided device_type", "ignore:CUDA is not available", LEGACY)
@pytest.mark.parametrize(
    ("act", "cause"),
    [
        (lambda x: softmax(x.to(BFLOAT16).to(x.dtype)), "a cast to bfloat16 that wasn't there"),
        (lambda x: softmax(x.bfloat16().to(x.dtype)), "a cast to bfloat16 that wasn't there"),
        (lambda x: softmax(x.half()), "a cast to float16 that wasn't there"),
        (lambda x: softmax(x.float()), "a cast to float32 that wasn't there"),
        (lambda x: functional.softmax(x, -1, dtype=torch.float32), "a cast to float32 that wasn't there"),
        (lambda x: x.sum(-1, keepdim=True, dtype=torch.float32) + x, "a cast to float32 that wasn't there"),
        (lambda x: softmax(x + torch.zeros(16, dtype=torch.float16)), "a cast to float16 that wasn't there"),
        (
            lambda x: softmax(x.half().float()),
            "a cast to float16 that wasn't there; a cast to float32 that wasn't there",
        ),
        (lambda x: softmax(x.float()).float(), "2 casts to float32 that weren't there"),
        (within(lambda: torch.autocast("cuda")), "an autocast block (on) that wasn't there"),
        (within(lambda: torch.amp.autocast("cpu", BFLOAT16)), "an autocast block (bfloat16) that wasn't there"),
        (within(lambda: torch.autocast("cuda", enabled=False)), "an autocast block (off) that wasn't there"),
        (within(lambda: torch.cuda.amp.autocast()), "an autocast block (on) that wasn't there"),
        (made_before(), "an autocast block (on) that wasn't there"),
    ],
)
def test_what_a_layer_names_is_noticed_where_it_was_not_there_and_where_it_is_lost(
    act: Callable[[Tensor], Tensor], cause: str
) -> None:
    plain, other = lambda: around(softmax), lambda: around(act)
    found = difference(plain, other)
    assert found is not None
    assert (found.subject, found.problem, found.notes) == ("1", "names other dtypes", (("cause", cause),))
    assert found.keys == ("lock", "function", "dtypes", "1")
    lost = difference(other, plain)
    assert lost is not None
    assert (lost.subject, lost.actual) == ("1", "none")
    assert difference(other, other) is None


@pytest.mark.parametrize(
    "act",
    [
        lambda x: softmax(x.to(x.dtype)),
        lambda x: softmax(x.type_as(x)),
        lambda x: softmax(x + torch.zeros(16, dtype=torch.float32)),
        lambda x: softmax(x + torch.arange(16).float()),
        lambda x: softmax(x + (x > 0).to(x.dtype)),
        lambda x: softmax(x + torch.arange(16, dtype=torch.int64)),
        lambda x: softmax(x) if torch.is_grad_enabled() else torch.softmax(x, 1),
    ],
)
def test_what_is_no_cast_where_a_network_has_one_precision_is_not_noticed(act: Callable[[Tensor], Tensor]) -> None:
    assert difference(lambda: around(softmax), lambda: around(act)) is None


def test_another_way_to_ask_for_the_same_is_no_difference() -> None:
    ways: list[Callable[[Tensor], Tensor]] = [
        lambda x: functional.softmax(x, -1, dtype=torch.float32),
        lambda x: softmax(x.to(torch.float32)),
        lambda x: softmax(x.type(dtype=torch.float32)),
    ]
    for act in ways:
        assert difference(lambda: around(lambda x: softmax(x.float())), partial(around, act)) is None


def test_another_place_and_other_names_are_no_difference() -> None:
    def renamed() -> nn.Module:
        inner = Applied(lambda x: softmax(x.float()))
        return nn.Sequential(nn.Sequential(nn.Linear(8, 16), inner), nn.Linear(16, 4))

    assert difference(lambda: around(lambda x: softmax(x.float())), renamed) is None


def test_what_only_train_mode_asks_for_is_noticed() -> None:
    class Trained(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return softmax(x.float() if self.training else x)

    found = difference(lambda: around(softmax), lambda: nn.Sequential(nn.Linear(8, 16), Trained(), nn.Linear(16, 4)))
    assert found is not None
    assert found.notes == (("cause", "a cast to float32 that wasn't there"),)


def test_tensors_that_a_module_holds_in_another_precision_are_noticed_but_not_of_a_live_network() -> None:
    plain = lambda: around(lambda x: x, table=torch.ones(16))  # noqa: E731
    narrow = lambda: around(lambda x: x, table=torch.ones(16, dtype=torch.float16))  # noqa: E731
    found = difference(plain, narrow)
    assert found is not None
    assert (found.subject, found.expected, found.actual) == ("1", "none", "holds float16")
    assert found.notes == (("cause", "a tensor of float16 that wasn't there"),)
    assert difference(narrow, plain, is_live=True) is None
    whole = difference(plain, lambda: around(lambda x: x, table=torch.ones(16)).bfloat16())
    assert whole is not None
    assert (whole.subject, whole.actual) == ("0", "2 holds bfloat16")
    assert whole.notes[1:] == (("also", "1, 2"),)


def test_the_first_of_several_layers_is_named_and_the_others_beside_it() -> None:
    def deep(*lost: int) -> NetworkFactory:
        acts = [Applied(softmax if i in lost else lambda x: softmax(x.float())) for i in range(4)]
        return lambda: nn.Sequential(nn.Linear(8, 16), *acts, nn.Linear(16, 4))

    one = difference(deep(), deep(2))
    assert one is not None
    assert (one.subject, one.notes) == ("3", (("cause", "a cast to float32 is gone"),))
    several = difference(deep(), deep(1, 3))
    assert several is not None
    assert several.notes == (("cause", "a cast to float32 is gone"), ("also", "4"))
    assert several.subject == "2"


def test_of_a_network_with_other_names_the_whole_is_told() -> None:
    def made(names: str, *, casts: int) -> NetworkFactory:
        def make() -> nn.Module:
            model = nn.Sequential(nn.Linear(8, 16))
            for i, name in enumerate(names):
                model.add_module(name, Applied((lambda x: softmax(x.float())) if i < casts else softmax))
            return model

        return make

    found = difference(made("abc", casts=3), made("xyz", casts=2))
    assert found is not None
    assert (found.subject, found.expected, found.actual) == ("forward", "3 float32", "2 float32")
    assert found.keys == ("lock", "function", "output")


def test_of_a_lock_from_before_nothing_is_known() -> None:
    spec_file = recorded(lambda: around(softmax))
    lock = spec_file.lock()
    assert lock is not None
    section = {key: value for key, value in lock.value["function"].items() if key != "dtypes"}
    old = locked(HEAD, section)
    other = lambda: around(lambda x: softmax(x.half()))  # noqa: E731
    trace = trace_structure(other, old.spec.forward_inputs())
    _, record = measure_function(old, other, trace)
    assert compare_dtypes(old, record, trace) is None

"""A spec's function: planned, recorded, and measured as its section says."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from archcheck.errors import LackOfMemory, NotMeasured
from archcheck.function.comparison import compare_function
from archcheck.function.fingerprint.preparation import NetworkFactory
from archcheck.function.measure import measure_function, record_section
from archcheck.spec.spec_file import SpecFile, parse_spec
from archcheck.structure import work
from archcheck.structure.flow import trace_flow
from archcheck.structure.trace import trace_structure
from tests.unit.function.running import Applied, clipped, locked

HEAD = "build: nets:net\ninput: [B, 8]\n"


def base() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))


def section_of(make: NetworkFactory, text: str = HEAD) -> dict[str, Any]:
    spec_file = parse_spec(text, "s.yaml")
    return record_section(spec_file, make, trace_structure(make, spec_file.spec.forward_inputs())).section


def recorded(make: NetworkFactory, text: str = HEAD) -> SpecFile:
    """A spec with the function of a network."""
    return locked(text, section_of(make, text))


def problems(spec_file: SpecFile, make: NetworkFactory) -> list[str]:
    inputs = spec_file.spec.forward_inputs()
    trace = trace_structure(make, inputs)
    _, record = measure_function(spec_file, make, trace)
    found = compare_function(spec_file, record, trace, flow=lambda: trace_flow(make, inputs, trace))
    return [] if found is None else [f"{found.mismatch.subject}: {found.mismatch.problem}"]


def test_what_is_recorded_holds() -> None:
    assert problems(recorded(base), base) == []


def test_what_is_recorded_does_not_hold_for_another() -> None:
    other = lambda: nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.GELU(), nn.Linear(16, 4))  # noqa: E731
    assert problems(recorded(base), other) == ["2: the output differs"]


def test_a_section_has_the_kinds_that_a_layer_has() -> None:
    section = section_of(base)
    assert list(section["at"]) == ["B"]
    assert list(section["layers"]) == ["0", "1", "2", "3"]
    assert list(section["layers"]["1"]) == ["mean", "rms", "eval", "train", "large", "gradient", "buffers", "initial"]
    assert list(section["layers"]["2"]) == ["mean", "rms", "eval", "train", "large"]
    assert "inputs" in section["output"]


def test_a_recorded_function_is_that_of_the_next_process() -> None:
    torch.manual_seed(1)
    random.seed(1)
    first = section_of(base)
    torch.manual_seed(2)
    random.seed(2)
    assert section_of(base) == first


def test_a_network_that_can_not_be_trained_is_recorded_without_train_mode() -> None:
    make = lambda: nn.Sequential(nn.Linear(8, 4), Applied(lambda x: x[:1]), nn.BatchNorm1d(4))  # noqa: E731
    section = section_of(make)
    assert section["train"] is False
    assert not section["output"].keys() & {"train", "large", "buffers"}
    assert problems(recorded(make), make) == []


class Timed(nn.Module):
    """Blocks that take a step in time, as in a U-Net: the last one's `time` has a line, and takes nothing of theirs."""

    def __init__(self, act: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(8, 8), act()), nn.Sequential(nn.Linear(8, 8), nn.ReLU())])
        self.time, self.last = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        for block in self.blocks:
            x = x + block(x)
        out: Tensor = self.last(self.time(t) + x)
        return out


def test_a_difference_is_found_before_a_layer_that_takes_nothing_of_it() -> None:
    text = "build: nets:net\ninput: [[B, 8], [B, 8]]\n"
    section = record_section(
        spec := parse_spec(text, "s.yaml"),
        partial(Timed, nn.ReLU),
        trace_structure(partial(Timed, nn.ReLU), spec.spec.forward_inputs()),
        depth=1,
    ).section
    assert list(section["layers"]) == ["time", "last"]
    assert problems(locked(text, section), partial(Timed, nn.ReLU)) == []
    assert problems(locked(text, section), partial(Timed, nn.Tanh)) == ["blocks.0.1: the output differs"]


class Nested(nn.Module):
    """Two blocks, each with a line in a spec that has one level; what is in them has none."""

    def __init__(self, **changed: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.first, self.second = self.block({}), self.block(changed)

    @staticmethod
    def block(changed: dict[str, Callable[[], nn.Module]]) -> nn.Module:
        usual = {"fc": lambda: nn.Linear(8, 8), "norm": lambda: nn.BatchNorm1d(8), "act": nn.GELU, "drop": nn.Dropout}
        return nn.Sequential(OrderedDict({name: make() for name, make in {**usual, **changed}.items()}))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second(self.first(x))
        return out


def scaled_norm() -> nn.Module:
    norm = nn.BatchNorm1d(8)
    nn.init.constant_(norm.weight, 0.5)
    return norm


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"act": lambda: nn.GELU("tanh")}, "second.act: the output differs"),
        ({"norm": lambda: nn.BatchNorm1d(8, eps=1e-4)}, "second.norm: the output differs"),
        ({"drop": lambda: nn.Dropout(0.4)}, "second.drop: the output in train mode differs"),
        (
            {"norm": lambda: nn.BatchNorm1d(8, momentum=0.2)},
            "second.norm: its buffers after a step in train mode differ",
        ),
        ({"norm": scaled_norm}, "second.norm: its parameters start from other constants"),
    ],
)
def test_what_has_no_line_of_its_own_is_named(changed: dict[str, Callable[[], nn.Module]], message: str) -> None:
    plain = parse_spec(HEAD, "s.yaml")
    trace = trace_structure(Nested, plain.spec.forward_inputs())
    section = record_section(plain, Nested, trace, depth=1).section
    assert list(section["layers"]) == ["first", "second"]
    spec_file = locked(HEAD, section)
    assert problems(spec_file, Nested) == []
    assert problems(spec_file, lambda: Nested(**changed)) == [message]


def test_less_large_values_where_rounding_errors_would_grow_are_in_the_section() -> None:
    head = "build: nets:net\ninput: [B, 8, 6, 6]\n"
    spec_file = recorded(lambda: clipped(40), head)
    assert spec_file.recorded is not None
    assert spec_file.recorded.large == 8
    assert problems(spec_file, lambda: clipped(40)) == []
    assert "large" not in section_of(lambda: clipped(3), head)


def test_a_size_that_a_network_refuses_is_found_out_without_its_weights() -> None:
    real = []

    class OneSize(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 40, 3, padding=1)
            self.convs = nn.Sequential(nn.Conv2d(40, 40, 3, padding=1))  # enough for smaller images to be tried
            real.append(self.conv.weight.device.type != "meta")

        def forward(self, x: Tensor) -> Tensor:
            torch._assert(x.shape[-1] == 224, "another size")
            out: Tensor = self.convs(self.conv(x))
            return out.mean((2, 3))

    section = section_of(OneSize, "build: nets:net\ninput: [B, 3, 224, 224]\n")
    assert "input" not in section
    assert real.count(True) == 2  # recorded, and once more to see that it's the same


def test_single_precision_where_the_section_says_so() -> None:
    text = HEAD + "function: {at: {B: 2}, precision: float32}\n"
    section = section_of(base, text)
    assert (section["at"], section["precision"]) == ({"B": 2}, "float32")
    assert section["output"]["eval"] == pytest.approx(
        section_of(base, text.replace("32}", "64}"))["output"]["eval"], 1e-3
    )


def test_the_sections_own_input_is_what_goes_in() -> None:
    text = "build: nets:net\ninput: [B, 3, 32, 32]\nfunction: {input: [B, 3, 9, 9], at: {B: 2}}\n"
    section = section_of(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), text)
    assert section["input"] == ["B", 3, 9, 9]


def test_a_network_that_needs_more_than_its_budget_is_not_measured() -> None:
    # 400,000 parameters of 8 bytes, and the gradients of 220,000 twice: 6.4 MiB.
    make = lambda: nn.Sequential(nn.Linear(8, 20_000), nn.Linear(20_000, 11))  # noqa: E731
    spec_file = locked(HEAD + "function: {budget: {memory: 1 MiB}}\n", {"at": {"B": 4}, "output": {"eval": 1}})
    trace = trace_structure(make, spec_file.spec.forward_inputs())
    with pytest.raises(
        NotMeasured, match=r"^the function needs about 6 MiB, more than its budget of 1 MiB; grant it: function: "
    ):
        measure_function(spec_file, make, trace)


def test_a_network_whose_activations_do_not_fit_into_memory_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 4096 places that look at one another eight times, neither parameters nor outputs of layers tell."""

    class Looking(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            x = super().forward(x)
            for _ in range(8):
                x = (x @ x.mT).softmax(-1) @ x
            return x

    monkeypatch.setattr("archcheck.function.measure.available_bytes", lambda: 2 * 2**30)
    with pytest.raises(LackOfMemory, match=r"^running it takes about \d.* GiB, and 2.0 GiB are free"):
        section_of(lambda: Looking(64, 64), "build: nets:net\ninput: [B, 4096, 64]\nfunction: {at: {B: 1}}\n")


class Chance(nn.Linear):
    """Draws by itself."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * random.random()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Chance(8, 4),
            r"^two runs under the same weights differ, first at output: something is left to chance there",
        ),
        (
            lambda: nn.Sequential(nn.Linear(8, 4), Chance(4, 4)),
            r"^two runs under the same weights differ, first at 1: .* or write `function: off`$",
        ),
        (lambda: Applied(lambda x: "text"), r"^the network returns no tensor to compare$"),
        (
            lambda: nn.Sequential(nn.Linear(8, 4), Applied(torch.log)),
            r"^under fixed weights 1 isn't finite \(.*eval, train\)$",
        ),
        (
            lambda: torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(8, 4))),  # type: ignore[no-untyped-call]
            r"^0\._packed_params keeps its weights in _packed_params, which can't be filled$",
        ),
    ],
    ids=["chance", "chance in a layer", "no tensor", "not finite", "quantized"],
)
def test_what_can_not_be_recorded_says_why(make: NetworkFactory, message: str) -> None:
    with pytest.raises(NotMeasured, match=message):
        section_of(make)


# ------------------------------------------------------------------------------------------- threads


class Threads(nn.Linear):
    """A layer that notes how many threads it runs with."""

    seen: ClassVar[set[int]] = set()

    def forward(self, x: Tensor) -> Tensor:
        if not x.is_meta:
            self.seen.add(torch.get_num_threads())
        return super().forward(x)


@pytest.mark.parametrize(
    ("width", "at", "expected"),
    [
        (8, "{B: 8}", 1),
        (2400, "{B: 8}", 2),  # 46 million multiply-adds in double precision, which is twice the work
        (2400, "{B: 2}", 1),
    ],
)
def test_as_many_threads_as_the_recorded_sizes_are_worth(
    width: int, at: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "5000")
    monkeypatch.setattr(work, "cpu_share", lambda: 2)
    monkeypatch.setattr(work, "_is_faster", lambda *_: False)  # this machine isn't asked
    text = f"build: nets:net\ninput: [B, {width}]\nhealth: off\nfunction: {{at: {at}}}\n"
    spec_file, before = parse_spec(text, "s.yaml"), torch.get_num_threads()
    Threads.seen.clear()
    torch.set_num_threads(2)
    try:
        trace = trace_structure(lambda: Threads(width, width), spec_file.spec.forward_inputs())
        measure_function(spec_file, lambda: Threads(width, width), trace)
        assert (Threads.seen, torch.get_num_threads()) == ({expected}, 2)
    finally:
        torch.set_num_threads(before)

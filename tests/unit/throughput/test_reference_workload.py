"""A step's operations, written down and done again: counted by torch's own modes on both sides."""

from __future__ import annotations

import base64
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from archcheck.network.torch_state import seeded
from archcheck.spec.spec_file import parse_spec
from archcheck.throughput.plan import resolve_plan
from archcheck.throughput.reference_workload import InvalidReference, ReferenceWorkload, record_reference_workload
from archcheck.throughput.workload import Workload

CPU = torch.device("cpu")
HERE = "tests.unit.throughput.test_reference_workload"


@pytest.fixture(autouse=True)
def _world() -> Iterator[None]:
    with seeded(0, CPU, 1):
        yield


def step_of(network: str, size: str, training: str = "", mode: str = "train") -> Callable[[], None]:
    """A step that has been taken twice, as its optimizer has no state before the first."""
    text = f"build: {HERE}:{network}\ninput: {size}\nthroughput: {{mode: {mode}}}\n"
    spec_file = parse_spec(text + f"training: {{dataset: d, batch_size: 4, {training}}}\n", path=Path("x.arch.yaml"))
    workload = Workload(spec_file, resolve_plan(spec_file.spec, "full"), CPU, None)
    workload.run(2)
    return workload.step


class Seeing(TorchDispatchMode):
    """Counts operations by name, and those on numbers that are slow to work with: infinite, none, or subnormal."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: Counter[str] = Counter()
        self.slow: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.names[str(func)] += 1
        if "empty" not in str(func) and any(map(_is_slow, _tensors_in([result, args]))):
            self.slow[str(func)] += 1
        return result


def _tensors_in(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors_in(item)


def _is_slow(tensor: Tensor) -> bool:
    if not tensor.is_floating_point():
        return False
    sizes = tensor.abs()
    return bool((~torch.isfinite(sizes) | ((sizes > 0) & (sizes < torch.finfo(tensor.dtype).tiny))).any())


def operations_of(step: Callable[[], object]) -> Counter[str]:
    seeing = Seeing()
    with seeing:
        step()
    return seeing.names


def flops_of(step: Callable[[], object]) -> int:
    counter = FlopCounterMode(display=False)
    with counter:
        step()
    return int(counter.get_total_flops())


def recorded(step: Callable[[], object]) -> tuple[str, ReferenceWorkload]:
    text = record_reference_workload(lambda: (step(), None)[1], CPU)
    assert text is not None
    return text, ReferenceWorkload(text, CPU)


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout(0.5),
        nn.Conv2d(4, 4, 3, groups=2), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip


class Reading(nn.Module):
    """Numbers of words in, a class out, by attention; in place where it can be."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(11, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        words = self.layer(self.words(x)).mul_(0.9).add_(1)
        return self.fc(words.mean(1))  # type: ignore[no-any-return]


def recurrent() -> nn.Module:
    return nn.LSTM(3, 5, batch_first=True)


IMAGES, TEXT = "[B, 1, 8, 8]", "{shape: [B, 6], below: 11}"
SGD = "optimizer: {name: SGD, lr: 0.1, momentum: 0.9, weight_decay: 0.01}"
STEPS = [
    ("convolutional", IMAGES, SGD, "train"),
    ("convolutional", IMAGES, "optimizer: AdamW, clip_grad_norm: 1.0, label_smoothing: 0.1", "train"),
    ("convolutional", IMAGES, "precision: bf16, memory_format: channels_last", "train"),
    ("convolutional", IMAGES, "", "inference"),
    ("Reading", TEXT, "optimizer: Adam", "train"),
    ("Reading", TEXT, "", "inference"),
    ("recurrent", "[B, 4, 3]", "loss: MSELoss", "train"),
]


# ------------------------------------------------------------------------------------------- the same work


@pytest.mark.parametrize(("network", "size", "training"), [step[:3] for step in STEPS if step[3] == "train"])
def test_a_reference_does_the_operations_of_its_step(
    monkeypatch: pytest.MonkeyPatch, network: str, size: str, training: str
) -> None:
    """All of torch's own; and before the clock starts it fills what it writes to, which is left out here."""
    monkeypatch.setattr("archcheck.throughput.reference_workload._Program.refill", lambda program: None)
    step = step_of(network, size, training)
    _, reference = recorded(step)
    ours, theirs = operations_of(lambda: reference.run(1)), operations_of(step)
    for name in [name for name in theirs if name.startswith("profiler.")]:
        del theirs[name]
    assert ours == theirs


@pytest.mark.parametrize(("network", "size", "training", "mode"), STEPS)
def test_it_does_its_arithmetic_in_full(network: str, size: str, training: str, mode: str) -> None:
    """What is counted of an LSTM is nothing, on either side."""
    step = step_of(network, size, training, mode)
    _, reference = recorded(step)
    assert flops_of(lambda: reference.run(1)) == flops_of(step)
    assert (flops_of(step) > 0) == (network != "recurrent")


def test_it_does_so_as_often_as_asked() -> None:
    _, reference = recorded(step_of("convolutional", IMAGES, SGD))
    counts = [operations_of(partial(reference.run, number))["aten.convolution.default"] for number in (1, 5)]
    assert counts == [2, 10]
    assert reference.run(2) > 0


@pytest.mark.parametrize(("network", "size"), [("convolutional", IMAGES), ("Reading", TEXT)])
def test_a_second_recording_is_the_first(network: str, size: str) -> None:
    step = step_of(network, size, SGD)
    assert record_reference_workload(step, CPU) == record_reference_workload(step, CPU)


def test_a_reference_is_text_of_a_few_kilobytes() -> None:
    text, _ = recorded(step_of("Reading", TEXT, "optimizer: Adam"))
    assert text.isascii()
    assert "\n" not in text
    assert len(text) < 10_000


def test_nothing_to_be_done_is_no_reference() -> None:
    assert record_reference_workload(lambda: None, CPU) is None


def test_what_cannot_be_written_down_is_left_out() -> None:
    """A generator is of this process only, and so is a sparse tensor."""
    generator, sparse, dense = torch.Generator(), torch.eye(3).to_sparse(), torch.ones(3, 3)

    def step() -> None:
        torch.rand(3, generator=generator)
        sparse.mul(2)
        dense.exp()

    _, reference = recorded(step)
    assert operations_of(lambda: reference.run(1)).keys() == {"aten.exp.default"}


def test_what_fails_on_other_numbers_is_left_out() -> None:
    """Where nothing else is known, numbers are 0."""
    whole = torch.ones(3, dtype=torch.int64)

    def step() -> None:
        whole.div(whole, rounding_mode="floor")
        whole.neg()

    _, reference = recorded(step)
    assert operations_of(lambda: reference.run(1)).keys() == {"aten.neg.default"}


# ------------------------------------------------------------------------------------------- its numbers


@pytest.mark.parametrize(
    ("network", "size", "training"),
    [
        ("convolutional", IMAGES, SGD),
        ("convolutional", IMAGES, "optimizer: AdamW"),
        ("convolutional", IMAGES, "optimizer: {name: SGD, lr: 0.1, momentum: 0.9, fused: false}"),
        ("convolutional", IMAGES, "clip_grad_norm: 1.0"),
        ("Reading", TEXT, "optimizer: Adam"),
    ],
)
def test_numbers_stay_ordinary_for_hundreds_of_runs(network: str, size: str, training: str) -> None:
    _, reference = recorded(step_of(network, size, training))
    with Seeing() as seeing:
        reference.run(150)
    assert not seeing.slow


def test_what_grows_in_place_is_made_anew_for_the_next_run() -> None:
    tensor = torch.ones(3)
    _, reference = recorded(lambda: tensor.mul_(1.5))
    for _ in range(5):
        with Seeing() as seeing:
            reference.run(200)  # 1.5²⁰⁰ is 1.7e35, and 1.5⁴⁰⁰ beyond what float32 holds
        assert not seeing.slow


def test_the_steps_own_tensors_are_left_alone() -> None:
    tensor = torch.ones(3)
    _, reference = recorded(lambda: tensor.add_(1))
    reference.run(10)
    assert tensor.tolist() == [2.0, 2.0, 2.0]


# ------------------------------------------------------------------------------------------- texts that are none

T = {"t": 0}


def packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


def written(*calls: Any, tensors: Any = (((4,), (1,), "float32", "here"),), version: int = 1, **more: Any) -> str:
    return packed(json.dumps({"version": version, "tensors": tensors, "calls": calls, **more}).encode())


def test_a_text_by_hand_is_read() -> None:
    """So that those below are refused for what is wrong with them."""
    assert ReferenceWorkload(written(["relu.default", [T], {}]), CPU).run(2) > 0


GOOD = written(["relu.default", [T], {}])
UNREADABLE = {
    "nothing": "",
    "garbage": "AAAA",
    "other letters": "größer",
    "no base64": "{}" * 20,
    "foreign base64": base64.b64encode(b"\x89PNG\r\n\x1a\n" * 10).decode(),
    "cut off": GOOD[: len(GOOD) // 8 * 4],
    "no JSON": packed(b"\x80\x81"),
    "no map": packed(b"[1, 2]"),
    "nested": packed(b"[" * 100_000),
    "another version": written(version=2),
    "no calls": packed(b'{"version": 1, "tensors": []}'),
    "a call that is none": written(5),
    "no aten": written(["os.system", ["true"], {}]),
    "torch.os": written(["relu.default", [{"torch": "os"}], {}]),
    "torch.load": written(["relu.default", [{"torch": "load"}], {}]),
    "a dtype that is none": written(["relu.default", [T], {}], tensors=[[[4], [1], "Tensor", "here"]]),
    "no such overload": written(["relu.none", [T], {}]),
    "an attribute that is none": written(["__class__.mro", [], {}]),
    "too many arguments": written(["relu.default", [T, T, T], {}]),
    "no such argument": written(["relu.default", [], {"x": T}]),
    "no such tensor": written(["relu.default", [{"t": 3}], {}]),
    "more memory than there is": written(["relu.default", [T], {}], tensors=[[[1 << 60], [1], "float32", "here"]]),
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_no_reference_is_told(text: str) -> None:
    with pytest.raises(InvalidReference, match=r"^not a reference workload: "):
        ReferenceWorkload(text, CPU)


def test_a_text_that_unpacks_to_more_than_64_mib_is_told() -> None:
    """Complete it would be read: what is too much is a key that nobody reads."""
    data = json.dumps({"version": 1, "tensors": [], "calls": []}).encode()
    bomb = packed(data[:-1] + b', "more": "' + b" " * (64 << 20) + b'"}')
    assert len(bomb) < 100_000
    with pytest.raises(InvalidReference, match=r"^not a reference workload: ValueError: Unterminated string"):
        ReferenceWorkload(bomb, CPU)


@pytest.mark.parametrize(
    "call", [["select.int", [T, 5, 0], {}], ["relu.default", ["x"], {}]], ids=["IndexError", "RuntimeError"]
)
def test_operations_that_do_not_run_are_told(call: Any) -> None:
    with pytest.raises(InvalidReference, match=r"^not a reference workload: "):
        ReferenceWorkload(written(call), CPU).run(1)


def test_an_operation_that_writes_a_file_is_refused(tmp_path: Path) -> None:
    made = tmp_path / "made"
    with pytest.raises(InvalidReference, match=r"^not a reference workload: "):
        ReferenceWorkload(written(["from_file.default", [str(made), True, 1000], {}]), CPU).run(1)
    assert not made.exists()

"""Forward passes that stopped, in words and as mismatches."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from archcheck.spec.spec_file import parse_spec
from archcheck.structure.crashes import crash_mismatch, describe_crash, describe_stop, explain
from archcheck.structure.records import Crash, ForwardRecord
from tests.unit.structure.traced_networks import batch, linear, traced


def raised(function: object) -> str:
    with pytest.raises(RuntimeError, match=r"\S") as caught:
        function()  # type: ignore[operator]
    return f"RuntimeError: {caught.value}"


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_linear_layer_with_other_features(device: str) -> None:
    text = raised(lambda: F.linear(torch.ones(2, 784, device=device), torch.ones(10, 400, device=device)))
    assert explain(text) == "784 features in, 400 expected"


def test_a_convolution_with_other_channels() -> None:
    text = raised(lambda: F.conv2d(torch.ones(1, 3, 8, 8), torch.ones(6, 1, 5, 5)))
    assert explain(text) == "3 channels in, 1 expected"


def test_any_other_error_stays_as_it_is() -> None:
    assert explain("ValueError: no such width") == "ValueError: no such width"


@pytest.mark.parametrize(
    ("crash", "text"),
    [
        (Crash("fc", "ValueError: no", "nets.py:3"), "fc: ValueError: no (nets.py:3)"),
        (Crash("", "ValueError: no"), "the network itself: ValueError: no"),
    ],
)
def test_a_crash_in_one_line(crash: Crash, text: str) -> None:
    assert describe_crash(crash) == text


def test_why_a_forward_did_not_get_through() -> None:
    assert describe_stop(traced(lambda m, x: m.body(x), body=linear)) is None
    stopped = describe_stop(traced(lambda m, x: m.body(x), [batch(2, 5)], body=linear)) or ""
    assert stopped.startswith("the forward stopped at body: 5 features in, 4 expected (")
    lazy = traced(lambda m, x: x, unused=lambda: nn.LazyLinear(3))
    assert describe_stop(lazy) == "the forward never calls the lazy layers unused"


@pytest.mark.parametrize(
    ("module", "keys"),
    [
        ("block.fc.inner", ("layers", "block.*")),
        ("stem", ("layers", "stem")),
        ("stem.0", ("layers", "stem")),
        ("head", ("build",)),
        ("", ("build",)),
    ],
)
def test_a_crash_is_at_the_nearest_line(module: str, keys: tuple[str, ...]) -> None:
    spec = parse_spec("build: m:f\ninput: [B]\nlayers:\n  stem: [B]\n  block.*: [B]\n").spec
    crash = Crash(module, "ValueError: no", "nets.py:3")
    mismatch = crash_mismatch(spec, ForwardRecord({"B": 2, "H": 8}), crash)
    assert mismatch.keys == keys
    assert mismatch.subject == (module or "the network's own forward")
    assert mismatch.notes == (("at", "B=2, H=8"), ("raised", "nets.py:3"))

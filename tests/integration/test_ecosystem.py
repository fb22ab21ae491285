"""A dozen of the networks of `benchmarks/ecosystem.py`: found alone or not, green, and their changes noticed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


class Here:
    """Answers as the bench's workers do, in this process."""

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to one request."""
        from public_zoo.worker import answer_to

        return answer_to(request)


@pytest.fixture(autouse=True)
def bench(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmarks import each other as scripts do, and specs name what they build so."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.chdir(ROOT)


def measured(library: str, network: str, folder: Path) -> dict[str, Any]:
    """What the bench says of one network, recorded and verified in this process."""
    try:
        version(library)
    except PackageNotFoundError:
        pytest.skip(f"{library} is not installed")
    from ecosystem import measure
    from public_zoo.catalogue import ecosystem_entries

    (entry,) = (one for one in ecosystem_entries(library) if one.name == network)
    return measure(library, entry, folder, Here(), Here())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("library", "network"),
    [
        ("torchvision", "resnet18"),
        ("torchvision", "mobilenet_v3_small"),
        ("timm", "resnet10t"),
        ("einops", "mixer"),
        ("transformers", "BertModel-eager"),
        ("transformers", "LlamaForCausalLM"),
        ("transformers", "GPT2LMHeadModel"),
        ("transformers", "T5Model"),
        ("transformers", "ViTForImageClassification-eager"),
        ("diffusers", "UNet2DModel"),
        ("x-transformers", "rotary"),
        ("torch_geometric", "GraphSAGE"),
        ("monai", "UNet"),
        ("vit-pytorch", "SimpleViT"),
        ("rotary-embedding-torch", "rotary-block"),
        ("pytorch-tabnet", "TabNet"),
    ],
)
def test_the_target_alone_is_enough_and_changes_are_noticed(library: str, network: str, tmp_path: Path) -> None:
    from public_zoo.ecosystem_report import is_found_alone

    result = measured(library, network, tmp_path)
    assert is_found_alone(result), result["alone"]
    assert {result[step]["verdict"] for step in ("at_once", "elsewhere")} == {"green"}, result["at_once"]
    assert [one["change"] for one in result["changes"] if one["verdict"] != "caught"] == []


@pytest.mark.parametrize(
    ("library", "network"),
    [("torch_geometric", "heterogeneous")],
)
def test_a_function_makes_what_goes_in(library: str, network: str, tmp_path: Path) -> None:
    result = measured(library, network, tmp_path)
    assert {result[step]["verdict"] for step in ("at_once", "elsewhere")} == {"green"}, result["at_once"]
    assert [one["change"] for one in result["changes"] if one["verdict"] != "caught"] == []

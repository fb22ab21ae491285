"""The networks of model zoos: as in the ordinary meta forward, and as published."""

from __future__ import annotations

import pytest
from torch import nn

from archcheck.spec.inputs import ForwardInput, TensorInput
from archcheck.structure.trace import trace_structure
from tests.unit.structure.plain_meta import assert_equals_plain_meta


def classifiers() -> list[str]:
    import torchvision

    names: list[str] = torchvision.models.list_models(module=torchvision.models)
    return names


@pytest.mark.filterwarnings("ignore:.*initialization:FutureWarning")
@pytest.mark.parametrize("name", classifiers())
def test_classifier_equals_plain_meta_and_what_is_published(name: str) -> None:
    import torchvision

    def make() -> nn.Module:
        model: nn.Module = torchvision.models.get_model(name, weights=None)
        return model

    inputs = [ForwardInput((TensorInput((size, 3, 224, 224)),), sizes={"B": size}) for size in (2, 3)]
    trace = trace_structure(make, inputs)

    assert_equals_plain_meta(trace, make, (2, 3, 224, 224))
    assert trace.forwards[1].calls[-1].output is not None
    for weights in torchvision.models.get_model_weights(name):
        if getattr(weights.transforms, "keywords", {}).get("crop_size") == 224:
            # GoogLeNet's figure leaves out the auxiliary heads, which its constructor makes.
            assert trace.root.num_params == (13_004_888 if name == "googlenet" else weights.meta["num_params"])
            assert trace.macs is not None
            assert round(trace.macs / 1e9, 3) == weights.meta["_ops"]


def test_there_are_80_classifiers() -> None:
    assert len(classifiers()) == 80


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", ["vit_tiny_patch16_224", "levit_128s", "efficientvit_b0", "nfnet_f0", "xcit_nano_12_p16_224"]
)
def test_timm_model_equals_plain_meta(name: str) -> None:
    timm = pytest.importorskip("timm")
    size = timm.get_pretrained_cfg(name).input_size

    def make() -> nn.Module:
        model: nn.Module = timm.create_model(name)
        return model

    trace = trace_structure(make, [ForwardInput((TensorInput((2, *size)),), sizes={"B": 2})])

    assert_equals_plain_meta(trace, make, (2, *size))

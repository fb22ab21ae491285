"""On what a function is recorded: as the spec has it where that's cheap, and on less where it isn't."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from torch import Tensor, nn

from archcheck.function.planning import BATCHES, FunctionPlan, plans
from archcheck.spec.inputs import InputTree, make_forward_input, parse_input
from archcheck.structure.records import StructureTrace
from archcheck.structure.trace import trace_structure


def planned(
    make: Callable[[], nn.Module], shape: Any, *sizes: Mapping[str, int], num_elements: int = 0
) -> FunctionPlan:
    pattern = parse_input(shape)

    def traced(pattern: InputTree, *sizes: Mapping[str, int]) -> StructureTrace:
        return trace_structure(make, [make_forward_input(pattern, at) for at in sizes])

    return plans(pattern, shape, traced(pattern, *sizes), traced, lambda *_: num_elements)[0]


def convolution(channels: int) -> Callable[[], nn.Module]:
    """3 x 3 kernels over images of any size: channels^2 * 9 multiply-adds for each pixel."""
    return lambda: nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def test_a_small_network_is_recorded_at_the_specs_first_size() -> None:
    plan = planned(lambda: nn.Linear(8, 4), ["B", 8], {"B": 2}, {"B": 3})
    assert plan.as_section() == {"at": {"B": max(BATCHES)}}
    assert plan.cost >= max(BATCHES) * 8 * 4


def test_without_a_batch_dimension_the_input_is_as_it_is() -> None:
    assert planned(lambda: nn.Linear(8, 4), [3, 8], {}).as_section() == {}


def test_fewer_examples_where_more_are_too_many() -> None:
    # 32 * 32 * 9 * 160 * 160 = 0.24 G each.
    assert planned(convolution(32), ["B", 32, 160, 160], {"B": 2}).as_section() == {"at": {"B": 4}}


def test_the_specs_smaller_size_where_the_first_is_too_large() -> None:
    sizes = ({"B": 2, "H": 640}, {"B": 3, "H": 64})
    assert planned(convolution(64), ["B", 64, "H", "H"], *sizes).as_section() == {"at": {"B": 4, "H": 64}}


def test_a_smaller_image_where_the_specs_own_is_too_large() -> None:
    # 128 * 128 * 9 * 64 * 64 = 0.6 G each; what each element costs comes on top. It's 0.34 G at 48.
    plan = planned(convolution(128), ["B", 128, 224, 224], {"B": 2})
    assert plan.as_section() == {"input": ["B", 128, 48, 48], "at": {"B": 2}}


def test_images_become_very_small_only_where_a_network_keeps_their_size() -> None:
    """A kernel that meets hardly more than its padding shows little; of 32 pixels, 4 would be left for the second."""
    net = lambda: nn.Sequential(  # noqa: E731
        nn.Conv2d(128, 128, 3, padding=1), nn.AvgPool2d(8), nn.Conv2d(128, 128, 3, padding=1)
    )
    assert planned(net, ["B", 128, 96, 96], {"B": 2}).as_section() == {"input": ["B", 128, 64, 64], "at": {"B": 2}}


def test_images_by_name_and_what_has_their_size_become_smaller_together() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(128, 128, 3, padding=1)

        def forward(self, image: Any, mask: Any, scale: float) -> Any:
            return self.conv(image) * mask * scale

    shape = {"image": ["B", 128, 96, 96], "mask": {"shape": ["B", 1, 96, 96], "at_least": 0}, "scale": {"literal": 2.0}}
    section = planned(Masked, shape, {"B": 2}).as_section()
    expected = {"image": ["B", 128, 48, 48], "mask": {"shape": ["B", 1, 48, 48], "at_least": 0}}
    assert section == {"input": {**expected, "scale": {"literal": 2.0}}, "at": {"B": 2}}


def test_a_shorter_sequence_where_the_specs_own_is_too_long() -> None:
    # 256 * 256 * 9 * 8000 = 4.7 G each; a sixteenth isn't more than 1.2 G for two.
    net = lambda: nn.Sequential(nn.Conv1d(256, 256, 9, padding=4), nn.AdaptiveAvgPool1d(1))  # noqa: E731
    section = planned(net, ["B", 256, 8000], {"B": 2}).as_section()
    assert section == {"input": ["B", 256, 500], "at": {"B": 2}}


def test_features_stay_where_a_sequence_becomes_shorter() -> None:
    # 2048 * 2048 * 512 = 2.1 G each.
    section = planned(lambda: nn.Linear(2048, 2048), ["B", 512, 2048], {"B": 2}).as_section()
    assert section == {"input": ["B", 128, 2048], "at": {"B": 2}}


def test_no_batch_norm_is_left_with_two_values_of_a_channel() -> None:
    """Two values become 1 and -1, and rounding decides which: at 64 pixels two examples would be enough otherwise."""
    net = lambda: nn.Sequential(nn.Conv2d(128, 128, 3, padding=1), nn.AvgPool2d(64), nn.BatchNorm2d(128))  # noqa: E731
    plan = planned(net, ["B", 128, 224, 224], {"B": 2})
    assert plan.as_section() == {"input": ["B", 128, 128, 128], "at": {"B": 2}}


def test_the_specs_own_image_where_no_smaller_one_runs_through_the_same_layers() -> None:
    net = lambda: nn.Sequential(  # noqa: E731
        nn.Conv2d(128, 128, 3, padding=1), nn.Flatten(), nn.Linear(128 * 224 * 224, 1)
    )
    assert "input" not in planned(net, ["B", 128, 224, 224], {"B": 2}).as_section()


def test_one_example_where_two_are_far_too_much() -> None:
    # 512 * 512 * 9 * 64 * 64 = 9.7 G each, and no image may be smaller.
    net = lambda: nn.Sequential(  # noqa: E731
        nn.Conv2d(512, 512, 3, padding=1), nn.Flatten(), nn.Linear(512 * 64 * 64, 1)
    )
    section = planned(net, ["B", 512, 64, 64], {"B": 2}).as_section()
    assert section["at"] == {"B": 1}


def test_a_very_large_network_gets_more_time_and_memory_and_says_so() -> None:
    # 8 layers of 50 M parameters of 8 bytes, and half of them once more: 4.5 GiB; at 12 ns each, and a margin: 6.4 s.
    layers = lambda: nn.Sequential(*(nn.Linear(7_072, 7_072, bias=False) for _ in range(8)))  # noqa: E731
    assert planned(layers, ["B", 7_072], {"B": 2}).as_section()["budget"] == {"time": "7 s", "memory": "6 GiB"}


class Tied(nn.Module):
    """Word vectors that score the next word, too."""

    def __init__(self, *, is_tied: bool) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(60_000, 2_000), nn.Linear(2_000, 60_000, bias=False)
        if is_tied:
            self.head.weight = self.embed.weight

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.head(self.embed(ids))
        return scores


@pytest.mark.parametrize(
    ("is_tied", "memory"),
    [
        (False, "5 GiB"),  # 240 M parameters of 8 bytes, and the gradients of one layer twice: 3.6 GiB
        (True, "6 GiB"),  # 120 M, and four times the gradients of what is shared: 4.5 GiB
    ],
)
def test_the_gradients_of_a_very_large_layer_count(is_tied: bool, memory: str) -> None:
    ids = {"shape": ["B", 16], "dtype": "int64", "below": 60_000}
    assert planned(lambda: Tied(is_tied=is_tied), ids, {"B": 2}).as_section()["budget"]["memory"] == memory


def test_a_network_of_large_activations_gets_more_memory_and_beyond_8_gib_single_precision() -> None:
    # 1.75 * 8 bytes of each element: 3.9 GiB; 1.75 * 4 bytes where the former would be 13 GiB: 6.5 GiB.
    plan = planned(convolution(3), ["B", 3, 32, 32], {"B": 2}, num_elements=300_000_000)
    assert (plan.budget, plan.precision) == ({"memory": "5 GiB"}, "float64")
    plan = planned(convolution(3), ["B", 3, 32, 32], {"B": 2}, num_elements=1_000_000_000)
    assert (plan.budget, plan.precision) == ({"memory": "8 GiB"}, "float32")


@pytest.mark.parametrize("shape", [{"x": ["B", 8]}, [["B", 8]]])
def test_several_inputs_have_one_batch(shape: Any) -> None:
    net = type("Net", (nn.Linear,), {"forward": lambda self, x: nn.Linear.forward(self, x)})
    assert planned(lambda: net(8, 4), shape, {"B": 2}).as_section() == {"at": {"B": max(BATCHES)}}

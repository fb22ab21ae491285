"""Which layers cost something else, and how that came about, from costs made by hand."""

from __future__ import annotations

import pytest

from archcheck.cost.comparison import compare_layers, format_differences
from archcheck.cost.records import LayerCost
from archcheck.spec.lock import RecordedLayerCost

MIB = 2**20


def layer(memory: int = 0, traffic: int = 0, calls: int = 1, kept: int = 0, **operations: int) -> LayerCost:
    named = {name.replace("__", " "): number for name, number in operations.items()}
    return LayerCost(calls, {"activations": memory}, traffic, named, {"relu": kept} if kept else {})


@pytest.mark.parametrize(
    ("old", "new", "how"),
    [
        (layer(relu_=1), layer(relu=1), "relu, before in place (relu_)"),
        (layer(mm=1), layer(mm=1, clone=2), "2 x copy (clone)"),
        (layer(mm=1), layer(mm=1, _to_copy__float32=1), "upcast to float32"),
        (layer(mm=1), layer(mm=1, _to_copy__bfloat16=1), "conversion to bfloat16"),
        (layer(mm=1, _to_copy__bfloat16=2), layer(mm=1), "2 x conversion to bfloat16 less"),
        (layer(mm=1), layer(mm=1, mul=1), "mul more"),
        (layer(mm=1, mul=1), layer(mm=1), "mul less"),
        (layer(mm=3), layer(mm=4, calls=2), "runs 2 times, before 1"),
        (
            layer(mm=4, calls=2),
            layer(mm=3, memory=MIB, kept=MIB),
            "runs 1 time, before 2, keeps 1.000 MiB more of its forward pass (relu)",
        ),
    ],
)
def test_a_difference_is_told_in_words(old: LayerCost, new: LayerCost, how: str) -> None:
    (found,) = compare_layers({"a": old, "b": layer(mm=7)}, {"a": new, "b": layer(mm=7)}, "memory")
    assert found.layer == "a"
    assert ", ".join(found.how) == how


def test_the_largest_difference_of_the_figure_comes_first() -> None:
    old = {"a": layer(), "b": layer(), "c": layer(MIB, 3)}
    new = {"a": layer(2, 3 * MIB), "b": layer(2 * MIB, 1), "c": layer(MIB, 3)}
    assert [one.layer for one in compare_layers(old, new, "memory")] == ["b", "a"]
    assert [one.layer for one in compare_layers(old, new, "traffic")] == ["a", "b"]


def test_layers_of_other_names_are_paired_by_what_they_do() -> None:
    old = {f"old.{i}": layer(memory=i, mm=1, add=i) for i in range(5)}
    new = {f"new.{i}": layer(memory=i, mm=1, add=i) for i in range(5)}
    assert compare_layers(old, new, "memory") == []
    (found,) = compare_layers(old, {"new.first": layer(MIB, clone=1), **new}, "memory")
    assert (found.layer, found.how) == ("new.first", ("new",))


def test_a_layer_that_is_gone_is_told() -> None:
    (found,) = compare_layers({"a": layer(1), "b": layer(2), "c": layer(3)}, {"a": layer(1), "c": layer(3)}, "memory")
    assert (found.layer, found.memory, found.how) == ("b", -2, ("gone",))


def test_a_long_table_is_cut() -> None:
    names = [f"layer{i}" for i in range(13)]
    old, new = dict.fromkeys(names, layer()), dict.fromkeys(names, layer(2048))
    lines = format_differences(compare_layers(old, new, "memory")).splitlines()
    assert len(lines) == 12
    assert lines[1].split()[:3] == ["layer0", "+2.000", "KiB"]
    assert lines[-1] == "and 3 more"


def test_a_layer_is_recorded_without_what_is_as_usual_and_read_again() -> None:
    cost = layer(memory=8, traffic=3, kept=8, calls=2, mm=1, add_=4, _to_copy__float32=2)
    plain = cost.to_plain()
    assert plain["operations"] == "mm, 4 add_, 2 _to_copy float32"
    again = LayerCost.from_recorded(RecordedLayerCost.model_validate(plain))
    assert again.to_plain() == plain
    assert layer().to_plain() == {}

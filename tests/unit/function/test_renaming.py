"""Ways to pair the weights of two builds, by records written by hand."""

from __future__ import annotations

from archcheck.function.records import FunctionRecord
from archcheck.function.renaming import renamings

Shape = tuple[int, ...]


def record(**shapes: Shape) -> FunctionRecord:
    """Make the record of a network that uses parameters of these shapes in this order."""
    counts: dict[Shape, int] = {}
    keys = {}
    for name, shape in shapes.items():
        counts[shape] = counts.get(shape, -1) + 1
        keys[name] = f"weight {shape} {counts[shape]}"
    return FunctionRecord((), keys, filled=keys, shapes=shapes)


def pairs(ours: FunctionRecord, theirs: FunctionRecord) -> list[dict[str, str]]:
    return [{name: str(one) for name, one in found.expressions.items()} for found in renamings(ours, theirs)]


def test_a_network_is_paired_with_itself_in_order_alone() -> None:
    one = record(a=(2, 3), b=(3,), c=(2, 3))
    assert pairs(one, one) == []


def test_the_same_names_are_the_only_pairing_where_all_are_known() -> None:
    assert pairs(record(a=(2, 3), b=(2, 3)), record(b=(2, 3), a=(2, 3))) == [{"a": "a", "b": "b"}]


def test_weights_of_other_shapes_are_no_pairs() -> None:
    assert pairs(record(a=(2, 3)), record(b=(3, 2))) == []


def test_two_that_are_used_in_turn_are_exchanged_with_what_follows_them() -> None:
    ours = record(a=(2, 3), a_bias=(2,), b=(2, 3), b_bias=(2,))
    theirs = record(x=(2, 3), x_bias=(2,), y=(2, 3), y_bias=(2,))
    assert pairs(ours, theirs) == [{"x": "b", "x_bias": "b_bias", "y": "a", "y_bias": "a_bias"}]


def test_a_branch_may_be_called_before_or_behind_another() -> None:
    ours = record(short=(4, 2), first=(4, 2), norm=(4,), second=(4, 4))
    theirs = record(one=(4, 2), scale=(4,), two=(4, 4), way=(4, 2))
    assert {"one": "first", "scale": "norm", "two": "second", "way": "short"} in pairs(ours, theirs)

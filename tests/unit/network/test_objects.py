"""The attributes of objects of any make."""

from __future__ import annotations

from torch import nn

from archcheck.network.objects import attributes_of, is_closed


class Slotted:
    __slots__ = ("a", "unset")

    def __init__(self) -> None:
        self.a = 1


class Both(Slotted):
    def __init__(self) -> None:
        super().__init__()
        self.b = 2


def test_attributes_are_those_in_slots_and_in_the_dict() -> None:
    assert attributes_of(Both()) == {"a": 1, "b": 2}
    assert attributes_of(3) == {}


def test_classes_modules_functions_and_generators_are_closed() -> None:
    assert all(map(is_closed, (Both, nn.ReLU(), len, iter([]))))
    assert not any(map(is_closed, (Both(), [], None)))

"""The keys that may stand at a place of a spec."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from archcheck.findings import Keys
from archcheck.spec.known_keys import known_keys
from tests.unit.spec.test_models import sections


@pytest.mark.parametrize(
    ("place", "keys"),
    [
        (("layers", "fc"), ("type", "output", "parameters")),
        (("parameters",), ("total", "trainable", "buffers")),
        (("equivalent_to",), ("build", "args", "weights")),
        (
            ("health",),
            ("allow_unused", "allow_random", "allow_batch_dependent", "allow_updates", "allow_unsaved", "allow_device"),
        ),
        (("function", "budget"), ("time", "memory")),
        (("training", "calibration"), ("mean", "std", "seeds", "device", "torch", "date")),
        (("training", "quick", "normalize"), ("mean", "std")),
        (("training", "augment", 1), ("name",)),
        (("claims",), ("faster_than", "better_than")),
        (("claims", "faster_than"), ("spec", "by")),
        (("claims", "better_than", 2), ("spec", "by", "seeds", "quick")),
        (("layers",), ()),
        (("args",), ()),
        (("args", "width"), ()),
        (("sizes", "H"), ()),
        (("nowhere", "at", "all"), ()),
    ],
)
def test_the_keys_of_a_place(place: Keys, keys: tuple[str, ...]) -> None:
    assert known_keys(place) == keys


def test_the_order_is_that_of_a_spec() -> None:
    recorded = ("layers", "output", "parameters", "macs", "function")
    assert tuple(key for key in known_keys(()) if key in recorded) == recorded
    first = ("name", "source", "build", "args", "input", "inputs_from", "train_input", "sizes")
    assert known_keys(())[: len(first)] == first


def found_below(place: Keys) -> Iterator[tuple[str, ...]]:
    """The keys of every section that can be reached by known keys, in maps and lists as well."""
    yield known_keys(place)
    for key in known_keys(place):
        for inner in ((*place, key), (*place, key, 0)):
            if known_keys(inner):
                yield from found_below(inner)


def test_every_section_is_found_somewhere() -> None:
    written = [section for section in sections() if not section.__subclasses__()]
    assert set(found_below(())) == {tuple(section.model_fields) for section in written}

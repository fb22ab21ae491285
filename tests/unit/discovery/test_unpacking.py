"""What a forward's source takes its arguments apart into."""

from __future__ import annotations

from typing import Any

from archcheck.discovery.unpacking import keys_looked_up, unpacked_tuples


class Unpacks:
    def directly(self, inputs: Any) -> Any:
        """Take a batch apart at once."""
        text, lengths = inputs
        return text, lengths

    def within(self, inputs: Any, scale: Any) -> Any:
        inputs, (hx, cx) = inputs
        return inputs, hx, cx, scale

    def later(self, x: Any) -> Any:
        x = self.directly(x)
        mean, var = x
        return mean + var

    def a_part(self, x: Any) -> Any:
        first, x.rest = x
        return first

    def looks_up(self, data: Any, batch: Any) -> Any:
        out = {"image": data["image"], "again": data["image"], "points": batch["points"]}
        if "mask" in data:
            out["mask"] = data["mask"]
        data["scores"] = out
        return data["scores"], data[0], out["points"]


def test_the_names_of_a_tuple_are_those_that_its_argument_is_unpacked_into() -> None:
    assert unpacked_tuples(Unpacks().directly) == {"inputs": ["text", "lengths"]}
    assert unpacked_tuples(Unpacks().within) == {"inputs": ["inputs", ["hx", "cx"]]}


def test_what_was_computed_from_an_argument_is_not_the_argument() -> None:
    assert unpacked_tuples(Unpacks().later) == {}
    assert unpacked_tuples(Unpacks().a_part) == {}


def test_keys_that_are_asked_about_or_set_first_may_be_missing() -> None:
    found = keys_looked_up(Unpacks().looks_up)
    assert {name: found[name] for name in ("data", "batch")} == {"data": ["image"], "batch": ["points"]}


def test_a_function_without_source_is_taken_apart_into_nothing() -> None:
    assert unpacked_tuples(max) == {}
    assert keys_looked_up(eval("lambda data: data['x']")) == {}

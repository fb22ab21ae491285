"""Rows of numbered layers aligned with the layers of now, by how much of each row is true of each."""

from __future__ import annotations

import pytest

from archcheck.checks.shifted_layers import OTHER_LAYER, Shift, find_shifts, with_shifts
from archcheck.spec.layer_keys import parse_layer_key
from archcheck.spec.models import Layer
from archcheck.structure.records import CallRecord, ForwardRecord, ModuleRecord, StructureTrace


def trace_of(now: dict[str, str]) -> StructureTrace:
    modules = {name: ModuleRecord(name, kind, kind, 0, 0, 0) for name, kind in {"": "Net", **now}.items()}
    return StructureTrace(modules, {}, [ForwardRecord({"B": 2}, [CallRecord(name, 0) for name in modules])], 0)


def shifts(rows: dict[str, str], now: dict[str, str], labels: tuple[str, ...] = ()) -> list[Shift]:
    trace = trace_of(now)

    def misfit(key: str, layer: Layer) -> int:
        kind = now.get(parse_layer_key(key).name)
        return 0 if kind == layer.type else OTHER_LAYER

    layers = {key: Layer(type=kind) for key, kind in rows.items()}
    return find_shifts(layers, {key: key for key in layers}, labels, trace, misfit)


def numbered(kinds: str, parent: str = "") -> dict[str, str]:
    return {f"{parent}{i}": kind for i, kind in enumerate(kinds.split()) if kind != "-"}


@pytest.mark.parametrize(
    ("before", "now", "moved", "gone", "new"),
    [
        ("a b c", "x a b c", {"0": "1", "1": "2", "2": "3"}, (), ("0",)),
        ("a b c", "a x b c", {"1": "2", "2": "3"}, (), ("1",)),
        ("a b c", "a x b y c", {"1": "2", "2": "4"}, (), ("1", "3")),
        ("a b c d", "a d", {"3": "1"}, ("1", "2"), ()),
        ("a b c d", "x d", {"3": "1"}, ("1", "2"), ()),  # one of the first three is another
        ("a n r b r c", "a r b d r c", {"2": "1", "3": "2"}, ("1",), ("3",)),  # one taken out, another put in behind
        ("a - b - c", "a r x b r c", {"2": "3", "4": "5"}, (), ("2",)),  # r isn't listed elsewhere either
        ("a - b - c", "a x r b x r c", {"2": "3", "4": "6"}, (), ()),  # which of the two is new?
        ("- - b", "x y x b y b", {"2": "3"}, (), ()),  # the nearest one
    ],
)
def test_rows_are_aligned(before: str, now: str, moved: dict[str, str], gone: tuple[str, ...], new: tuple[str]) -> None:
    (shift,) = shifts(numbered(before), numbered(now))
    assert (shift.moved, shift.gone, shift.new) == (moved, gone, new)


@pytest.mark.parametrize(
    ("before", "now"), [("a b c", "a b c"), ("a b c", "a c b"), ("a b c", "x b c"), ("a b c", "a b c x")]
)
def test_rows_stay_where_they_are(before: str, now: str) -> None:
    assert shifts(numbered(before), numbered(now)) == []


def test_outer_modules_move_before_inner_ones() -> None:
    rows = {"b": "list", "b.0": "s", "b.0.0": "x", "b.1": "t", **numbered("y z", "b.1.")}
    now = {"b": "list", "b.0": "new", "b.1": "s", "b.1.0": "x", "b.2": "t", **numbered("w y z", "b.2.")}
    outer, inner = shifts(rows, now)
    assert outer.moved == {"b.0": "b.1", "b.0.0": "b.1.0", "b.1": "b.2", "b.1.0": "b.2.0", "b.1.1": "b.2.1"}
    assert inner.moved == {"b.1.0": "b.2.1", "b.1.1": "b.2.2"}
    assert (outer.new, inner.new) == (("b.0",), ("b.2.0",))


def test_recorded_layers_tell_how_many_there_were() -> None:
    rows, now = numbered("a b c"), numbered("a c r")
    assert shifts(rows, now) == []  # none is known to be gone
    (shift,) = shifts(rows, now, ("0", "1", "2", "3"))
    assert (shift.moved, shift.gone) == ({"2": "1"}, ("1",))


def test_a_row_does_not_take_the_place_of_a_recorded_layer_that_is_still_there() -> None:
    rows, now = {"bn1": "norm", "conv2": "conv"}, {"bn2": "norm", "conv2": "conv"}
    (shift,) = shifts(rows, now)  # for all that is known
    assert shift.moved == {"bn1": "bn2"}
    assert shifts(rows, now, ("bn1", "bn2", "conv1", "conv2")) == []


def test_calls_are_numbered_too() -> None:
    modules = {name: ModuleRecord(name, "x", "x", 0, 0, 0) for name in ("", "act")}
    now = ["new", "a", "b"]  # what comes out of the calls
    calls = [CallRecord("", 0), *(CallRecord("act", index) for index in range(3))]

    def misfit(key: str, layer: Layer) -> int:
        call = parse_layer_key(key).call
        return OTHER_LAYER if call is None or call >= 3 else int(now[call] != layer.type)

    layers = {"act[0]": Layer(type="a"), "act[1]": Layer(type="b")}
    trace = StructureTrace(modules, {}, [ForwardRecord({"B": 2}, calls)], 0)
    (shift,) = find_shifts(layers, {key: key for key in layers}, (), trace, misfit)
    assert (shift.moved, shift.gone) == ({"act[0]": "act[1]", "act[1]": "act[2]"}, ())


@pytest.mark.parametrize(
    ("name", "moved"),
    [
        ("0.weight", "0.weight"),
        ("1.weight", "2.weight"),
        ("1.**", "2.**"),
        ("2", "3"),  # listed by no row, between two that move alike
        ("3.bias", "4.bias"),
        ("9.bias", "10.bias"),
        ("other.1.weight", "other.1.weight"),
    ],
)
def test_names_elsewhere_move_as_the_rows_do(name: str, moved: str) -> None:
    now = numbered("a x b r c d")
    (shift,) = shifts(numbered("a b - c"), now)
    assert with_shifts(name, [shift], trace_of(now)) == moved

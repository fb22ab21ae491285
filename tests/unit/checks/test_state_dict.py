from __future__ import annotations

from archcheck.checks.state_dict import compare_states, guess_renames
from archcheck.findings import Edit
from archcheck.spec.values import StateEntry

KEYS = ("state_dict", "keys")


def entries(**shapes: tuple[int, ...]) -> dict[str, StateEntry]:
    return {name.replace("__", "."): StateEntry(shape, "float32") for name, shape in shapes.items()}


def test_equal_states_have_no_mismatch() -> None:
    assert not list(compare_states(entries(a=(2,)), entries(a=(2,)), KEYS))


def test_a_renamed_module_is_guessed_by_its_shapes() -> None:
    old = entries(conv1__weight=(6, 1, 5, 5), conv1__bias=(6,), fc__weight=(10, 6))
    new = entries(stem__weight=(6, 1, 5, 5), stem__bias=(6,), fc__weight=(10, 6))
    (found,) = compare_states(old, new, KEYS)
    assert found.keys == (*KEYS, "conv1.weight")
    assert found.problem == "2 keys are missing, 2 keys are not expected"
    assert found.notes == (
        ("missing", "conv1.weight, conv1.bias"),
        ("unexpected", "stem.weight, stem.bias"),
        ("renamed?", "conv1.* -> stem.* (2 keys): the same shapes in the same order"),
    )


def test_a_wrapped_network_is_one_rename() -> None:
    names = entries(a__weight=(3,), b__weight=(4,))
    wrapped = {f"module.{name}": entry for name, entry in names.items()}
    assert guess_renames(names, wrapped) == ["* -> module.* (2 keys)"]


def test_names_of_other_shapes_are_no_renames() -> None:
    assert not guess_renames(entries(a=(3,)), entries(b=(4,)))


def test_only_missing_names_are_told() -> None:
    (found,) = compare_states(entries(a=(1,), b=(2,)), entries(a=(1,)), KEYS)
    assert (found.problem, found.notes) == ("1 key is missing", (("missing", "b"),))


def test_another_shape_is_told_of_its_key_and_can_be_accepted() -> None:
    (found,) = compare_states(entries(a=(64, 3)), entries(a=(64, 1)), KEYS)
    assert (found.subject, found.problem) == ("a", "shape differs")
    assert (found.expected, found.actual) == ("[64, 3]", "[64, 1]")
    assert found.edits == (Edit((*KEYS, "a"), [64, 1]),)


def test_another_dtype_is_a_difference() -> None:
    (found,) = compare_states({"n": StateEntry((), "int64")}, {"n": StateEntry((), "int32")}, KEYS)
    assert (found.problem, found.expected, found.actual) == ("dtype differs", "[] int64", "[] int32")
    assert found.edits == (Edit((*KEYS, "n"), {"shape": [], "dtype": "int32"}),)


def test_a_name_without_a_shape_holds_for_any() -> None:
    assert not list(compare_states({"a": None}, entries(a=(7,)), KEYS))


def test_what_is_no_tensor_is_told_from_a_tensor() -> None:
    (found,) = compare_states({"x": StateEntry(None)}, entries(x=(1,)), KEYS)
    assert (found.expected, found.actual) == ("no tensor", "[1]")


def test_names_in_alphabetical_order_are_matched_by_their_shapes() -> None:
    missing = entries(b__weight=(3, 2), b__bias=(3,), a__weight=(5, 4), a__bias=(5,))
    unexpected = entries(m__a__bias=(5,), m__a__weight=(5, 4), m__b__bias=(3,), m__b__weight=(3, 2))
    assert guess_renames(missing, unexpected) == ["* -> m.* (4 keys)"]

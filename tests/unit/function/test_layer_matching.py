"""Which recorded layer a layer is held against."""

from __future__ import annotations

from archcheck.function.digested_layers import DigestedLayer
from archcheck.function.layer_matching import pair_layers
from archcheck.structure.layer_pairing import call_label


def layers(*names: str) -> list[DigestedLayer]:
    """Calls of modules by name, in the order in which they return."""
    found = []
    for i, name in enumerate(names):
        index = names[:i].count(name)
        found.append(DigestedLayer(call_label(name, index, names.count(name)), name, index, "Module", {}))
    return found


def paired(recorded: list[str], *now: str) -> list[str]:
    """`label = call` for each pair."""
    labels = [layer.label for layer in layers(*recorded)]
    pairs = pair_layers(labels, layers(*now), lambda _label, _layer: False, {})
    return [f"{label} = {layer.name}[{layer.index}]" for label, layer in pairs]


def test_calls_are_paired_by_name_and_number() -> None:
    assert paired(["a", "act", "b", "act"], "a", "act", "b", "act") == [
        "a = a[0]",
        "act[0] = act[0]",
        "b = b[0]",
        "act[1] = act[1]",
    ]


def test_a_module_in_the_place_of_a_shared_ones_call_is_held_against_that_call() -> None:
    recorded = ["0.fc", "0.act", "0", "1.fc", "0.act", "1", "2.fc", "0.act", "2"]
    pairs = paired(recorded, "0.fc", "0.act", "0", "1.fc", "1.act", "1", "2.fc", "0.act", "2")
    assert pairs[1] == "0.act[0] = 0.act[0]"
    assert pairs[4] == "0.act[1] = 1.act[0]"
    assert pairs[7] == "0.act[2] = 0.act[1]"


def test_where_the_first_call_of_a_shared_module_is_another_modules_the_last_part_of_the_name_tells_which() -> None:
    pairs = paired(["0.act", "0", "0.act", "1", "2"], "0.fc", "0.act", "0", "1.fc", "1.act", "1", "2")
    assert "0.act[1] = 1.act[0]" in pairs


def test_behind_a_call_that_is_gone_each_is_held_against_its_own() -> None:
    pairs = paired(["a", "act", "b", "act", "c", "act"], "a", "act", "b", "c", "act")
    assert pairs == ["a = a[0]", "act[0] = act[0]", "b = b[0]", "c = c[0]", "act[2] = act[1]"]


def test_a_further_call_is_held_against_none() -> None:
    assert paired(["a", "act", "b"], "a", "act", "act", "b") == ["a = a[0]", "act = act[0]", "b = b[0]"]


def test_a_new_layer_is_held_against_the_one_whose_place_it_takes() -> None:
    assert paired(["a", "old", "b"], "a", "new", "b")[1] == "old = new[0]"


def test_rows_in_another_order_are_paired_by_name() -> None:
    assert sorted(paired(["b", "a", "gone"], "a", "b")) == ["a = a[0]", "b = b[0]"]


def test_behind_a_numbered_layer_that_is_gone_another_one_is_held_against_its_own_record() -> None:
    """Of Linear, ReLU, Linear the ReLU is gone: what is 1 now was recorded as 2."""
    now = [DigestedLayer(name, name, 0, "Linear", {}) for name in ("0", "1")]
    types = {"0": "Linear", "1": "ReLU", "2": "Linear"}
    pairs = pair_layers(list(types), now, lambda label, layer: label == layer.label == "0", types)
    assert [(label, layer.label) for label, layer in pairs] == [("0", "0"), ("2", "1")]


def test_where_as_many_run_as_did_each_is_held_against_the_one_whose_place_it_takes_however_deep_it_lies() -> None:
    pairs = paired(["a", "act", "b"], "a", "net.1", "b")
    assert pairs[1] == "act = net.1[0]"
    assert paired(["a", "act", "b"], "a", "net.1", "net", "b")[1] == "act = net[0]"

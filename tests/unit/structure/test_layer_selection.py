"""The modules that a spec's keys select, and the depth of a layer table."""

from __future__ import annotations

from torch import nn

from archcheck.findings import Mismatch
from archcheck.spec.layer_keys import parse_layer_key
from archcheck.structure.layer_selection import default_depth, limit_glob, matching_modules
from archcheck.structure.records import StructureTrace
from archcheck.structure.trace import trace_structure
from tests.unit.structure.traced_networks import TWO, linear, traced


def shared() -> StructureTrace:
    layer = linear()
    return traced(lambda m, x: m.again(m.first(x)), first=lambda: layer, again=lambda: layer, block=nn.Identity)


def test_keys_select_modules_by_name_glob_and_alias() -> None:
    trace = shared()
    assert trace.aliases == {"again": "first"}
    selected = {key: matching_modules(parse_layer_key(key), trace) for key in ("first", "again", "*", "ag*", "x", "**")}
    assert selected == {
        "first": ["first"],
        "again": ["first"],
        "*": ["first", "block"],
        "ag*": ["first"],
        "x": [],
        "**": ["first", "block"],
    }


def test_only_the_first_of_a_globs_mismatches_are_shown() -> None:
    key = parse_layer_key("b.*")
    mismatches = [Mismatch(("layers",), f"b.{order}", "differs", order=order) for order in (4, 2, 0, 1, 3)]
    assert limit_glob(key, mismatches[:3]) == mismatches[:3]
    limited = limit_glob(key, mismatches)
    assert [one.subject for one in limited] == ["b.0", "b.1", "b.2"]
    assert [one.notes for one in limited] == [(), (), (("note", "and 2 more layers matched by b.*"),)]


def test_the_depth_is_the_deepest_whose_table_has_40_rows() -> None:
    def nested(blocks: int) -> nn.Module:
        return nn.Sequential(*(nn.Sequential(linear(), nn.ReLU(), nn.ReLU()) for _ in range(blocks)))

    assert default_depth(trace_structure(lambda: nested(10), TWO)) == 2  # 10 blocks and 30 layers
    assert default_depth(trace_structure(lambda: nested(11), TWO)) == 1
    assert default_depth(trace_structure(linear, TWO)) == 1

"""A difference followed back to where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archcheck.function.digested_layers import DigestedLayer
from archcheck.function.origin import first_origin, taken_on_the_way_out
from archcheck.structure.records import INPUT, CallRecord, FlowRecord, ForwardRecord, JoinRecord

NAMES = ["", "stem", "block", "block.fc", "time", "last"]  # by their places in the forward pass
FORWARD = ForwardRecord({}, [CallRecord(name, 0) for name in NAMES])
ADDED = len(NAMES)  # the place of what adds block and time
SOURCES = {1: (INPUT,), 3: (1,), 4: (INPUT,), 5: (ADDED,)}
FLOW = FlowRecord(SOURCES, (JoinRecord("add", 5, 0, (3, 4)),), output=(5,))


def layer(name: str) -> DigestedLayer:
    return DigestedLayer(name, name, 0, "Linear", {})


def origin(name: str | None, differing: Sequence[str], sources: Mapping[int, tuple[int, ...]] = SOURCES) -> str | None:
    """The name of the first of the calls that differ from which the difference of a layer comes."""
    flow = FlowRecord(sources, FLOW.joins, FLOW.output)
    calls = {(one, 0): layer(one) for one in differing}
    found = first_origin(None if name is None else layer(name), calls, FORWARD, flow)
    return None if found is None else found.name


def test_it_is_followed_through_joins_and_calls_that_differ() -> None:
    assert origin("last", ["stem", "block.fc"]) == "stem"


def test_it_is_not_followed_past_a_call_that_agrees() -> None:
    assert origin("last", ["stem"]) is None
    assert origin("last", ["stem", "time"]) == "time"


def test_what_is_not_on_its_way_is_another_matter() -> None:
    assert origin("block", ["block.fc", "time"]) == "block.fc"
    assert origin("time", ["stem", "block.fc"]) is None


def test_that_of_the_network_itself_is_followed_from_its_output() -> None:
    assert origin(None, ["stem", "block.fc", "last"]) == "stem"
    assert origin(None, ["stem", "block.fc"]) is None


def test_a_layer_that_is_called_nowhere_now_has_none() -> None:
    assert origin("gone", ["stem"]) is None


def test_what_only_a_call_that_agrees_takes_is_not_taken_on_the_way_out() -> None:
    assert taken_on_the_way_out({("block.fc", 0)}, FORWARD, FLOW) == {("last", 0), ("block.fc", 0), ("time", 0)}
    assert taken_on_the_way_out(set(), FORWARD, FLOW) == {("last", 0), ("block.fc", 0), ("time", 0), ("stem", 0)}
    assert taken_on_the_way_out({("last", 0)}, FORWARD, FLOW) == {("last", 0)}

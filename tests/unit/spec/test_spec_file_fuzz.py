"""Whatever is thrown at the parser becomes a spec, or problems that name a line of the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from archcheck.errors import SpecError
from archcheck.spec.spec_file import parse_spec

SPECS = sorted((Path(__file__).parents[3] / "specs").glob("*.arch.yaml"))
TEXTS = [path.read_text() for path in SPECS]
FULL = """\
name: everything
source: nowhere
build: {build}
args: {{a: 1}}
input: {{ids: {{shape: [B, T], dtype: int64, below: 9}}, x: [B, H]}}
sizes: {{B: [2, 4], T: [3, 5], H: [8, 16]}}
layers:
  a.b: [B, H/4]
  a.**: {{type: Linear, output: [[B, T], null], parameters: 1_000}}
  c[1]: {{output: {{k: [B]}}}}
output: {{y: [B, ceil(H/3)]}}
parameters: {{total: 3, trainable: 2, buffers: 0}}
macs: 1.5 G
function:
  {{at: {{B: 4, T: 3, H: 8}}, precision: float32, train: false, budget: {{time: 5 s, memory: 3 GiB}}}}
equivalent_to: {{build: m:f, args: {{}}}}
health: {{allow_unused: ["aux.**"]}}
training:
  {{dataset: d, optimizer: {{name: SGD, lr: 0.1}}, epochs: 3, accuracy: 0.9, time_budget: 60 s, quick: {{epochs: 1}}}}
throughput: {{batch_size: 8, max_regression: 15%, min_examples_per_sec: {{cpu: 30}}}}
claims: {{faster_than: {{spec: other, by: 1.5}}, better_than: [{{spec: other, by: 0}}]}}
""".format(build="m:f")

MESSAGE = re.compile(r"spec\.yaml:(\d+): \S.*", re.DOTALL)


def check(text: str) -> None:
    """Parse, and hold every problem to the form that users rely on."""
    try:
        parse_spec(text, "spec.yaml")
        return
    except SpecError as error:
        problems = error.problems
    lines = len(re.split(r"\r\n|\n|\r", text))
    assert problems
    for problem in problems:
        found = MESSAGE.fullmatch(str(problem))
        assert found is not None, str(problem)
        assert 1 <= int(found[1]) <= lines + 1
        assert "\n" not in problem.message
        assert len(problem.message) < 1000
        assert "pydantic" not in problem.message
        assert "Input should" not in problem.message


def test_the_full_language_is_valid() -> None:
    spec = parse_spec(FULL, "spec.yaml").spec
    assert spec.training is not None
    assert spec.training.time_budget == 60


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_every_shipped_spec_is_valid(path: Path) -> None:
    parse_spec(path.read_text(), str(path))


anything = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12),
        st.sampled_from(["B", "H/4", "1.5 G", "off", "m:f", "15%", "60 s", "[B]", "2 3", "(", "SGD", "a/b.py:C"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.text(max_size=8), st.sampled_from(["shape", "output", "type", "name"])), inner,
                        max_size=4),
    ),
    max_leaves=8,
)  # fmt: skip


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += _places(inner, (*path, key))
    return found


BASE = yaml.safe_load(FULL.replace("1_000", "1000"))
PLACES = _places(BASE)


@given(place=st.sampled_from(PLACES), value=anything)
@settings(max_examples=400, deadline=None)
def test_any_value_anywhere(place: tuple[Any, ...], value: Any) -> None:
    data = yaml.safe_load(yaml.safe_dump(BASE))
    parent = data
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    check(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))


@given(place=st.sampled_from(PLACES), key=st.text(max_size=10), value=anything)
@settings(max_examples=200, deadline=None)
def test_any_further_key_anywhere(place: tuple[Any, ...], key: str, value: Any) -> None:
    data = yaml.safe_load(yaml.safe_dump(BASE))
    parent = data
    for part in place:
        parent = parent[part]
    if isinstance(parent, dict):
        parent[key] = value
    check(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))


@given(data=st.data())
@settings(max_examples=400, deadline=None)
def test_mutated_specs(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([*TEXTS, FULL]))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        new = data.draw(
            st.one_of(st.text(max_size=6), st.sampled_from(["[", "{", ": ", "\n", "  ", "&a ", "*a", "!!x ", "'"]))
        )
        text = text[:start] + new + text[end:]
    check(text)

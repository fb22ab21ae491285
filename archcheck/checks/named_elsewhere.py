"""Names of layers and parameters in a spec that stand elsewhere than in `layers`: they follow where these move."""

from __future__ import annotations

from collections.abc import Callable

from archcheck.findings import Edit
from archcheck.spec.models import Health, Spec
from archcheck.spec.weight_expressions import names_in, parse_weight_expression, with_names


def names_elsewhere(spec: Spec) -> list[str]:
    """Return the names and globs in what `health` excuses, and in what another build's weights are made of."""
    excused = [text for texts in _excused(spec).values() for text in texts]
    weights = [] if spec.equivalent_to is None else spec.equivalent_to.weights.values()
    return [*excused, *(name for text in weights for name in names_in(parse_weight_expression(text)))]


def moved_names(spec: Spec, change: Callable[[str], str]) -> list[Edit]:
    """Return the edits that write other names."""
    edits = [
        Edit(("health", key, position), change(text))
        for key, texts in _excused(spec).items()
        for position, text in enumerate(texts)
        if change(text) != text
    ]
    weights = {} if spec.equivalent_to is None else spec.equivalent_to.weights
    for name, text in weights.items():
        expression = parse_weight_expression(text)
        if any(change(one) != one for one in names_in(expression)):
            edits.append(Edit(("equivalent_to", "weights", name), str(with_names(expression, change))))
    return edits


def _excused(spec: Spec) -> dict[str, list[str]]:
    return spec.health.model_dump() if isinstance(spec.health, Health) else {}

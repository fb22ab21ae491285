"""The JSON Schema of spec files, for editors."""

from __future__ import annotations

from typing import Any

from archcheck.spec.models import Spec


def spec_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a spec file."""
    schema: dict[str, Any] = _without_noise(Spec.model_json_schema(mode="validation"))
    schema["required"].remove("input")
    schema["anyOf"] = [{"required": ["input"]}, {"required": ["inputs_from"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "archcheck spec", **schema}


def _without_noise(schema: Any) -> Any:
    """Leave out the titles that repeat a key's name, and defaults that stand for an absent key."""
    if isinstance(schema, list):
        return [_without_noise(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    properties = schema.get("properties")
    kept = {key: value for key, value in schema.items() if not (key == "title" and isinstance(value, str))}
    if "default" in kept and kept["default"] in (None, {}, []):
        del kept["default"]
    cleaned = {key: _without_noise(value) for key, value in kept.items() if key != "properties"}
    if properties is not None:
        # The names below are a spec's own keys: none of them is a keyword of the schema.
        cleaned["properties"] = {name: _without_noise(value) for name, value in properties.items()}
    return cleaned

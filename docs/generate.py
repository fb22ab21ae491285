"""Write the tables of keys, checks and options into the pages; with `--check` only tell which of them are out of date.

A table stands between two comments, `<!-- keys: Training -->` and `<!-- end -->`, in README.md or a page of `docs/`:

    keys: MODEL          the keys of a section of a spec, from its pydantic model
    keys: MODEL - OTHER  those that the model has beside another one's
    checks:              the checks, from pytest's markers
    options: pytest      the options of `pytest --archcheck`
    commands: archcheck  the commands of `archcheck`
    options: archcheck   the options of these commands

What is known of a key is in its model. `_DEFAULTS` has only what isn't there.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import pytest
import yaml

from archcheck.checks.registry import CHECKS
from archcheck.cli.command_line import make_parser
from archcheck.plugin import pytest_addoption
from archcheck.spec.lock import Lock
from archcheck.spec.models import Spec
from archcheck.spec.spec_file import parse_spec
from archcheck.throughput.plan import resolve_plan
from archcheck.training.recipe import resolve_recipe

ROOT: Final = Path(__file__).parents[1]
COMMAND: Final = "python docs/generate.py"

_TABLE = re.compile(r"(<!-- (?P<kind>keys|checks|options|commands): ?(?P<what>[^\n]*?) ?-->\n).*?(<!-- end -->)", re.S)
_NO_TABLE: Final = {"Named"}  # a name with arguments of torch's: the pages say so where it may stand
_NAMED: Final = "a name, or a map with `name`"

_DEFAULTS: Final = {
    "Spec.function": "none",
    "Spec.health": "no exceptions",
    "Spec.name": "the file's name without `.arch.yaml`",
    "Spec.sizes": "`{B: [2, 3]}`",
    "Training.dataset": "required without `loop`",
    "Training.resize": "as they are",
    "Training.init": "the network's own",
    "Throughput.batch_size": "the recipe's",
    "Throughput.resize": "the recipe's",
    "Throughput.precision": "the recipe's",
    "Function.input": "the spec's",
    "Budget.time": "`2 s`",
    "Budget.memory": "`2 GiB`",
}


class StaleError(Exception):
    """What this file says, or a page asks for, isn't so."""


# ------------------------------------------------------------------------------------------- keys


class Models:
    """The models of a spec's sections, as their JSON Schema has them."""

    def __init__(self) -> None:
        schema = Spec.model_json_schema(mode="validation")
        lock = Lock.model_json_schema(mode="validation")
        recorded = {name: lock["$defs"][name] for name in ("Digests", "RecordedFunction")}
        self.by_name: dict[str, dict[str, Any]] = {**recorded, **schema.get("$defs", {}), "Spec": schema}
        example = parse_spec("build: a:b\ninput: [B, 1]\ntraining: {dataset: none}").spec
        self._recipe = resolve_recipe(example, "full")
        self._max_regression = resolve_plan(example, "full").max_regression

    def table(self, what: str) -> str:
        """The table that `keys: WHAT` asks for."""
        name, _, other = what.partition(" - ")
        for one in (name, other or name):
            if one not in self.by_name:
                raise StaleError(f"keys: {one}: there is no such model; there are {', '.join(sorted(self.by_name))}")
        without = self.by_name[other]["properties"] if other else {}
        properties = {key: field for key, field in self.by_name[name]["properties"].items() if key not in without}
        rows = [
            (f"`{key}`", self._describe(name, key, field), _values(field), self._default(name, key, field))
            for key, field in properties.items()
        ]
        return _table(("key", "", "value", "default"), rows)

    def keys(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Every model with each of its keys; keys that `quick` shares with `training` are `training`'s."""
        for name, schema in self.by_name.items():
            for key, field in schema.get("properties", {}).items():
                if name not in _NO_TABLE and not (name == "Quick" and key in self.by_name["Training"]["properties"]):
                    yield name, key, field

    def _describe(self, name: str, key: str, field: Mapping[str, Any]) -> str:
        own = _description(field)
        if own is None:
            raise StaleError(f"{name}.{key} has no description in its model")
        return _escaped(own)

    def _default(self, name: str, key: str, field: Mapping[str, Any]) -> str:
        if key in self.by_name[name].get("required", ()):
            return "required"
        if f"{name}.{key}" in _DEFAULTS:
            return _DEFAULTS[f"{name}.{key}"]
        value = field.get("default")
        if name == "Training":
            value = _plain(getattr(self._recipe, key, None))
        if (name, key) == ("Throughput", "max_regression"):
            value = f"{self._max_regression:.1%}"
        return "" if value in (None, {}, [], ()) and value is not False else f"`{_flow(value)}`"


def _description(field: Mapping[str, Any]) -> str | None:
    """A field's own, or that of the type that it has."""
    inside = (one.get("description") for one in field.get("anyOf", ()))
    return cast("str | None", field.get("description") or next(filter(None, inside), None))


def _plain(value: Any) -> Any:
    """A value of a recipe as YAML has it: what has a name and nothing else is its name."""
    if not hasattr(value, "model_dump"):
        return value
    named = value.model_dump()
    return named["name"] if list(named) == ["name"] else named


def _flow(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False).removesuffix("...\n").strip()


def _values(schema: Mapping[str, Any]) -> str:
    """What may stand for a key, in words."""
    if "examples" in schema:
        return "such as " + " or ".join(f"`{_flow(one)}`" for one in schema["examples"])
    if "anyOf" in schema:
        options = dict.fromkeys(_values(one) for one in schema["anyOf"] if one.get("type") != "null")
        return ", or ".join(one for one in options if one != "text" or _NAMED not in options)
    if "$ref" in schema:
        return _NAMED if schema["$ref"].endswith("/Named") else "a map"
    if "const" in schema or "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema.get("enum", [schema.get("const")]))
    return _OF_TYPE[schema["type"]](schema)


def _number(word: str) -> Callable[[Mapping[str, Any]], str]:
    bounds = {
        "minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below",
    }  # fmt: skip

    def in_words(schema: Mapping[str, Any]) -> str:
        found = [f"{text} {schema[key]:g}" for key, text in bounds.items() if schema.get(key, 2**32) < 2**32]
        return ", ".join([word, *found])

    return in_words


def _text(schema: Mapping[str, Any]) -> str:
    return "a percentage, such as `7.5%`" if "%" in schema.get("pattern", "") else "text"


def _list(schema: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        return f"a list of {len(schema['prefixItems'])} whole numbers"
    of = {"string": " of names", "number": " of numbers", "integer": " of whole numbers"}
    return "a list" + of.get(schema.get("items", {}).get("type", ""), "")


_OF_TYPE: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "boolean": lambda _: "`true` or `false`",
    "integer": _number("a whole number"),
    "number": _number("a number"),
    "string": _text,
    "array": _list,
    "object": lambda _: "a map",
}


# ------------------------------------------------------------------------------------------- options


class _Options:
    """Stands in for pytest's parser, and for a group of its options: keeps what the plugin adds."""

    def __init__(self) -> None:
        self.found: list[tuple[str, Mapping[str, Any]]] = []

    def getgroup(self, *_: str) -> _Options:
        return self

    def addoption(self, name: str, **attrs: Any) -> None:
        self.found.append((name, attrs))

    def addini(self, *_: Any, **attrs: Any) -> None:
        """The pages tell of the ini option themselves."""


def _pytest_options() -> str:
    options = _Options()
    pytest_addoption(cast(pytest.Parser, options))
    rows = [(_option([name], attrs), *_help(attrs)) for name, attrs in options.found]
    return _table(("option", "", "default"), rows)


def _option(names: Sequence[str], attrs: Mapping[str, Any]) -> str:
    """An option with what follows it."""
    name, choices = ", ".join(names), attrs.get("choices")
    if choices:
        return f"`{name}` with " + " or ".join([", ".join(f"`{one}`" for one in choices[:-1]), f"`{choices[-1]}`"])
    return f"`{' '.join(filter(None, (name, _escaped(attrs.get('metavar') or ''))))}`"


def _help(attrs: Mapping[str, Any]) -> tuple[str, str]:
    """What an option does, and its default."""
    text, value = attrs["help"], attrs.get("default")
    told = re.search(r"\s*\(default: (.*?)\)$", text)
    if told:
        return _escaped(text[: told.start()]), _escaped(told[1])
    return _escaped(text), "" if value in (None, False, [], "{}") or attrs.get("const") else f"`{value}`"


def _commands() -> dict[str, argparse.ArgumentParser]:
    (commands,) = (one for one in make_parser()._actions if isinstance(one, argparse._SubParsersAction))
    return dict(commands.choices)


def _command_table() -> str:
    parser = make_parser()
    (commands,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    told = {one.dest: one.help for one in commands._choices_actions}
    rows = [(f"`archcheck {name}{_arguments(one)}`", _escaped(told[name] or "")) for name, one in _commands().items()]
    return _table(("command", ""), rows)


def _arguments(command: argparse.ArgumentParser) -> str:
    positional = [action for action in command._actions if not action.option_strings]
    return "".join(f" {action.metavar}{'...' if action.nargs == '+' else ''}" for action in positional)


def _command_options() -> str:
    """The options of all commands, each once."""
    of: dict[tuple[str, str, str], list[str]] = {}
    for name, command in _commands().items():
        for action in command._actions:
            if action.option_strings and action.dest != "help":
                attrs = vars(action)
                of.setdefault((_option(action.option_strings, attrs), *_help(attrs)), []).append(f"`{name}`")
    rows = [(option, ", ".join(names), text, default) for (option, text, default), names in of.items()]
    return _table(("option", "of", "", "default"), rows)


def _checks() -> str:
    return _table(("check", "verifies"), [(f"`{name}`", _escaped(what)) for name, what in CHECKS.items()])


# ------------------------------------------------------------------------------------------- pages


def _escaped(text: str) -> str:
    """As a cell of a table: what Markdown would take for a mark stays what it is."""
    parts = re.split(r"(`[^`]*`)", text.replace("|", r"\|"))
    return "".join(part if part.startswith("`") else re.sub(r"([*<])", r"\\\1", part) for part in parts)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown, without a last column in which there is nothing."""
    cells = [list(head), *map(list, rows)]
    width = len(head) if any(row[-1] for row in cells[1:]) else len(head) - 1
    lines = ["| " + " | ".join(row[:width]) + " |" for row in cells]
    return "\n".join([lines[0], "|---" * width + "|", *lines[1:]]).replace("|  |", "| |")


def written(text: str, models: Models) -> str:
    """A page with its tables as they should be."""

    def replaced(found: re.Match[str]) -> str:
        kind, what = found["kind"], found["what"]
        makers: dict[tuple[str, str], Callable[[], str]] = {
            ("checks", ""): _checks,
            ("options", "pytest"): _pytest_options,
            ("commands", "archcheck"): _command_table,
            ("options", "archcheck"): _command_options,
        }
        table = models.table(what) if kind == "keys" else makers[kind, what]()
        return f"{found[1]}\n{table}\n\n{found[4]}"

    return _TABLE.sub(replaced, text)


def pages() -> list[Path]:
    """README.md and the pages of docs/."""
    return [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)]


def problems(texts: Iterable[str], models: Models) -> list[str]:
    """What is missing from the pages, or too much in this file."""
    shown = {found["what"].split(" - ")[0] for text in texts for found in _TABLE.finditer(text)}
    known = {f"{name}.{key}" for name, key, _ in models.keys()}  # noqa: SIM118
    return [
        *(f"no page has the table <!-- keys: {name} -->" for name in sorted(models.by_name.keys() - _NO_TABLE - shown)),
        *(f"docs/generate.py: _DEFAULTS has {key}: no such key" for key in _DEFAULTS if key not in known),
    ]


def main(argv: Sequence[str]) -> int:
    """Rewrite the pages, or with `--check` say what would change. Returns the exit status."""
    texts = {path: path.read_text(encoding="utf-8") for path in pages()}
    models = Models()
    try:
        new = {path: written(text, models) for path, text in texts.items()}
    except StaleError as error:
        print(error)
        return 1
    stale = [path for path, text in texts.items() if new[path] != text]
    found = problems(texts.values(), models)
    for path in stale:
        if "--check" in argv:
            found.append(f"{path.relative_to(ROOT)}: its tables are out of date; run: {COMMAND}")
        else:
            path.write_text(new[path], encoding="utf-8")
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

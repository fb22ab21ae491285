"""Networks of transformers and diffusers from their configuration files: no weights, no network, no remote code."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from archcheck.errors import BuildError
from archcheck.network.exceptions import one_line, raised_at
from archcheck.network.imports import import_library
from archcheck.network.signatures import signature_of
from archcheck.spec.target import Target
from archcheck.text.paths import key_path
from archcheck.text.words import did_you_mean, kind_of, listed

Keys = tuple[str | int, ...]


def read_config_factory(target: Target, base_dir: Path) -> Callable[..., nn.Module]:
    """Read the configuration file that a target names; the result builds its network, `args` over the file's values.

    Raises:
        BuildError: the library isn't installed, the file isn't there or says of no network what it is.
    """
    library = import_library(target.scheme, target.scheme)
    values = _read_json(target, base_dir)
    if target.scheme == "diffusers":
        return DiffusersFactory(target, library, values)
    return TransformersFactory(target, library, values)


class TransformersFactory:
    """Builds the network that a configuration of transformers describes."""

    def __init__(self, target: Target, library: Any, values: Mapping[str, Any]) -> None:
        self._name, self._values = target.text, values
        self._make = self._class(target, library)
        self._config_class = self._class_of_config(target, library)
        given = signature_of(self._make).parameters if not hasattr(self._make, "from_config") else {}
        self._own = [name for name in given if name != "config" and not name.startswith("_")]

    def __call__(self, **args: Any) -> nn.Module:
        """Build the network; arguments that are no keys of the configuration go to its class."""
        config = self.configuration(args)
        own = {name: value for name, value in args.items() if name in self._own}
        make = getattr(self._make, "from_config", None) or self._make._from_config
        network: nn.Module = make(config, **own)
        return network

    def configuration(self, args: Mapping[str, Any]) -> Any:
        """Return the configuration with `args` over the file's values.

        Raises:
            BuildError: an argument is unknown, or refused by the configuration's class; `keys` says which.
        """
        values = copy.deepcopy(self._values)
        if "num_labels" in args:  # the file's names are those of another number of classes
            values = {key: value for key, value in values.items() if key not in ("id2label", "label2id")}
        args = {name: value for name, value in args.items() if name not in self._own}
        config = build_config(self._config_class, values, args, self._name, also=self._own)
        if getattr(config, "use_pretrained_backbone", False):  # it would be downloaded
            config.use_pretrained_backbone = False
        return config

    def _class(self, target: Target, library: Any) -> Any:
        """Return the class that the target names, else the file, else AutoModel."""
        named, architectures = target.attribute, self._values.get("architectures")
        if not named and architectures and isinstance(architectures, list):
            named = str(architectures[0])
        return _network_class(target, library, named or "AutoModel")

    def _class_of_config(self, target: Target, library: Any) -> Any:
        known, model_type = library.CONFIG_MAPPING, self._values.get("model_type")
        own: Any = getattr(self._make, "config_class", None)
        if model_type is None and own is not None:
            return own
        if model_type is None:
            raise BuildError(f"{target.text}: the file has neither a `model_type` nor `architectures`")
        if not isinstance(model_type, str) or model_type not in known:
            raise BuildError(
                f"{target.text}: transformers has no model type {model_type!r}{did_you_mean(str(model_type), known)}"
            )
        return known[model_type]


class DiffusersFactory:
    """Builds the network that a configuration of diffusers describes."""

    def __init__(self, target: Target, library: Any, values: Mapping[str, Any]) -> None:
        self._name, self._values = target.text, values
        named = target.attribute or values.get("_class_name")
        if named is None:
            raise BuildError(f"{target.text}: the file has no `_class_name`")
        if not target.attribute and str(named).endswith("Pipeline"):
            parts = ", ".join(key for key, value in values.items() if isinstance(value, list))
            raise BuildError(f"{target.text} is of a whole pipeline: name the file of one of its parts ({parts})")
        self._make = _network_class(target, library, str(named))

    def __call__(self, **args: Any) -> nn.Module:
        """Build the network."""
        network: nn.Module = self._make.from_config(copy.deepcopy(dict(self._values)), **args)
        return network

    def configuration(self, args: Mapping[str, Any]) -> None:
        """Check `args`.

        Raises:
            BuildError: an argument is unknown; `keys` says which.
        """
        known = [name for name in signature_of(self._make.__init__).parameters if name not in ("self", "kwargs")]
        for name in args:
            if name not in known:
                raise _unknown_key((name,), self._name, known)


def build_config(
    config_class: Any, values: Mapping[str, Any], args: Mapping[str, Any], name: str, keys: Keys = (), also: Any = ()
) -> Any:
    """Build a configuration of transformers from `values` and, over them, `args`, a map of the spec's at `keys`.

    Its classes keep whatever they don't know as attributes: what has become one, and wouldn't be there otherwise, is
    unknown. `also` are further names to tell of.

    Raises:
        BuildError: an argument is unknown, or the class refuses; `keys` of the error says which.
    """
    plain = _made(config_class, values, {}, name, keys)
    merged = dict(args)
    for key, value in args.items():
        part = getattr(plain, key, None)
        if isinstance(value, dict) and is_config_class(type(part)):
            of_file = values.get(key)
            of_file = of_file if isinstance(of_file, dict) else {}
            build_config(type(part), of_file, value, name, (*keys, key))
            merged[key] = {**of_file, **value}
    config = _made(config_class, values, merged, name, keys)
    about = f"{key_path(keys)}: {config_class.__name__}" if keys else name
    fields = {*signature_of(config_class).parameters, *config_class.attribute_map, "model_type"}
    known = {*vars(plain), *fields, *values, *also}
    for key in args:
        if key in vars(config) and key not in known:
            names = sorted(one for one in known if not one.startswith("_"))
            raise _unknown_key((*keys, key), about, names)
    return config


def _made(config_class: Any, values: Mapping[str, Any], args: Mapping[str, Any], name: str, keys: Keys) -> Any:
    try:
        return config_class(**copy.deepcopy({**values, **args}))
    except Exception as error:
        # Which of several values it is can be told where the message names just one of them.
        told = str(error)
        named = [
            key for key, value in args.items() if repr(key) in told or (isinstance(value, str) and repr(value) in told)
        ]
        place = (*keys, *named) if len(named) == 1 else keys
        message = f"{key_path(place) or name}: {config_class.__name__} raised {one_line(error)}"
        raise BuildError(message, keys=place, where=raised_at(error, own_only=True)) from error


def is_config_class(found: object) -> bool:
    """Whether something is a class of configurations of transformers."""
    return isinstance(found, type) and hasattr(found, "model_type") and hasattr(found, "attribute_map")


def _unknown_key(keys: Keys, name: str, known: list[str]) -> BuildError:
    accepts = f"(it accepts {listed(known)})"
    message = f"{name} accepts no argument {keys[-1]!r}{did_you_mean(str(keys[-1]), known)} {accepts}"
    return BuildError(message, keys=keys)


def _network_class(target: Target, library: Any, named: str) -> Any:
    """Return a class of the library's that is a network, or builds one."""
    try:
        found = getattr(library, named)
    except AttributeError as error:
        close = did_you_mean(named, [one for one in dir(library) if one[:1].isupper()])
        other = (
            "" if target.attribute else f"; name another after the file, as in {target.text}:{_EXAMPLES[target.scheme]}"
        )
        raise BuildError(f"{target.text}: {target.scheme} has no class {named!r}{close}{other}") from error
    is_network = isinstance(found, type) and (issubclass(found, nn.Module) or hasattr(found, "_model_mapping"))
    if not is_network:
        raise BuildError(f"{target.text}: {target.scheme}.{named} is no network: expected a torch.nn.Module's class")
    return found


_EXAMPLES = {"transformers": "AutoModel", "diffusers": "UNet2DModel"}


def _read_json(target: Target, base_dir: Path) -> dict[str, Any]:
    path = (base_dir / target.source).resolve()  # the spec's folder may not be there yet
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BuildError(f"no file {target.source} in {base_dir}") from error
    except OSError as error:
        raise BuildError(f"{target.source} can't be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise BuildError(f"{target.source} is no JSON: {one_line(error)}") from error
    if not isinstance(values, dict):
        raise BuildError(f"{target.source}: expected a JSON map, found {kind_of(values)}")
    return values

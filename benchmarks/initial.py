"""How weights start: no alarm over thousands of builds with other seeds, and mistakes planted in initialisers.

`python benchmarks/initial.py [BUILDS]` builds the zoo's networks so many times in all, each under another seed, and
holds every build against what the spec's lock has. Then it changes how torch's own initialisers draw, one mistake after
the other, and says in how many of the networks that start otherwise for it it's seen. With `--defects` the networks are
those of `defects.py`, whose locks are recorded first.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from unittest import mock

import torch
from defect_zoo.case import family_names, load_family
from defects import record_spec
from tabulate import tabulate
from torch import nn

from archcheck.function.initial_comparison import Start, compare_starts
from archcheck.function.initial_values import measure_starts
from archcheck.function.measure import network_factory
from archcheck.spec.spec_file import SpecFile, read_spec

SPECS: Final = Path(__file__).parents[1] / "specs"
LARGE: Final = 30_000_000  # parameters, of which a build takes a second
INIT: Final = nn.init


def main(arguments: list[str]) -> int:
    """Print both tables. Returns the number of alarms."""
    builds = next((int(one) for one in arguments if one.isdecimal()), 10_000)
    with tempfile.TemporaryDirectory() as folder:
        if "--defects" in arguments:
            zoo = list(_of_defects(Path(folder)))
        else:
            zoo = [read_spec(path) for path in sorted(SPECS.glob("*.arch.yaml"))]
        alarms, table = _alarms(zoo, builds)
        print(table, "\n")
        print(_planted(zoo))
    return alarms


def _of_defects(folder: Path) -> Iterator[SpecFile]:
    """Record the networks that `defects.py` plants defects in."""
    for name in family_names():
        place = folder / name
        place.mkdir()
        spec, complaint = record_spec(load_family(name), place)
        if complaint:
            raise RuntimeError(f"{name}: {complaint}")
        yield read_spec(spec)


def _recorded(spec_file: SpecFile) -> dict[str, Start]:
    lock = spec_file.lock()
    assert lock is not None
    return {name: Start.from_plain(one.model_dump()) for name, one in (lock.lock.initial or {}).items()}


def _is_large(spec_file: SpecFile) -> bool:
    parameters = spec_file.spec.parameters
    return parameters is not None and parameters.total is not None and parameters.total > LARGE


def _alarms(zoo: list[SpecFile], builds: int) -> tuple[int, str]:
    """Share the builds out among the networks, twenty times fewer for large ones."""
    weights = {spec_file.path: 1 if _is_large(spec_file) else 20 for spec_file in zoo}
    rows, start = [], time.perf_counter()
    in_all = 0
    for is_large in (False, True):
        chosen = [spec_file for spec_file in zoo if _is_large(spec_file) == is_large]
        compared = alarms = made = 0
        for spec_file in chosen:
            recorded, build = _recorded(spec_file), network_factory(spec_file, None)
            for seed in range(1000, 1000 + math.ceil(builds * weights[spec_file.path] / sum(weights.values()))):
                found = compare_starts(recorded, measure_starts(build, seed, recorded))
                alarms += bool(found)
                in_all += bool(found)
                compared += len(recorded)
                made += 1
                for one in found:
                    print(f"{spec_file.path}, seed {seed}: {one.name}: {one.what}", file=sys.stderr)
        if chosen:
            rows.append(["over 30 M parameters" if is_large else "smaller", len(chosen), made, compared, alarms])
    headers = ["networks", "number", "builds", "parameters held", "alarms"]
    seconds = time.perf_counter() - start
    return in_all, f"{tabulate(rows, headers, 'github')}\n{seconds:.0f} s"


# ------------------------------------------------------------------------------------------- planted mistakes


def _scaled(function: Callable[..., Any], factor: float) -> Callable[..., Any]:
    def scaled(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        function(tensor, *args, **kwargs)
        return tensor.data.mul_(factor)

    return scaled


def _normal_for_uniform(tensor: Any, a: float = 0.0, **kwargs: Any) -> Any:
    return INIT.kaiming_normal_(tensor, a=a, **kwargs)


def _fan_out(function: Callable[..., Any]) -> Callable[..., Any]:
    def other(tensor: Any, a: float = 0.0, mode: str = "fan_in", *args: Any, **kwargs: Any) -> Any:
        return function(tensor, a, "fan_out" if mode == "fan_in" else "fan_in", *args, **kwargs)

    return other


def _nothing(tensor: Any, *args: Any, **kwargs: Any) -> Any:
    del args, kwargs
    return tensor


def _once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keep torch from calling the function of this name, which is the mistake again, where a mode watches."""

    def once(*args: Any, **kwargs: Any) -> Any:
        with torch._C.DisableTorchFunction():
            return function(*args, **kwargs)

    return once


MISTAKES: Final[dict[str, tuple[str, Callable[[Callable[..., Any]], Callable[..., Any]]]]] = {
    "kaiming_uniform_ is a normal one": ("kaiming_uniform_", lambda _: _normal_for_uniform),
    "kaiming_uniform_ by the other fan": ("kaiming_uniform_", _fan_out),
    "kaiming_uniform_ without its gain": ("kaiming_uniform_", lambda function: _scaled(function, math.sqrt(3))),
    "kaiming_normal_ no longer runs": ("kaiming_normal_", lambda _: _nothing),
    "kaiming_normal_ by the other fan": ("kaiming_normal_", _fan_out),
    "kaiming_normal_ without its gain": ("kaiming_normal_", lambda function: _scaled(function, 1 / math.sqrt(2))),
    "trunc_normal_ no longer runs": ("trunc_normal_", lambda _: _nothing),
    "normal_ of a tenth more": ("normal_", lambda function: _scaled(function, 1.1)),
}


def _planted(zoo: list[SpecFile]) -> str:
    rows = []
    chosen = [spec_file for spec_file in zoo if not _is_large(spec_file)]
    for label, (name, make) in MISTAKES.items():
        used = seen = 0
        for spec_file in chosen:
            recorded, build = _recorded(spec_file), network_factory(spec_file, None)
            with mock.patch.object(INIT, name, _once(make(getattr(INIT, name)))):
                now = measure_starts(build, 7, recorded)
            if now != measure_starts(build, 7, recorded):  # else the network doesn't use it, or overwrites its draws
                used += 1
                seen += bool(compare_starts(recorded, now))
        rows.append([label, used, seen])
    return tabulate(rows, ["mistake", "networks that start otherwise", "seen"], "github")


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))

"""Two builds that should be one function: run with the same weights, and held against each other."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from archcheck.findings import Keys, Mismatch
from archcheck.function.comparison import TOLERANCE, Comparison, layers_of
from archcheck.function.fingerprint.passes import FingerprintConfig, fingerprint
from archcheck.function.measure import Make
from archcheck.function.records import FunctionRecord
from archcheck.network.build import prepare_network
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.crashes import describe_crash
from archcheck.text.words import listed

# What makes two builds one function. How each keeps its statistics, and what it starts from, is its own affair.
_KINDS = ("eval", "train", "large", "gradient", "inputs")
_SHOWN = 3


def check_equivalence(
    spec_file: SpecFile, how: FingerprintConfig, ours: FunctionRecord, rootdir: Path | None
) -> list[Mismatch]:
    """The first pair of layers in which a spec's network, run in some way, and its `equivalent_to` differ.

    Raises:
        BuildError: the other can't be built.
        NotMeasured: one of them can't be run with fixed weights.
    """
    other = spec_file.spec.equivalent_to
    assert other is not None
    theirs = prepare_network(other.build, other.args, spec_file.path.resolve().parent, rootdir)
    return compare_functions(ours, run_like(theirs, how, ours), how, (spec_file.name, other.build), ("equivalent_to",))


def run_like(make: Make, how: FingerprintConfig, ours: FunctionRecord) -> FunctionRecord:
    """Another build, run as the first was, with its weights."""
    return fingerprint(make, replace(how, exponents=ours.exponents, large=ours.large))


def compare_functions(
    ours: FunctionRecord, theirs: FunctionRecord, how: FingerprintConfig, names: tuple[str, str], keys: Keys
) -> list[Mismatch]:
    """At most one mismatch; `names` are what the two are called, `keys` where it is told."""
    for record, name in zip((ours, theirs), names, strict=True):
        if record.crash is not None:
            problem = f"{name} stops under fixed weights in {record.stage} mode"
            return [Mismatch(keys, name, problem, "an output", describe_crash(record.crash))]
    layers = layers_of(theirs)
    comparison = Comparison(
        {layer.label: layer.numbers for layer in layers},
        theirs.root.numbers,
        ours,
        TOLERANCE[how.precision],
        _KINDS,
        _notes(ours, theirs),
        types={layer.label: layer.type_name for layer in layers},
    )
    kinds = comparison.differing(theirs.root.numbers, ours.root.numbers)
    if not kinds:
        return []
    found = comparison.mismatch(kinds)
    counterpart = found.keys[2] if found.keys[1] == "layers" else "output"
    notes = tuple(note for note in found.notes if note[0] != "recorded")  # the problem says it
    return [replace(found, keys=keys, notes=notes, problem=f"{found.problem} from {counterpart} of {names[1]}")]


def _notes(ours: FunctionRecord, theirs: FunctionRecord) -> list[tuple[str, str]]:
    """Weights without a counterpart: those of one shape are matched in the order in which they're used."""
    lines = []
    for here, there, where in ((ours, theirs, "only here"), (theirs, ours, "only there")):
        left = Counter(here.weights.values()) - Counter(there.weights.values())
        alone = [name for name, key in here.weights.items() if key in left]
        if alone:
            lines.append(("weights", f"{where}: {listed(alone, _SHOWN)}"))
    return lines

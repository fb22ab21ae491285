"""Two builds that should compute the same: run with the same weights, and compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from archcheck.findings import Keys, Mismatch
from archcheck.function.comparison import Comparison
from archcheck.function.digested_layers import OUTPUT, layers_of
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.fingerprint import fingerprint
from archcheck.function.fingerprint.preparation import NetworkFactory
from archcheck.function.records import FunctionRecord
from archcheck.network.build import prepare_network
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.crashes import describe_crash
from archcheck.text.words import listed

# The kinds that must be the same. How each build keeps its statistics, and what it starts from, may differ.
_KINDS = ("eval", "train", "large", "other", "bounds", "gradient", "inputs")
_MAX_SHOWN = 3


def check_equivalence(
    spec_file: SpecFile, config: FingerprintConfig, ours: FunctionRecord, rootdir: Path | None
) -> list[Mismatch]:
    """Return the first layer in which a spec's network, run by `config`, and its `equivalent_to` differ, if any.

    Raises:
        BuildError: the other can't be built.
        NotMeasured: one of them can't be run with fixed weights.
    """
    other = spec_file.spec.equivalent_to
    assert other is not None
    theirs = prepare_network(other.build, other.args, spec_file.path.resolve().parent, rootdir)
    record = fingerprint_alike(theirs, config, ours)
    return compare_functions(ours, record, config, (spec_file.name, other.build), ("equivalent_to",))


def fingerprint_alike(build: NetworkFactory, config: FingerprintConfig, ours: FunctionRecord) -> FunctionRecord:
    """Run another build as the first was, with the same weights."""
    return fingerprint(build, replace(config, gains=ours.gains, large=ours.large, bounds="bounds" in ours.root.numbers))


def compare_functions(
    ours: FunctionRecord, theirs: FunctionRecord, config: FingerprintConfig, names: tuple[str, str], keys: Keys
) -> list[Mismatch]:
    """Return at most one mismatch, at `keys`; `names` are what the two are called."""
    for record, name in zip((ours, theirs), names, strict=True):
        if record.crash is not None:
            problem = f"{name} stops under fixed weights in {record.stage} mode"
            return [Mismatch(keys, name, problem, "an output", describe_crash(record.crash))]
    layers = layers_of(theirs)
    comparison = Comparison(
        {layer.label: layer.numbers for layer in layers},
        theirs.root.numbers,
        ours,
        config.precision,
        _KINDS,
        _notes(ours, theirs),
        expected_types={layer.label: layer.type_name for layer in layers},
    )
    kinds = comparison.differing_kinds(theirs.root.numbers, ours.root.numbers)
    if not kinds:
        return []
    difference = comparison.first_difference(kinds)
    found, counterpart = difference.mismatch, difference.label or OUTPUT
    notes = tuple(note for note in found.notes if note[0] != "recorded")  # the problem says it
    return [replace(found, keys=keys, notes=notes, problem=f"{found.problem} from {counterpart} of {names[1]}")]


def _notes(ours: FunctionRecord, theirs: FunctionRecord) -> list[tuple[str, str]]:
    """Note weights without a counterpart: those of one shape are matched in the order in which they're used."""
    lines = []
    for here, there, where in ((ours, theirs, "only here"), (theirs, ours, "only there")):
        left = Counter(here.weights.values()) - Counter(there.weights.values())
        alone = [name for name, key in here.weights.items() if key in left]
        if alone:
            lines.append(("weights", f"{where}: {listed(alone, _MAX_SHOWN)}"))
    return lines

"""Two builds that should compute the same: run with the same weights, and compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from archcheck.findings import Keys, Mismatch
from archcheck.function.comparison import Comparison
from archcheck.function.digested_layers import OUTPUT, layers_of
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.fingerprint import fingerprint, fingerprint_in_eval_mode
from archcheck.function.fingerprint.preparation import NetworkFactory, prepare_for_filling
from archcheck.function.matching_search import can_be_renamed, find_matching
from archcheck.function.measure import fingerprint_at_own_sizes
from archcheck.function.records import FunctionRecord
from archcheck.function.weight_matching import WeightMatching, match_weights
from archcheck.network.build import prepare_network
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.crashes import describe_crash
from archcheck.text.words import listed
from archcheck.text.yaml_flow import format_flow

# The kinds that must be the same. How each build keeps its statistics, and what it starts from, may differ.
_KINDS = ("eval", "train", "large", "other", "bounds", "opened", "gradient", "inputs")
_MAX_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Twin:
    """Another build that should compute what a network does.

    Attributes:
        build: builds it.
        names: what the two are called, this network first.
        keys: the place in the spec that says so.
        weights: what its parameters are made of, as the spec has it.
        is_subject: whether messages speak of its layers, and show this network's as what was expected.
    """

    build: NetworkFactory
    names: tuple[str, str]
    keys: Keys = ()
    weights: Mapping[str, str] = field(default_factory=dict)
    is_subject: bool = False


def check_equivalence(
    spec_file: SpecFile, build: NetworkFactory, config: FingerprintConfig, ours: FunctionRecord, rootdir: Path | None
) -> list[Mismatch]:
    """Return the first layer in which a spec's network, run by `config`, and its `equivalent_to` differ, if any.

    Raises:
        BuildError: the other can't be built.
        NotMeasured: one of them can't be run with fixed weights.
    """
    other = spec_file.spec.equivalent_to
    assert other is not None
    theirs = prepare_network(other.build, other.args, spec_file.path.resolve().parent, rootdir)
    twin = Twin(theirs, (spec_file.name, other.build), ("equivalent_to",), other.weights)
    return compare_at_common_sizes(spec_file, build, config, ours, twin)


def compare_at_common_sizes(
    spec_file: SpecFile, build: NetworkFactory, config: FingerprintConfig, ours: FunctionRecord, twin: Twin
) -> list[Mismatch]:
    """Compare as `compare_builds` does; at the spec's own sizes where the other can't be run at those of `config`."""
    found = compare_builds(config, ours, twin)
    if not any(one.subject == twin.names[1] for one in found):
        return found
    own = fingerprint_at_own_sizes(spec_file, build, config)
    return found if own is None else compare_builds(*own, twin)


def compare_builds(config: FingerprintConfig, ours: FunctionRecord, twin: Twin) -> list[Mismatch]:
    """Return how another build differs from a network that was run by `config`: nothing, or one mismatch.

    Several are what is wrong in its `weights`. Without these, weights of one shape are the same in the order of their
    use, or else by their names, or paired otherwise. Where none of this is so, and joined, split or transposed weights
    would match, a note says which.

    Raises:
        BuildError, NotMeasured: as `check_equivalence`.
    """
    if ours.crash is not None:
        return [_stopped(twin, ours, twin.names[0])]
    if twin.weights:
        shapes = {name: tuple(one.shape) for name, one in prepare_for_filling(twin.build, config).filled.items()}
        matching, problems = match_weights(twin.weights, ours, shapes, (*twin.keys, "weights"))
        return problems or _compare(ours, fingerprint_alike(twin.build, config, ours, matching), config, twin, matching)
    theirs = fingerprint_alike(twin.build, config, ours)
    found = _compare(ours, theirs, config, twin)
    if not found or theirs.crash is not None:
        return found

    def differ(matching: WeightMatching, *, only_eval: bool = False) -> bool:
        run = fingerprint_alike(twin.build, config, ours, matching, only_eval=only_eval)
        return bool(_compare(ours, run, config, twin, matching, ("eval",) if only_eval else _KINDS))

    if can_be_renamed(ours, theirs, differ):
        return []
    offer = find_matching(ours, theirs, differ)
    if offer is None:
        return found
    note = f"they would match with weights: {format_flow(offer)}"
    return [replace(found[0], notes=(*found[0].notes, ("note", note)))]


def fingerprint_alike(
    build: NetworkFactory,
    config: FingerprintConfig,
    ours: FunctionRecord,
    matching: WeightMatching | None = None,
    *,
    only_eval: bool = False,
) -> FunctionRecord:
    """Run another build as the first was, with the same weights; by their order where no `matching` says more."""
    given = None if matching is None else matching.given(ours)
    has_bounds = "bounds" in ours.root.numbers
    alike = replace(config, gains=ours.gains, large=ours.large, opened=ours.opened, bounds=has_bounds, given=given)
    return fingerprint_in_eval_mode(build, alike) if only_eval else fingerprint(build, alike)


def _compare(
    ours: FunctionRecord,
    theirs: FunctionRecord,
    config: FingerprintConfig,
    twin: Twin,
    matching: WeightMatching | None = None,
    compared: Sequence[str] = _KINDS,
) -> list[Mismatch]:
    """Return at most one mismatch."""
    turn = -1 if twin.is_subject else 1
    (here, _), (there, other) = list(zip((ours, theirs), twin.names, strict=True))[::turn]
    if theirs.crash is not None:
        return [_stopped(twin, theirs, twin.names[1])]
    matching = matching or WeightMatching()
    here, there = (comparable(one, matching.parted) for one in (here, there))
    layers = layers_of(there)
    left_here, left_there = _unmatched(ours, theirs, matching)[::turn]
    partly_used = matching.partly_used(ours) if twin.weights else []
    comparison = Comparison(
        {layer.label: layer.numbers for layer in layers},
        there.root.numbers,
        here,
        config.precision,
        compared,
        _notes(left_here, left_there, partly_used),
        expected_types={layer.label: layer.type_name for layer in layers},
    )
    kinds = comparison.differing_kinds(there.root.numbers, here.root.numbers)
    if not kinds:
        return []
    difference = comparison.first_difference(kinds)
    found, counterpart = difference.mismatch, difference.label or OUTPUT
    notes = tuple(note for note in found.notes if note[0] != "recorded")  # the problem says it
    return [replace(found, keys=twin.keys, notes=notes, problem=f"{found.problem} from {counterpart} of {other}")]


def comparable(record: FunctionRecord, parted: Set[str]) -> FunctionRecord:
    """Leave out the layers whose own weights are joined or split: nothing in the other build returns what they do."""
    owners = {name: name.rpartition(".")[0] for name in record.weights}
    around = {owner.rpartition(".")[0] for owner in owners.values()}  # an attention's other layers may lie in it
    layers = {owners[name] for name in parted & owners.keys()} - around
    return replace(record, calls=tuple(call for call in record.calls if call.name not in layers))


def _stopped(twin: Twin, record: FunctionRecord, name: str) -> Mismatch:
    problem = f"{name} stops under fixed weights in {record.stage} mode"
    return Mismatch(twin.keys, name, problem, "an output", describe_crash(record.crash) if record.crash else None)


def _unmatched(
    ours: FunctionRecord, theirs: FunctionRecord, matching: WeightMatching
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the weights of both, and their keys, of which a matching says nothing."""
    sources = matching.sources
    return (
        {name: key for name, key in ours.weights.items() if name not in sources},
        {name: key for name, key in theirs.weights.items() if name not in matching.expressions},
    )


def _notes(here: Mapping[str, str], there: Mapping[str, str], partly_used: Sequence[str]) -> list[tuple[str, str]]:
    """Note weights without a counterpart: those of one shape are matched in the order in which they're used."""
    lines = [("weights", f"in part only: {listed(partly_used, _MAX_SHOWN)}")] if partly_used else []
    for those, others, where in ((here, there, "only here"), (there, here, "only there")):
        left = Counter(those.values()) - Counter(others.values())
        alone = [name for name, key in those.items() if key in left]
        if alone:
            lines.append(("weights", f"{where}: {listed(alone, _MAX_SHOWN)}"))
    return lines

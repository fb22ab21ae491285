"""The check `claims`: better or faster than another spec, on any machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from archcheck.checks.check import CannotCheck, Check, CheckContext, Needs
from archcheck.checks.outcome import Outcome, Unmeasured
from archcheck.errors import ArchcheckError, NotMeasured, SpecError, UsageError
from archcheck.findings import Keys, Mismatch
from archcheck.spec.claims import claims_of
from archcheck.spec.lookup import find_spec
from archcheck.spec.models import Better, Faster, Spec
from archcheck.spec.spec_file import SpecFile
from archcheck.throughput.regression.paired_benchmark import run_paired
from archcheck.throughput.regression.verdicts import check_faster, format_factor
from archcheck.throughput.regression.workers import WorkerFailed
from archcheck.training.accuracy import check_better_than
from archcheck.training.recipe import Recipe
from archcheck.training.session import TrainingRefused, TrainingSession

_Claim: TypeAlias = tuple[Keys, str, Callable[[], list[Mismatch]]]  # its place, what it claims, what verifies it


class ClaimsCheck(Check):
    """Verify every claim that can be verified, then tell of those that can't."""

    name = "claims"
    needs = Needs.QUIET_PROCESSOR

    def place(self, spec: Spec) -> Keys | None:
        """Return the place of `claims`."""
        return ("claims",) if spec.claims is not None else None

    def run(self, context: CheckContext) -> Outcome:
        """Verify claim after claim; one that can't be verified doesn't keep the others from it."""
        mismatches: list[Mismatch] = []
        unmeasured: list[Unmeasured] = []
        for keys, label, verify in _claims(context):
            try:
                mismatches += verify()
            except NotMeasured as error:
                unmeasured.append(Unmeasured(f"{label}: {error}", keys))
            except ArchcheckError as error:
                raise CannotCheck(str(error), keys) from None
        return Outcome(tuple(mismatches), tuple(unmeasured))


def _claims(context: CheckContext) -> Iterator[_Claim]:
    for keys, better in claims_of(context.spec_file, "better_than", Better):
        yield keys, f"better than {better.spec}", partial(_verify_better, context, keys, better)
    for keys, faster in claims_of(context.spec_file, "faster_than", Faster):
        yield keys, f"faster than {faster.spec}", partial(_verify_faster, context, keys, faster)


# ------------------------------------------------------------------------------------------- better than


def _verify_better(context: CheckContext, keys: Keys, claim: Better) -> list[Mismatch]:
    """Train both specs of a claim, each to the end of its recipe, and compare them.

    Raises:
        NotMeasured: a spec can't be trained here, or the claim is one about full recipes only.
    """
    session = context.training
    try:
        other = find_spec(context.spec_file, claim.spec)
        both = [(one, _claimed_recipe(session, one, claim).to_the_end()) for one in (context.spec_file, other)]
        records = [
            [
                session.train(one, replace(recipe, seed=recipe.seed + offset), keep_best=offset == 0)
                for offset in range(claim.seeds)
            ]
            for one, recipe in both
        ]
    except (SpecError, UsageError) as error:
        return [Mismatch((*keys, "spec"), "better_than", str(error).splitlines()[0])]
    except TrainingRefused as refused:
        return [Mismatch(keys, "better_than", f"can't be trained: {refused}")]
    return check_better_than(keys, claim, *records)


def _claimed_recipe(session: TrainingSession, spec_file: SpecFile, claim: Better) -> Recipe:
    if spec_file.spec.training is None:
        raise UsageError(f"{spec_file.document.path} has no `training` to be compared by")
    recipe = session.recipe_of(spec_file)
    if recipe.kind == "quick" and spec_file.spec.training.quick is not None and not claim.quick:
        reason = (
            "the claim is one about full recipes (--archcheck-train full); `quick: true` makes it one about quick ones"
        )
        raise NotMeasured(reason)
    return recipe


# ------------------------------------------------------------------------------------------- faster than


def _verify_faster(context: CheckContext, keys: Keys, claim: Faster) -> list[Mismatch]:
    """Let two specs take turns, each at its own batch size, and compare their examples per second.

    Raises:
        NotMeasured: nothing can be timed here, or the difference is too small to tell.
    """
    if context.stopwatch.is_shared:
        raise NotMeasured(context.stopwatch.is_shared)
    try:
        other = find_spec(context.spec_file, claim.spec)
    except (SpecError, UsageError) as error:
        return [Mismatch((*keys, "spec"), "faster_than", str(error).splitlines()[0])]
    speed = context.speed
    theirs, ours = (speed.request(one, speed.plan(one)) for one in (other, context.spec_file))
    try:
        comparison = run_paired(theirs, ours, claim.by)
    except WorkerFailed as failed:
        return [Mismatch(keys, "faster_than", f"{failed.shown} can't be measured: {failed}")]
    if comparison.verdict == "open":
        raise NotMeasured(f"can't tell: {format_factor(comparison.interval)}, and {claim.by:g}x is claimed")
    return check_faster(keys, claim, comparison)


CHECK = ClaimsCheck()

"""The check `spec`: what only building the network and asking torch can tell of a spec file."""

from __future__ import annotations

from archcheck.checks.check import Check, CheckContext, Needs
from archcheck.checks.outcome import Outcome
from archcheck.checks.registry import load_check
from archcheck.findings import Keys, Mismatch
from archcheck.spec.models import Spec
from archcheck.structure.crashes import crash_mismatch

_TELL_OF_CRASHES = ("shapes", "compute")


class SpecCheck(Check):
    """Check the names and arguments that a recipe uses; tell of a forward that died where no other check does."""

    name = "spec"
    needs = Needs.STRUCTURE

    def place(self, spec: Spec) -> Keys | None:
        """Return the place of `build`: every spec has it."""
        del spec
        return ("build",)

    def run(self, context: CheckContext) -> Outcome:
        """Check the recipe and the forward pass."""
        recipe = context.training.recipe_problems(context.spec_file) if context.spec.training is not None else []
        crash = context.network.with_domain_hint(context.spec_file, _untold_crash(context))
        return Outcome((*recipe, *crash))


def _untold_crash(context: CheckContext) -> list[Mismatch]:
    """Return the mismatch of a forward that died, where no other check of the spec tells of it."""
    died = context.network.trace.died
    if died is None or any(load_check(name).place(context.spec) is not None for name in _TELL_OF_CRASHES):
        return []
    return [crash_mismatch(context.spec, *died)]


CHECK = SpecCheck()

"""The check `equivalence`: another build computes the same function under the same weights."""

from __future__ import annotations

from dataclasses import replace

from archcheck.checks.check import Check, CheckContext, Needs
from archcheck.checks.outcome import Outcome
from archcheck.errors import BuildError
from archcheck.findings import Keys, build_failure
from archcheck.spec.models import Spec


class EquivalenceCheck(Check):
    """Run both builds with the same weights and name the first pair of layers that differ."""

    name = "equivalence"
    needs = Needs.VALUES

    def place(self, spec: Spec) -> Keys | None:
        """Return the place of `equivalent_to`."""
        return ("equivalent_to",) if spec.equivalent_to is not None else None

    def run(self, context: CheckContext) -> Outcome:
        """Run both and compare.

        Raises:
            NotMeasured: one of them can't be run with fixed weights.
        """
        from archcheck.function.equivalence import check_equivalence

        spec_file, other = context.spec_file, context.spec.equivalent_to
        args = other.args if other is not None else {}
        try:
            config, ours = context.network.function_of(spec_file)
            found = check_equivalence(spec_file, context.network.make, config, ours, context.rootdir)
        except BuildError as error:
            failure = build_failure(args, ("equivalent_to", "args"), error)
            keys = failure.keys if failure.keys[0] == "equivalent_to" else ("equivalent_to",)
            return Outcome((replace(failure, keys=keys),))
        return Outcome(tuple(found))


CHECK = EquivalenceCheck()

"""What no sound network does is caught unasked, and what the message suggests excuses it."""

from __future__ import annotations

import pytest

from tests.integration.health.defects_in_forward import INPUT, MIXING, RANDOM
from tests.integration.health.defects_in_training import GRADIENTS, UNSAVED
from tests.integration.health.networks import Network, Verdict, labelled, verify_health
from tests.integration.project import Once, Project

DEFECTS = {**RANDOM, **MIXING, **INPUT, **GRADIENTS, **UNSAVED}
EXCUSED = [name for name, defect in DEFECTS.items() if defect.allow is not None]


@pytest.fixture
def verdicts(project: Project, once: Once) -> dict[str, Verdict]:
    """Verify all of the defects in one run."""
    networks = {name: Network(defect.source, defect.input) for name, defect in DEFECTS.items()}
    return once("defects", lambda: verify_health(project, networks))


@pytest.fixture
def excused(verdicts: dict[str, Verdict], project: Project, once: Once) -> dict[str, Verdict]:
    """Verify the defects in one run, each with what its message suggests in its spec."""

    def verify() -> dict[str, Verdict]:
        allowed = {name: labelled(verdicts[name].messages[0], "allow") for name in EXCUSED}
        return verify_health(
            project,
            {
                name: Network(DEFECTS[name].source, DEFECTS[name].input, f"{allow}\n")
                for name, [allow] in allowed.items()
            },
        )

    return once("excused", verify)


@pytest.mark.parametrize("name", list(DEFECTS))
def test_what_no_sound_network_does_is_caught_where_the_spec_names_the_build(
    verdicts: dict[str, Verdict], name: str
) -> None:
    defect, verdict = DEFECTS[name], verdicts[name]
    assert verdict.outcome == "FAILED"
    [message] = verdict.messages
    assert message[0] == f"specs/{name}.arch.yaml:1: {defect.headline}"
    assert labelled(message, "expected") == [defect.expected]
    assert labelled(message, "actual") == [defect.actual]
    assert labelled(message, "allow") == ([] if defect.allow is None else [defect.allow])


@pytest.mark.parametrize("name", EXCUSED)
def test_what_the_message_suggests_excuses_it(excused: dict[str, Verdict], name: str) -> None:
    assert excused[name].outcome == "PASSED"


@pytest.mark.parametrize(
    "name",
    [
        "statistics-in-a-buffer-that-isnt-saved",
        "codes-in-a-buffer-that-isnt-saved",
        "a-sparse-buffer-that-isnt-saved",
        "an-order-in-a-buffer-that-isnt-saved",
        "a-running-sum-that-is-not-saved",
    ],
)
def test_a_buffer_that_is_not_saved_is_not_said_to_be_none(verdicts: dict[str, Verdict], name: str) -> None:
    [message] = verdicts[name].messages
    assert labelled(message, "note") == ["register_buffer with persistent=True, the default, saves a buffer"]

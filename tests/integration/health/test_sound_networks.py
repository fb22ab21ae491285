"""What a sound network does is no defect."""

from __future__ import annotations

import pytest

from tests.integration.health.networks import Verdict, verify_health
from tests.integration.health.sound import SOUND
from tests.integration.project import Once, Project


@pytest.fixture
def verdicts(project: Project, once: Once) -> dict[str, Verdict]:
    """Verify all of the sound networks in one run."""
    return once("sound", lambda: verify_health(project, SOUND))


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_network_stays_green(verdicts: dict[str, Verdict], name: str) -> None:
    assert verdicts[name].outcome == "PASSED"

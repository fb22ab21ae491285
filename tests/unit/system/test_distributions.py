from __future__ import annotations

import pytest

from archcheck.system.distributions import versions_of


def test_what_is_installed_has_a_version_and_nothing_else_has() -> None:
    assert versions_of(["pytest", "no-such-distribution"]) == {"pytest": pytest.__version__}

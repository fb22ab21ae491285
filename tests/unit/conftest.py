"""What the unit tests have in common."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How long a busy machine takes to make an example says nothing of the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

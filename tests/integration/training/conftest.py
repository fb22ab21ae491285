from __future__ import annotations

import pytest

from tests.integration.project import Project
from tests.integration.training.toys import SETS, TOYS


@pytest.fixture
def toys(project: Project) -> Project:
    """A project with the modules `toys` and `sets`."""
    project.write("toys.py", TOYS)
    project.write("sets.py", SETS)
    return project

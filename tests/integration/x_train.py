""""""

from __future__ import annotations

from tests.integration.project import Project
from tests.integration.training.toys import scripted


def test_two_workers_train_the_same(toys: Project) -> None:
    toys.spec("a", scripted([0.25, 0.75], 0.7))
    toys.spec("b", scripted([0.25, 0.5], 0.7))
    result = toys.run("-n", "2", "-m", "archcheck_accuracy")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["specs/a.arch.yaml  quick *0.750*0.750*", "specs/b.arch.yaml  quick *0.500*0.500*"])
    assert "epoch 1/2" not in result.stdout.str()

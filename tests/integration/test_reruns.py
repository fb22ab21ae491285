"""Beside a plugin that repeats failing tests, as pytest-rerunfailures does: what counts is the last attempt."""

from __future__ import annotations

import pytest

from tests.integration.project import Project

RERUNS = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for is_last in (False, True):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        failed = any(report.failed for report in reports)
        for report in reports:
            if report.failed and not is_last:
                report.outcome = "rerun"
            item.ihook.pytest_runtest_logreport(report=report)
        if not failed:
            break
        item._initrequest()
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True

def pytest_report_teststatus(report):
    if report.outcome == "rerun":
        return "rerun", "R", "RERUN"
"""


def run(project: Project, *args: str) -> pytest.RunResult:
    project.write("conftest.py", RERUNS)
    return project.run(*args)


def test_a_check_that_fails_twice_has_failed(project: Project) -> None:
    project.broken("[B, 6, 14, 14]", "[B, 6, 12, 12]")
    result = run(project)
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["*1 failed, 4 passed, 1 rerun*"])
    row = next(line for line in result.stdout.lines if line.startswith("specs/small.arch.yaml  "))
    assert row.split()[-7:-2] == ["ok", "FAILED", "ok", "ok", "ok"]


def test_an_update_is_written_once(project: Project) -> None:
    path = project.broken("[B, 6, 14, 14]", "[B, 6, 12, 12]")
    assert run(project, "--archcheck-update").ret == 0
    assert "[B, 6, 14, 14]" in path.read_text()

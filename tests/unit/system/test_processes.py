"""Processes of our own, and when they end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.integration.processes import wait_for

CHILD = """
import time
from archcheck.system.processes import end_with_parent
end_with_parent()
print(flush=True)
time.sleep(1000)
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.readline()
"""


def test_a_process_that_waits_for_ever_ends_with_its_parent() -> None:
    command = [sys.executable, "-c", PARENT, CHILD]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = Path("/proc", parent.stdout.readline().strip())
    assert child.exists()
    parent.kill()
    parent.wait()
    wait_for(lambda: not child.exists())

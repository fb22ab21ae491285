"""Has the process that starts the workers of pytest-xdist find accelerators that aren't there: `-p` this module.

`ARCHCHECK_TEST_DEVICES` has the free memory of each, in GiB. In the workers, `tests.accelerator.backend` stands for
whichever is theirs.
"""

from __future__ import annotations

import os

from archcheck.pytest_plugin import worker_devices
from archcheck.pytest_plugin.worker_devices import Device, Machine


def find_machine() -> Machine:
    """Return what the variable says; each device is hidden as CUDA's are."""
    free = [float(one) for one in os.environ["ARCHCHECK_TEST_DEVICES"].split(",")]
    return Machine("pretended", "cuda", tuple(Device(f"P{index}", int(one * 2**30)) for index, one in enumerate(free)))


worker_devices.find_machine = find_machine

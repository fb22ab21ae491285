"""A network run as on a GPU: what its graph of autograd leaves behind."""

from __future__ import annotations

import subprocess
import sys

# A stack of 512 KiB overflows after some thousand steps, where the usual 8 MiB take some ten thousand.
_LONG = """
import threading
from torch import nn
from archcheck.deployment.device_probe import probe_device
from archcheck.spec.spec_file import parse_spec

class Long(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, x):
        x = self.fc(x)
        for _ in range(6000):
            x = x + 1
        return x

spec = parse_spec("build: nets:net\\ninput: [B, 2]\\n", "s.yaml").spec
threading.stack_size(2**19)
thread = threading.Thread(target=lambda: print(probe_device(Long, spec, needs_values=False)))
thread.start()
thread.join()
"""


def test_a_network_of_thousands_of_steps_does_not_end_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", _LONG], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "DeviceRecord(mixes=(), unseen=())")

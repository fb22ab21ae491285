"""The best network of a run, saved as `model_<accuracy to 2 places>.pt`."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from archcheck.errors import UsageError
from archcheck.network.exceptions import one_line
from archcheck.system.files import written_at_once
from archcheck.training.records import EpochRecord


class BestCheckpoint:
    """The file of a run's network with the best accuracy on the test set so far, the only one that is kept.

    folder: created with the first file. The file is a state_dict, for `torch.load` and `load_state_dict`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._best = float("-inf")
        self._saved: Path | None = None

    def save_if_best(self, record: EpochRecord, network: nn.Module) -> None:
        """Save the network if its accuracy on the test set is the best so far, and delete the one saved before.

        Raises:
            UsageError: the folder can't be written, or the network can't be pickled.
        """
        if record.test_accuracy <= self._best:
            return
        self._best = record.test_accuracy
        path = self._folder / f"model_{record.test_accuracy:.2f}.pt"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with written_at_once(path) as file:
                torch.save(network.state_dict(), file)
            if self._saved is not None and self._saved != path:
                self._saved.unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(f"{path}: can't be written: {error.strerror or error}") from None
        except Exception as error:  # pickling a network's state may run its own code
            raise UsageError(f"{path}: can't be written: {one_line(error)}") from error
        self._saved = path

"""A split as batches on the device: resident there where it fits, streamed to it where not."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archcheck.data.randomness import derive_seed
from archcheck.data.splits import Arrays, Split, label_range
from archcheck.data.stream import Ask, Batch, choose_num_workers, stream_batches
from archcheck.data.transforms import BatchTransform
from archcheck.errors import DataError

_UNKNOWN_MEMORY = 2 << 30
_AHEAD = 2  # batches that are copied out of host memory before they are asked for


class Batches:
    """Batches of a split, on the device and transformed; the same ones for the same seed and epoch, however they come.

    num_examples: in an epoch, after `drop_last`. num_batches: likewise.
    resident: the split is on the device as a whole.

    budget_bytes: the most that may be resident; None: a quarter of the device's free memory. Arrays on the CPU are in
    its memory already, so that none applies to them.
    num_workers: processes that a data set which isn't arrays is fetched with; None: up to 4.

    Raises:
        DataError: there is no batch in it.
    """

    def __init__(
        self,
        split: Split,
        *,
        batch_size: int,
        device: torch.device | str,
        transform: BatchTransform,
        shuffle: bool,
        drop_last: bool,
        seed: int,
        budget_bytes: int | None = None,
        num_workers: int | None = None,
    ) -> None:
        length = len(split)  # type: ignore[arg-type]  # map-style: it has a length
        self.batch_size = batch_size
        self.device = torch.device(device)
        self.transform = transform
        self.num_batches = length // batch_size if drop_last else -(-length // batch_size)
        self.num_examples = self.num_batches * batch_size if drop_last else length
        if not self.num_batches:
            raise DataError(f"the data set has {length} examples, less than a batch of {batch_size}", arg="batch_size")
        self._length = length
        self._shuffle = shuffle
        self._seed = seed
        self.resident = isinstance(split, Arrays) and fits(split, self.device, budget_bytes)
        if isinstance(split, Arrays) and self.resident:
            split = Arrays(split.inputs.to(self.device), split.targets.to(self.device))
        self._split = split
        if num_workers is None:
            num_workers = 0 if isinstance(split, Arrays) else choose_num_workers(split, self.num_batches)
        self._num_workers = num_workers

    def __len__(self) -> int:
        return self.num_batches

    def __iter__(self) -> Iterator[Batch]:
        """The first epoch, each time."""
        return self.epoch(0)

    def epoch(self, epoch: int) -> Generator[Batch, None, None]:
        """One epoch's batches: inputs, transformed where they are images, and targets.

        Raises:
            DataError: an item of the data set raised or has the wrong form, or a worker died.
        """
        generator = torch.Generator(self.device).manual_seed(derive_seed(self._seed, epoch, "augmentation"))
        # Closed, not dropped: Ctrl-C while a dropped generator's workers are shut down is swallowed by Python.
        with closing(self._untransformed(epoch)) as batches:
            for inputs, targets in batches:
                yield self.transform(inputs, generator) if isinstance(inputs, Tensor) else inputs, targets

    def label_range(self, ignored: int | None = None) -> tuple[int, int] | None:
        """The smallest and the largest class of arrays; None where there are no classes, or they aren't known.

        ignored: a label that is no class.
        """
        return label_range(self._split.targets, ignored) if isinstance(self._split, Arrays) else None

    def _untransformed(self, epoch: int) -> Generator[Batch, None, None]:
        if not isinstance(self._split, Arrays):
            asks = [
                Ask(indices.tolist(), derive_seed(self._seed, epoch, number, "items"))
                for number, indices in enumerate(torch.split(self._order(epoch), self.batch_size))
            ]
            pin_memory = self.device.type == "cuda"
            with closing(stream_batches(self._split, asks, self._num_workers, pin_memory)) as batches:
                for batch in batches:
                    yield _to_device(batch, self.device)
        elif self.resident:
            yield from self._resident_batches(self._split, epoch)
        else:
            for batch in _host_batches(self._split, torch.split(self._order(epoch), self.batch_size), self.device):
                yield _to_device(batch, self.device)

    def _order(self, epoch: int) -> Tensor:
        """The examples of an epoch in order, (num_examples,) int64 on the host."""
        if not self._shuffle:
            return torch.arange(self.num_examples)
        generator = torch.Generator().manual_seed(derive_seed(self._seed, epoch, "order"))
        return torch.randperm(self._length, generator=generator)[: self.num_examples]

    def _resident_batches(self, arrays: Arrays, epoch: int) -> Iterator[Batch]:
        # Copies in any case: a network may change its input in place.
        for indices in torch.split(self._order(epoch).to(self.device), self.batch_size):
            yield arrays.inputs.index_select(0, indices), arrays.targets.index_select(0, indices)


def fits(arrays: Arrays, device: torch.device, budget_bytes: int | None) -> bool:
    """Whether arrays may be resident on a device."""
    if device.type == "cpu":
        return True
    budget = free_memory_bytes(device) // 4 if budget_bytes is None else budget_bytes
    return arrays.inputs.nbytes + arrays.targets.nbytes <= budget


def _host_batches(arrays: Arrays, order: tuple[Tensor, ...], device: torch.device) -> Iterator[Batch]:
    """Batches of arrays in host memory, copied out a little ahead by a thread, to where a GPU fetches them."""
    pinned = device.type == "cuda"

    def gather(tensor: Tensor, indices: Tensor) -> Tensor:
        out = torch.empty((len(indices), *tensor.shape[1:]), dtype=tensor.dtype, pin_memory=pinned)
        return torch.index_select(tensor, 0, indices, out=out)

    def batch(indices: Tensor) -> Batch:
        return gather(arrays.inputs, indices), gather(arrays.targets, indices)

    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Future[Batch]] = deque()
        for indices in order:
            waiting.append(pool.submit(batch, indices))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _to_device(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {key: _to_device(each, device) for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(_to_device(each, device) for each in value)
    return value


# ---------------------------------------------------------------------------------------------- memory


def free_memory_bytes(device: torch.device | str) -> int:
    """Memory that is free on a device; on the CPU, within what the process's cgroup may use."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free = _available_on_host()
    cgroup = _cgroup_free()
    return free if cgroup is None else max(0, min(free, cgroup))


def _available_on_host() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    if sys.platform != "win32":
        try:
            return int(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        except (ValueError, OSError):
            pass
    return _UNKNOWN_MEMORY


def _cgroup_free() -> int | None:
    """What the cgroup's limit leaves; None without one."""
    for folder, limit, used, cached in (
        ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            stat = dict(line.split() for line in Path(folder, "memory.stat").read_text().splitlines())
            # Cached files count as used, and go when memory is asked for.
            taken = int(Path(folder, used).read_text()) - int(stat.get(cached, 0))
            return int(Path(folder, limit).read_text()) - taken
        except (OSError, ValueError):  # no such version of cgroups, or "max"
            continue
    return None

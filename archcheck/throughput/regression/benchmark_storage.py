"""pytest-benchmark's folder of saved runs, written at once and by one process at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from pytest_benchmark.storage.file import FileStorage
from pytest_benchmark.utils import safe_dumps

from archcheck.system.files import written_at_once
from archcheck.text.paths import path_below


class SafeStorage(FileStorage):
    """Saves a run whole or not at all, and never over another; a run that can't be saved doesn't end the session.

    problems: a line for each run that wasn't saved.
    """

    def __init__(self, path: Path, logger: Any, default_machine_id: str | None = None) -> None:
        super().__init__(path, logger, default_machine_id)  # type: ignore[no-untyped-call]
        self.problems: list[str] = []

    @property
    def _next_num(self) -> str:
        files = self.query("[0-9][0-9][0-9][0-9]_*")  # type: ignore[no-untyped-call]
        numbers = [int(match[0]) for file in files if (match := re.match("[0-9]+(?=_)", file.name))]
        return f"{max(numbers, default=0) + 1:04}"

    def save(self, output_json: Any, save: str) -> None:
        """Write a run under the next number; where that can't be done, remember why."""
        content = safe_dumps(output_json, ensure_ascii=True, indent=4).encode()  # type: ignore[no-untyped-call]
        path = self.path
        try:
            first = self._next_num
            path = self.get(f"{first}_{save}.json")  # type: ignore[no-untyped-call]
            path.parent.mkdir(parents=True, exist_ok=True)  # `get` doesn't say why it couldn't
            with _free_number(path.parent, int(first)) as number:
                path = path.with_name(f"{number:04}_{save}.json")
                with written_at_once(path) as file:
                    file.write(content)
        except OSError as error:
            self.problems.append(f"{path_below(path)}: not saved: {error.strerror or error}")
        else:
            self.logger.info(f"Saved benchmark data in: {path}")


@contextmanager
def _free_number(folder: Path, first: int) -> Iterator[int]:
    """The first number from `first` on that no run has, kept from other processes until the block is over.

    A claim lies beside the runs, as an empty file in the place of a run would be read as a broken one.

    Raises:
        OSError: nothing can be written to the folder.
    """
    for number in count(first):
        claim = folder / f".{number:04}.claim"
        try:
            claim.touch(exist_ok=False)
        except FileExistsError:
            continue
        try:
            if not any(folder.glob(f"{number:04}_*.json")):
                yield number
                return
        finally:
            with suppress(OSError):
                claim.unlink()


def make_json_safe(benchmark_session: Any) -> list[str]:
    """The same for the file of `--benchmark-json`. Returns the list that will hold what went wrong."""
    problems = list[str]()

    def save_json(output_json: Any) -> None:
        content = safe_dumps(output_json, ensure_ascii=True, indent=4).encode()  # type: ignore[no-untyped-call]
        path = Path(benchmark_session.json)
        try:
            with written_at_once(path) as file:
                file.write(content)
        except OSError as error:
            problems.append(f"{path_below(path)}: not written: {error.strerror or error}")
        else:
            benchmark_session.logger.info(f"Wrote benchmark data in: {path}", purple=True)

    benchmark_session.save_json = save_json
    return problems


def make_safe(benchmark_session: Any) -> SafeStorage | None:
    """Give pytest-benchmark's session the safe kind of its file storage; None where it saves elsewhere."""
    storage = benchmark_session.storage
    if type(storage) is not FileStorage:
        return None
    safe = SafeStorage(storage.path, storage.logger, storage.default_machine_id)
    safe._cache = storage._cache
    benchmark_session.storage = safe
    return safe

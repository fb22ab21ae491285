"""Files of pytest-benchmark, each written whole or not at all, and never over another run.

pytest-benchmark opens the file of a run and writes to it: a disk that is full leaves half a file and ends the session
in a traceback, and two sessions that end at the same time take the same number. Version 5.3.1 has no public way around
that:

- `--benchmark-storage` takes a folder or an Elasticsearch host; `utils.load_storage` knows no other scheme.
- The hooks `pytest_benchmark_generate_json` and `pytest_benchmark_update_json` get the content of a file before it is
  written. No hook replaces the writing, or is told that it failed.
- Saving by other means, with the options that save switched off, would repeat `BenchmarkSession.handle_saving` and read
  the session's benchmarks, which nothing promises either.

So the two methods that write are replaced, on the one session that pytest has registered as the plugin
`pytest-benchmark`: `storage.save` and `save_json`. Folder, numbers and the form of the content stay pytest-benchmark's
own (`storage.get`, `storage.query`, `utils.safe_dumps`); none of these names is private.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from pytest_benchmark.storage.file import FileStorage
from pytest_benchmark.utils import safe_dumps

from archcheck.system.files import written_at_once
from archcheck.text.paths import path_below


def write_files_atomically(benchmark_session: Any) -> list[str]:
    """Let a session of pytest-benchmark write its files at once; a file that can't be written doesn't end it.

    Storages other than a folder stay as they are.

    Returns:
        A list that gets a line for each file that could not be written.
    """
    problems: list[str] = []
    storage = benchmark_session.storage
    is_folder = type(storage) is FileStorage
    if is_folder:
        storage.save = partial(save_run, storage, problems)
    benchmark_session.save_json = partial(save_json, benchmark_session, problems)
    return problems


def save_run(storage: Any, problems: list[str], output_json: Any, save: str) -> None:
    """Write a run to a storage's folder under the next number, or add to `problems` why it can't be written.

    save: the name of the run, behind the number.
    """
    path = storage.path
    try:
        first = _next_number(storage)
        path = storage.get(f"{first:04}_{save}.json")
        path.parent.mkdir(parents=True, exist_ok=True)  # `get` doesn't say why it couldn't
        with _free_number(path.parent, first) as number:
            path = path.with_name(f"{number:04}_{save}.json")
            _write(path, output_json)
    except OSError as error:
        problems.append(f"{path_below(path)}: not saved: {error.strerror or error}")
    else:
        storage.logger.info(f"Saved benchmark data in: {path}")


def save_json(benchmark_session: Any, problems: list[str], output_json: Any) -> None:
    """Write the file of `--benchmark-json`, or add to `problems` why it can't be written."""
    path = Path(benchmark_session.json)
    try:
        _write(path, output_json)
    except OSError as error:
        problems.append(f"{path_below(path)}: not written: {error.strerror or error}")
    else:
        benchmark_session.logger.info(f"Wrote benchmark data in: {path}", purple=True)


def _write(path: Path, output_json: Any) -> None:
    content = safe_dumps(output_json, ensure_ascii=True, indent=4).encode()  # type: ignore[no-untyped-call]
    with written_at_once(path) as file:
        file.write(content)


def _next_number(storage: Any) -> int:
    """Return the number after the highest of the saved runs; names without a number don't count."""
    files = storage.query("[0-9][0-9][0-9][0-9]_*")
    return max((int(match[0]) for file in files if (match := re.match("[0-9]+(?=_)", file.name))), default=0) + 1


@contextmanager
def _free_number(folder: Path, first: int) -> Iterator[int]:
    """Claim the first number from `first` on that no run has; other processes don't get it before the block ends.

    The claim is a file of its own, as an empty file by the name of a run would be read as a broken run.

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

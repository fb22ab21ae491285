"""Files written at once: whoever reads one, even after a crash, sees all of the old file or all of the new one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def written_at_once(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to write to, which takes the place of `path` when the block is over, and vanishes if it raises.

    Raises:
        OSError: the file or its folder can't be written.
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(temporary, target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)  # there is no other way to ask
    os.umask(mask)
    return mask

"""What is wrong with the command line or the ini file, as pytest tells it: in one line, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from archcheck.errors import UsageError


@contextmanager
def usage_errors_of_pytest(of: str = "") -> Iterator[None]:
    """Raise pytest.UsageError for a UsageError; `of` is what stands before its message."""
    try:
        yield
    except UsageError as error:
        raise pytest.UsageError(f"{of}{error}") from None

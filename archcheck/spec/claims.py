"""The claims of a spec about others, with their places."""

from __future__ import annotations

from typing import TypeVar

from archcheck.findings import Keys
from archcheck.spec.spec_file import SpecFile

ClaimT = TypeVar("ClaimT")


def claims_of(spec_file: SpecFile, key: str, kind: type[ClaimT]) -> list[tuple[Keys, ClaimT]]:
    """Return the claims of a spec under one key, with their places."""
    claims = getattr(spec_file.spec.claims, key, None)
    if claims is None:
        return []
    if isinstance(claims, kind):
        return [(("claims", key), claims)]
    return [(("claims", key, index), claim) for index, claim in enumerate(claims)]

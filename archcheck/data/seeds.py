"""Seeds derived from others: equal parts give equal random numbers, whatever ran before."""

from __future__ import annotations

import hashlib


def derive_seed(*parts: object) -> int:
    """Hash several values, such as (seed, epoch, "order"), to a seed from 0 to 2**63 - 1 for that purpose alone."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1

"""The newest looks of a probe as bits of an integer: newest lowest, so a history is one small number."""

from __future__ import annotations

MASK_BITS = 64
"""How many looks a mask remembers; counts of looks in a row end there, too."""
MASK = (1 << MASK_BITS) - 1


def newest(mask: int, n: int) -> int:
    """Return the bits of the newest ``n`` looks."""
    return mask & ((1 << n) - 1)

"""Memory: what was freed goes back to the system, what lives for good is not searched for garbage again and again."""

from __future__ import annotations

import ctypes
import gc


def give_back() -> None:
    """Collect garbage and return whole free pages; where the C library is not glibc, only the first."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def settle() -> None:
    """Leave what is there by now out of the search for garbage, and search seldom: for a process of one long sum."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)

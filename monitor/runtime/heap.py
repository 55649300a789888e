"""Give memory that was freed back to the system: reading a large configuration leaves holes of many megabytes."""

from __future__ import annotations

import ctypes
import gc


def give_back() -> None:
    """Collect garbage and return whole free pages; where the C library is not glibc, only the first."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

"""How far a process's resident memory rose (Linux)."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path


class PeakMemory:
    """How far the process's resident memory rose above where it began (Linux; 0 elsewhere)."""

    def __enter__(self) -> PeakMemory:
        with suppress(OSError, AttributeError):  # what was freed before must not hide what is taken now
            ctypes.CDLL(None).malloc_trim(0)
        self._settable = self._reset()
        self._before = self._read("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @property
    def growth_mb(self) -> float:
        """The rise so far in MB."""
        return (self._read("VmHWM") - self._before) / 1024 if self._settable else 0.0

    @staticmethod
    def _reset() -> bool:
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            return False
        return True

    @staticmethod
    def _read(name: str) -> int:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        return 0

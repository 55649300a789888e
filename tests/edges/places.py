"""Places where nothing can be written: a real small file system, a read-only one, a folder without permission.

They are mounted in a namespace of their own, which ends with the program: nobody else sees them, nothing stays behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

_MISSING = "a mount namespace is needed: run as root, or allow user namespaces, with util-linux installed"


@cache
def _unshare() -> tuple[str, ...] | None:
    program = shutil.which("unshare")
    if program is None:
        return None
    command = (program, "-m") if os.geteuid() == 0 else (program, "-r", "-m")
    trial = [*command, "sh", "-c", "mount -t tmpfs -o size=64k none /mnt"]
    return command if subprocess.run(trial, capture_output=True, check=False).returncode == 0 else None


def mounted(*scripts: str) -> list[str]:
    """Return what goes before a command that is to run behind some mounts; skips the test where that cannot be."""
    unshare = _unshare()
    if unshare is None:
        pytest.skip(_MISSING)
    return [*unshare, "sh", "-e", "-c", "; ".join([*scripts, 'exec "$@"']), "sh"]


def small(folder: Path, size: str) -> str:
    """Return the script that mounts an empty file system of ``size`` on a folder."""
    return f"mkdir -p '{folder}'; mount -t tmpfs -o size={size} none '{folder}'"


def read_only(folder: Path) -> str:
    """Return the script that makes a folder a read-only file system."""
    return f"mount --bind '{folder}' '{folder}'; mount -o remount,ro,bind '{folder}'"


def without_privilege() -> list[str]:
    """Return what goes before a command that root runs without the right to pass over permissions."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]


def fill(folder: Path) -> Path:
    """Write a file until the file system of a folder is full; returns it."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as out:
        for size in (64 * 1024, 4096, 1):
            try:
                while out.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return filler

"""The changed file put in the place of the old one, if that is still the one that was read."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from monitor.config.adopt.wish import AdoptError, Adoption
from monitor.config.yamltree import LONGEST_BYTES
from monitor.plain_files import opened


def bytes_of(path: Path) -> bytes:
    """Return what a file holds. Raises :class:`AdoptError`."""
    try:
        with opened(path) as file:
            return file.read(LONGEST_BYTES + 1)
    except OSError as error:
        raise AdoptError(f"cannot read {path}: {error.strerror}") from None


def write(adoption: Adoption) -> None:
    """Put the change into the file's place, whole or not at all, with the rights it had. Raises :class:`AdoptError`."""
    path = adoption.path.resolve()
    if bytes_of(path) != adoption.before:
        raise AdoptError(f"{adoption.path} has changed meanwhile, so nothing was written: run the backtest again")
    part = None
    try:
        if not os.access(path, os.W_OK):
            raise PermissionError(13, "Permission denied")
        rights = path.stat()
        handle, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(adoption.after)
            file.flush()
            if (os.geteuid(), os.getegid()) != (rights.st_uid, rights.st_gid):
                os.fchown(file.fileno(), rights.st_uid, rights.st_gid)
            os.fchmod(file.fileno(), rights.st_mode & 0o7777)
            os.fsync(file.fileno())
        if bytes_of(path) != adoption.before:
            raise AdoptError(f"{adoption.path} has changed meanwhile, so nothing was written: run the backtest again")
        Path(part).replace(path)
        part = None
    except OSError as error:
        raise AdoptError(f"cannot write {adoption.path}: {error.strerror}") from None
    finally:
        if part is not None:
            Path(part).unlink(missing_ok=True)

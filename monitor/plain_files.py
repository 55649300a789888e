"""Files: those a person named, read without waiting for ever; and our own, which nobody else on the machine reads."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_OTHERS = (
    (stat.S_ISDIR, "is a directory"),
    (stat.S_ISFIFO, "is a pipe, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
    (stat.S_ISCHR, "is a device, not a file"),
    (stat.S_ISBLK, "is a device, not a file"),
)


def opened(path: Path) -> BinaryIO:
    """Open a regular file for reading. Raises ``OSError`` whose ``strerror`` says what else it is.

    Opening a pipe would wait for a writer that never comes, and a device may have no end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        what = next((words for is_one, words in _OTHERS if is_one(mode)), "is no file")
        raise OSError(errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL, what)
    return os.fdopen(descriptor, "rb")


def text_of(path: Path, most_bytes: int) -> str:
    """Return a regular file's text. Raises ``OSError``, ``UnicodeDecodeError``, and ``OSError`` when it is larger.

    The size that a file states is not believed: what the system shows under ``/proc`` states none.
    """
    with opened(path) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"is larger than {most_bytes // 2**20} MB")
    return data.decode("utf-8")


def private_from_now() -> None:
    """Let every file and folder that this process makes from now on, and its children, be its user's alone."""
    os.umask(0o077)


def private_folder(path: Path) -> None:
    """Make a folder of ours that nobody else may open; one that others could open until now is closed to them."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    keep_private(path)


def private_file(path: Path) -> None:
    """Make an empty file that nobody else may read, unless it is there; then it is closed to others."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    keep_private(path)


def keep_private(path: Path) -> None:
    """Take the rights of others from a file or folder, if it is there and ours."""
    with suppress(FileNotFoundError):
        found = path.stat()
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & 0o077:
            path.chmod(stat.S_IMODE(found.st_mode) & 0o700)

"""The public pages as files, for any static host: what :mod:`dashboard.web.app` would answer, one file a path.

Each file is written beside its place and then moved there, so it is whole at every moment; documents that the pages
link to come first. A list of what was written lets the next run take away what is gone, and nothing else.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import click
from sqlalchemy.exc import DBAPIError

from dashboard.data import Reader, aged, database_url, marked
from dashboard.web import api, feeds
from dashboard.web.render import pages
from monitor import clock
from monitor.logs import set_up
from monitor.runtime.away import database_refused
from monitor.store.connection.engine import StoreError

WRITTEN = ".chatwatch-files"


def files(url: str) -> dict[str, bytes]:
    """Return every public file, relative path → bytes, of one reading of the database."""
    now = clock.now()
    reader = Reader(database_url())
    try:
        reading = aged(marked(reader.read(now), database_url()), now)
    finally:
        reader.close()
    answers = {path: body for path, (_, body) in feeds.documents(reading.snapshot, url).items()}
    answers |= api.documents(reading.snapshot, url)
    answers |= pages(reading.snapshot, reading.catalogue)
    return {place(path): body for path, body in answers.items()}


def place(path: str) -> str:
    """Return the file that a static host serves for a path: ``name/index.html`` for a page, ``404.html`` at last."""
    bare = path.strip("/")
    if bare.rpartition("/")[2] == "404":
        return f"{bare}.html"
    if "." in bare.rpartition("/")[2] and not bare.startswith(("incidents/", "zh/incidents/")):
        return bare
    return f"{bare}/index.html" if bare else "index.html"


def write(found: Mapping[str, bytes], folder: Path) -> int:
    """Write the files and take away those of the run before that are gone; returns how many were taken away."""
    folder.mkdir(parents=True, exist_ok=True)
    listing = folder / WRITTEN
    before = set(listing.read_text("utf-8").splitlines()) if listing.exists() else set()
    # Keep both runs' files on the list until the end, so that the run after an interrupted one removes what it left.
    put(listing, "\n".join(sorted(before | set(found))).encode())
    for name, body in found.items():
        put(folder / name, body)
    gone = [name for name in before - set(found) if ".." not in Path(name).parts and not Path(name).is_absolute()]
    for name in gone:
        (folder / name).unlink(missing_ok=True)
        for parent in list(Path(name).parents)[:-1]:
            with suppress(OSError):  # not empty
                (folder / parent).rmdir()
    put(listing, "\n".join(sorted(found)).encode())
    return len(gone)


def put(file: Path, body: bytes) -> None:
    """Put a file in its place in one step; one that holds the same is left alone."""
    with suppress(OSError):
        if file.read_bytes() == body:
            return
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as part:
            part.write(body)
        Path(name).chmod(0o644)
        Path(name).replace(file)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


@click.command()
@click.option("--to", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder.")
@click.option("--url", default="", help="The pages' public address, for feeds and JSON.")
def main(folder: Path, url: str) -> None:
    """Write the public pages as files."""
    set_up("publish")
    try:
        found = files(url.rstrip("/"))
        gone = write(found, folder)
    except StoreError as error:
        sys.exit(f"chatwatch: {error}")
    except DBAPIError as error:
        sys.exit(f"chatwatch: {database_refused(error, database_url())}")
    except OSError as error:
        sys.exit(f"chatwatch: cannot write {error.filename or folder}: {error.strerror}")
    size = sum(map(len, found.values()))
    click.echo(f"{folder}  {len(found)} files, {size // 1024} kB{f', {gone} taken away' if gone else ''}")


if __name__ == "__main__":
    main()

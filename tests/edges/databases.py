"""Real databases for tests: a SQLite file, and a private PostgreSQL server on a free loopback port."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from monitor.store.connection.engine import open_engine
from monitor.store.upgrade import migrate

_MISSING = "PostgreSQL's server programs are missing: on Debian run apt-get install postgresql"


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def _as_server_user() -> list[str]:
    """PostgreSQL refuses to run as root; any other user may run it."""
    if os.geteuid() != 0:
        return []
    return ["runuser", "-u", "postgres", "--"]


class Server:
    """A PostgreSQL server of its own in a temporary directory."""

    def __init__(self, directory: Path, programs: Path, follows: Server | None = None) -> None:
        self.directory, self.programs = directory, programs
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        if follows is None:
            self._run(
                "initdb", "-D", self.data, "-A", "trust", "-U", "chatwatch", "-E", "UTF8", "--locale=C", "--no-sync"
            )
        else:
            self._run(
                "pg_basebackup", "-D", self.data, "-d", follows.url("postgres"), "-R", "-c", "fast", "-X", "stream"
            )
        self.start()

    @property
    def data(self) -> str:
        return str(self.directory / "data")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*_as_server_user(), str(self.programs / program), *arguments]
        # The server inherits what it is given: a pipe would never end.
        log = self.directory / "programs.log"
        with log.open("ab") as out:
            subprocess.run(command, check=True, stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=self.directory)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        options += " -c max_connections=60 -c shared_buffers=32MB"
        self._run("pg_ctl", "-D", self.data, "-l", str(self.directory / "server.log"), "-w", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-D", self.data, "-m", mode, "-w", "stop")

    def kill(self) -> None:
        """End the server and all its processes at once, as a machine that loses its power."""
        postmaster = int(Path(self.data, "postmaster.pid").read_text().splitlines()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for pid in (postmaster, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def promote(self) -> None:
        """Make a standby the primary."""
        self._run("pg_ctl", "-D", self.data, "-w", "promote")

    def url(self, name: str) -> str:
        return f"postgresql://chatwatch@127.0.0.1:{self.port}/{name}"

    def create(self, pattern: str = "template1") -> str:
        """Make an empty database, or a copy of another that nobody has open, and return its URL."""
        name = f"d{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{pattern}"'.encode())
        return self.url(name)

    @cached_property
    def migrated(self) -> str:
        """Name of an empty, migrated database to copy."""
        url = self.create()
        _migrate(url)
        return url.rpartition("/")[2]


@contextmanager
def private_server(follows: Server | None = None) -> Iterator[Server]:
    """Start a server, or a standby, for the time of the block; skip the test where the programs are missing."""
    programs = _programs()
    if programs is None:
        pytest.skip(_MISSING)
    if os.geteuid() == 0:
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root and there is no user postgres: run the tests as another user")
    directory = Path(tempfile.mkdtemp(prefix="chatwatch-pg-"))
    try:
        if os.geteuid() == 0:
            os.chown(directory, owner.pw_uid, owner.pw_gid)
            directory.chmod(0o700)
        server = Server(directory, programs, follows)
        try:
            yield server
        finally:
            with suppress(subprocess.CalledProcessError):  # a test has killed it
                server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """One server for all tests of a run."""
    with private_server() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty, migrated SQLite file to copy: migrating takes twenty times as long."""
    path = tmp_path_factory.mktemp("migrated") / "chatwatch.db"
    _migrate(f"sqlite:///{path}")
    return path


def _migrate(url: str) -> None:
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty database of each kind, a migrated one for who also asks for ``engine``."""
    is_migrated = "engine" in request.fixturenames
    if request.param == "sqlite":
        path = tmp_path / "chatwatch.db"
        if is_migrated:
            shutil.copy(request.getfixturevalue("migrated_file"), path)
        return f"sqlite:///{path}"
    server: Server = request.getfixturevalue("postgres_server")
    return server.create(server.migrated) if is_migrated else server.create()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine over a migrated database of each kind."""
    made = open_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def sqlite_engine(migrated_file: Path, tmp_path: Path) -> Iterator[Engine]:
    """An engine over a migrated SQLite file."""
    made = open_engine(f"sqlite:///{shutil.copy(migrated_file, tmp_path)}")
    yield made
    made.dispose()

"""A small supervisor: starts groups of programs, restarts what dies, and stops all of them cleanly.

The programs of one group live and die together. The first two of a linked group are joined by a socket pair, whose
descriptor each gets as its last argument. Every program of ours also gets one end of a pipe that nobody writes to:
its end tells that the supervisor is gone.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from monitor.clock import monotonic
from monitor.logs import Event, Room
from monitor.runtime.frames import LIFE_VARIABLE, PEER_GONE

STOP_S = 10.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
PEER_S = 2.0
"""So long a program may take to end after its peer has noticed that it does."""
CALM_S = 60.0
"""After so long without a death the next restart is quick again."""
ORDINARY = frozenset(
    {
        "CHATWATCH_DATABASE",
        "CHATWATCH_LOG_FORMAT",
        "CHATWATCH_LOG_LEVEL",
        "HOME",
        "LANG",
        "LANGUAGE",
        "LD_LIBRARY_PATH",
        "LOGNAME",
        "PATH",
        "PYTHONPATH",
        "PYTHONUNBUFFERED",
        "TERM",
        "TMPDIR",
        "TZ",
        "USER",
        "VIRTUAL_ENV",
    }
)
"""What a program needs of its environment, and no secret of a probe."""
LIBPQ = re.compile("PG(?:[A-Z]+|CONNECT_TIMEOUT)")
"""Where the database's address leaves something out, it stands here."""
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)

log = Room("supervisor")


@dataclass(frozen=True, slots=True)
class Program:
    """One process. ``arguments`` follow the Python interpreter."""

    name: str
    arguments: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    open_to_visitors: bool = False
    """A door gets the ordinary variables of our environment only: the vendors' keys stay outside of it."""


@dataclass(frozen=True, slots=True)
class Group:
    """Programs that start and end together; SIGHUP is passed on to those that ``reloads`` says."""

    programs: tuple[Program, ...]
    linked: bool = False
    reloads: bool = False

    @property
    def name(self) -> str:
        """The names of its programs."""
        return " and ".join(program.name for program in self.programs)


class Supervisor:
    """Runs groups until :meth:`stop`; ``check`` says whether a reload makes sense (it reports by itself)."""

    def __init__(self, groups: Sequence[Group], check: Callable[[], bool] = lambda: True) -> None:
        self._groups = groups
        self._check = check
        self._stopping = asyncio.Event()
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._life = os.pipe()

    @property
    def running(self) -> Mapping[str, int]:
        """Name → process id of what runs now."""
        return {name: process.pid for name, process in self._running.items()}

    async def run(self) -> None:
        """Run until stopped by :meth:`stop`, SIGTERM or SIGINT; returns when every program has ended."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        try:
            async with asyncio.TaskGroup() as tasks:
                for group in self._groups:
                    tasks.create_task(self._keep(group))
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)
            for end in self._life:
                os.close(end)

    def stop(self) -> None:
        """Ask everything to end."""
        self._stopping.set()

    def reload(self) -> None:
        """Pass SIGHUP on when the new configuration is sound; otherwise keep everything as it is."""
        if not self._check():
            return
        for group in self._groups:
            if group.reloads:
                for program in group.programs:
                    if process := self._running.get(program.name):
                        _signal(process, signal.SIGHUP)

    async def _keep(self, group: Group) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            started_s = monotonic()
            processes: dict[str, asyncio.subprocess.Process] = {}
            try:
                await self._start(group, processes)
            except OSError as error:  # no process, memory or file to spare just now, or nothing that may be run
                text = "Cannot start %s, trying again in %g s: %s"
                log.error(Event.PROGRAM_ENDED, text, group.name, pause_s, error.strerror or error, seconds=pause_s)
            else:
                await self._first_end(processes)
            if monotonic() - started_s > CALM_S:
                pause_s = FIRST_PAUSE_S
            if not self._stopping.is_set() and len(processes) == len(group.programs):
                blamed = " and ".join(await self._blamed(processes))
                text = "Restarting %s in %g s: %s ended"
                log.error(Event.PROGRAM_ENDED, text, group.name, pause_s, blamed, seconds=pause_s)
            await self._end(processes)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _start(self, group: Group, started: dict[str, asyncio.subprocess.Process]) -> None:
        """Start a group's programs one after the other; raises ``OSError`` when one cannot be, with others running."""
        ends = [end.detach() for end in socket.socketpair()] if group.linked else []
        try:
            for index, program in enumerate(group.programs):
                link = ends[index : index + 1]
                started[program.name] = self._running[program.name] = await self._spawn(program, link)
        finally:
            for end in ends:
                os.close(end)

    async def _spawn(self, program: Program, link: Sequence[int]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # a file in the working directory must not shadow a library
            *program.arguments,
            *map(str, link),
            env={**_inherited(program), **program.environ, LIFE_VARIABLE: str(self._life[0])},
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=(self._life[0], *link),
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )

    async def _first_end(self, processes: Mapping[str, asyncio.subprocess.Process]) -> None:
        waits = {asyncio.create_task(process.wait()) for process in processes.values()}
        stop = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({*waits, stop}, return_when=asyncio.FIRST_COMPLETED)
        for task in (*waits, stop):
            task.cancel()
        await asyncio.gather(*waits, stop, return_exceptions=True)

    async def _blamed(self, processes: Mapping[str, asyncio.subprocess.Process]) -> list[str]:
        """Return who ended and how. One that only lost its peer may be gone before that peer is: it is waited for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PEER_S):
                while all(process.returncode in (None, PEER_GONE) for process in processes.values()):
                    left = {name: process for name, process in processes.items() if process.returncode is None}
                    if not left or self._stopping.is_set():
                        break
                    await self._first_end(left)
        ended = {name: process.returncode for name, process in processes.items() if process.returncode is not None}
        first = {name: code for name, code in ended.items() if code != PEER_GONE}
        return [f"{name} ({_how(code)})" for name, code in (first or ended).items()]

    async def _end(self, processes: Mapping[str, asyncio.subprocess.Process]) -> None:
        """End the rest of a group: politely, then after the time is up by force."""
        for process in processes.values():
            _signal(process, signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await asyncio.gather(*(process.wait() for process in processes.values()))
        except TimeoutError:
            for name, process in processes.items():
                if process.returncode is None:
                    log.error(Event.PROGRAM_KILLED, "Killing %s: still running after %.0f s", name, STOP_S)
                    _signal(process, signal.SIGKILL)
            await asyncio.gather(*(process.wait() for process in processes.values()))
        for name in processes:
            self._running.pop(name, None)


def _inherited(program: Program) -> Mapping[str, str]:
    if not program.open_to_visitors:
        return os.environ
    return {name: value for name, value in os.environ.items() if _is_ordinary(name)}


def _is_ordinary(name: str) -> bool:
    return name in ORDINARY or name.startswith("LC_") or LIBPQ.fullmatch(name) is not None


def _die_with_parent() -> None:
    """Ask the kernel for a SIGTERM when the supervisor dies: for programs that do not know our pipe."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.send_signal(number)


def _how(code: int) -> str:
    if code == PEER_GONE:
        return "lost its peer"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit {code}"

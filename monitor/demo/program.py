"""``chatwatch demo``: the whole system on a temporary database against the simulated vendor, with a past and a story.

Order: the doors and a first look at everything (so that there is a true page at once), the past, which is judged in a
database of its own and moves in when it is whole, the worker, then January 2025.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import socket
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from sqlalchemy import Engine

from monitor import clock
from monitor.config.load import Config, load
from monitor.core.model.observations import Observation
from monitor.demo.narrator import Narrator
from monitor.demo.past import Past
from monitor.demo.seeding import Seeding, coarse
from monitor.flow.accounts import set_password
from monitor.probes import KINDS
from monitor.probes.base import Context, look
from monitor.runtime import programs
from monitor.runtime.supervisor import Group, Supervisor
from monitor.simulator.play import serve
from monitor.simulator.scenario import Scenario, load_scenario
from monitor.simulator.state import Sign
from monitor.simulator.vendor import Vendor
from monitor.store.connection.engine import open_engine
from monitor.store.tables import LoginSession
from monitor.store.upgrade import migrate
from monitor.wire import Wire

PROBES = Path(__file__).with_name("probes.yaml")
PORTS = {"web": 8500, "live": 8501, "console": 8502, "metrics": 8503, "vendor": 8600}
USER = "demo"
PRESENT_EVERY_S = 5.0
PREPARING = (
    "Demonstration: simulated services. The days before today are being invented; that takes about half a minute"
)
"""The label while the past is not there yet."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where this demonstration lives."""

    home: Path
    ports: Mapping[str, int]
    password: str

    @property
    def database(self) -> str:
        """URL of the temporary database."""
        return f"sqlite:///{self.home / 'demo.db'}"

    @property
    def past(self) -> str:
        """URL of the database in which the past is judged, out of sight."""
        return f"sqlite:///{self.home / 'past.db'}"

    @property
    def probes(self) -> Path:
        """The probes.yaml of the demonstration."""
        return self.home / "probes.yaml"

    @property
    def environ(self) -> dict[str, str]:
        """Environment of the programs; the secrets open nothing but the simulation."""
        return {
            "CHATWATCH_DATABASE": self.database,
            "CHATWATCH_CONFIG": str(self.probes),
            "DEMO_KEY": "simulated-key-of-the-demo",
            "DEMO_EMAIL": "probe@example.com",
            "DEMO_PASSWORD": "simulated",
            "DEMO_PAGER": f"http://127.0.0.1:{self.ports['vendor']}/_inbox",
        }

    def url(self, door: str) -> str:
        """Address of a door."""
        return f"http://127.0.0.1:{self.ports[door]}"


def main(
    *,
    scenario: str = "january-2025",
    speed: float | None = None,
    days: int = 90,
    exit_after_s: float | None = None,
) -> int:
    """Run the demonstration until Ctrl-C (or for ``exit_after_s`` seconds); returns the exit code.

    ``speed`` is story seconds in a second, ``days`` the length of the invented past. Raises ``ScenarioError``.
    """
    story = load_scenario(scenario)
    with tempfile.TemporaryDirectory(prefix="chatwatch-demo-") as home:
        stage = Stage(Path(home), {name: free_port(port) for name, port in PORTS.items()}, secrets.token_urlsafe(9))
        os.environ.update(stage.environ)
        write_probes(stage)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_run(stage, story, speed, days, exit_after_s))
    click.echo("The demonstration has ended; its database is gone.")
    return 0


def free_port(wanted: int) -> int:
    """Return the wanted port of loopback, or a free one if it is taken."""
    for port in (wanted, 0):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                trial.bind(("127.0.0.1", port))
                return int(trial.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")


def write_probes(stage: Stage) -> None:
    """Write the demonstration's probes.yaml with the ports that are really used."""
    text = PROBES.read_text(encoding="utf-8")
    for name, port in PORTS.items():
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{stage.ports[name]}")
    stage.probes.write_text(text, encoding="utf-8")


async def _run(stage: Stage, story: Scenario, speed: float | None, days: int, exit_after_s: float | None) -> None:
    config = load(stage.probes, os.environ)
    for url in (stage.database, stage.past):
        with _opened(url) as engine:
            migrate(engine)
            set_password(engine, USER, stage.password, clock.now())
    stopped = asyncio.Event()
    async with serve(stage.ports["vendor"]) as vendor:
        prepare(vendor)
        patterns, signs = await see_once(config, vendor)
        with _opened(stage.database) as engine:
            Seeding(engine, config.catalogue, PREPARING, USER).take_over(patterns)
        async with _programs(programs.doors(config.settings), stopped):
            tell_addresses(stage, vendor)
            past = Past(coarse(config.catalogue).probes, patterns, signs, clock.now())
            click.echo(
                f"A past of {days} days goes through the rules; until it has, the page shows the present alone …"
            )
            await _first(asyncio.create_task(_prepare(stage, config, past, days, stopped)), stopped)
            await _tell(stage, vendor, story, speed, stopped, exit_after_s)


async def _tell(
    stage: Stage,
    vendor: Vendor,
    story: Scenario,
    speed: float | None,
    stopped: asyncio.Event,
    exit_after_s: float | None,
) -> None:
    """Let the worker look while the story happens."""
    async with _programs((programs.worker(stage.probes),), stopped):
        with _opened(stage.database) as engine:
            telling = asyncio.create_task(Narrator(engine, vendor, story).tell(speed))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_first(telling, stopped), exit_after_s)
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)


async def _prepare(stage: Stage, config: Config, past: Past, days: int, stopped: asyncio.Event) -> None:
    """Let the past happen out of sight while the page shows real looks of now; then move it in."""
    showing = asyncio.create_task(_show_present(stage, config))
    try:
        with _opened(stage.past) as engine:
            seeding = Seeding(engine, config.catalogue, config.settings.label, USER)
            started_s = clock.monotonic()
            looks = await asyncio.to_thread(seeding.seed, past, days, stopped.is_set)
            await asyncio.to_thread(seeding.take_over, await see(config, list(config.looks)))
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
    await asyncio.to_thread(move_in, stage)
    click.echo(f"A past of {days} days went through the rules: {looks} looks in {clock.monotonic() - started_s:.0f} s.")


async def _show_present(stage: Stage, config: Config) -> None:
    with _opened(stage.database) as engine:
        present = Seeding(engine, config.catalogue, PREPARING, USER)
        while True:
            await asyncio.sleep(PRESENT_EVERY_S)
            await asyncio.to_thread(present.take_over, await see(config, list(config.looks)))


def move_in(stage: Stage) -> None:
    """Put the database of the past in the place of the one that is shown, in one transaction; who is in stays in."""
    files = (url.removeprefix("sqlite:///") for url in (stage.past, stage.database))
    with contextlib.ExitStack() as stack:
        past, shown = (stack.enter_context(contextlib.closing(sqlite3.connect(file, timeout=30.0))) for file in files)
        sessions = shown.execute(f"SELECT * FROM {LoginSession.__tablename__}").fetchall()  # noqa: S608 - our own name
        for row in sessions:
            places = ", ".join("?" * len(row))
            past.execute(f"INSERT INTO {LoginSession.__tablename__} VALUES ({places})", row)  # noqa: S608 - our own name
        past.commit()
        past.backup(shown)


@contextlib.contextmanager
def _opened(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


@contextlib.asynccontextmanager
async def _programs(groups: tuple[Group, ...], stopped: asyncio.Event) -> AsyncIterator[None]:
    """Run groups of programs under a supervisor of their own; Ctrl-C sets ``stopped``."""
    supervisor = Supervisor(groups)
    running = asyncio.create_task(supervisor.run())
    running.add_done_callback(lambda _task: stopped.set())
    try:
        yield
    finally:
        supervisor.stop()
        await running


async def _first(task: asyncio.Task[None], stopped: asyncio.Event) -> None:
    """Wait for the task, or until everything is to end; raises what the task raised."""
    stop = asyncio.create_task(stopped.wait())
    await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if task.done():
        task.result()


def tell_addresses(stage: Stage, vendor: Vendor) -> None:
    """Say where everything is."""
    click.echo(f"Status page      {stage.url('web')}/")
    click.echo(f"Live page        {stage.url('live')}/")
    click.echo(f"On-call console  {stage.url('console')}/   user {USER}, password {stage.password}")
    click.echo(f"Prometheus       {stage.url('metrics')}/metrics")
    click.echo(f"Simulated vendor {vendor.url}/deepseek/   its own status page: {vendor.url}/deepseek/status")
    click.echo("Ctrl-C ends the demonstration.")


def prepare(vendor: Vendor) -> None:
    """Give each simulated service its ordinary pace."""
    for service, ttft_s in (("deepseek", 0.6), ("chatgpt", 0.4), ("claude", 0.5)):
        vendor.set(service, ttft_s=ttft_s, chunk_gap_s=0.03, latency_s=0.05)


async def see_once(
    config: Config, vendor: Vendor
) -> tuple[dict[str, Observation], dict[tuple[str, Sign], Observation]]:
    """Look once at everything while it is well, and once at registration in each of its states."""
    patterns = await see(config, list(config.looks))
    signs: dict[tuple[str, Sign], Observation] = {}
    for sign in Sign:
        vendor.set("*", registration=sign)
        seen = await see(config, [probe.id for probe in config.catalogue.probes if probe.tells_registration])
        signs |= {(name, sign): observation for name, observation in seen.items()}
    vendor.set("*", registration=Sign.OPEN)
    return patterns, signs


async def see(config: Config, names: Sequence[str]) -> dict[str, Observation]:
    """Look once with each of the named probes."""
    wire = Wire(allow_networks=config.settings.allow_networks)

    async def one(name: str) -> Observation:
        kind = next(probe.kind for probe in config.catalogue.probes if probe.id == name)
        dice = random.Random(name)  # noqa: S311 - repeatable dice, nothing secret
        context = Context(wire, config.settings.location, 10.0, 1, clock.now(), dice, {})
        return await look(KINDS[kind], config.looks[name], context)

    try:
        return dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))
    finally:
        await wire.aclose()

"""Commands that keep running."""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from pathlib import Path

import click

from monitor.cli.common import F, Failure, Number, example, loaded, with_config, with_location
from monitor.config.faults import ConfigError
from monitor.config.load import Config, load
from monitor.logs import Event, Fields, Room, hide, log_options, set_up, shown_database
from monitor.plain_files import private_from_now
from monitor.runtime.places import IN_USE, in_use, spool_directory
from monitor.runtime.programs import DATABASE, DEFAULT_DATABASE, database_url, door, doors, split
from monitor.runtime.programs import worker as worker_group
from monitor.runtime.refusals import tell_faults, tell_refused
from monitor.runtime.reports import tell_started
from monitor.runtime.supervisor import PEER_S, STOP_S, Group, Supervisor
from monitor.text.lexicon import lexicon
from monitor.text.messages import worded

log = Room("supervisor")


@click.command(epilog=example("DEEPSEEK_API_KEY=… chatwatch up"))
@with_config
@with_location
@log_options
def up(path: Path, location: str | None) -> None:
    """Watch what probes.yaml names: worker, status page, Streamlit page and console.

    Stops all of them on Ctrl-C; SIGHUP reads the configuration again.
    """
    config = loaded(path, location)
    settings = config.settings
    click.echo(f"Status page      http://{settings.web}/")
    click.echo(f"Live page        http://{settings.live}/")
    click.echo(f"On-call console  http://{settings.console}/")
    click.echo(f"Prometheus       http://{settings.metrics}/metrics")
    for probe in config.catalogue.probes:
        if probe.disabled:
            click.echo(f"Not running      {probe.id}: {worded(probe.disabled, lexicon())}")
    addresses: Fields = {
        "status_page": f"http://{settings.web}/",
        "live_page": f"http://{settings.live}/",
        "console": f"http://{settings.console}/",
    }
    groups = (worker_group(path, location), *doors(settings, _database()))
    _supervise(groups, path, location, config, addresses)


@click.command(
    epilog=example("CHATWATCH_DATABASE=postgresql://chatwatch@db/chatwatch chatwatch worker --location frankfurt")
)
@with_config
@with_location
@log_options
def worker(path: Path, location: str | None) -> None:
    """Run the probes, judge, store, deliver, and serve Prometheus; without the pages."""
    config = loaded(path, location)
    _supervise((worker_group(path, location),), path, location, config, {})


@click.command(epilog=example("chatwatch demo", "chatwatch demo --scenario january-2025 --days 30"))
@click.option("--scenario", default="january-2025", show_default=True, help="What happens; see chatwatch simulate.")
@click.option("--speed", type=Number(min=0.01, max=10_000), default=None, help="Story seconds in a second.")
@click.option("--days", type=click.IntRange(0, 400), default=90, show_default=True, help="Length of the invented past.")
@partial(log_options, level="error")
def demo(scenario: str, speed: float | None, days: int) -> None:
    """Show the whole system against a simulated vendor, on a temporary database, with a past and a story."""
    from monitor.demo.program import main
    from monitor.simulator.scenario import ScenarioError

    set_up("demo", mute=("flow",))
    try:
        sys.exit(main(scenario=scenario, speed=speed, days=days))
    except ScenarioError as error:
        raise Failure(str(error)) from None


@click.command(epilog=example("chatwatch simulate --scenario january-2025 --port 8600", "chatwatch simulate --list"))
@click.option("--scenario", default="quiet", show_default=True, help="A shipped scenario or a file.")
@click.option("--port", type=click.IntRange(0, 65535), default=8600, show_default=True, help="Port on this machine.")
@click.option("--speed", type=Number(min=0.01, max=10_000), default=None, help="Story seconds in a second.")
@click.option("--list", "listing", is_flag=True, help="Name the shipped scenarios.")
@log_options
def simulate(scenario: str, port: int, speed: float | None, listing: bool) -> None:
    """Be a simulated chat vendor: chat API, pages, log-in and status page, with scripted faults."""
    from monitor.simulator.play import run_simulator
    from monitor.simulator.scenario import ScenarioError, shipped_scenarios

    if listing:
        click.echo("\n".join(shipped_scenarios()))
        return
    set_up("simulate")
    try:
        sys.exit(run_simulator(scenario, port, speed))
    except (ScenarioError, OSError) as error:
        raise Failure(str(error)) from None


def _database() -> dict[str, str]:
    return {DATABASE: database_url()}


def _supervise(groups: tuple[Group, ...], path: Path, location: str | None, config: Config, doors_at: Fields) -> None:
    """Run programs until told to stop; ``doors_at`` is where their doors are, for the log."""

    def sound() -> bool:
        try:
            load(path, os.environ, location)
        except ConfigError as error:
            tell_refused(log, error)
            return False
        return True

    from monitor.store.connection.engine import open_engine

    private_from_now()
    open_engine(database_url()).dispose()  # refuse an invalid address before anything starts
    spool = spool_directory(database_url(), config.settings.location)
    if in_use(spool, STOP_S + PEER_S):
        raise Failure(IN_USE.format(spool))
    set_up("supervisor")
    settled = config.settled()
    hide(settled.secrets)
    metrics = f"http://{config.settings.metrics}/metrics"
    fields: Fields = {**doors_at, "metrics": metrics, "database": shown_database(database_url())}
    tell_started(log, "Chatwatch", settled, **fields)

    async def run() -> None:
        await Supervisor(groups, sound).run()

    asyncio.run(run())
    log.info(Event.STOPPED, "Chatwatch stopped")


@click.command(hidden=True)
@with_config
@with_location
@click.argument("descriptor", type=int)
def prober(path: Path, location: str | None, descriptor: int) -> None:
    """Be the prober of a worker; the supervisor starts this."""
    from monitor.prober.process import main

    set_up("prober")
    sys.exit(_with_config(lambda: main(path, location, descriptor, database_url())))


def _with_config(run: object) -> int:
    assert callable(run)
    try:
        return int(run())
    except ConfigError as error:
        tell_faults(log, error)
        return 1


def _open(name: str, address: str | None, config: Config) -> None:
    host, port = split(address or getattr(config.settings, name))
    arguments = [sys.executable, *door(name, f"{host}:{port}")]
    os.environ.setdefault(DATABASE, DEFAULT_DATABASE)
    os.execv(sys.executable, arguments)  # noqa: S606  # our own interpreter with a fixed list, no shell


def with_address(command: F) -> F:
    """Give a command the option ``--listen``."""
    text = "host:port; otherwise as in the configuration."
    return click.option("--listen", "address", default=None, help=text)(command)


@click.command(epilog=example("chatwatch web --listen 0.0.0.0:8500"))
@with_config
@with_address
@log_options
def web(path: Path, address: str | None) -> None:
    """Serve the public status page as ready bytes."""
    _open("web", address, loaded(path))


@click.command(epilog=example("chatwatch live --listen 0.0.0.0:8501"))
@with_config
@with_address
@log_options
def live(path: Path, address: str | None) -> None:
    """Serve the public Streamlit status page, read-only."""
    _open("live", address, loaded(path))


@click.command(epilog=example("chatwatch user add alice && chatwatch console"))
@with_config
@with_address
@log_options
def console(path: Path, address: str | None) -> None:
    """Serve the on-call console, with log-in."""
    _open("console", address, loaded(path))

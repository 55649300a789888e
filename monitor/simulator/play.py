"""Running the simulated vendor: in a test, in the demo, or by hand with ``chatwatch simulate``."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
from collections.abc import AsyncIterator, Callable

import click

from monitor.simulator.scenario import Scenario, Step, load_scenario
from monitor.simulator.vendor import MAKES, Vendor


@contextlib.asynccontextmanager
async def serve(
    port: int = 0,
    scenario: Scenario | None = None,
    *,
    speed: float | None = None,
    seed: int = 1,
    tls: ssl.SSLContext | None = None,
    tell: Callable[[Step], None] | None = None,
) -> AsyncIterator[Vendor]:
    """Serve on loopback (port 0 takes a free one) and play the scenario beside it, if there is one."""
    vendor = Vendor(seed=seed)
    await vendor.listen(port, tls)
    story = asyncio.create_task(play(vendor, scenario, speed=speed, tell=tell)) if scenario else None
    try:
        yield vendor
    finally:
        if story is not None:
            story.cancel()
            await asyncio.gather(story, return_exceptions=True)
        await vendor.refuse()


async def play(
    vendor: Vendor, scenario: Scenario, *, speed: float | None = None, tell: Callable[[Step], None] | None = None
) -> None:
    """Take the steps in their time. ``tell`` hears of each one after it was taken."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    for step in scenario.steps:
        await asyncio.sleep(max(0.0, started + step.at / (speed or scenario.speed) - loop.time()))
        take(vendor, scenario, step)
        if tell is not None:
            tell(step)


def take(vendor: Vendor, scenario: Scenario, step: Step) -> None:
    """Let one step happen."""
    service = step.service or scenario.service
    vendor.set(service, **step.changes)
    if step.announce is not None:
        vendor.announce(service, **dict(step.announce))


def story_line(step: Step) -> str:
    """Return the step as one line of narration."""
    minutes, seconds = divmod(int(step.at), 60)
    when = f" ({step.when:%d %b %Y %H:%M} UTC)" if step.when else ""
    said = step.say.en if step.say else ", ".join(f"{key} = {value}" for key, value in step.changes.items())
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{when}  {said}"


def run_simulator(scenario: str = "quiet", port: int = 8600, speed: float | None = None) -> int:
    """Serve until SIGINT or SIGTERM; raises ``ScenarioError`` or ``OSError`` (port taken) before it serves."""
    asyncio.run(_run(load_scenario(scenario), port, speed))
    return 0


async def _run(scenario: Scenario, port: int, speed: float | None) -> None:
    def tell(step: Step) -> None:
        click.echo(story_line(step))

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serve(port, scenario, speed=speed, tell=tell) as vendor:
        label = f" ({scenario.label})" if scenario.label else ""
        click.echo(f"{scenario.title.en}{label}, {speed or scenario.speed:g} story seconds a second")
        for name, make in MAKES.items():
            click.echo(f"  {make.title:<10} {vendor.url}/{name}")
        click.echo(f"  control    {vendor.url}/_control   GET shows, POST sets; Ctrl-C stops")
        await stop.wait()

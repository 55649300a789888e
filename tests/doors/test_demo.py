"""The demonstration: its past goes through the same rules, and its story ends up on the timeline."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from monitor.config.load import Config, load
from monitor.core.model.incident_events import EventKind
from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.states import Health, Impact
from monitor.demo.narrator import event_line
from monitor.demo.past import EPISODES, Past
from monitor.demo.program import PORTS, Stage, free_port, move_in, see_once, write_probes
from monitor.demo.seeding import Seeding, coarse
from monitor.flow.accounts import log_in, set_password, who_is
from monitor.simulator.play import serve
from monitor.simulator.state import Sign
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from monitor.store.upgrade import migrate

Looks = tuple[Config, dict[str, Observation], dict[tuple[str, Sign], Observation]]
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, PORTS, "not-a-secret")


def loaded(stage: Stage) -> Config:
    write_probes(stage)
    return load(stage.probes, stage.environ)


@pytest.fixture(scope="module")
def looks(
    tmp_path_factory: pytest.TempPathFactory,
) -> Looks:
    """The demonstration's configuration and one real look of each of its probes."""

    async def see() -> Looks:
        async with serve() as vendor:
            port = int(vendor.url.rsplit(":", 1)[1])
            config = loaded(Stage(tmp_path_factory.mktemp("demo"), {**PORTS, "vendor": port}, "not-a-secret"))
            return config, *await see_once(config, vendor)

    return asyncio.run(see())


def test_its_probes_are_a_sound_configuration_on_the_ports_that_are_free(stage: Stage) -> None:
    config = loaded(replace(stage, ports={**PORTS, "vendor": 8611, "web": 8511}))
    assert [service.id for service in config.catalogue.services] == ["deepseek", "chatgpt", "claude"]
    assert not [probe.id for probe in config.catalogue.probes if probe.disabled]
    assert config.settings.web == "127.0.0.1:8511"
    assert "reconstructed" in config.settings.label
    assert ":8600" not in stage.probes.read_text()


def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) not in (port, 0)
    assert free_port(port) == port


def test_every_probe_of_the_demonstration_sees_the_healthy_vendor(
    looks: Looks,
) -> None:
    _config, patterns, signs = looks
    assert {name: seen.reason for name, seen in patterns.items()} == dict.fromkeys(patterns, Reason.OK)
    words = {sign: {r.state.value for r in signs["deepseek-signup-page", sign].registration} for sign in Sign}
    assert words[Sign.OPEN] == {"open"}
    assert "restricted" in words[Sign.PHONE_86]
    assert words[Sign.BUSY] == {"delayed"}
    assert words[Sign.CLOSED] == {"closed"}


def test_the_same_past_is_invented_twice_and_in_order(
    looks: Looks,
) -> None:
    config, patterns, signs = looks
    past = Past(coarse(config.catalogue).probes, patterns, signs, NOW)
    first, second = list(past.batches(3)), list(past.batches(3))
    assert first == second
    runs = [(r.run.tick, r.run.attempt) for batch in first for r in batch.results]
    assert runs == sorted(runs)
    assert all(batch.now > batch.results[-1].started_at for batch in first)
    assert runs[-1][0] <= NOW


def test_grey_gaps_are_looks_that_tell_nothing(
    looks: Looks,
) -> None:
    config, patterns, signs = looks
    probes = [probe for probe in coarse(config.catalogue).probes if probe.id == "claude-api-chat"]
    past = Past(probes, patterns, signs, NOW)
    seen = {r.reason for batch in past.batches(60) for r in batch.results}
    assert {Reason.NOT_RUNNING, Reason.NETWORK, Reason.AUTH, Reason.OVERLOADED, Reason.OK} <= seen


def test_the_page_shows_the_present_until_the_past_moves_in(looks: Looks, stage: Stage) -> None:
    config, patterns, signs = looks
    for url in (stage.database, stage.past):
        engine = open_engine(url)
        migrate(engine)
        set_password(engine, "demo", "not-a-secret", datetime.now(UTC))
        engine.dispose()
    shown = open_engine(stage.database)
    Seeding(shown, config.catalogue, "being invented", "demo").take_over(patterns)
    token = log_in(shown, "demo", "not-a-secret", datetime.now(UTC))
    door = open_engine(stage.database, read_only=True)
    before = reads.snapshot(door, datetime.now(UTC), public=True)
    assert not before.stale
    assert {service.health for service in before.services} == {Health.OPERATIONAL}
    assert before.label == "being invented"

    now = datetime.now(UTC)
    behind = open_engine(stage.past)
    seeding = Seeding(behind, config.catalogue, "reconstructed", "demo")
    seeding.seed(Past(coarse(config.catalogue).probes, patterns, signs, now), 2)
    seeding.take_over(patterns)
    behind.dispose()
    move_in(stage)

    after = reads.snapshot(door, datetime.now(UTC), public=True)
    assert (after.label, after.stale) == ("reconstructed", False)
    assert after.services[0].components[0].uptime.up_s > 86_400
    assert who_is(door, token, datetime.now(UTC)) == "demo"
    door.dispose()
    shown.dispose()


@pytest.mark.slow
def test_a_seeded_past_has_incidents_maintenance_and_judged_alerts(looks: Looks, tmp_path: Path) -> None:
    config, patterns, signs = looks
    engine = open_engine(f"sqlite:///{tmp_path}/past.db")
    migrate(engine)
    now = datetime.now(UTC)
    past = Past(coarse(config.catalogue).probes, patterns, signs, now)
    seeding = Seeding(engine, config.catalogue, "reconstructed", "demo")
    assert seeding.seed(past, 34) > 10_000
    seeding.take_over(patterns)
    snapshot = reads.snapshot(engine, datetime.now(UTC), public=True)
    expected = [e for e in EPISODES if e.days_ago < 33 and e.who.count("/") and e.reason.outcome is Outcome.FAILED]
    alerts = reads.alerts(engine, limit=500)
    lines = [event_line([event], view) for view in snapshot.past_incidents for event in view.events]
    engine.dispose()
    assert not any("\n" in line for line in lines)
    assert any("DeepSeek: incident opened" in line for line in lines)
    begun = {(view.service, view.started_at.date()) for view in snapshot.past_incidents}
    planned = {("claude/web", 30.2)}
    for episode in expected:
        if (episode.who, episode.days_ago) not in planned:
            assert (episode.who.partition("/")[0], episode.start(now).date()) in begun
    assert not snapshot.open_incidents
    # Every look outside the episodes was good, so nothing but the grey ones leaves a day unknown, up to now.
    grey = [e for e in EPISODES if not e.reason.outcome.is_evidence]
    parts = [part for service in snapshot.services for part in service.components]
    doubtful = {(part.id, day.day) for part in parts for day in part.days[1:] if day.unknown_s > 0}
    assert doubtful == {
        (part.id, at.date())
        for part in parts
        for episode in grey
        if episode.days_ago < 33 and (not episode.who or episode.who == f"{part.id.replace('/', '-')}-chat")
        for at in (episode.start(now), episode.end(now))
    }
    written = [
        view for view in snapshot.past_incidents if any(event.kind is EventKind.POSTMORTEM for event in view.events)
    ]
    assert {view.impact for view in written} == {Impact.CRITICAL}
    assert any(view.impact is Impact.CRITICAL for view in snapshot.past_incidents)
    assert any(day.unknown_s > 1800 for part in snapshot.services[0].components for day in part.days)
    assert any(day.maintenance_s > 1800 for part in snapshot.services[2].components for day in part.days)
    assert {bool(view.verdict) for view in alerts} == {True, False}
    assert not any(view.notices for view in alerts)


STORY = """\
title: A short outage
service: deepseek
steps:
  - {at: 0s, say: all is well}
  - {at: 1s, set: {chat: reset, web: reset}, say: all is gone}
  - {at: 15s, set: {chat: none, web: none}, say: all is back}
"""


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """`chatwatch demo` with a story of seconds and a past of a day; what it tells goes into a file."""
    story, told = tmp_path / "story.yaml", tmp_path / "told"
    story.write_text(STORY)
    command = [sys.executable, "-m", "monitor", "demo", "--scenario", str(story), "--days", "1"]
    with told.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
        )
    try:
        yield process, told
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_for(pattern: str, told: Path, seconds: float) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = re.search(pattern, told.read_text())
        if found:
            return found[0]
        time.sleep(0.2)
    raise AssertionError(f"{pattern!r} was not told within {seconds} s:\n{told.read_text()}")


@pytest.mark.slow
def test_the_demonstration_shows_a_page_tells_the_incident_and_cleans_up(
    demo: tuple[subprocess.Popen[str], Path],
) -> None:
    process, told = demo
    address = wait_for(r"Status page +http://[\d.:]+/", told, 120).split()[-1]
    with httpx.Client(transport=httpx.HTTPTransport(retries=8), timeout=60) as visitor:
        first = visitor.get(address).text
        for _ in range(600):
            # True from its first byte, with the past still being made; a machine that needs half a minute to open the
            # doors has looks to show that are as old, and says so until the next.
            if "All services are working normally" in first:
                break
            assert "is down" not in first
            time.sleep(0.2)
            first = visitor.get(address).text
    assert "All services are working normally" in first
    assert "are being invented" in first or "reconstructed" in first
    wait_for("all is well", told, 120)
    wait_for("DeepSeek: incident opened", told, 120)
    wait_for("DeepSeek: incident resolved", told, 120)
    assert len(list(told.parent.glob("chatwatch-demo-*"))) == 1
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 0
    assert "its database is gone" in told.read_text()
    assert not list(told.parent.glob("chatwatch-demo-*"))

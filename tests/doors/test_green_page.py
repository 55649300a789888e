"""What is green, unknown or still being learned: from looks through rules and a database to page, JSON and metrics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client import generate_latest
from sqlalchemy import Engine

from dashboard.web import api
from dashboard.web.render import pages
from monitor import flow
from monitor.cli import chatwatch
from monitor.core.catalogue import Component, ComponentKind, Probe, Proof
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.probes.marks import FEWEST_LOOKS, MEMORY, Learned, judge_page, stored
from monitor.probes.memory import Memories, memory_path
from monitor.probes.page import read_page
from monitor.recorder.metrics import Seen, registry_for
from monitor.simulator import pages as simulated
from monitor.simulator.play import serve
from monitor.store import reads
from monitor.store.codec import pack, unpack
from monitor.store.connection.engine import open_engine
from monitor.store.reads.views import ComponentView, Snapshot
from monitor.store.upgrade import migrate
from monitor.text.lexicon import Language, lexicon
from tests.edges.flowing import CATALOGUE, MINUTE, T0, look, publish

API, WEB = "deepseek/api", "deepseek/web"
EDGE = Probe("ds-edge", API, "http", 60, 10.0)
PAGE = Probe("ds-web", WEB, "http", 60, 10.0)
WATCHED = replace(
    CATALOGUE,
    components=(*CATALOGUE.components, Component(WEB, "deepseek", "Web chat", ComponentKind.WEB)),
    probes=(*(replace(p, proves=Proof.WORK) if p.id == "ds-api" else p for p in CATALOGUE.probes), EDGE, PAGE),
    version="2",
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    found = open_engine(f"sqlite:///{tmp_path}/chatwatch.db")
    migrate(found)
    publish(found, WATCHED)
    yield found
    found.dispose()


def minute(engine: Engine, number: int, asked: Reason, page: str = "HTTP 200") -> None:
    """One minute: the edge and the page answer, the question gets ``asked``."""
    at = T0 + number * MINUTE
    seen = [
        look("ds-edge", at),
        look("ds-web", at, detail=page),
        look("ds-api", at, asked, detail="as the vendor said"),
    ]
    flow.record(engine, seen, at + timedelta(seconds=3))
    flow.sweep(engine, at + timedelta(seconds=30))


def shown(engine: Engine, number: int) -> tuple[Snapshot, dict[str, ComponentView]]:
    snapshot = reads.snapshot(engine, T0 + number * MINUTE + timedelta(seconds=40), public=True)
    return snapshot, {part.id: part for service in snapshot.services for part in service.components}


def words(snapshot: Snapshot, path: str) -> str:
    return dict(pages(snapshot, WATCHED))[path].decode()


REFUSED = [Reason.RATE_LIMIT, Reason.BLOCKED, Reason.CONFIG, Reason.POLICY, Reason.QUOTA, Reason.BUDGET]


@pytest.mark.parametrize("reason", REFUSED)
def test_a_refused_question_beside_a_good_edge_is_unknown_with_its_reason_everywhere(
    engine: Engine, reason: Reason
) -> None:
    for number in range(10):
        minute(engine, number, Reason.OK)
    assert shown(engine, 9)[1][API].health is Health.OPERATIONAL
    for number in range(10, 16):
        minute(engine, number, reason)
    snapshot, parts = shown(engine, 15)
    assert (parts[API].health, parts[API].reason) == (Health.UNKNOWN, reason)
    for path, language in (("/", Language.EN), ("/zh/", Language.ZH)):
        assert lexicon(language).of(reason) in unescape(words(snapshot, path))
    own = api.own_component(parts[API])
    assert (own["state"], own["reason"]) == ("unknown", str(reason))
    minute(engine, 16, Reason.OK)
    assert shown(engine, 16)[1][API].health is Health.OPERATIONAL


def test_the_unknown_time_stays_unknown_after_the_question_is_answered_again(engine: Engine) -> None:
    for number in range(20):
        minute(engine, number, Reason.OK if number < 10 or number > 17 else Reason.AUTH)
    part = shown(engine, 19)[1][API]
    assert part.health is Health.OPERATIONAL
    assert part.since is not None
    assert part.since >= T0 + 18 * MINUTE, "the edge's looks do not make it green in hindsight"


def test_a_page_that_is_still_being_learned_is_green_and_says_so(engine: Engine) -> None:
    minute(engine, 0, Reason.OK, "learning: HTTP 200")
    snapshot, parts = shown(engine, 0)
    assert (parts[WEB].health, parts[WEB].learning, parts[API].learning) == (Health.OPERATIONAL, True, False)
    assert "learning: until we know its page from good days" in words(snapshot, "/")
    assert "学习中" in words(snapshot, "/zh/")
    assert api.own_component(parts[WEB])["learning"] is True
    minute(engine, 1, Reason.OK)
    snapshot, parts = shown(engine, 1)
    assert not parts[WEB].learning
    assert "learning" not in words(snapshot, "/")


def test_the_metric_says_why_a_component_is_unknown(engine: Engine) -> None:
    for number in range(16):
        minute(engine, number, Reason.OK if number < 10 else Reason.RATE_LIMIT)
    snapshot, _ = shown(engine, 15)
    at = snapshot.taken_at
    seen = Seen(lambda: at, WATCHED, snapshot=snapshot, snapshot_at=at)
    text = generate_latest(registry_for(seen)[0]).decode()
    labels = 'component="deepseek/api",reason="account.rate_limit",service="deepseek"'
    assert f"chatwatch_component_unknown_reason{{{labels}}} 1.0" in text
    assert 'chatwatch_component_unknown_reason{component="deepseek/web"' not in text


PROBES = """\
allow_networks: [127.0.0.0/8]
services:
  - id: sim
    name: Simulated
    components: [{{id: web, name: Web chat, kind: web}}]
    probes:
      - {{id: page, component: web, kind: http, interval: 30s, timeout: 5s, options: {{url: "{url}/", {more}}}}}
"""


def explained(home: Path, url: str, more: str) -> str:
    (home / "probes.yaml").write_text(PROBES.format(url=url, more=more))
    command = ["probe", "sim-page", "--explain", "--config", str(home / "probes.yaml")]
    environment = {"CHATWATCH_DATABASE": f"sqlite:///{home}/chatwatch.db"}
    return " ".join(CliRunner(env=environment).invoke(chatwatch, command).output.split())


def learned(home: Path, url: str) -> None:
    """Leave the memory of a worker that has learned the simulated page."""
    known, page = Learned(f"{url}/"), read_page(simulated.web_app("Simulated"), f"{url}/")
    for number in range(FEWEST_LOOKS):
        judge_page(page, (), known, T0 + number * 20 * MINUTE)
    path = memory_path(f"sqlite:///{home}/chatwatch.db", "local")
    memories = Memories(path)
    memories.keep("sim-page", "http", {MEMORY: stored(known)}, ())
    memories.write(memories.copy() or b"")


def test_explain_shows_the_marks_found_and_missing_and_how_far_learning_is(tmp_path: Path) -> None:
    async def story() -> tuple[str, str, str, str]:
        async with serve() as vendor:
            url = vendor.url
            fresh = await asyncio.to_thread(explained, tmp_path, url, "")
            declared = await asyncio.to_thread(explained, tmp_path, url, 'marks: ["title:Simulated", "id:app"]')
            learned(tmp_path, url)
            known = await asyncio.to_thread(explained, tmp_path, url, "")
            vendor.set("", web={"fault": "notice", "text": "Welcome to nginx!"})
            lost = await asyncio.to_thread(explained, tmp_path, url, "")
        return fresh, declared, known, lost

    fresh, declared, known, lost = asyncio.run(story())
    assert "learning, 1 of 20 good looks over 0.0 of 6 h; until then the status judges" in fresh
    assert "title:simulated – simulated chat" in fresh
    assert "Marks found title:Simulated Marks missing id:app" in declared
    assert "learned 20" in known
    assert "from 20 good looks at" in known
    assert "Marks missing none" in known
    assert "probe.content_changed" in lost
    assert "Marks found none Marks missing title:simulated" in lost


def test_a_probe_of_a_catalogue_before_this_version_proves_the_edge() -> None:
    row = pack(Probe, EDGE)
    held = json.loads(row)
    held.pop("proves", None)
    assert unpack(Probe, json.dumps(held)).proves is Proof.EDGE

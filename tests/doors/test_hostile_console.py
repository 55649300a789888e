"""Whatever a vendor, a place or a colleague wrote, the console draws as text and nothing else."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from monitor import clock, flow
from monitor.core import commands as c
from monitor.core.catalogue import Catalogue, Component, ComponentKind, Probe, Route, Service
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import Sending, Severity
from monitor.core.model.observations import ChatTimes, Evidence, Observation, Phases, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, MethodReading, Registration, Source
from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading, UpstreamUpdate
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from monitor.store.upgrade import migrate
from tests.doors.test_live import drawn, environment
from tests.doors.test_web import Elements

EVIL = (
    '"><img src=x onerror=alert(1)><script>alert(1)</script>[l](javascript:alert(1)) **b** </style></p>\u202e\x1b[31m'
)
DRAWN = {
    "p",
    "span",
    "b",
    "h3",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "div",
    "style",
    "section",
    "article",
    "h1",
}
DRAWN |= {"h2", "dl", "dt", "dd", "ol", "ul", "li", "time", "details", "summary", "blockquote", "code", "a", "br", "i"}


def world() -> Catalogue:
    parts = (
        Component("shop/api", "shop", EVIL, ComponentKind.API),
        Component("shop/join", "shop", EVIL, ComponentKind.REGISTRATION),
    )
    probes = (
        Probe("chat", "shop/api", "chat", 30, 5.0, target=EVIL),
        Probe("key", "shop/api", "chat", 30, 5.0, disabled=""),
        Probe("join", "shop/join", "registration", 30, 5.0),
        Probe("says", "shop/api", "upstream", 30, 5.0, witness=True),
    )
    route = Route("oncall", ("pager",), severities=tuple(Severity))
    return Catalogue((Service("shop", EVIL, url=EVIL),), parts, probes, (route,), "1")


def look(probe: str, at: datetime, number: int) -> Result:
    """One look of a minute: the chat fails at last, the key is refused, sign-up is cut, the vendor talks."""
    late = number >= 10
    way = MethodReading(
        Method.EMAIL, Registration.CLOSED if late else Registration.OPEN, Source.OFFICIAL_TEXT, excerpt=EVIL, url=EVIL
    )
    said = UpstreamIncident(EVIL, EVIL, None, Impact.MAJOR, at, url=EVIL, updates=(UpstreamUpdate(at, None, EVIL),))
    times = ChatTimes(ttft_s=0.5, model=EVIL, finish_reason=EVIL, input_tokens=3, output_tokens=5)
    seen = {
        "chat": Observation(Reason.CONTENT if late else Reason.OK, chat=times),
        "key": Observation(Reason.QUOTA),
        "join": Observation(Reason.OK, registration=(way,)),
        "says": Observation(Reason.OK, upstream=UpstreamReading("feed", EVIL, Health.MAJOR, incidents=(said,))),
    }[probe]
    seen = replace(seen, detail=EVIL, evidence=Evidence(EVIL, EVIL, {EVIL: EVIL}), phases=Phases(wait_s=0.2))
    return Result(RunId(probe, "local", at), at, 0.4, seen)


def database(home: Path, now: datetime) -> str:
    url = f"sqlite:///{home / 'chatwatch.db'}"
    engine = open_engine(url)
    migrate(engine)
    catalogue = world()
    begun = now.replace(microsecond=0) - timedelta(minutes=8)
    flow.publish_catalogue(engine, catalogue, begun)
    for number in range(16):
        at = begun + timedelta(seconds=30 * number)
        looks = [look(probe.id, at, number) for probe in catalogue.probes]
        flow.record(engine, looks, at + timedelta(seconds=1))
        flow.sweep(engine, at + timedelta(seconds=5))
    flow.check_in(engine, EVIL, EVIL, now, blind=EVIL)
    flow.check_in(engine, "other", EVIL, now, spooled=3)
    people(engine, now)
    flow.roll_up(engine, now)
    engine.dispose()
    return url


def people(engine: Engine, now: datetime) -> None:
    """Let colleagues with odd names say odd things, and a delivery fail oddly."""
    (notice, *_) = flow.lease_notices(engine, "w", now)
    flow.settle_notice(engine, notice.id, Sending.RETRYING, now, error=EVIL, retry_at=now)
    alerts = reads.alerts(engine, open_only=True)
    by_rule = {view.alert.rule: view.alert.id for view in alerts}
    flow.command(engine, c.AcknowledgeAlert(by_rule[Rule.COMPONENT_DOWN]), EVIL, now, EVIL)
    flow.command(engine, c.ResolveAlert(by_rule[Rule.ACCOUNT]), EVIL, now, EVIL)
    flow.command(engine, c.Silence(now + timedelta(hours=1), service="shop"), EVIL, now, EVIL)
    for item in reads.incidents(engine, public=False):
        flow.command(engine, c.PostUpdate(item.id, EVIL, IncidentStatus.IDENTIFIED, None, EVIL), EVIL, now)


def draw_everything(url: str) -> None:
    """Run inside Streamlit: draw every view of the console for somebody who is signed in."""
    import streamlit as st

    from dashboard.console import act, audit, inbox, incidents, probes, review, shared, silences
    from dashboard.words import speak
    from monitor import clock
    from monitor.text.lexicon import Language

    console = act.Console(url)
    session = shared.ConsoleSession(console, "", False, speak(Language.EN), "dark", clock.now())
    for view in (inbox, incidents, silences, review, probes, audit):
        st.text(f"view {view.__name__}")
        view.draw(session)
    console.engine.dispose()


def test_every_view_of_the_console_draws_hostile_text_as_text(tmp_path: Path) -> None:
    now = clock.now()
    url = database(tmp_path, now)
    with environment(url):
        page = AppTest.from_function(draw_everything, args=(url,), default_timeout=120).run()
        body = drawn(page)
    found = Elements(body)
    assert {tag for tag, _ in found.tags} <= DRAWN
    for tag, attributes in found.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert re.match(r"(https?://|\?|\./|history|#|$)", attributes.get("href", "")), attributes
    assert not set(body) & {"\x1b", "\u202e"}
    words = " ".join(found.text)
    assert words.count("<script>alert(1)</script>") > 20, "the words are shown, not swallowed"
    for piece in page.markdown:
        assert "alert(1)" not in piece.value
    drawn_in = Counter(piece.value.rpartition(".")[2] for piece in page.text if piece.value.startswith("view "))
    assert sum(drawn_in.values()) == 6

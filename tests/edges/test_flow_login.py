"""What became of log-in: from the looks through the rules and a database to the sentence on the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert

from dashboard.scene import slug
from dashboard.web.render import pages
from monitor import flow
from monitor.core.catalogue import Component, ComponentKind, Probe
from monitor.core.model.incident_events import Opened, RegistrationChanged
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Registration
from monitor.core.model.states import Health
from monitor.core.schedule import micros as us
from monitor.store import reads, tables
from monitor.store.connection.engine import begin, open_engine
from monitor.store.tables import table
from monitor.store.upgrade import migrate
from tests.edges.flowing import CATALOGUE, MINUTE, POLICY, T0, look, publish, readings

LOGIN = "deepseek/login"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    found = open_engine(f"sqlite:///{tmp_path}/chatwatch.db")
    migrate(found)
    yield found
    found.dispose()


def watched(engine: Engine, *, public: bool = True) -> None:
    """Put a world in force that has a log-in beside API and registration."""
    component = Component(LOGIN, "deepseek", "Log-in", ComponentKind.LOGIN, public=public)
    probe = Probe("ds-login", LOGIN, "login", 60, 10.0, policy=POLICY)
    catalogue = replace(
        CATALOGUE, components=(*CATALOGUE.components, component), probes=(*CATALOGUE.probes, probe), version="2"
    )
    publish(engine, catalogue)


def play(engine: Engine, minutes: range, *, api: Reason, login: Reason, cut: bool = False) -> None:
    """Look at everything once a minute; ``cut`` closes sign-up by e-mail."""
    email = Registration.CLOSED if cut else Registration.OPEN
    for minute in minutes:
        at = T0 + minute * MINUTE
        seen = [look("ds-api", at, api), look("ds-login", at, login)]
        seen.append(look("ds-reg", at, registration=readings(email=email, phone=Registration.OPEN)))
        flow.record(engine, seen, at + MINUTE / 60)


def page(engine: Engine, prefix: str = "", minute: int = 8) -> str:
    """The incident's own page."""
    snapshot = reads.snapshot(engine, T0 + minute * MINUTE, public=True)
    (incident,) = snapshot.open_incidents
    return pages(snapshot, reads.catalogue(engine))[f"{prefix}/incidents/{slug(incident.id)}"].decode()


def test_an_outage_says_that_log_in_still_works(engine: Engine) -> None:
    watched(engine)
    play(engine, range(4), api=Reason.OK, login=Reason.OK)
    play(engine, range(4, 8), api=Reason.SERVER_ERROR, login=Reason.OK)
    assert "API is down: it answers with a server error. Log-in works." in page(engine)
    assert "API中断：返回服务器错误。登录正常。" in page(engine, "/zh")


def test_an_outage_that_log_in_is_part_of_tells_of_it_once(engine: Engine) -> None:
    watched(engine)
    play(engine, range(4), api=Reason.OK, login=Reason.OK)
    play(engine, range(4, 8), api=Reason.SERVER_ERROR, login=Reason.SERVER_ERROR)
    assert "Log-in is down: it answers with a server error." in page(engine)
    assert "too." not in page(engine)


@pytest.mark.parametrize(
    ("login", "english", "chinese"),
    [
        (Reason.OK, "New users cannot sign up with e-mail. Log-in works.", "新用户不能用邮箱注册。登录正常。"),
        (
            Reason.SERVER_ERROR,
            "New users cannot sign up with e-mail. Log-in is down, too.",
            "新用户不能用邮箱注册。登录也中断。",
        ),
    ],
)
def test_an_incident_of_registration_says_what_became_of_log_in(
    engine: Engine, login: Reason, english: str, chinese: str
) -> None:
    watched(engine)
    play(engine, range(4), api=Reason.OK, login=Reason.OK)
    play(engine, range(4, 8), api=Reason.OK, login=login)
    play(engine, range(8, 12), api=Reason.OK, login=login, cut=True)
    snapshot = reads.snapshot(engine, T0 + 12 * MINUTE, public=True)
    (incident,) = [item for item in snapshot.open_incidents if item.cause.value == "registration"]
    found = pages(snapshot, reads.catalogue(engine))
    assert english in found[f"/incidents/{slug(incident.id)}"].decode()
    assert chinese in found[f"/zh/incidents/{slug(incident.id)}"].decode()


def test_a_log_in_that_is_not_public_is_not_told_to_the_public(engine: Engine) -> None:
    watched(engine, public=False)
    play(engine, range(4), api=Reason.OK, login=Reason.OK)
    play(engine, range(4, 8), api=Reason.SERVER_ERROR, login=Reason.OK)
    assert "Log-in" not in page(engine)
    (incident,) = reads.incidents(engine, public=False)
    assert isinstance(incident.events[0].what, Opened)
    assert incident.events[0].what.login == {LOGIN: Health.OPERATIONAL}
    (shown,) = reads.incidents(engine, public=True)
    assert isinstance(shown.events[0].what, Opened)
    assert shown.events[0].what.login == {}


def test_a_service_without_log_in_says_nothing_of_it(engine: Engine) -> None:
    publish(engine)
    for minute in range(8):
        at = T0 + minute * MINUTE
        email = Registration.OPEN if minute < 4 else Registration.CLOSED
        flow.record(engine, [look("ds-reg", at, registration=readings(email=email))], at + MINUTE / 60)
    assert "Log-in" not in page(engine)
    (incident,) = reads.incidents(engine, public=True)
    changes = [event.what for event in incident.events if isinstance(event.what, RegistrationChanged)]
    assert changes
    assert all(not change.login for change in changes)


def test_rows_of_another_version_never_break_a_page(engine: Engine) -> None:
    watched(engine)
    play(engine, range(4), api=Reason.OK, login=Reason.OK)
    play(engine, range(4, 8), api=Reason.SERVER_ERROR, login=Reason.OK)
    (incident,) = reads.incidents(engine, public=True)
    rows = [
        ("of_the_future", {"text": "x"}),
        ("note", {"text": "Still readable", "mood": 1, "status": "dancing"}),
        ("component_worse", {"component": "deepseek/api"}),
        ("registration_changed", {"login": "operational"}),
        ("related", []),
    ]
    common = {"incident": incident.id, "at_us": us(T0 + 8 * MINUTE), "recorded_us": us(T0 + 8 * MINUTE), "by": "alice"}
    with begin(engine) as connection:
        for seq, (kind, data) in enumerate(rows, 50):
            values = common | {"seq": seq, "kind": kind, "data": json.dumps(data)}
            connection.execute(insert(table(tables.IncidentEvent)).values(values))
    assert "Still readable" in page(engine, minute=9)
    assert "Still readable" in page(engine, "/zh", minute=9)
    assert flow.rebuild(engine) == 1

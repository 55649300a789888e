"""Whoever is signed out, disabled, expired or of a lower role cannot act, not even with a page that is still open."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from dashboard import console
from dashboard.console import act
from monitor import clock, flow
from monitor.core import commands as c
from monitor.core.model.alerting import AlertState, Severity, Verdict
from monitor.core.model.states import Impact
from monitor.flow import accounts
from monitor.flow.accounts import Role
from monitor.store import reads
from tests.doors import seeded
from tests.doors.test_live import environment

LOOKS_BEFORE = timedelta(minutes=5)
Deed = Callable[[Engine, str, datetime], object]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, datetime]:
    """Return a database with open alerts, incidents and a silence, and the time it was made at."""
    folder, now = tmp_path_factory.mktemp("acts"), clock.now()
    engine = seeded.opened(seeded.database(folder, now, trouble=True))
    flow.command(engine, c.Silence(now + timedelta(hours=1), service="deepseek"), "eve", now)
    alert = next(view.alert for view in reads.alerts(engine, open_only=True))
    flow.command(engine, c.ReportMissed(alert.service, alert.component, now - timedelta(hours=1)), "eve", now)
    engine.dispose()
    return folder / "chatwatch.db", now


@pytest.fixture
def url(shelf: tuple[Path, datetime], tmp_path: Path) -> str:
    """Return the address of a copy of it."""
    shutil.copy(shelf[0], tmp_path / "chatwatch.db")
    return f"sqlite:///{tmp_path / 'chatwatch.db'}"


def deeds(engine: Engine, now: datetime) -> dict[type, c.Command]:
    """Return one order of every kind that would change something."""
    alert = next(view.alert for view in reads.alerts(engine, open_only=True) if view.alert.incident)
    incident = alert.incident
    (silence, *_) = reads.silences(engine, now)
    orders: tuple[c.Command, ...] = (
        c.AcknowledgeAlert(alert.id),
        c.ResolveAlert(alert.id),
        c.JudgeAlert(alert.id, Verdict.NOISE),
        c.ReportMissed(alert.service, alert.component, now - timedelta(hours=2)),
        c.OpenIncident("openai", ("openai/api",), Impact.MAJOR, "By hand"),
        c.PostUpdate(incident, "We look into it."),
        c.ResolveIncident(incident),
        c.HideIncident(incident),
        c.PublishIncident(incident),
        c.WritePostmortem(incident, "It was the cable."),
        c.Silence(now + timedelta(hours=2), service="openai"),
        c.Unsilence(silence.id),
        c.ScheduleMaintenance("openai", (), "Upgrade", now, now + timedelta(hours=1)),
        c.CancelMaintenance("none"),
        c.SendTest("chat", Severity.INFO),
    )
    return {type(order): order for order in orders}


def disabled(engine: Engine, token: str, now: datetime) -> None:
    accounts.disable_account(engine, seeded.NAME, now)


def signed_out(engine: Engine, token: str, now: datetime) -> None:
    accounts.log_out(engine, token)


def of_a_lower_role(engine: Engine, token: str, now: datetime) -> None:
    assert accounts.set_role(engine, seeded.NAME, Role.VIEWER, now)


def of_an_older_password(engine: Engine, token: str, now: datetime) -> None:
    accounts.set_password(engine, seeded.NAME, "another long password", now)


def disabled_and_admitted_again(engine: Engine, token: str, now: datetime) -> None:
    accounts.disable_account(engine, seeded.NAME, now)
    accounts.set_password(engine, seeded.NAME, seeded.PASSWORD, now)


REASONS: Mapping[str, Deed] = {
    deed.__name__: deed
    for deed in (disabled, signed_out, of_a_lower_role, of_an_older_password, disabled_and_admitted_again)
}


def state_of(engine: Engine, now: datetime) -> Any:
    """Return all that an act could change."""
    return (
        [(row.who, row.action, row.subject) for row in reads.audit(engine)],
        reads.alerts(engine),
        reads.silences(engine, now),
        [(item.id, item.status, item.public, item.events) for item in reads.incidents(engine, public=False)],
        reads.snapshot(engine, now, public=False).maintenances,
    )


@pytest.mark.parametrize("reason", REASONS.values(), ids=REASONS)
def test_no_order_of_any_kind_is_taken_from_a_page_that_is_still_open(url: str, reason: Deed) -> None:
    now, here = clock.now(), act.Console(url)
    token, wait_s = here.sign_in(seeded.NAME, seeded.PASSWORD, now)
    assert token
    assert not wait_s
    reason(here.engine, token, now)
    before = state_of(here.engine, now)
    for kind, order in deeds(here.engine, now).items():
        changed, error = here.do(order, token)
        assert not changed, kind
        assert error.startswith("nothing was changed: your "), kind
    assert state_of(here.engine, now) == before
    here.engine.dispose()


def test_no_order_of_any_kind_is_taken_with_a_session_that_has_expired(url: str) -> None:
    now, here = clock.now(), act.Console(url)
    token = accounts.log_in(here.engine, seeded.NAME, seeded.PASSWORD, now - accounts.SESSION_LASTS)
    before = state_of(here.engine, now)
    for kind, order in deeds(here.engine, now).items():
        assert here.do(order, token) == (False, "nothing was changed: your session is over; sign in again"), kind
    assert state_of(here.engine, now) == before
    here.engine.dispose()


@pytest.mark.parametrize("token", ["", "x" * 43, seeded.NAME, "' OR 1=1 --", "%", "\x00"])
def test_no_order_is_taken_with_what_is_no_session(url: str, token: str) -> None:
    now, here = clock.now(), act.Console(url)
    order = deeds(here.engine, now)[c.AcknowledgeAlert]
    assert here.do(order, token) == (False, "nothing was changed: your session is over; sign in again")
    here.engine.dispose()


def test_whoever_is_signed_in_gives_every_order_under_the_own_name(url: str) -> None:
    now, here = clock.now(), act.Console(url)
    token, _ = here.sign_in(seeded.NAME, seeded.PASSWORD, now)
    taken = [kind for kind, order in deeds(here.engine, now).items() if here.do(order, token)[0]]
    assert {c.AcknowledgeAlert, c.JudgeAlert, c.PostUpdate, c.ResolveIncident, c.HideIncident, c.Silence} <= set(taken)
    assert len(taken) >= 12, "most of the orders of the table change something when they may"
    assert {line.who for line in reads.audit(here.engine)} == {seeded.NAME, "eve"}
    here.engine.dispose()


def test_the_table_holds_every_order_there_is_and_the_console_gives_no_other(url: str) -> None:
    engine = seeded.opened(url)
    known = set(deeds(engine, clock.now()))
    engine.dispose()
    assert known == set(get_args(c.Command))
    folder = Path(str(console.__file__)).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "monitor.core.commands" and path.stem != "act":
                given = {getattr(c, name.name) for name in node.names} - {c.Command}
                assert given <= known


def draw_view(url: str, token: str, name: str) -> None:
    """Run inside Streamlit: draw one view of the console as it is drawn for somebody who is signed in."""
    import importlib

    from dashboard.console import act, shared
    from dashboard.words import speak
    from monitor import clock
    from monitor.text.lexicon import Language

    here = act.Console(url)
    view = importlib.import_module(f"dashboard.console.{name}")
    shared.answer()
    view.draw(shared.ConsoleSession(here, token, False, speak(Language.EN), "dark", clock.now()))
    here.engine.dispose()


CLICKS = {
    "Acknowledge": ("inbox", "Acknowledge"),
    "Resolve an alert": ("inbox", "Resolve"),
    "Post an update": ("incidents", "Post an update"),
    "Hide an incident": ("incidents", "Hide from the public"),
    "Resolve an incident": ("incidents", "Resolve the incident"),
    "Add a silence": ("silences", "Add a silence"),
    "End a silence": ("silences", "End it"),
    "Judge an alert": ("review", "noise"),
}


@pytest.mark.parametrize("reason", [disabled, of_a_lower_role], ids=lambda reason: reason.__name__)
@pytest.mark.parametrize(("view", "label"), CLICKS.values(), ids=CLICKS)
def test_no_button_of_an_open_page_acts_for_somebody_who_may_not(url: str, view: str, label: str, reason: Deed) -> None:
    now, engine = clock.now(), seeded.opened(url)
    if view == "review":
        alert = next(found.alert for found in reads.alerts(engine, open_only=True))
        flow.command(engine, c.ResolveAlert(alert.id), "eve", now)
    token = accounts.log_in(engine, seeded.NAME, seeded.PASSWORD, now)
    with environment(url):
        page = AppTest.from_function(draw_view, args=(url, token, view), default_timeout=120).run()
        for text in page.text_area:
            text.input("We look into it.")
        for line in page.text_input:
            line.input("DeepSeek" if "to confirm" in line.label else "")
        reason(engine, token, now)
        before = state_of(engine, now)
        button = next(found for found in page.button if found.label == label)
        button.click().run()
    assert not page.exception
    assert state_of(engine, now) == before
    assert [error.value.partition(":")[0] for error in page.error] == ["Nothing was changed"]
    engine.dispose()


def test_a_lower_role_sees_the_console_and_every_button_of_it_is_grey(url: str) -> None:
    engine = seeded.opened(url)
    accounts.set_role(engine, seeded.NAME, Role.VIEWER, clock.now())
    engine.dispose()
    with environment(url):
        page = AppTest.from_file(str(Path(str(console.__file__)).parent / "app.py"), default_timeout=120).run()
        page.text_input[0].input(seeded.NAME)
        page.text_input[1].input(seeded.PASSWORD)
        page.button[0].click().run()
        acting = [button for button in page.button if button.key != "sign-out"]
        assert (
            any("DeepSeek API is down" in html.value for html in page.get("html") if hasattr(html, "value")) or acting
        )
        assert acting
        assert all(button.disabled for button in acting)


def test_a_role_of_a_later_version_may_look_and_no_more(url: str) -> None:
    from sqlalchemy import text

    from monitor.store.connection.engine import begin

    now, here = clock.now(), act.Console(url)
    token, _ = here.sign_in(seeded.NAME, seeded.PASSWORD, now)
    with begin(here.engine) as connection:
        connection.execute(text("UPDATE account SET role = 'sovereign'"))
    changed, error = here.do(deeds(here.engine, now)[c.AcknowledgeAlert], token)
    assert not changed
    assert "your role may look" in error
    alerts = reads.alerts(here.engine, open_only=True)
    assert all(view.alert.state is AlertState.FIRING for view in alerts)
    here.engine.dispose()

"""The on-call console: shut until somebody signs in; every act leaves its audit row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

from starlette.applications import Starlette
from streamlit.testing.v1 import AppTest

from dashboard import serve
from dashboard.console import act, brake, probes, shared, tickets
from dashboard.words import capital, speak
from monitor import clock
from monitor.core.catalogue import Probe
from monitor.core.commands import HideIncident, PostUpdate, PublishIncident, ResolveIncident
from monitor.core.entities import Alert
from monitor.core.model.alert_rules import Foreign, Rule
from monitor.core.model.alerting import AlertState, Severity
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.states import IncidentStatus
from monitor.flow import accounts
from monitor.store import reads
from monitor.store.reads.views import AlertView, CostView
from monitor.text.lexicon import Language
from tests.doors import seeded
from tests.doors.hostile import HOSTILE
from tests.doors.serving import served
from tests.doors.test_live import drawn, environment

CONSOLE = Path(serve.__file__).parent / "console" / "app.py"


def at_the_door() -> AppTest:
    return AppTest.from_file(str(CONSOLE), default_timeout=120).run()


def signed_in() -> AppTest:
    page = at_the_door()
    page.text_input[0].input(seeded.NAME)
    page.text_input[1].input(seeded.PASSWORD)
    return page.button[0].click().run()


def with_console(folder: Path, body: Callable[[str, datetime], None], *, account: bool = True) -> None:
    now = clock.now()
    url = seeded.database(folder, now, trouble=True, account=account)
    with environment(url):
        body(url, now)


def test_without_any_account_the_console_stays_shut_and_says_how_to_add_one(tmp_path: Path) -> None:
    def body(url: str, now: datetime) -> None:
        page = at_the_door()
        assert "Nobody can sign in yet." in drawn(page)
        assert page.code[0].value == "chatwatch user add NAME"
        assert not page.text_input

    with_console(tmp_path, body, account=False)


def test_a_wrong_password_is_refused_and_nothing_is_shown(tmp_path: Path) -> None:
    def body(url: str, now: datetime) -> None:
        page = at_the_door()
        page.text_input[0].input(seeded.NAME)
        page.text_input[1].input("wrong password")
        page.button[0].click().run()
        assert [error.value for error in page.error] == ["The name or the password is wrong."]
        assert "firing" not in drawn(page)

    with_console(tmp_path, body)


def test_the_inbox_shows_open_alerts_and_acknowledging_takes_one(tmp_path: Path) -> None:
    def body(url: str, now: datetime) -> None:
        page = signed_in()
        text = drawn(page)
        assert "DeepSeek API is down" in text
        assert "nobody has it" in text
        first = next(button for button in page.button if str(button.key).startswith("ack-"))
        alert = str(first.key).removeprefix("ack-")
        first.click().run()
        engine = seeded.opened(url)
        taken = reads.alert(engine, alert)
        assert taken is not None
        assert taken.alert.state is AlertState.ACKNOWLEDGED
        assert taken.alert.acknowledged_by == seeded.NAME
        actions = [(row.who, row.action) for row in reads.audit(engine)]
        engine.dispose()
        assert (seeded.NAME, "AcknowledgeAlert") in actions

    with_console(tmp_path, body)


def test_a_session_reaches_the_browser_as_a_cookie_that_script_cannot_read_and_only_once() -> None:
    with served(Starlette(routes=list(tickets.ROUTES))) as client:
        ticket = tickets.leave("t" * 43)
        given = client.post(tickets.PATH, content=ticket)
        assert given.status_code == 204
        words = {word.strip().lower() for word in given.headers["set-cookie"].split(";")}
        assert {f"{tickets.COOKIE}={'t' * 43}", "httponly", "samesite=strict", "path=/"} <= words
        for wrong in (ticket, "", "x" * 43, "x" * 100_000, b"\xff\xfe"):
            refused = client.post(tickets.PATH, content=wrong)
            assert refused.status_code == 403
            assert "set-cookie" not in refused.headers
        assert client.get(f"{tickets.PATH}?{tickets.leave('t' * 43)}").status_code == 405
        gone = client.post(tickets.PATH, content=tickets.leave(""))
        assert "Max-Age=0" in gone.headers["set-cookie"]


def test_why_somebody_was_or_was_not_told_is_answered(tmp_path: Path) -> None:
    def body(url: str, now: datetime) -> None:
        text = drawn(signed_in())
        assert "Who was told, and why or why not" in text
        assert "No route" in text or "told" in text

    with_console(tmp_path, body)


def test_an_update_is_posted_as_a_persons_words(tmp_path: Path) -> None:
    def body(url: str, now: datetime) -> None:
        session = a_shift(url, now)
        engine = session.console.engine
        item = reads.incidents(engine, public=False)[0]

        assert session.console.do(
            PostUpdate(item.id, "We look into it.", IncidentStatus.IDENTIFIED), session.token
        ) == (
            True,
            "",
        )
        assert session.console.do(HideIncident(item.id), session.token)[0]
        assert reads.incident(engine, item.id, public=True) is None
        assert session.console.do(PublishIncident(item.id), session.token)[0]
        assert session.console.do(ResolveIncident(item.id, "Over."), session.token)[0]
        after = reads.incident(engine, item.id, public=True)
        assert after is not None
        assert after.status is IncidentStatus.RESOLVED
        notes = [event for event in after.events if getattr(event.what, "text", "") == "We look into it."]
        assert [event.by for event in notes] == [seeded.NAME]
        changed, error = session.console.do(PostUpdate("none", "x"), session.token)
        assert not changed
        assert error
        engine.dispose()

    with_console(tmp_path, body)


def a_shift(url: str, now: datetime) -> shared.ConsoleSession:
    console = act.Console(url)
    token, _ = console.sign_in(seeded.NAME, seeded.PASSWORD, now)
    return shared.ConsoleSession(console, token, False, speak(Language.EN), "dark", now)


def test_a_session_ends_when_the_password_changes(tmp_path: Path) -> None:
    def body(url: str, now: datetime) -> None:
        page = signed_in()
        assert "firing" in drawn(page)
        engine = seeded.opened(url)
        accounts.set_password(engine, seeded.NAME, "a new long password", clock.now())
        engine.dispose()
        page.run()
        assert "firing" not in drawn(page)
        assert len(page.text_input) == 2

    with_console(tmp_path, body)


def test_the_cost_stands_against_its_budget() -> None:
    probe = Probe("shop-chat", "shop/api", "chat", 60, 9.0, budget_tokens_day=1000, budget_usd_day=0.5)
    spent = CostView(probe, "local", date(2026, 1, 5), 3, 36, 24, 0.006, 450.0)
    free = CostView(replace(probe, budget_tokens_day=None), "local", date(2026, 1, 4), 1, 0, 3, None, None)
    priced, unpriced = (list(row.values())[3:] for row in probes.cost_rows([spent, free], speak(Language.EN)))
    assert priced == ["3", "60 / 1000", "$0.0060 / $0.50", "every 7 min"]
    assert unpriced == ["1", "3", "no prices set", "–"]


def draw_probes(url: str) -> None:
    """Run inside Streamlit: draw the page of the probes for somebody who is signed in."""
    from dashboard.console import act, probes, shared
    from dashboard.words import speak
    from monitor import clock
    from monitor.text.lexicon import Language

    console = act.Console(url)
    probes.draw(shared.ConsoleSession(console, "", False, speak(Language.EN), "dark", clock.now()))
    console.engine.dispose()


def test_the_page_of_the_probes_shows_looks_and_costs(tmp_path: Path) -> None:
    def body(url: str, now: datetime) -> None:
        page = AppTest.from_function(draw_probes, args=(url,), default_timeout=120).run()
        assert not page.exception
        assert "Cost" in drawn(page)
        assert "Tokens" in drawn(page) or "No question has been answered" in drawn(page)

    with_console(tmp_path, body)


def test_guessing_passwords_is_slowed_down(tmp_path: Path) -> None:
    def body(url: str, now: datetime) -> None:
        page = at_the_door()
        page.text_input[0].input(seeded.NAME)
        page.text_input[1].input("wrong password")
        for _ in range(brake.PAIR_TRIES):
            page.button[0].click().run()
        page.text_input[1].input(seeded.PASSWORD)
        page.button[0].click().run()
        assert any("Too many wrong tries" in error.value for error in page.error)
        assert "firing" not in drawn(page)

    with_console(tmp_path, body)


def test_hostile_text_in_an_alert_is_inert(tmp_path: Path) -> None:
    def body(url: str, now: datetime) -> None:
        engine = seeded.opened(url)
        view = reads.alerts(engine, open_only=True)[0]
        engine.dispose()
        for text in HOSTILE:
            summary = {"health": text, "why": text, "days_left": text, "registration": text}
            alert = replace(view.alert, rule=Foreign(text), summary=summary)
            bad = replace(view, service_name=text, component_name=text, alert=alert)
            line = shared.alert_line(bad, speak(Language.EN))
            assert line.isprintable()
            assert len(line) < 400

    with_console(tmp_path, body)


def test_a_probe_that_cannot_tell_says_why_in_words() -> None:
    words = speak(Language.EN)
    when = clock.now()
    seen = Result(RunId("p", "a", when), when, 1.0, Observation(Reason.NETWORK))
    assert probes.said(words, "", seen) == capital(words.of(Reason.NETWORK))
    assert probes.said(words, "", None) == ""
    detailed = replace(seen, observation=Observation(Reason.OVERLOADED, "HTTP 503"))
    assert probes.said(words, "", detailed) == "It says that it is overloaded, HTTP 503"


def test_every_outcome_has_a_short_word_for_the_table_of_probes() -> None:
    for language in Language:
        assert set(speak(language).table["outcome_short"]) == {str(outcome) for outcome in Outcome}


def test_an_alert_about_sign_up_names_the_way_and_the_country() -> None:
    way = {"method": "phone", "after": "restricted", "country_codes": ["86"]}
    at = clock.now()
    alert = Alert(
        "a",
        "k",
        Rule.REGISTRATION_CHANGED,
        Severity.PAGE,
        AlertState.FIRING,
        "deepseek",
        "deepseek/registration",
        at,
        at,
    )
    summary = {"registration": "restricted", "ways": [way, "nonsense", {"method": "pigeon"}]}
    view = AlertView(replace(alert, summary=summary), "DeepSeek", "Registration", {"zh": "注册"}, (), (), None)
    line = shared.alert_line(view, speak(Language.EN))
    assert line == "DeepSeek Registration: sign-up by phone is restricted to China (+86)"
    chinese = shared.alert_line(view, speak(Language.ZH))
    assert chinese.startswith("DeepSeek 注册：")
    assert "+86" in chinese

"""Every word exists in every language, and what is said is true and harmless."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from string import Formatter
from typing import Any, get_args

import pytest

from dashboard import sentences, timeline, titles
from dashboard.parts import weakest
from dashboard.scene import in_zone, time_tag
from dashboard.words import capital, speak, web_address
from monitor.core import commands
from monitor.core.catalogue import ComponentKind, Policy
from monitor.core.model import alerting, reasons, registration, states
from monitor.core.model.alert_rules import Rule
from monitor.core.model.incident_events import Cause, EventKind, RegistrationChanged
from monitor.core.model.message_codes import MessageCode
from monitor.core.model.registration import Method, Registration
from monitor.core.model.states import Health
from monitor.core.model.warning_codes import WarningCode
from monitor.store.reads.views import IncidentView, Snapshot
from monitor.text.cleaner import plain
from monitor.text.countries import countries, country
from monitor.text.lexicon import SECTION, Language, lexicon
from tests.core.making import LEAST
from tests.doors import sample
from tests.doors.hostile import HOSTILE
from tests.doors.sample_story import event, outage, registration_cut

LANGUAGES = list(Language)
OTHERS = {"Cause": Cause, "EventKind": EventKind, "MessageCode": MessageCode, "Rule": Rule, "WarningCode": WarningCode}
NOUNS = vars(alerting) | vars(reasons) | vars(registration) | vars(states)
ENUMS: list[type[Enum]] = [OTHERS.get(name) or NOUNS[name] for name in SECTION]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ENUMS, ids=lambda kind: kind.__name__)
def test_every_member_of_every_enum_has_a_word(language: Language, kind: type[Enum]) -> None:
    words = speak(language)
    assert set(words.table[SECTION[kind.__name__]]) == {str(member.value) for member in kind}
    assert all(words.of(member) for member in kind)


@pytest.mark.parametrize("language", LANGUAGES)
def test_clauses_kinds_and_policy_fields_are_complete(language: Language) -> None:
    words = speak(language)
    assert set(words.table["health_clause"]) == set(words.table["health_clauses"]) == {str(item) for item in Health}
    assert set(words.table["kind"]) == {str(item) for item in ComponentKind}
    assert set(words.table["policy"]) == {field.name for field in fields(Policy)}
    assert {f"method_{state}" for state in Registration} <= set(words.table["text"])


def places(entry: str | list[str]) -> set[str]:
    """The names that a text fills in."""
    texts = [entry] if isinstance(entry, str) else entry
    return {name for text in texts for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_texts_of_english_with_the_same_places(language: Language) -> None:
    english, other = speak(Language.EN).table, speak(language).table
    assert set(english) == set(other)
    for section, entries in english.items():
        assert set(entries) == set(other[section]), section
        for key, entry in entries.items():
            assert places(other[section][key]) == places(entry), f"{section}.{key}"


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (0, "0 s", "0 秒"),
        (45, "45 s", "45 秒"),
        (60, "1 min", "1 分钟"),
        (3599.6, "1 h", "1 小时"),
        (7800, "2 h 10 min", "2 小时 10 分钟"),
        (86400 * 3 + 7200 + 59, "3 d 2 h", "3 天 2 小时"),
    ],
)
def test_durations_have_at_most_two_units(seconds: float, english: str, chinese: str) -> None:
    for language, said in ((Language.EN, english), (Language.ZH, chinese)):
        assert speak(language).duration(seconds) == lexicon(language).duration(seconds) == said


@pytest.mark.parametrize(
    ("ratio", "said"),
    [(1.0, "100.00 %"), (0.9921, "99.21 %"), (0.99996, "99.996 %"), (0.9999999999, "99.99999 %"), (0.0, "0.00 %")],
)
def test_uptime_is_never_rounded_up_to_a_hundred(ratio: float, said: str) -> None:
    assert speak(Language.EN).percent(ratio) == said


def test_latency_has_two_significant_digits() -> None:
    said = [speak(Language.EN).latency(value) for value in (None, 0.0042, 0.423, 0.994, 1.44, 9.96, 123.0)]
    assert said == ["–", "4.2 ms", "420 ms", "990 ms", "1.4 s", "10 s", "120 s"]


def test_country_codes_are_shown_with_names() -> None:
    for words in (speak(Language.EN), lexicon()):
        assert countries(["86", "49"], words) == "China (+86) and Germany (+49)", "pages and notices name them alike"
    assert countries(["86"], speak(Language.ZH)) == "中国（+86）"
    assert country("8" * 90, speak(Language.EN)) == "+8888888…"


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_outside_is_made_one_harmless_line(text: str) -> None:
    line = plain(text)
    assert len(line) <= 300
    assert line.isprintable()
    assert not set(line) & {"\u202e", "\u2066", "\x00", "\x1b", "\n"}


@pytest.mark.parametrize(
    "text",
    ["javascript:alert(1)", "//evil.example", "data:text/html,x", 'https://a"b', "https://a b", " https://a", ""],
)
def test_only_plain_web_addresses_become_links(text: str) -> None:
    assert web_address(text) == ""


def test_plain_web_addresses_stay() -> None:
    assert web_address("https://status.deepseek.com/incidents/7cppyxbhctc3") != ""


@pytest.mark.parametrize(
    ("snapshot", "english", "chinese"),
    [
        (sample.calm(), "All services are working normally.", "所有服务正常。"),
        (sample.blind(), "We cannot tell: we are cut off from the network.", "无法判断：我们与网络断开了。"),
        (sample.stale(), "We cannot tell: our data stopped 19 min ago.", "无法判断：我们的数据停在 19 分钟前。"),
        (sample.empty(), "We have not looked yet.", "我们还没有看过。"),
        (sample.nothing(), "Nothing is being watched yet.", "还没有监测任何服务。"),
    ],
    ids=["calm", "blind", "stale", "empty", "nothing"],
)
def test_the_headline_says_how_it_is(snapshot: Snapshot, english: str, chinese: str) -> None:
    assert [line.text for line in sentences.headline(snapshot, speak(Language.EN))] == [english]
    assert [line.text for line in sentences.headline(snapshot, speak(Language.ZH))] == [chinese]


def test_the_headline_of_january_says_who_can_still_do_what() -> None:
    lines = [line.text for line in sentences.headline(sample.january(), speak(Language.EN))]
    assert lines == [
        (
            "DeepSeek: sign-up is limited to phone numbers from China (+86); web chat is partly down; "
            "the API is slow or unstable. Log-in works."
        ),
        "ChatGPT and Claude are working normally.",
    ]


def told(incident: IncidentView, language: Language = Language.EN) -> list[str]:
    """The sentences of a timeline."""
    words = speak(language)
    return [entry.sentence for entry in timeline.entries(incident, words, sentences.names_of(sample.january(), words))]


def test_ways_to_sign_up_that_changed_together_are_told_together() -> None:
    assert told(registration_cut())[0] == "New users can sign up only with phone numbers from China (+86)."
    assert told(registration_cut(), Language.ZH)[0] == "新用户仅能用中国（+86）的手机号注册。"


def test_a_way_that_changes_twice_within_the_moment_is_told_twice() -> None:
    (incident,) = (item for item in sample.january().open_incidents if item.id == "registration-0127")
    (change, *_rest) = (event for event in incident.events if event.kind is EventKind.REGISTRATION_CHANGED)
    later = replace(change, seq=change.seq + 1, at=change.at + timedelta(seconds=20))
    told = timeline.entries(replace(incident, events=(change, later)), speak(Language.EN), {})
    assert len(told) == 2
    assert timeline.crowded(told) == (change.at.minute == later.at.minute)


def test_seconds_are_told_only_where_minutes_do_not_tell_the_order() -> None:
    base = outage()
    told = timeline.entries(base, speak(Language.EN), {})
    assert not timeline.crowded(told)
    assert timeline.crowded((*told, told[-1]))


def test_log_in_is_mentioned_when_the_event_knows_it() -> None:
    cut = registration_cut()
    events = tuple(
        replace(event, what=replace(event.what, login={"deepseek/login": Health.OPERATIONAL}))
        if isinstance(event.what, RegistrationChanged)
        else event
        for event in cut.events
    )
    said = told(replace(cut, events=events))[0]
    assert said == "New users can sign up only with phone numbers from China (+86). Log-in works."


def test_only_is_not_said_while_another_way_is_open() -> None:
    cut = registration_cut()
    changes = [event for event in cut.events if isinstance(event.what, RegistrationChanged)]
    phone = next(event for event in changes if getattr(event.what, "method", "") == "phone")
    assert isinstance(phone.what, RegistrationChanged)
    opened = replace(phone.what, method=Method.GOOGLE, after=Registration.OPEN, country_codes=())
    google = replace(phone, what=opened)
    said = told(replace(cut, events=(cut.events[0], phone, google)))[0]
    assert said.startswith("Sign-up by phone is limited to phone numbers from China (+86).")


def test_a_change_back_to_open_is_told() -> None:
    cut = registration_cut()
    later = timedelta(hours=3)
    back = tuple(
        replace(event, at=event.at + later, what=replace(event.what, after=Registration.OPEN, country_codes=()))
        for event in cut.events
        if isinstance(event.what, RegistrationChanged)
    )
    said = told(replace(cut, events=cut.events + back))[-1]
    assert said == "New users can sign up with e-mail, phone and Google again."


MORE: dict[EventKind, dict[str, Any]] = {
    EventKind.OPENED: {"components": ["deepseek/api"], "reason": "service.overloaded"},
    EventKind.NOTE: {"text": "We look into it."},
    EventKind.POSTMORTEM: {"text": "A gateway."},
    EventKind.RELATED: {"names": ["OpenAI"]},
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_event_can_be_told(language: Language) -> None:
    base = outage()
    words = speak(language)
    for kind in EventKind:
        happened = event(base.id, 1, base.started_at, kind, "alice", **(LEAST.get(kind, {}) | MORE.get(kind, {})))
        for public in (True, False):
            for entry in timeline.entries(replace(base, events=(happened,), public=public), words, {}):
                assert entry.sentence or entry.quote
                assert "{" not in entry.sentence


def test_what_began_together_is_named_and_called_a_guess() -> None:
    base, names = outage(), [f"Service {number}" for number in range(20)]
    guess = "perhaps a shared cause."
    few = event(base.id, 1, base.started_at, EventKind.RELATED, names=names[:2], count=2, within_s=70.0, others=[])
    many = event(base.id, 2, base.started_at, EventKind.RELATED, names=names, count=300, within_s=3.0, others=[])
    none = event(base.id, 3, base.started_at, EventKind.RELATED, names=[], count=0, within_s=3.0, others=[])
    found = timeline.entries(replace(base, events=(few, many, none)), speak(Language.EN), {})
    assert [entry.sentence for entry in found] == [
        f"Began within 2 min of Service 0 and Service 1: {guess}",
        f"Began within 1 min of Service 0, Service 1, Service 2, Service 3, Service 4 and 295 more: {guess}",
    ]


def test_who_saw_it_first_is_said_with_minutes() -> None:
    words = speak(Language.EN)
    said = [titles.lead_sentence(replace(outage(), lead_s=lead), words) for lead in (840.0, -300.0, 5.0, None)]
    assert said == [
        "We saw it 14 min before the vendor said so",
        "The vendor said so 5 min before we saw it",
        "We and the vendor saw it at the same time",
        "",
    ]


def test_a_sentence_begins_with_a_capital() -> None:
    assert capital("the API works") == "The API works"
    assert capital("") == ""


def test_a_moment_is_told_in_the_zone_of_whoever_reads_it() -> None:
    when = datetime(2025, 1, 27, 15, 30, tzinfo=UTC)
    assert speak(Language.EN).moment(when) == "27 Jan, 15:30"
    assert speak(Language.EN, "Asia/Shanghai").moment(when) == "27 Jan, 23:30"
    for unknown in ("Nowhere/Atall", "../../etc/passwd", "\x00", ""):
        assert speak(Language.EN, unknown).moment(when) == "27 Jan, 15:30"
    block = f"<p>{time_tag(speak(Language.EN), when, 'long')}</p>"
    there = in_zone(block, speak(Language.ZH, "Asia/Shanghai"))
    assert there == f'<p><time datetime="{when.isoformat()}" title="2025-01-27 15:30:00 UTC">1月27日 23:30</time></p>'


def test_a_services_figure_is_that_of_its_weakest_component() -> None:
    service = sample.january().services[0]
    least = weakest(service)
    assert least is not None
    assert least.uptime.ratio == min(part.uptime.ratio for part in service.components if part.uptime.ratio is not None)
    assert weakest(replace(service, components=())) is None


def test_an_incidents_length_is_the_same_wherever_it_is_told() -> None:
    incident = sample.january().past_incidents[0]
    assert incident.resolved_at is not None
    words = speak(Language.EN)
    length = words.duration((incident.resolved_at - incident.started_at).total_seconds())
    assert timeline.entries(incident, words, {})[-1].sentence == f"Over after {length}."


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_order_has_words_for_the_audit(language: Language) -> None:
    orders = {order.__name__ for order in get_args(commands.Command)}
    assert len(orders) > 10
    assert orders <= speak(language).table["action"].keys()


def opened_ways(*changes: tuple[Method, Registration], over: bool = False) -> IncidentView:
    """An incident of sign-up in which these ways changed, one after the other."""
    whole = registration_cut()
    sample_event = next(event for event in whole.events if isinstance(event.what, RegistrationChanged))
    events = []
    for number, (method, state) in enumerate(changes, 2):
        assert isinstance(sample_event.what, RegistrationChanged)
        codes = ("86",) if state is Registration.RESTRICTED else ()
        what = replace(sample_event.what, method=method, after=state, country_codes=codes)
        events.append(replace(sample_event, seq=number, what=what))
    return replace(whole, events=(whole.events[0], *events), resolved_at=whole.updated_at if over else None)


CUT = ((Method.PHONE, Registration.RESTRICTED), (Method.EMAIL, Registration.CLOSED))
EASED = (*CUT, (Method.PHONE, Registration.DELAYED), (Method.EMAIL, Registration.OPEN))
ENDED = (*EASED, (Method.PHONE, Registration.OPEN))


@pytest.mark.parametrize(
    ("changes", "over", "title", "state"),
    [
        (CUT, False, "DeepSeek: sign-up is limited to phone numbers from China (+86)", "partial_outage"),
        (EASED, False, "DeepSeek: sign-up works with delays", "degraded_performance"),
        (ENDED, False, "DeepSeek: sign-up is limited to phone numbers from China (+86)", "partial_outage"),
        (ENDED, True, "DeepSeek: sign-up is limited to phone numbers from China (+86)", "operational"),
        (CUT[1:], True, "DeepSeek: sign-up is closed", "operational"),
        (
            (*CUT, (Method.GOOGLE, Registration.OPEN)),
            False,
            "DeepSeek: sign-up is restricted; sign-up by e-mail is closed",
            "partial_outage",
        ),
    ],
)
def test_an_open_incident_of_sign_up_is_named_by_what_holds_now(
    changes: tuple[tuple[Method, Registration], ...], over: bool, title: str, state: str
) -> None:
    incident = opened_ways(*changes, over=over)
    assert titles.incident_title(incident, speak(Language.EN), {}) == title
    assert titles.incident_state(incident) == state

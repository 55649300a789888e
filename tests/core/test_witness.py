from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from monitor.core.catalogue import ComponentKind
from monitor.core.entities import Incident, IncidentEvent
from monitor.core.incidents.witness import concerns, is_quoted, lead_s, unquoted
from monitor.core.model.incident_events import Cause, ComponentWorse, Opened, UpstreamSaid
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading, UpstreamUpdate

from .making import T0, at

OUTAGE, REGISTRATION = (
    Incident("i", "deepseek", cause, IncidentStatus.INVESTIGATING, Impact.MAJOR, T0, T0, (f"deepseek/{part}",))
    for cause, part in ((Cause.OUTAGE, "api"), (Cause.REGISTRATION, "registration"))
)


KINDS = {ComponentKind.API}
OURS = {"deepseek/api": ComponentKind.API}


def said(name: str, body: str = "", ours: tuple[str, ...] = ()) -> UpstreamIncident:
    update = UpstreamUpdate(T0, IncidentStatus.INVESTIGATING, body)
    return UpstreamIncident("u", name, None, Impact.MINOR, T0, updates=(update,), ours=ours)


@pytest.mark.parametrize(
    ("item", "outage", "registration"),
    [
        (said("DeepSeek Web/API Service Not Available"), True, False),
        (said("Elevated errors"), True, False),
        (said("Sign-up is restricted"), False, True),
        (said("DeepSeek 注册受限"), False, True),
        (said("Problems with sign-up and log-in"), False, True),
        (said("Log-in fails"), False, False),
        (said("网页对话不可用"), False, False),
        (said("Registration and API are slow"), True, True),
        (said("Some models answer slowly"), True, False),
        (said("Large-scale attacks on the API", "Registration may be busy. Existing users can log in."), True, True),
        (said("Sign-up is restricted", ours=("deepseek/api",)), True, False),
        (said("Elevated errors", ours=("deepseek/registration",)), False, True),
        (said("Elevated errors", ours=("deepseek/api", "deepseek/registration")), True, True),
        (said("Elevated errors", ours=("deepseek/web",)), False, False),
    ],
)
def test_the_vendors_words_are_quoted_where_they_concern_the_component(
    item: UpstreamIncident, outage: bool, registration: bool
) -> None:
    assert (concerns(item, OUTAGE, KINDS), concerns(item, REGISTRATION, KINDS)) == (outage, registration)


@pytest.mark.parametrize(
    ("name", "kinds", "quoted"),
    [
        ("Problems with sign-up and log-in", {ComponentKind.LOGIN}, True),
        ("Problems with sign-up and log-in", {ComponentKind.WEB, ComponentKind.LOGIN}, True),
        ("Problems with sign-up and log-in", {ComponentKind.WEB, ComponentKind.API}, False),
        ("Sign-up page does not load", {ComponentKind.REGISTRATION}, True),
        ("Chat is slow", {ComponentKind.WEB}, True),
        ("Chat is slow", {ComponentKind.OTHER}, True),
        ("Chat is slow", set(), True),
        ("Chat is slow", {ComponentKind.API}, False),
        ("Sign-up is closed", {ComponentKind.OTHER}, False),
        ("Elevated errors", {ComponentKind.OTHER}, True),
    ],
)
def test_a_word_about_other_parts_is_no_lead(name: str, kinds: set[ComponentKind], quoted: bool) -> None:
    assert concerns(said(name), OUTAGE, kinds) is quoted


@pytest.mark.parametrize(
    ("components", "mapped", "quoted"),
    [
        (("theirs-1",), {"deepseek/api"}, False),
        (("theirs-1",), {"deepseek/web"}, True),  # what ours is called there, nobody said
        (("theirs-1",), set(), True),
        ((), {"deepseek/api"}, True),
    ],
)
def test_a_word_about_components_that_are_none_of_ours_is_about_something_else(
    components: tuple[str, ...], mapped: set[str], quoted: bool
) -> None:
    item = replace(said("Elevated errors"), components=components)
    assert concerns(item, OUTAGE, KINDS, mapped) is quoted
    states = dict.fromkeys(mapped, Health.OPERATIONAL)
    page = UpstreamReading("statuspage", "", Health.MAJOR, mapped=states, incidents=(item,))
    assert bool(unquoted(page, OUTAGE, OURS, [])) is quoted


def told(id_: str, *moments: float, over: float | None = None) -> UpstreamIncident:
    updates = tuple(UpstreamUpdate(at(moment), IncidentStatus.INVESTIGATING, "errors") for moment in moments)
    ends = at(over) if over is not None else None
    return UpstreamIncident(id_, "Errors", None, Impact.MINOR, at(moments[0]), resolved_at=ends, updates=updates)


HOUR = 3600.0


@pytest.mark.parametrize(
    ("item", "over_s", "quoted"),
    [
        (told("A", 600, 900), None, [600, 900]),
        (told("A", -1.5 * HOUR), None, [-1.5 * HOUR]),
        (told("A", -30 * HOUR, -3 * HOUR, 60), None, [60]),  # a trouble of days that goes on
        (told("A", -HOUR, -60, over=-60), None, []),  # it was over when ours began
        (told("A", -HOUR, 60, over=60), None, [-HOUR, 60]),
        (told("A", 900), 300, [900]),  # they say so when it is over
        (told("A", 300 + 31 * 60), 300, []),
    ],
)
def test_which_words_of_the_vendor_belong_to_an_incident(
    item: UpstreamIncident, over_s: float | None, quoted: list[float]
) -> None:
    incident = replace(OUTAGE, resolved_at=at(over_s) if over_s is not None else None)
    page = UpstreamReading("statuspage", "", Health.MAJOR, incidents=(item,))
    found = unquoted(page, incident, OURS, [])
    assert [said.said_at for said in found] == [at(moment) for moment in quoted]
    assert unquoted(page, incident, OURS, [(said.incident, said.said_at) for said in found]) == []


def test_words_of_several_incidents_are_quoted_oldest_first() -> None:
    page = UpstreamReading("statuspage", "", Health.MAJOR, incidents=(told("A", 100, 300), told("B", 200)))
    assert [said.incident for said in unquoted(page, OUTAGE, OURS, [])] == ["A", "B", "A"]


def test_words_are_listened_for_until_an_hour_after_the_end() -> None:
    over = replace(OUTAGE, resolved_at=T0)
    assert is_quoted(OUTAGE, at(9 * HOUR))
    assert is_quoted(over, T0 + timedelta(hours=1))
    assert not is_quoted(over, T0 + timedelta(hours=1, seconds=1))
    assert not is_quoted(None, T0)


OPENED = Opened("deepseek", Cause.OUTAGE, Impact.MAJOR)


def quoted(when: datetime) -> UpstreamSaid:
    return UpstreamSaid("statuspage", "A", "API", None, "We look into it.", "", when)


@pytest.mark.parametrize(("said_s", "lead"), [((), None), ((612,), 600.0), ((0,), -12.0), ((72, 612), 60.0)])
def test_lead_is_how_much_sooner_we_knew(said_s: tuple[float, ...], lead: float | None) -> None:
    incident = replace(OUTAGE, detected_at=at(12))
    events = [IncidentEvent("i", n, at(s), at(999), quoted(at(s))) for n, s in enumerate(said_s, 2)]
    assert lead_s(incident, [IncidentEvent("i", 1, at(-99), at(12), OPENED), *events]) == lead


BOTH = replace(OUTAGE, components=("deepseek/web", "deepseek/api"), detected_at=at(12))
JOINED: tuple[IncidentEvent, ...] = (
    IncidentEvent("i", 1, at(0), at(12), replace(OPENED, components=("deepseek/web",))),
    IncidentEvent("i", 2, at(590), at(612), ComponentWorse("deepseek/api", Health.MAJOR, Reason.SERVER_ERROR, "")),
)


@pytest.mark.parametrize(
    ("item", "lead"),
    [
        (said("API down"), -312),
        (said("Chat does not answer"), 288),
        (said("Chat and API down"), 288),
        (said("Elevated errors"), 288),
        (said("Elevated errors", ours=("deepseek/api",)), -312),
        (said("Elevated errors", ours=("deepseek/api", "deepseek/web")), 288),
    ],
    ids=lambda value: value.name if isinstance(value, UpstreamIncident) else "",
)
def test_the_lead_compares_a_word_about_a_component_with_when_we_knew_of_that_component(
    item: UpstreamIncident, lead: float
) -> None:
    kinds = {"deepseek/web": ComponentKind.WEB, "deepseek/api": ComponentKind.API}
    item = replace(item, updates=(replace(item.updates[0], at=at(300)),))
    (word,) = unquoted(UpstreamReading("statuspage", "", Health.MAJOR, incidents=(item,)), BOTH, kinds, [])
    assert lead_s(BOTH, [*JOINED, IncidentEvent("i", 3, at(300), at(630), word)]) == lead

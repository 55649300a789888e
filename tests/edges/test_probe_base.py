"""One look: its deadline, what an error becomes, durations, and the hunt for secrets."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr, ValidationError

from monitor import clock
from monitor.core.model.observations import Evidence, Observation, Phases
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.registration import Method, MethodReading, Registration, Source
from monitor.core.model.warning_codes import WarningText
from monitor.core.scenario.durations import seconds
from monitor.probes import KINDS, base
from monitor.probes.base import Context, Kind, Seconds, look, tidy
from monitor.text.redaction import redact
from monitor.wire import WireError
from tests.edges import driven
from tests.edges.probing import context

SECRET = "s3cret/with+odd=signs&more"


class Options(base.Options):
    url: str = "https://example.com/path?key=1"
    wait: Seconds = 1.0
    key: SecretStr = SecretStr(SECRET)
    deep: dict[str, tuple[SecretStr, ...]] = Field(default_factory=dict)


def look_with(run: Any, ctx: Context | None = None, options: Options | None = None) -> Observation:
    return driven.run(look(Kind("scratch", Options, run), options or Options(), ctx or context()))


@pytest.mark.parametrize(
    ("text", "value"), [("500ms", 0.5), ("30s", 30), ("5m", 300), ("1h", 3600), ("7d", 604800), ("1.5 s", 1.5)]
)
def test_a_duration_is_written_with_its_unit(text: str, value: float) -> None:
    assert seconds(text) == value
    assert Options(wait=text).wait == value


@pytest.mark.parametrize("bad", [5, 5.0, "5", "", "5 weeks", "-5s", "s", None, True, "1e3s", "５s2"])
def test_a_bare_number_or_an_unknown_unit_is_refused_with_a_hint(bad: object) -> None:
    with pytest.raises(ValidationError, match="with its unit"):
        Options(wait=bad)


def test_unknown_options_are_refused_and_no_value_is_repeated_in_the_error() -> None:
    with pytest.raises(ValidationError) as caught:
        Options(keyy=SECRET, wait=SECRET)  # type: ignore[call-arg]  # the point of the test
    assert SECRET not in str(caught.value)


def test_the_wires_error_becomes_its_reason_with_all_that_is_known() -> None:
    phases = Phases(connect_s=0.1)

    async def run(_options: Options, _ctx: Context) -> Observation:
        raise WireError(Reason.TLS, "handshake failed", phases=phases, address="192.0.2.1", status=None)

    seen = look_with(run)
    assert (seen.reason, seen.detail, seen.phases, seen.address) == (
        Reason.TLS,
        "handshake failed",
        phases,
        "192.0.2.1",
    )


def test_a_bug_of_ours_is_unknown_and_tells_type_and_place_but_not_its_text() -> None:
    async def run(options: Options, _ctx: Context) -> Observation:
        raise KeyError(f"what nobody should read, {options.key.get_secret_value()} or not")

    seen = look_with(run)
    assert "nobody" not in repr(seen)
    assert (seen.reason, seen.outcome) == (Reason.INTERNAL, Outcome.UNKNOWN)
    assert seen.detail.startswith("KeyError at test_probe_base.py:")
    assert SECRET not in repr(seen)


def test_a_timeout_error_of_our_own_is_a_bug_and_not_the_services_failure() -> None:
    async def run(_options: Options, _ctx: Context) -> Observation:
        raise TimeoutError

    assert look_with(run).reason is Reason.INTERNAL


def test_a_probe_that_never_ends_is_cut_at_the_deadline() -> None:
    took_s = 0.0

    async def run(_options: Options, ctx: Context) -> Observation:
        nonlocal took_s
        try:
            await asyncio.sleep(30)
        finally:
            took_s = clock.monotonic() - ctx.started_s
        raise AssertionError

    assert look_with(run, context(timeout_s=0.2)).reason is Reason.TIMEOUT_TOTAL
    assert 0.2 <= took_s < 0.3


def test_being_cancelled_is_passed_on() -> None:
    async def run(_options: Options, _ctx: Context) -> Observation:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        look_with(run)


def test_what_was_not_timed_keeps_of_its_phases_only_what_speaks_against_it() -> None:
    lagging = Phases(dns_s=0.1, wait_s=0.2, loop_lag_s=0.4, kernel_stamped=True)
    seen = Observation(Reason.UNREADABLE, "moved", http_status=404, phases=lagging)
    assert base.untimed(seen) == replace(seen, phases=Phases(loop_lag_s=0.4))
    assert base.untimed(replace(seen, phases=replace(lagging, loop_lag_s=0.001))) == replace(seen, phases=None)
    assert base.untimed(replace(seen, phases=None)).phases is None


def test_a_lagging_loop_is_noted_and_does_not_hide_the_outcome() -> None:
    async def run(_options: Options, _ctx: Context) -> Observation:
        return Observation(Reason.OVERLOADED, phases=Phases(loop_lag_s=0.4))

    seen = look_with(run)
    assert (seen.reason, seen.warnings) == (Reason.OVERLOADED, ("probe.lagged",))


def test_after_a_429_that_asks_to_wait_nothing_is_sent_until_then() -> None:
    asked = 0

    async def run(_options: Options, _ctx: Context) -> Observation:
        nonlocal asked
        asked += 1
        return Observation(Reason.THROTTLED, retry_after_s=60.0)

    memory: dict[str, Any] = {}
    first = context(memory)
    assert look_with(run, first).reason is Reason.THROTTLED
    waiting = look_with(run, context(memory))
    assert (waiting.reason, waiting.outcome, waiting.retry_after_s) == (Reason.RATE_LIMIT, Outcome.UNKNOWN, 60.0)
    assert asked == 1
    assert (
        look_with(run, context(memory, now=first.now + (first.now - first.now.replace(hour=11)))).reason
        is Reason.THROTTLED
    )
    assert asked == 2


def test_a_429_that_may_be_everybodys_keeps_us_away_for_two_minutes_at_most() -> None:
    for reason, wait_s in ((Reason.THROTTLED, 120.0), (Reason.RATE_LIMIT, 900.0)):
        memory: dict[str, Any] = {}

        async def run(_options: Options, _ctx: Context, reason: Reason = reason) -> Observation:
            return Observation(reason, retry_after_s=900.0)

        look_with(run, context(memory))
        assert memory["not_before"] == context().now.timestamp() + wait_s


def test_a_wait_that_outlived_a_clock_set_back_is_forgotten() -> None:
    async def run(_options: Options, _ctx: Context) -> Observation:
        return Observation(Reason.OK)

    asked_at = context().now.timestamp()
    for ahead_s, reason in ((899.0, Reason.RATE_LIMIT), (901.0, Reason.OK), (86_400.0, Reason.OK)):
        assert look_with(run, context({"not_before": asked_at + ahead_s})).reason is reason


SPELLINGS = [SECRET, f"  {SECRET}\n", quote(SECRET, safe=""), base64.b64encode(SECRET.encode()).decode()]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_is_found_in_every_field_and_spelling(spelling: str) -> None:
    dirty = Observation(
        Reason.STATUS,
        detail=f"said {spelling}!",
        warnings=(WarningText(f"w {spelling}"),),
        evidence=Evidence(f"https://x/{spelling}", f"<p>{spelling}</p>", {"server": spelling, spelling: "x"}),
        registration=(MethodReading(Method.ANY, Registration.OPEN, Source.PAGE_TEXT, excerpt=f"a {spelling}"),),
    )

    async def run(_options: Options, _ctx: Context) -> Observation:
        return dirty

    seen = look_with(run, options=Options(key=SecretStr("another"), deep={"a": (SecretStr(SECRET),)}))
    assert spelling.strip() not in repr(seen)
    assert "[redacted]" in seen.detail


def test_an_excerpt_that_ends_inside_a_secret_gives_nothing_away() -> None:
    assert redact(f"tail {SECRET[:12]}", [SECRET]) == "tail [redacted]"
    body = "x" * 2040 + SECRET
    seen = tidy(Observation(Reason.STATUS, evidence=Evidence(excerpt=body)), [SECRET])
    assert seen.evidence is not None
    assert SECRET[:6] not in seen.evidence.excerpt


@given(filler=st.text(max_size=60), cut=st.integers(6, len(SECRET)), tail=st.sampled_from(["", " end", "\n"]))
def test_no_cut_of_a_secret_at_the_end_survives(filler: str, cut: int, tail: str) -> None:
    text = redact(filler + SECRET + tail + SECRET[:cut], [SECRET])
    assert SECRET[:6] not in text


@pytest.mark.parametrize(
    "text",
    [
        "sk-proj-abcdef0123456789",
        "Authorization: Bearer abcdefgh12345",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_def",
        "sk-****wxyz99",
    ],
)
def test_what_looks_like_a_key_goes_even_when_it_is_not_ours(text: str) -> None:
    assert "[redacted]" in redact(text, [])
    assert redact("a skeleton and a basic idea", []) == "a skeleton and a basic idea"


def test_short_secrets_do_not_shred_the_text() -> None:
    assert redact("a cat sat", ["a", ""]) == "a cat sat"


@given(
    excerpt=st.text(max_size=6000),
    url=st.text(max_size=900),
    headers=st.dictionaries(st.text(max_size=40), st.text(max_size=900), max_size=9),
)
def test_evidence_never_exceeds_two_kilobytes_and_is_always_storable(
    excerpt: str, url: str, headers: dict[str, str]
) -> None:
    seen = tidy(Observation(Reason.STATUS, detail=excerpt, evidence=Evidence(url, excerpt, headers)), [SECRET])
    kept = seen.evidence
    assert kept is not None
    parts = [kept.url, kept.excerpt, *kept.headers, *kept.headers.values()]
    assert sum(len(part.encode()) for part in parts) <= base.EVIDENCE_BYTES
    assert not any("\x00" in part for part in parts)
    assert len(seen.detail) <= base.DETAIL_CHARS
    assert "\n" not in seen.detail


def test_lone_surrogates_of_a_hostile_json_are_replaced() -> None:
    seen = tidy(Observation(Reason.STATUS, "a\ud800b"), [])
    assert seen.detail.encode() == "a�b".encode()
    assert tidy(replace(seen, evidence=Evidence(excerpt="\udfff\x1b[31m\x00")), []).evidence == Evidence(
        excerpt="���"[:1] + "�[31m�"
    )


def test_a_target_shows_the_host_and_nothing_else() -> None:
    assert Options().target() == "example.com"
    assert Options(url="http://user:pw@Host.example:8080/x?key=1").target() == "host.example:8080"
    assert Options(url="http://[::1").target() == ""
    assert base.shown_url("https://u:p@h.example/a?key=1#x") == "https://h.example/a?…"
    assert base.shown_url("http://[::1/a") == ""


def test_every_kind_has_frozen_options_that_name_their_target() -> None:
    for name, kind in KINDS.items():
        assert kind.options.model_config["frozen"], name
        assert kind.options.model_config["extra"] == "forbid", name
        assert issubclass(kind.options, base.Options), name

"""One reading → the observation, with what it means for methods that the source spoke of before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, MethodReading, Registration, Source
from monitor.probes.answers import evidence, retry_after_s
from monitor.probes.base import Context
from monitor.probes.registration.detector import Reading
from monitor.text.countries import country
from monitor.text.lexicon import lexicon
from monitor.wire import Answer


def restated(readings: tuple[MethodReading, ...], spoken_of: Iterable[str]) -> tuple[MethodReading, ...]:
    """Add what a statement about registration as a whole means for methods that this source named before.

    A source that listed Google and e-mail and now says "only +86 phones" has taken the other two back, and "closed"
    or "open again" holds for each of them. Without this, an old "open" would stand beside it until it aged out.
    """
    general = next((reading for reading in readings if reading.method is Method.ANY), None)
    if general is None:
        return readings
    named = {reading.method for reading in readings}
    only_others = any(reading.country_codes or reading.email_domains for reading in readings)
    state = Registration.CLOSED if only_others and general.state is Registration.RESTRICTED else general.state
    missing = [Method(value) for value in spoken_of if Method(value) not in named]
    return (*readings, *(replace(general, method=method, state=state) for method in missing))


def withdrawn(spoken_of: Iterable[str], told: tuple[str, str]) -> tuple[MethodReading, ...]:
    """Take back what an announcement said that is no longer there: nothing is known from it, least of all "open"."""
    source, url = told
    return tuple(MethodReading(Method(value), Registration.UNKNOWN, Source(source), url=url) for value in spoken_of)


def observed(found: Reading, answer: Answer, ctx: Context, *, announces: bool = False) -> Observation:
    """Return the observation. A source that ``announces`` takes back what it no longer says."""
    spoken_of = ctx.memory.get("methods", ())
    readings = restated(found.readings, spoken_of)
    if readings:
        ctx.memory["methods"] = sorted({reading.method.value for reading in readings} | set(spoken_of))
        ctx.memory["told"] = [readings[0].source.value, readings[0].url]
    elif announces and found.reason is Reason.OK and spoken_of and "told" in ctx.memory:
        readings = withdrawn(spoken_of, tuple(ctx.memory["told"]))
    detail = found.detail or ", ".join(_short(reading) for reading in readings)
    return Observation(
        found.reason,
        detail or f"HTTP {answer.status}; nothing said of registration",
        http_status=answer.status,
        http_version=answer.http_version,
        address=answer.address,
        bytes_received=answer.wire_bytes,
        phases=answer.phases,
        certificate=answer.certificate,
        registration=readings,
        retry_after_s=retry_after_s(answer.headers, ctx.now),
        warnings=tuple(filter(None, (*found.warnings, *answer.warnings))),
        evidence=None if found.reason is Reason.OK else evidence(answer.url, answer.headers, answer.body),
    )


def _short(reading: MethodReading) -> str:
    codes = ", ".join(country(code, lexicon()) for code in reading.country_codes)
    return f"{reading.method}: {reading.state}" + (f" to {codes}" if codes else "")

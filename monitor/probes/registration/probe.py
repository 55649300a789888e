"""Can a new user sign up? One public source is read and what it says is returned per method.

Never creates an account, sends a message or solves a captcha. Everything is a GET without cookie or token, but for the
Matrix detector, whose protocol asks with an empty POST that starts no registration; choosing that detector is consent.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from monitor.core.alerts.warning_codes import WarningCode
from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, MethodReading, Registration, Source
from monitor.core.model.states import IncidentStatus
from monitor.core.model.upstream import UpstreamReading
from monitor.probes import base
from monitor.probes.answers import evidence, retry_after_s, steps
from monitor.probes.base import Context, Kind
from monitor.probes.registration.detectors import PATHS, Extra, Reading, detect, unread
from monitor.probes.registration.phrases import Statement, says_existing_users_can_log_in, settled, statements
from monitor.probes.upstream.parts import OVER, Look, UnreadableError
from monitor.probes.upstream.statuspages import Provider, endpoints, fetch, page_of, read, unreachable
from monitor.text.countries import country, is_country_code
from monitor.text.lexicon import lexicon
from monitor.wire import Answer, WireError

Detector = Literal[
    "open_webui",
    "librechat",
    "matrix",
    "mastodon",
    "mattermost",
    "rocketchat",
    "new_api",
    "deepseek_banner",
    "json",
    "page_text",
    "upstream_text",
]
PAGE_REDIRECTS = 3
QUICK_BYTES = 8 * 1024
"""Longer answers are read in a thread: text made to be slow takes some microseconds a byte."""
RESTORED_WITHIN = timedelta(days=1)
"""A resolved incident of the vendor may still tell, this long, that registration is open again."""
_HEADERS = {"accept": "application/json, text/html;q=0.9, */*;q=0.5", "accept-language": "en, zh-CN;q=0.8, zh;q=0.7"}


class Meaning(BaseModel):
    """What one value of a ``json`` field means; in the file a bare state will do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Registration
    method: Method = Method.ANY
    country_codes: tuple[str, ...] = ()
    email_domains: tuple[str, ...] = ()
    invite_required: bool = False
    approval_required: bool = False

    @model_validator(mode="before")
    @classmethod
    def _bare_state(cls, value: object) -> object:
        return {"state": value} if isinstance(value, str) else value

    @field_validator("country_codes", mode="before")
    @classmethod
    def _codes(cls, value: object) -> object:
        codes = tuple(str(code).removeprefix("+") for code in value) if isinstance(value, list | tuple) else value
        if isinstance(codes, tuple) and (wrong := [code for code in codes if not is_country_code(code)]):
            raise ValueError(f"no such telephone country code: {', '.join(wrong)}")
        return codes

    def reading(self) -> MethodReading:
        """Return the reading that it stands for."""
        return MethodReading(
            self.method,
            self.state,
            Source.CONFIG_ENDPOINT,
            self.country_codes,
            self.email_domains,
            self.invite_required,
            self.approval_required,
        )


class Options(base.Options):
    """Options of the kind ``registration``."""

    detector: Detector
    url: str
    """The product's address, or the full address of what the detector reads."""
    path: str = ""
    """``json`` only: dotted path of the field, as in ``data.signup.enabled``."""
    mapping: dict[str, Meaning] = Field(default_factory=dict)
    """``json`` only: the field's value as text (``"true"``, ``"null"``, ``"Public"``) → a state, or more in detail."""
    provider: Provider | None = None
    """``upstream_text`` only: the kind of status page at ``url``."""

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        return base.checked_url(value)

    @field_validator("mapping", mode="before")
    @classmethod
    def _keys(cls, value: object) -> object:
        """YAML reads ``true:`` as a boolean key; JSON's spelling of it is meant."""
        if not isinstance(value, dict):
            return value
        spelled = {True: "true", False: "false", None: "null"}
        return {spelled.get(key, str(key)) if not isinstance(key, str) else key: item for key, item in value.items()}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.detector == "json" and not (self.path and self.mapping):
            raise ValueError("the detector json needs path and mapping")
        steps(self.path)
        if self.detector == "upstream_text" and self.provider is None:
            raise ValueError("the detector upstream_text needs provider, the kind of status page")
        return self


async def run(options: Options, ctx: Context) -> Observation:
    """Read the source once. A source that failed gives its reason and no readings."""
    if options.detector == "upstream_text":
        return await _from_status_page(options, ctx)
    answer = await _ask(options, ctx)
    delegated = None
    if options.detector == "matrix" and answer.status == 403:
        delegated = await _is_delegated(answer.url, ctx)
    extra = Extra(options.path, {key: meaning.reading() for key, meaning in options.mapping.items()}, delegated)
    source = base.shown_url(options.url).removesuffix("?…")
    work = partial(detect, options.detector, answer.status, answer.headers, answer.body, source, extra)
    found = await base.apart(ctx, work) if len(answer.body) > QUICK_BYTES else work()
    return _observation(found, answer, ctx, announces=options.detector == "deepseek_banner")


async def _ask(options: Options, ctx: Context) -> Answer:
    is_matrix = options.detector == "matrix"
    return await ctx.wire.fetch(
        "POST" if is_matrix else "GET",
        address(options.detector, options.url, ctx),
        headers=_HEADERS | ({"content-type": "application/json"} if is_matrix else {}),
        content=b"{}" if is_matrix else b"",
        limits=ctx.limits(),
        redirects=PAGE_REDIRECTS if options.detector == "page_text" else 0,
    )


def address(detector: str, url: str, ctx: Context) -> str:
    """Return what to ask: the product's path is added to a bare address, DeepSeek's settings need a device id."""
    path, _, query = PATHS.get(detector, "").partition("?")
    parts = urlsplit(url)
    if path and not parts.path.endswith(path):
        parts = parts._replace(path=parts.path.rstrip("/") + path, query=parts.query or query)
    if detector == "deepseek_banner":
        device = ctx.memory.setdefault("did", str(uuid.UUID(int=ctx.rng.getrandbits(128), version=4)))
        given = dict(parse_qsl(parts.query))
        parts = parts._replace(query=urlencode({"did": device, "scope": "banner"} | given))
    return urlunsplit(parts)


async def _is_delegated(register_url: str, ctx: Context) -> bool | None:
    """Tell whether a Matrix server that refuses to register announces an OAuth server where one may sign up."""
    root = register_url.split("/_matrix/", 1)[0]
    try:
        answer = await ctx.wire.fetch("GET", f"{root}/_matrix/client/v1/auth_metadata", limits=ctx.limits())
    except WireError:
        return None
    return {200: True, 404: False}.get(answer.status)


async def _from_status_page(options: Options, ctx: Context) -> Observation:
    assert options.provider is not None
    page = page_of(options.url)
    look = Look(ctx.now, page, options.provider)
    try:
        where = endpoints(options.provider, options.url)
        answer = await fetch(where.main, ctx, where.body_bytes)
    except WireError as error:
        return unreachable(error)
    try:
        reading = await read(options.provider, answer, look, ctx)
    except UnreadableError as error:
        return _observation(unread(str(error), error.warning), answer, ctx)
    return _observation(incident_text(reading, page, ctx.now), answer, ctx, announces=True)


def incident_text(reading: UpstreamReading, url: str, now: datetime) -> Reading:
    """Return what the vendor's open incidents say of registration, the newest word of each.

    Of an incident that was resolved lately only "registration is open again" counts.
    """
    said: list[Statement] = []
    reassured = False
    for incident in reading.incidents:
        if incident.status in OVER:
            ended = incident.resolved_at or incident.updated_at
            if ended and now - ended <= RESTORED_WITHIN:
                last = statements(incident.updates[0].body if incident.updates else "", Source.OFFICIAL_TEXT, url)
                said += [one for one in last if one.reading.state is Registration.OPEN]
            continue
        words = [
            *(update.body for update in incident.updates if update.status is not IncidentStatus.RESOLVED),
            incident.name,
        ]
        spoken = (found for text in words if (found := statements(text, Source.OFFICIAL_TEXT, url)))
        said += next(spoken, ())
        reassured = reassured or any(says_existing_users_can_log_in(text) for text in words)
    readings, contradictory = settled(said)
    warnings = (WarningCode.REGISTRATION_CONTRADICTORY,) * contradictory
    warnings += (WarningCode.REGISTRATION_EXISTING_USERS_CAN_LOG_IN,) * reassured
    return Reading(readings, warnings, detail="" if readings else "no incident speaks of registration")


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


def _observation(found: Reading, answer: Answer, ctx: Context, *, announces: bool = False) -> Observation:
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


KIND = Kind(
    "registration",
    Options,
    run,
    imports=("phonenumbers", "babel"),
    speaks_http=True,
    tells_registration=True,
)

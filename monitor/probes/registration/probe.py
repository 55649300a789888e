"""Can a new user sign up? One public source is read and what it says is returned per method.

Never sends a message or solves a captcha. Everything is a GET without cookie or token, but for the Matrix detector,
whose protocol asks with an empty POST that starts no registration, and the detector ``own_attempt``, which makes a
throwaway account on a server of one's own and removes it; choosing one of these is consent.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from monitor.core.catalogue import Proof
from monitor.core.model.observations import Observation
from monitor.core.model.registration import Method, MethodReading, Registration, Source
from monitor.probes import base
from monitor.probes.answers import steps
from monitor.probes.base import Context, Kind, at_most
from monitor.probes.page import is_other_site
from monitor.probes.registration.attempt import Attempt, own_server
from monitor.probes.registration.detector import Detector, Extra, detect
from monitor.probes.registration.detectors import DETECTORS
from monitor.probes.registration.observed import observed
from monitor.probes.upstream.platforms import PLATFORMS
from monitor.probes.upstream.statuspages import Provider
from monitor.text.countries import is_country_code
from monitor.wire import Answer

DetectorName = Annotated[str, AfterValidator(base.one_of(DETECTORS))]
QUICK_BYTES = 8 * 1024
"""Longer answers are read in a thread: text made to be slow takes some microseconds a byte."""
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
    failed_ratio: float | None = Field(None, ge=0, le=1)

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
            failed_ratio=self.failed_ratio,
        )


class Options(base.OverProxy):
    """Options of the kind ``registration``."""

    detector: DetectorName
    url: str
    """The product's address, or the full address of what the detector reads."""
    path: str = ""
    """``json`` only: dotted path of the field, as in ``data.signup.enabled``."""
    mapping: dict[str, Meaning] = Field(default_factory=dict)
    """``json`` only: the field's value as text (``"true"``, ``"null"``, ``"Public"``) → a state, or more in detail."""
    provider: Provider | None = None
    """``upstream_text`` only: the kind of status page at ``url``."""
    sites: base.Words = ()
    """``page_text`` only: domains that a redirect may lead to beside the address's own."""

    attempt: Attempt | None = None
    """``own_attempt`` only: how an account is made and removed, on a server of your own."""

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
        needs = DETECTORS[self.detector].needs
        if not all(getattr(self, name) for name in needs):
            raise ValueError(f"the detector {self.detector} needs {' and '.join(needs)}")
        steps(self.path)
        if self.attempt is not None:
            own_server(self.url)
        return self

    def imports(self) -> Iterable[str]:
        """Return what the reader of a status page needs."""
        return PLATFORMS[self.provider].imports if self.provider else ()


async def run(options: Options, ctx: Context) -> Observation:
    """Read the source once. A source that failed gives its reason and no readings."""
    detector = DETECTORS[options.detector]
    if detector.look:
        return await detector.look(options, ctx)
    answer = await _ask(detector, options.url, ctx)
    more = await detector.ask_more(answer, ctx) if detector.ask_more else None
    elsewhere = base.host_of(answer.url) if is_other_site(answer.url, options.url, options.sites) else ""
    extra = Extra(options.path, {key: meaning.reading() for key, meaning in options.mapping.items()}, more, elsewhere)
    source = base.shown_url(options.url).removesuffix("?…")
    work = partial(detect, detector, answer.status, answer.headers, answer.body, source, extra)
    found = await base.apart(ctx, work) if len(answer.body) > QUICK_BYTES else work()
    return observed(found, answer, ctx, announces=detector.announces)


async def _ask(detector: Detector, url: str, ctx: Context) -> Answer:
    posts = detector.content is not None
    return await ctx.wire.fetch(
        "POST" if posts else "GET",
        address(detector, url, ctx),
        headers=_HEADERS | ({"content-type": "application/json"} if posts else {}),
        content=detector.content or b"",
        limits=ctx.limits(),
        redirects=detector.redirects,
    )


def address(detector: Detector, url: str, ctx: Context) -> str:
    """Return what to ask: the product's path and the detector's parameters are added to a bare address."""
    path, _, query = detector.path.partition("?")
    parts = urlsplit(url)
    if path and not parts.path.endswith(path):
        parts = parts._replace(path=parts.path.rstrip("/") + path, query=parts.query or query)
    if added := detector.query(ctx):
        parts = parts._replace(query=urlencode(added | dict(parse_qsl(parts.query))))
    return urlunsplit(parts)


KIND = Kind(
    "registration",
    Options,
    run,
    imports=("phonenumbers", "babel"),
    speaks_http=True,
    tells_registration=True,
    proves=at_most(Proof.WORK),
)

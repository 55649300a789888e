"""What every kind shares: its context, one look under one deadline, exception → reason, and redaction.

A kind declares itself with :class:`Kind`: a frozen options model, ``async def run(options, ctx) -> Observation`` and
what it needs. ``run`` lets the wire's error pass, because :func:`look` turns it into its reason; anything else that it
raises is a bug of ours.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
import random
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import PurePath
from typing import Annotated, Any, Protocol, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr, model_validator

from monitor.clock import monotonic
from monitor.core.catalogue import Proof
from monitor.core.checks.strictness import strictly
from monitor.core.model.depth import Reach
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.observations import Evidence, Observation, Phases
from monitor.core.model.reasons import Reason
from monitor.core.model.warning_codes import WarningCode
from monitor.core.scenario.durations import seconds
from monitor.text.redaction import Forms, as_seen, forms_of, redacted
from monitor.wire import (
    DIRECT,
    ClientCertificate,
    Limits,
    Way,
    Wire,
    WireError,
    check_certificate,
    checked_host,
    parse_proxy,
)
from monitor.wire.addresses import checked_headers as checked_headers  # noqa: PLC0414  # handed on to the kinds
from monitor.wire.addresses import checked_secret_headers as checked_secret_headers  # noqa: PLC0414  # handed on to the kinds
from monitor.wire.addresses import checked_url as checked_url  # noqa: PLC0414  # handed on to the kinds
from monitor.wire.addresses import host_of as host_of  # noqa: PLC0414  # handed on to the kinds
from monitor.wire.addresses import opened as opened  # noqa: PLC0414  # handed on to the kinds
from monitor.wire.addresses import same_origin as same_origin  # noqa: PLC0414  # handed on to the kinds
from monitor.wire.addresses import shown_url as shown_url  # noqa: PLC0414  # handed on to the kinds

EVIDENCE_BYTES = 2048
DETAIL_CHARS = 300
LAG_WARNING_S = 0.25
"""Above this loop lag a look carries the warning ``probe.lagged``; whether it may alert is the rules' decision."""
THROTTLED_WAIT_S = 120.0
LONGEST_WAIT_S = 900.0
"""A vendor may ask us to wait; it may not blind us for longer than this."""
CERTIFICATES = "monitor.wire.certificates"
GRACE_S = 0.05
"""The kinds cut themselves at the deadline and say what they saw; so much later :func:`look` cuts them from outside."""

Found = TypeVar("Found")

Seconds = Annotated[float, BeforeValidator(seconds)]
"""A duration option: text with a unit in the file, float seconds in the program."""


AS_WRITTEN = "as written"
"""Marks an option whose words are taken from the file as they stand there, also without quotes: ``+86`` is not 86."""
Host = Annotated[str, AfterValidator(checked_host)]
"""A name or an IP address, without scheme, port, brackets or path."""


def listed(value: Any) -> Any:
    """Return the members of a list, or the one value that stands for a list; numbers become text."""
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple(json.dumps(item) if isinstance(item, int) else item for item in items)


Words = Annotated[tuple[str, ...], BeforeValidator(listed), AS_WRITTEN]
"""One text or a list of texts."""


class Options(BaseModel):
    """Base of every kind's options: frozen, no unknown keys, and no values (secrets) in validation errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    strict: bool = False
    """Forgive nothing: what browsers put up with and a look warns of is a failure."""

    def way(self) -> Way | None:
        """Return the way out that these options name; ``None`` for the usual one."""
        return None

    def address(self) -> str:
        """Return the address that is asked; empty for a kind without one."""
        return str(getattr(self, "url", ""))

    def imports(self) -> Iterable[str]:
        """Return further modules that looks with these options use, besides those of the kind."""
        return ()

    def target(self) -> str:
        """Return the host shown to people; never a path, a query or a secret."""
        return host_of(self.address())

    def most_of_a_question(self) -> tuple[int, float]:
        """Return the most tokens and dollars that one usual look costs; nothing for a kind that costs nothing."""
        return 0, 0.0

    def questions_a_day(self, interval_s: float) -> tuple[float, float]:  # noqa: ARG002  # for kinds that pay
        """Return how many paid questions a day looks every ``interval_s`` plan, and how many the budget allows."""
        return 0.0, math.inf


def _proxy(text: str) -> str:
    if text != DIRECT:
        if "@" in text:
            raise ValueError("holds a user or a password: put them as user:password into proxy_auth, from ${NAME}")
        parse_proxy(text)
    return text


class OverProxy(Options):
    """Base of the options of such a kind."""

    proxy: Annotated[str, AfterValidator(_proxy)] | None = None
    """``http://proxy.example:3128`` or ``https://…``; ``direct`` for none, whatever the environment says."""
    proxy_auth: SecretStr | None = None
    """``user:password`` for the proxy."""
    client_certificate: str | None = None
    """A PEM file with a certificate, its chain and, unless ``client_key`` names another file, its key."""
    client_key: str | None = None
    client_key_password: SecretStr | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.proxy_auth is not None and self.proxy in (None, DIRECT):
            raise ValueError("proxy_auth needs a proxy beside it; the environment's proxy has its own, in its address")
        if self.client_certificate is None:
            if self.client_key is not None or self.client_key_password is not None:
                raise ValueError("client_key needs a client_certificate beside it")
        # A password may be missing from the environment: that switches the probe off and is told by its name.
        elif self.client_key_password is None and (why := check_certificate(self._certificate())):
            raise ValueError(f"client_certificate {why}")
        return self

    def _certificate(self) -> ClientCertificate | None:
        if self.client_certificate is None:
            return None
        password = self.client_key_password.get_secret_value() if self.client_key_password else ""
        return ClientCertificate(self.client_certificate, self.client_key or "", password)

    def way(self) -> Way | None:
        """As :meth:`Options.way`."""
        if self.proxy is None and self.client_certificate is None:
            return None
        auth = self.proxy_auth.get_secret_value() if self.proxy_auth else ""
        return Way(self.proxy or "", auth, self._certificate())


def one_of(kinds: Mapping[str, Any]) -> Callable[[str], str]:
    """Return a validator for an option that names one of several kinds."""

    def known(name: str) -> str:
        if name not in kinds:
            raise ValueError(f"one of {', '.join(sorted(kinds))}")
        return name

    return known


@dataclass(slots=True)
class Context:
    """What one look may use. Created anew for each look, except for ``memory``."""

    wire: Wire
    location: str
    timeout_s: float
    attempt: int
    now: datetime
    rng: random.Random
    memory: dict[str, Any]
    """Kept per probe between looks in the prober; JSON-like values only, never a secret; outlives a restart."""
    started_s: float = field(default_factory=monotonic)
    """Monotonic start of the look; :func:`look` sets it."""

    def remaining_s(self) -> float:
        """Return how much of the deadline is left, in seconds, never below 1 ms."""
        return max(0.001, self.timeout_s - (monotonic() - self.started_s))

    def limits(self, **changes: Any) -> Limits:
        """Return the wire's limits with what is left of the deadline; ``changes`` are further fields of `Limits`."""
        remaining_s = self.remaining_s()
        connect_s = min(Limits().connect_s, remaining_s)
        return replace(Limits(deadline_s=remaining_s, connect_s=connect_s), **changes)


def _stays(memory: dict[str, Any], options: Any, now: datetime) -> None:
    """Leave a memory as it is."""


def _newer(newer: dict[str, Any], older: dict[str, Any], now: datetime) -> dict[str, Any]:  # noqa: ARG001  # the hook's
    return newer


@dataclass(frozen=True, slots=True)
class Memory:
    """What becomes of a kind's memory between looks. Each may change the memory that it is given."""

    begin: Callable[[dict[str, Any], Any, datetime], None] = _stays
    """When looking begins, or begins again after a gap; gets memory, options, now."""
    go_on: Callable[[dict[str, Any], Any, datetime], None] = _stays
    """When the configuration was read again and the probe goes on."""
    cut_off: Callable[[dict[str, Any], Any, datetime], None] = _stays
    """When another worker may have died in the middle of a look."""
    join: Callable[[dict[str, Any], dict[str, Any], datetime], dict[str, Any]] = _newer
    """Newer and older memory of two workers → what holds now."""
    kept: str = ""
    """The entry that another worker's memory never replaces."""


class TakeReport(Protocol):
    """Takes the report of a job that came at ``at`` (Unix seconds) into a probe's memory."""

    def __call__(self, memory: dict[str, Any], at: float, *, failed: bool, text: str) -> None:
        """Take it."""


def at_most(proof: Proof) -> Callable[[Any], Proof]:
    """Return a :attr:`Kind.proves` that is the same whatever the options."""
    return lambda _: proof


_edge = at_most(Proof.EDGE)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind is and needs. All that others know of it stands here; the rules get it in :class:`~..Probe`."""

    name: str
    """The word in ``probes.yaml``, and the name of its file or folder."""
    options: type[Options]
    run: Callable[[Any, Context], Awaitable[Observation]]
    imports: tuple[str, ...] = ()
    """Modules that its looks use and that are imported only where there is such a probe."""
    speaks_http: bool = False
    reach: Reach = Reach.HTTP
    """What its good look proves of our own side."""
    asks_model: bool = False
    """It asks a model, which costs tokens: its options have ``model`` and the day's budgets."""
    tells_registration: bool = False
    """It tells who can sign up."""
    proves: Callable[[Any], Proof] = _edge
    """Options → what a good look with them has seen at work."""
    is_witness: bool = False
    """Shown beside our verdict and never part of it, unless the configuration says otherwise."""
    names_components: tuple[str, ...] = ()
    """The options whose values are components of the service."""
    memory: Memory = Memory()
    list_models: Callable[[Any, Context], Awaitable[tuple[str, ...] | None]] | None = None
    """Options → the models that the service lists, None where it tells none. Raises ``WireError``."""
    take_report: TakeReport | None = None
    """Set if a job reports in to the worker, which holds the report against the option ``token``."""

    def reach_of(self, options: Options) -> Reach:
        """Return how far a good look with these options gets."""
        return Reach.PLAIN if self.reach is Reach.HTTP and options.address().startswith("http://") else self.reach

    def wanted(self, options: Options) -> Iterator[str]:
        """Yield the modules that looks with these options import, so that it is done before the first one."""
        yield from self.imports
        yield from options.imports()
        if self.speaks_http and not options.address().startswith("http://"):
            yield CERTIFICATES
        if getattr(options, "http2", False):
            yield "monitor.wire.http.http2"


async def look(kind: Kind, options: Options, ctx: Context) -> Observation:
    """Look once. Never raises (but ``CancelledError``): failures of the wire and bugs of ours are observations too.

    After a 429 with ``Retry-After`` nothing is sent until that time; the looks in between say so and are UNKNOWN.
    """
    ctx.started_s = monotonic()
    left_s = ctx.memory.get("not_before", 0.0) - ctx.now.timestamp()
    if 0 < left_s <= LONGEST_WAIT_S:  # a longer wait was never accepted, so the clock was set back
        return Observation(
            Reason.RATE_LIMIT, coded(MessageCode.ASKED_TO_WAIT, seconds=round(left_s)), retry_after_s=left_s
        )
    secrets = tuple(secrets_of(options))
    try:
        if (way := options.way()) is not None:
            ctx.wire = ctx.wire.by(way)
        async with asyncio.timeout(ctx.timeout_s + GRACE_S) as deadline:
            observation = await kind.run(options, ctx)
        observation = strictly(observation) if options.strict else observation
    except WireError as error:
        observation = from_wire(error)
    except TimeoutError as error:
        observation = _overdue(ctx) if deadline.expired() else _our_bug(error)
    except Exception as error:
        observation = _our_bug(error)
    _heed(observation, ctx)
    return tidy(observation, secrets)


async def apart(ctx: Context, work: Callable[[], Found]) -> Found:
    """Do slow work on an answer in a thread. When that takes too long the trouble is ours: ``WireError(LAGGED)``."""
    try:
        async with asyncio.timeout(max(ctx.remaining_s(), GRACE_S * 0.8)):
            return await asyncio.to_thread(work)
    except TimeoutError:
        raise WireError(Reason.LAGGED, coded(MessageCode.READING_LATE)) from None


def _heed(observation: Observation, ctx: Context) -> None:
    """Remember how long to stay away after a 429.

    Where nothing shows that the limit is ours, everybody may be getting this answer: then a long wait would hide an
    outage, and one question every two minutes burdens nobody.
    """
    wait_s = min(observation.retry_after_s or 0.0, LONGEST_WAIT_S)
    if observation.reason is Reason.THROTTLED:
        wait_s = min(wait_s, THROTTLED_WAIT_S)
    if wait_s > 0 and observation.reason in (Reason.RATE_LIMIT, Reason.THROTTLED):
        ctx.memory["not_before"] = ctx.now.timestamp() + wait_s


def from_wire(error: WireError) -> Observation:
    """Turn the wire's failure into an observation with all that is known of the exchange."""
    return Observation(
        error.reason,
        error.detail,
        http_status=error.status,
        address=error.address,
        phases=error.phases,
        certificate=error.certificate,
    )


def untimed(observation: Observation) -> Observation:
    """Return what was seen and not timed: of its phases only a lag of our own loop, which speaks against the look."""
    lag_s = observation.phases.loop_lag_s if observation.phases else 0.0
    return replace(observation, phases=Phases(loop_lag_s=lag_s) if lag_s > LAG_WARNING_S else None)


def _overdue(ctx: Context) -> Observation:
    elapsed_s = monotonic() - ctx.started_s
    lag_s = max(0.0, elapsed_s - ctx.timeout_s - GRACE_S)
    detail = f"no end within {ctx.timeout_s:g} s"
    return Observation(Reason.TIMEOUT_TOTAL, detail, phases=Phases(loop_lag_s=lag_s))


def _our_bug(error: Exception) -> Observation:
    """Name type and place only: an exception's text may hold anything the options hold."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return Observation(Reason.INTERNAL, f"{type(error).__name__}{place}")


def tidy(observation: Observation, secrets: Iterable[str]) -> Observation:
    """Redact every text of an observation, bound detail and evidence, and note a lagging loop."""
    clean: Observation = _scrub(observation, forms_of(tuple(secrets)))
    warnings = clean.warnings
    if clean.phases and clean.phases.loop_lag_s > LAG_WARNING_S and WarningCode.PROBE_LAGGED not in warnings:
        warnings = (*warnings, WarningCode.PROBE_LAGGED)
    detail = " ".join(clean.detail.split())[:DETAIL_CHARS]
    if detail == clean.detail and warnings is clean.warnings and clean.evidence is None:
        return clean
    return replace(clean, detail=detail, warnings=warnings, evidence=_bounded(clean.evidence))


def _bounded(evidence: Evidence | None) -> Evidence | None:
    if evidence is None:
        return None
    url, headers, left = evidence.url[:300], {}, EVIDENCE_BYTES - len(evidence.url[:300].encode())
    for name, value in evidence.headers.items():
        cost = len(name.encode()) + len(value[:200].encode())
        if cost <= left // 2:
            headers[name] = value[:200]
            left -= cost
    return Evidence(url, evidence.excerpt.encode()[:left].decode(errors="ignore"), headers)


def _scrub(value: Any, forms: Forms) -> Any:
    """Walk a tree of dataclasses, tuples and mappings and clean every string in it; all else stays as it is."""
    kind: Any = type(value)
    if kind is str:
        return redacted(as_seen(value), forms) if value else value
    if kind is tuple:
        return tuple(_scrub(item, forms) for item in value) if value else value
    if isinstance(value, Mapping):
        return {_scrub(key, forms): _scrub(item, forms) for key, item in value.items()}
    changes: dict[str, Any] = {}
    for name in _fields_of(kind):
        before = getattr(value, name)
        if before is None or type(before) in _TEXTLESS:
            continue
        after = _scrub(before, forms)
        if after is not before and after != before:
            changes[name] = after
    return replace(value, **changes) if changes else value


_TEXTLESS = frozenset({int, float, bool, Reason, datetime})


@cache
def _fields_of(kind: type) -> tuple[str, ...]:
    """Return the names of a dataclass's fields; nothing for numbers, enum members and times."""
    return tuple(f.name for f in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else ()


def secrets_of(value: object) -> Iterator[str]:
    """Yield the plain text of every ``SecretStr`` in an options model, however deep."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for item in value.__dict__.values():
            if not isinstance(item, str | int | float | None):
                yield from secrets_of(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from secrets_of(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from secrets_of(item)

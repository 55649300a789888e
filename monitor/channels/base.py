"""What every channel shares: the notice, the one error, and how an HTTP answer is judged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr

from monitor.core.entities import Alert
from monitor.core.model.alerting import AlertState, Why
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.reasons import Reason
from monitor.text.lexicon import Language
from monitor.text.units import retry_after_s
from monitor.wire import HttpClient, Limits, Wire, WireError
from monitor.wire.http.http1 import parse_anew

LIMITS = Limits(deadline_s=15.0, wire_bytes=64 * 1024, body_bytes=64 * 1024)
LONGEST_RETRY_AFTER_S = 3600.0
_RETRYABLE = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Notice:
    """One delivery. ``key`` is the same for every try, so that a receiver can drop a repetition."""

    key: str
    alert: Alert
    why: Why
    at: datetime
    """When it was decided that somebody is told."""
    service_name: str = ""
    component_name: str = ""
    url: str = ""
    """Where a person reads on; empty when the page has no address of its own."""
    tries: int = 0
    """Tries before this one; a late notice says so."""
    last_error: str = ""
    """What the last of them came to, as this channel's kind worded it."""
    test: bool = False
    language: Language = Language.EN

    @property
    def resolved(self) -> bool:
        """True when it tells of the end."""
        return self.alert.state is AlertState.RESOLVED


class Undeliverable(Exception):  # noqa: N818  # the design's word
    """It could not be delivered. ``permanent`` means that another try would end alike."""

    def __init__(self, message: str, *, permanent: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after_s = retry_after_s


class Options(BaseModel):
    """Base of every channel's options."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    language: Language = Language.EN
    """In which language it tells people: ``en`` or ``zh``."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of channel is: the word in ``probes.yaml`` and the name of its file, its options and how it sends."""

    name: str
    options: type[BaseModel]
    send: Callable[[Any, Notice, Wire], Awaitable[None]]
    """``send(options, notice, wire)`` delivers, or raises :class:`Undeliverable`."""


async def post(
    wire: Wire, url: str, content: bytes, headers: Mapping[str, str] | None = None, now: datetime | None = None
) -> None:
    """POST JSON once. Raises :class:`Undeliverable`; neither URL nor answer stands in its message."""
    sent = {"content-type": "application/json", **(headers or {})}
    try:
        async with HttpClient(wire, LIMITS) as client:
            answer = await client.post(url, content=content, headers=sent)
    except WireError as error:
        raise Undeliverable(unreached(error)) from error
    status = answer.status_code
    if 200 <= status < 300:
        return
    retry = status in _RETRYABLE or status >= 500
    after = retry_after_s(answer.headers.get("retry-after", ""), now, LONGEST_RETRY_AFTER_S) if retry else None
    raise Undeliverable(coded(MessageCode.RECEIVER_ANSWERED, status=status), permanent=not retry, retry_after_s=after)


async def reach(options: Any, wire: Wire) -> None:
    """Connect to a receiver and hang up without a word. Raises :class:`Undeliverable`."""
    try:
        if (url := getattr(options, "url", None)) is None:
            await wire.connect(options.host, options.port, tls=False, limits=LIMITS)
            return
        target = parse_anew(url.get_secret_value() if isinstance(url, SecretStr) else url)
        await wire.connect(target.host, target.port, tls=False, limits=LIMITS, scheme=target.scheme)
    except WireError as error:
        raise Undeliverable(unreached(error)) from None


def address_fault(options: Any) -> str:
    """Say why a receiver's web address cannot be used, without the address: it may hold a token; empty when it can."""
    url = getattr(options, "url", None)
    if url is None:
        return ""
    try:
        parse_anew(url.get_secret_value() if isinstance(url, SecretStr) else url)
    except WireError as error:
        return error.detail
    return ""


def unreached(error: WireError) -> str:
    """Return why a receiver was not reached, without its address: that may hold a token."""
    if error.reason is not Reason.ADDRESS:
        return str(error.reason)
    return coded(MessageCode.ADDRESS_REFUSED, why=error.detail.rpartition(": ")[2])


def secret(value: SecretStr | None) -> str:
    """Return a secret's text, or ``""``."""
    return value.get_secret_value() if value else ""

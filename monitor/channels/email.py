"""E-mail over SMTP. The connection is encrypted unless it is said otherwise."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from monitor.channels.base import Kind, Notice, Options, Undeliverable, secret, unreached
from monitor.channels.words import facts, title
from monitor.core.model.message_codes import FACT_CHARS, MessageCode, coded
from monitor.wire import Limits, MailError, Wire, WireError, checked_host
from monitor.wire.mail import MailServer

LIMITS = Limits(deadline_s=25.0, connect_s=10.0, wire_bytes=64 * 1024)
"""Longer than for other channels: many mail servers keep strangers waiting before they greet."""
_Mailbox = Annotated[str, StringConstraints(pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$")]


class Email(Options):
    """``security``: ``starttls`` (port 587), ``tls`` (port 465) or ``none`` (a relay near by).

    A relay in a private network or on this machine wants its network under ``allow_networks``, as every target does.
    """

    host: Annotated[str, AfterValidator(checked_host)]
    port: Annotated[int, Field(gt=0, lt=65536)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: SecretStr | None = None
    sender: _Mailbox
    to: Annotated[tuple[_Mailbox, ...], Field(min_length=1)]


def message(options: Email, notice: Notice) -> EmailMessage:
    """Return the mail: plain text only, so that nothing in it is ever rendered."""
    mail = EmailMessage()
    mail["Subject"] = title(notice)
    mail["From"] = options.sender
    mail["To"] = ", ".join(options.to)
    mail["Date"] = format_datetime(notice.at)
    mail["Message-ID"] = f"<{hashlib.sha256(notice.key.encode()).hexdigest()[:32]}@{options.sender.rpartition('@')[2]}>"
    thread = f"<{hashlib.sha256(notice.alert.id.encode()).hexdigest()[:32]}.alert@{options.sender.rpartition('@')[2]}>"
    mail["References"] = thread
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n".join([title(notice), "", *(f"{name}: {value}" for name, value in facts(notice))]))
    return mail


async def send(options: Email, notice: Notice, wire: Wire) -> None:
    """Deliver, after a try that reached some of the recipients only to the others."""
    server = MailServer(options.host, options.port, options.security, options.username, secret(options.password))
    left = _left(options.to, notice.last_error)
    try:
        refused = await wire.mail(server, message(options, notice), options.sender, left, limits=LIMITS)
    except MailError as error:
        raise Undeliverable(_still(options, left, str(error)), permanent=error.permanent) from None
    except WireError as error:
        why = coded(MessageCode.MAIL_UNUSABLE, why=unreached(error))
        raise Undeliverable(_still(options, left, why)) from None
    if refused:
        who = ", ".join(f"{one} ({code})" for one, code in refused.items())
        words = coded(MessageCode.MAIL_REFUSED_SOME, again=_marks(refused), who=who)
        raise Undeliverable(words, permanent=all(500 <= code < 600 for code in refused.values()))


def _still(options: Email, left: Sequence[str], why: str) -> str:
    """Return why a try failed, and for whom where others have the mail already."""
    if len(left) == len(options.to):
        return why
    return coded(MessageCode.MAIL_REST_UNSENT, again=_marks(left), why=why, who=", ".join(left))


MARK_CHARS = 6
_AGAIN = re.compile(
    rf"\{{(?:{MessageCode.MAIL_REFUSED_SOME.value}|{MessageCode.MAIL_REST_UNSENT.value}) again=([0-9a-f,]+)"
)


def _mark(address: str) -> str:
    """Return a short mark of an address, so that those of many fit into what is remembered of a try."""
    return hashlib.sha256(address.encode()).hexdigest()[:MARK_CHARS]


def _marks(addresses: Iterable[str]) -> str:
    return ",".join(map(_mark, addresses))


def _left(to: tuple[str, ...], last_error: str) -> tuple[str, ...]:
    """Return the recipients whom no try before has reached."""
    found = _AGAIN.match(last_error)
    if found is None or len(found[1]) >= FACT_CHARS:  # too many to have been remembered: better twice than never
        return to
    marks = found[1].split(",")
    return tuple(one for one in to if _mark(one) in marks) or to


KIND = Kind("email", Email, send)

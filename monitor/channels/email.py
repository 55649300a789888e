"""E-mail over SMTP. The connection is encrypted unless it is said otherwise."""

from __future__ import annotations

import hashlib
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from monitor.channels.base import Kind, Notice, Options, Undeliverable, secret, unreached
from monitor.channels.words import facts, title
from monitor.core.model.message_codes import MessageCode, coded
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
    """Deliver."""
    server = MailServer(options.host, options.port, options.security, options.username, secret(options.password))
    try:
        await wire.mail(server, message(options, notice), options.sender, options.to, limits=LIMITS)
    except MailError as error:
        raise Undeliverable(str(error), permanent=error.permanent) from None
    except WireError as error:
        raise Undeliverable(coded(MessageCode.MAIL_UNUSABLE, why=unreached(error))) from None


KIND = Kind("email", Email, send)

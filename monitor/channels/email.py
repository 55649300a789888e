"""E-mail over SMTP. The connection is encrypted unless it is said otherwise."""

from __future__ import annotations

import asyncio
import hashlib
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from monitor.channels.base import Notice, Options, Undeliverable, secret
from monitor.channels.words import facts, title
from monitor.wire import Wire

_TIMEOUT_S = 15.0
_Mailbox = Annotated[str, StringConstraints(pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$")]


class Email(Options):
    """``security``: ``starttls`` (port 587), ``tls`` (port 465) or ``none`` (a relay on this machine)."""

    host: str
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


async def send(options: Email, notice: Notice, wire: Wire) -> None:  # noqa: ARG001  # one signature for all kinds
    """Deliver in a thread: the standard library's SMTP client blocks, but its every step has a time limit."""
    try:
        await asyncio.to_thread(_deliver, options, message(options, notice))
    except smtplib.SMTPResponseException as error:
        permanent = 500 <= error.smtp_code < 600
        raise Undeliverable(f"the mail server answered {error.smtp_code}", permanent=permanent) from None
    except smtplib.SMTPRecipientsRefused as error:
        permanent = all(500 <= code < 600 for code, _ in error.recipients.values())
        raise Undeliverable("the mail server refused every recipient", permanent=permanent) from None
    except smtplib.SMTPNotSupportedError:
        raise Undeliverable("the mail server knows no encryption or log-in", permanent=True) from None
    except (smtplib.SMTPException, OSError) as error:
        raise Undeliverable(f"the mail server cannot be used: {type(error).__name__}") from None


def _deliver(options: Email, mail: EmailMessage) -> None:
    trust = ssl.create_default_context()
    if options.security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(options.host, options.port, timeout=_TIMEOUT_S, context=trust)
    else:
        server = smtplib.SMTP(options.host, options.port, timeout=_TIMEOUT_S)
    with server:
        if options.security == "starttls":
            server.starttls(context=trust)
        if options.username:
            server.login(options.username, secret(options.password))
        server.send_message(mail)

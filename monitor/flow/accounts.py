"""Who may use the console: accounts with argon2id hashes, and sessions that end with the password they began with."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Engine, delete, insert, select, update

from monitor.core.commands import CommandError
from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us
from monitor.store import tables
from monitor.store.engine import begin, reading
from monitor.store.tables import table

ACCOUNT, SESSION, AUDIT = table(tables.Account), table(tables.LoginSession), table(tables.Audit)
SESSION_LASTS = timedelta(hours=12)
SHORTEST_PASSWORD = 8
NAME = re.compile(r"[a-z][a-z0-9._-]{0,39}")


@dataclass(frozen=True, slots=True)
class Account:
    """A person who may use the console."""

    name: str
    created_at: datetime
    disabled: bool


def accounts(engine: Engine) -> tuple[Account, ...]:
    """Return every account by name."""
    with reading(engine) as connection:
        rows = connection.execute(select(ACCOUNT).order_by(ACCOUNT.c.name))
        return tuple(Account(row.name, when(row.created_us), bool(row.disabled)) for row in rows)


def set_password(engine: Engine, name: str, password: str, now: datetime, who: str = "") -> bool:
    """Add an account or change its password, which ends its sessions. Returns True if it is new.

    Raises :class:`CommandError` for a name or password that will not do.
    """
    if not NAME.fullmatch(name):
        raise CommandError("a user name is 1 to 40 of a-z, 0-9, dot, dash and underscore, and begins with a letter")
    if len(password) < SHORTEST_PASSWORD:
        raise CommandError(f"the password needs at least {SHORTEST_PASSWORD} characters")
    digest = _hasher().hash(password)
    with begin(engine) as connection:
        epoch = connection.scalar(select(ACCOUNT.c.epoch).where(ACCOUNT.c.name == name))
        values = {"password_hash": digest, "disabled": False, "epoch": 0 if epoch is None else epoch + 1}
        if epoch is None:
            connection.execute(insert(ACCOUNT).values(name=name, created_us=us(now), **values))
        else:
            connection.execute(update(ACCOUNT).where(ACCOUNT.c.name == name).values(values))
            connection.execute(delete(SESSION).where(SESSION.c.account == name))
        _audit(connection, now, who or name, "AddAccount" if epoch is None else "ChangePassword", name)
    return epoch is None


def disable_account(engine: Engine, name: str, now: datetime, who: str = "") -> None:
    """Shut an account out at once. Raises :class:`CommandError` if there is none of that name."""
    with begin(engine) as connection:
        epoch = connection.scalar(select(ACCOUNT.c.epoch).where(ACCOUNT.c.name == name))
        if epoch is None:
            raise CommandError(f"there is no user {name}")
        connection.execute(update(ACCOUNT).where(ACCOUNT.c.name == name).values(disabled=True, epoch=epoch + 1))
        connection.execute(delete(SESSION).where(SESSION.c.account == name))
        _audit(connection, now, who or name, "DisableAccount", name)


def log_in(engine: Engine, name: str, password: str, now: datetime) -> str:
    """Return a session's token, or the empty string; an unknown name costs the same work as a wrong password."""
    with reading(engine) as connection:
        row = connection.execute(select(ACCOUNT).where(ACCOUNT.c.name == name)).one_or_none()
    known = row is not None and not row.disabled
    right = _verify(row.password_hash if row is not None and known else _nobody(), password)
    if row is None or not known or not right:
        return ""
    token = secrets.token_urlsafe(32)
    with begin(engine) as connection:
        connection.execute(delete(SESSION).where(SESSION.c.expires_us < us(now)))
        values = {"token_hash": _fingerprint(token), "account": row.name, "epoch": row.epoch}
        times = {"created_us": us(now), "expires_us": us(now + SESSION_LASTS)}
        connection.execute(insert(SESSION).values(values | times))
        _audit(connection, now, row.name, "LogIn", row.name)
    return token


def who_is(engine: Engine, token: str, now: datetime) -> str:
    """Return the name behind a session's token; empty if it is unknown, over, or older than the password."""
    if not token:
        return ""
    query = (
        select(SESSION.c.account)
        .join_from(SESSION, ACCOUNT, SESSION.c.account == ACCOUNT.c.name)
        .where(SESSION.c.token_hash == _fingerprint(token), SESSION.c.expires_us > us(now))
        .where(SESSION.c.epoch == ACCOUNT.c.epoch, ACCOUNT.c.disabled.is_(False))
    )
    with reading(engine) as connection:
        return connection.scalar(query) or ""


def log_out(engine: Engine, token: str) -> None:
    """End a session on this side; repeating it changes nothing."""
    with begin(engine) as connection:
        connection.execute(delete(SESSION).where(SESSION.c.token_hash == _fingerprint(token)))


def _audit(connection: Connection, now: datetime, who: str, action: str, subject: str) -> None:
    row = {"at_us": us(now), "who": who, "action": action, "subject": subject, "why": "", "data": "{}"}
    connection.execute(insert(AUDIT).values(row))


def _fingerprint(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _nobody() -> str:
    """Return the hash that a name without an account is checked against."""
    return _hasher().hash(secrets.token_hex(16))


def _verify(digest: str, password: str) -> bool:
    try:
        return _hasher().verify(digest, password)
    except (VerificationError, InvalidHashError):
        return False

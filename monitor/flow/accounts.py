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
from sqlalchemy import Engine, delete
from sqlmodel import Session, col, select

from monitor.core.commands import CommandError
from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us
from monitor.store import tables
from monitor.store.connection.engine import begin, reading
from monitor.store.transaction.session import session_on

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
    with reading(engine) as connection, session_on(connection) as session:
        rows = session.exec(select(tables.Account).order_by(tables.Account.name))
        return tuple(Account(row.name, when(row.created_us), row.disabled) for row in rows)


def set_password(engine: Engine, name: str, password: str, now: datetime, who: str = "") -> bool:
    """Add an account or change its password, which ends its sessions. Returns True if it is new.

    Raises :class:`CommandError` for a name or password that will not do.
    """
    if not NAME.fullmatch(name):
        raise CommandError("a user name is 1 to 40 of a-z, 0-9, dot, dash and underscore, and begins with a letter")
    if len(password) < SHORTEST_PASSWORD:
        raise CommandError(f"the password needs at least {SHORTEST_PASSWORD} characters")
    digest = _hasher().hash(password)
    with begin(engine) as connection, session_on(connection) as session:
        account = session.get(tables.Account, name, with_for_update=True)
        if account is None:
            session.add(tables.Account(name=name, created_us=us(now), password_hash=digest))
        else:
            account.password_hash, account.disabled = digest, False
            _void_sessions(session, account)
        _audit(session, now, who or name, "AddAccount" if account is None else "ChangePassword", name)
    return account is None


def disable_account(engine: Engine, name: str, now: datetime, who: str = "") -> None:
    """Shut an account out at once. Raises :class:`CommandError` if there is none of that name."""
    with begin(engine) as connection, session_on(connection) as session:
        account = session.get(tables.Account, name, with_for_update=True)
        if account is None:
            raise CommandError(f"there is no user {name}")
        account.disabled = True
        _void_sessions(session, account)
        _audit(session, now, who or name, "DisableAccount", name)


def _void_sessions(session: Session, account: tables.Account) -> None:
    account.epoch += 1
    session.exec(delete(tables.LoginSession).where(col(tables.LoginSession.account) == account.name))


def log_in(engine: Engine, name: str, password: str, now: datetime) -> str:
    """Return a session's token, or the empty string; an unknown name costs the same work as a wrong password."""
    with reading(engine) as connection, session_on(connection) as session:
        account = session.get(tables.Account, name)
    known = account is not None and not account.disabled
    right = _verify(account.password_hash if account is not None and known else _nobody(), password)
    if account is None or not known or not right:
        return ""
    token = secrets.token_urlsafe(32)
    begun = tables.LoginSession(
        token_hash=_fingerprint(token),
        account=account.name,
        epoch=account.epoch,  # the epoch at the time the password was checked: a change since then voids the session
        created_us=us(now),
        expires_us=us(now + SESSION_LASTS),
    )
    with begin(engine) as connection, session_on(connection) as session:
        session.exec(delete(tables.LoginSession).where(col(tables.LoginSession.expires_us) < us(now)))
        session.add(begun)
        _audit(session, now, account.name, "LogIn", account.name)
    return token


def who_is(engine: Engine, token: str, now: datetime) -> str:
    """Return the name behind a session's token; empty if it is unknown, over, or older than the password."""
    if not token:
        return ""
    begun, account = tables.LoginSession, tables.Account
    query = (
        select(begun.account)
        .join(account, col(begun.account) == account.name)
        .where(begun.token_hash == _fingerprint(token), begun.expires_us > us(now))
        .where(begun.epoch == account.epoch, col(account.disabled).is_(False))
    )
    with reading(engine) as connection, session_on(connection) as session:
        return session.exec(query).first() or ""


def log_out(engine: Engine, token: str) -> None:
    """End a session on this side; repeating it changes nothing."""
    with begin(engine) as connection, session_on(connection) as session:
        session.exec(delete(tables.LoginSession).where(col(tables.LoginSession.token_hash) == _fingerprint(token)))


def _audit(session: Session, now: datetime, who: str, action: str, subject: str) -> None:
    session.add(tables.Audit(at_us=us(now), who=who, action=action, subject=subject))


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

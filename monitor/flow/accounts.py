"""Who may use the console: accounts with argon2id hashes, and sessions that end with the password they began with.

A page that was drawn for somebody proves nothing later: :func:`actor` asks again inside the transaction of each act.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Engine, delete
from sqlmodel import Session, col, select

from monitor.core.commands import CommandError
from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us
from monitor.store import tables
from monitor.store.connection.engine import begin, reading
from monitor.store.transaction.session import session_on

SESSION_LASTS = timedelta(hours=12)
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1000
"""Characters; a longer one is wrong without being hashed."""
NOBODY = "(no such user)"
"""In the audit for a try under a name that nobody has: what was typed there may be somebody's password."""
NAME = re.compile(r"[a-z][a-z0-9._-]{0,39}")


class Role(StrEnum):
    """What a person may do in the console, least first."""

    VIEWER = "viewer"
    RESPONDER = "responder"

    @property
    def may_act(self) -> bool:
        """True if the role gives orders."""
        return self is not Role.VIEWER


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whom a session belongs to."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Account:
    """A person who may use the console."""

    name: str
    created_at: datetime
    disabled: bool
    role: Role = Role.RESPONDER


def accounts(engine: Engine) -> tuple[Account, ...]:
    """Return every account by name."""
    with reading(engine) as connection, session_on(connection) as session:
        rows = session.exec(select(tables.Account).order_by(tables.Account.name))
        return tuple(Account(row.name, when(row.created_us), row.disabled, role_of(row.role)) for row in rows)


def role_of(word: str) -> Role:
    """Return the role of a row; one that this version does not know may look and no more."""
    return Role(word) if word in list(Role) else Role.VIEWER


def set_role(engine: Engine, name: str, role: Role, now: datetime, who: str = "") -> bool:
    """Give an account another role, in force for its open pages too; False if it has that role.

    Raises :class:`CommandError` if there is no account of that name.
    """
    with begin(engine) as connection, session_on(connection) as session:
        account = session.get(tables.Account, name, with_for_update=True)
        if account is None:
            raise CommandError(f"there is no user {name}")
        if account.role == role:
            return False
        account.role = role.value
        _audit(session, now, who or name, "ChangeRole", name, role.value)
    return True


def set_password(
    engine: Engine, name: str, password: str, now: datetime, who: str = "", role: Role | None = None
) -> bool:
    """Add an account or change its password, which ends its sessions. Returns True if it is new.

    Without ``role`` a new account may act, and an old one keeps its role.

    Raises :class:`CommandError` for a name or password that will not do.
    """
    if not NAME.fullmatch(name):
        raise CommandError("a user name is 1 to 40 of a-z, 0-9, dot, dash and underscore, and begins with a letter")
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise CommandError(
            f"the password needs at least {SHORTEST_PASSWORD} characters, and {LONGEST_PASSWORD} at most"
        )
    digest = _hasher().hash(password)
    with begin(engine) as connection, session_on(connection) as session:
        account = session.get(tables.Account, name, with_for_update=True)
        if account is None:
            given = (role or Role.RESPONDER).value
            session.add(tables.Account(name=name, created_us=us(now), password_hash=digest, role=given))
        else:
            account.password_hash, account.disabled = digest, False
            account.role = role.value if role else account.role
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


def log_in(engine: Engine, name: str, password: str, now: datetime, source: str = "", *, kept: bool = True) -> str:
    """Return a session's token, or the empty string; an unknown name costs the same work as a wrong password.

    A refused try is written to the audit with the address that it came from, unless ``kept`` is False.
    """
    account = None
    if NAME.fullmatch(name):
        with reading(engine) as connection, session_on(connection) as session:
            account = session.get(tables.Account, name)
    known = account is not None and not account.disabled and len(password) <= LONGEST_PASSWORD
    right = _verify(account.password_hash if account is not None and known else _nobody(), password[:LONGEST_PASSWORD])
    if account is None or not known or not right:
        if kept:
            tried = account.name if account else NOBODY
            with begin(engine) as connection, session_on(connection) as session:
                _audit(session, now, tried, "LogInRefused", tried, source)
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
        _audit(session, now, account.name, "LogIn", account.name, source)
    return token


def held_back(engine: Engine, name: str, now: datetime, source: str) -> None:
    """Write down that no further try is taken for a while."""
    with begin(engine) as connection, session_on(connection) as session:
        account = session.get(tables.Account, name) if NAME.fullmatch(name) else None
        tried = account.name if account else NOBODY
        _audit(session, now, tried, "LogInHeldBack", tried, source)


def who_is(engine: Engine, token: str, now: datetime) -> str:
    """Return the name behind a session's token; empty if it is unknown, over, or older than the password."""
    found = visitor(engine, token, now)
    return found.name if found else ""


def visitor(engine: Engine, token: str, now: datetime) -> Visitor | None:
    """Return whom a session's token belongs to; None if it is unknown, over, or older than the password."""
    if not token:
        return None
    with reading(engine) as connection:
        return _visitor(connection, token, now, locked=False)


def actor(connection: Connection, token: str, now: datetime) -> str:
    """Return the name of whoever may act with a session, and keep it so until the transaction ends.

    Raises :class:`CommandError` for a session that is over or void, and for a role that only looks.
    """
    found = _visitor(connection, token, now, locked=True) if token else None
    if found is None:
        raise CommandError("nothing was changed: your session is over; sign in again")
    if not found.role.may_act:
        raise CommandError("nothing was changed: your role may look and not act")
    return found.name


def _visitor(connection: Connection, token: str, now: datetime, *, locked: bool) -> Visitor | None:
    begun, account = tables.LoginSession, tables.Account
    query = (
        select(account.name, account.role)
        .join(begun, col(begun.account) == account.name)
        .where(begun.token_hash == _fingerprint(token), begun.expires_us > us(now))
        .where(begun.epoch == account.epoch, col(account.disabled).is_(False))
    )
    if locked:  # whoever shuts the person out, or lowers the role, waits for this act or goes before it
        query = query.with_for_update(read=True)
    with session_on(connection) as session:
        row = session.exec(query).first()
    return Visitor(row[0], role_of(row[1])) if row else None


def log_out(engine: Engine, token: str) -> None:
    """End a session on this side; repeating it changes nothing."""
    with begin(engine) as connection, session_on(connection) as session:
        session.exec(delete(tables.LoginSession).where(col(tables.LoginSession.token_hash) == _fingerprint(token)))


def _audit(session: Session, now: datetime, who: str, action: str, subject: str, why: str = "") -> None:
    session.add(tables.Audit(at_us=us(now), who=who, action=action, subject=subject, why=why))


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

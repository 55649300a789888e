"""The console's hands: every button ends here, as one command with who and why. Nothing public imports this."""

from __future__ import annotations

from datetime import datetime
from threading import BoundedSemaphore

from sqlalchemy import Engine

from dashboard.console.brake import Brake
from monitor import clock, flow
from monitor.core.commands import Command
from monitor.flow import CommandError, accounts
from monitor.runtime.trouble import keep_from_lost
from monitor.store.connection.engine import AWAY, StoreError, open_engine
from monitor.store.connection.identity import StoreChangedError

HASHES_AT_ONCE = 2
"""Each takes 64 MB for as long as it lasts."""


class Console:
    """One console process: its database, and a brake on guessing passwords."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = open_engine(url, make=False)
        keep_from_lost(self.engine, url)
        self.brake = Brake()
        self._hashing = BoundedSemaphore(HASHES_AT_ONCE)

    def do(self, order: Command, token: str, why: str = "") -> tuple[bool, str]:
        """Carry out an order by whoever the session belongs to now, whatever the page was drawn for.

        Returns (changed, error); the error is for the person who gave it.
        """
        try:
            done = flow.command(self.engine, order, flow.Signed(token), clock.now(), why)
        except CommandError as error:
            return False, str(error)
        except StoreChangedError as error:
            return False, str(error)
        except (*AWAY, StoreError) as error:
            return False, f"the database did not take it ({type(error).__name__}): try again"
        return done.changed, ""

    def anybody(self) -> bool:
        """Return whether any account can sign in. Without one the console stays shut."""
        return any(not account.disabled for account in accounts.accounts(self.engine))

    def sign_in(self, name: str, password: str, now: datetime, source: str = "") -> tuple[str, float]:
        """Return a session's token, empty if refused, and for how many seconds no further try is taken."""
        name = name.strip()
        if wait_s := self.brake.take(name, source):
            return "", wait_s
        with self._hashing:
            kept = self.brake.to_be_written()
            token = accounts.log_in(self.engine, name, password, now, source, kept=kept)
        if token:
            self.brake.succeeded(name, source)
            return token, 0.0
        wait_s = self.brake.wait_s(name, source)
        if wait_s and kept:
            accounts.held_back(self.engine, name, now, source)
        return "", wait_s

    def who(self, token: str, now: datetime) -> accounts.Visitor | None:
        """Return whom a session belongs to; None once it is over or the password changed."""
        return accounts.visitor(self.engine, token, now)

    def sign_out(self, token: str) -> None:
        """End a session."""
        accounts.log_out(self.engine, token)

"""The console's hands: every button ends here, as one command with who and why. Nothing public imports this."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine

from monitor import clock, flow
from monitor.core.commands import Command
from monitor.flow import CommandError, accounts
from monitor.store.connection.engine import AWAY, StoreError, open_engine

SLOW_AFTER = 5
WAIT_S = 60.0


class Console:
    """One console process: its database, and a brake on guessing passwords."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = open_engine(url)
        self._wrong: list[float] = []

    def do(self, order: Command, who: str, why: str = "") -> tuple[bool, str]:
        """Carry out an order. Returns (changed, error); the error is for the person who gave it."""
        try:
            done = flow.command(self.engine, order, who, clock.now(), why)
        except CommandError as error:
            return False, str(error)
        except (*AWAY, StoreError) as error:
            return False, f"the database did not take it ({type(error).__name__}): try again"
        return done.changed, ""

    def anybody(self) -> bool:
        """Return whether any account can sign in. Without one the console stays shut."""
        return any(not account.disabled for account in accounts.accounts(self.engine))

    def wait_s(self) -> float:
        """Return how long nobody may try a password: after several wrong ones, for a minute."""
        now = clock.monotonic()
        self._wrong = [at for at in self._wrong if now - at < WAIT_S]
        return self._wrong[0] + WAIT_S - now if len(self._wrong) >= SLOW_AFTER else 0.0

    def sign_in(self, name: str, password: str, now: datetime) -> str:
        """Return a session's token; empty if refused or too soon."""
        if self.wait_s():
            return ""
        token = accounts.log_in(self.engine, name.strip(), password, now)
        if not token:
            self._wrong.append(clock.monotonic())
        return token

    def who(self, token: str, now: datetime) -> str:
        """Return who a session belongs to; empty once it is over or the password changed."""
        return accounts.who_is(self.engine, token, now)

    def sign_out(self, token: str) -> None:
        """End a session."""
        accounts.log_out(self.engine, token)

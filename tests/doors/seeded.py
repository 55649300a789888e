"""A real database with a past of an hour, written by the product's own verbs."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from monitor import flow
from monitor.core.catalogue import Probe
from monitor.core.model.observations import ChatTimes, Observation, Phases, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, MethodReading, Registration, Source
from monitor.flow import accounts
from monitor.store.connection.engine import open_engine
from monitor.store.upgrade import migrate
from tests.doors import sample

NAME, PASSWORD = "alice", "correct horse battery"
WORDS = "Only registration with a mainland China mobile phone number (+86) is currently supported."


def database(folder: Path, now: datetime, *, trouble: bool, account: bool = True) -> str:
    """Make a database of an hour and return its URL; with ``trouble`` DeepSeek's API fails and sign-up is cut."""
    url = f"sqlite:///{folder / 'chatwatch.db'}"
    engine = open_engine(url)
    migrate(engine)
    if account:
        accounts.set_password(engine, NAME, PASSWORD, now)
    catalogue = sample.catalogue()
    start = now.replace(second=0, microsecond=0) - timedelta(hours=1)
    flow.publish_catalogue(engine, catalogue, start)
    results = [
        look(probe, start + timedelta(minutes=minute), minute, trouble=trouble)
        for minute in range(61)
        for probe in catalogue.probes
    ]
    flow.record(engine, [result for result in results if result.started_at < now], now)
    flow.check_in(engine, "w1", "local", now)
    flow.roll_up(engine, now)
    engine.dispose()
    return url


def look(probe: Probe, tick: datetime, minute: int, *, trouble: bool) -> Result:
    """One look of one minute."""
    reason = Reason.OVERLOADED if trouble and probe.id == "deepseek-api" and minute >= 40 else Reason.OK
    chat = ChatTimes(ttft_s=0.9 + minute / 100) if probe.kind == "chat" and reason is Reason.OK else None
    registration: tuple[MethodReading, ...] = ()
    if probe.id == "deepseek-registration":
        cut = trouble and minute >= 45
        state = Registration.RESTRICTED if cut else Registration.OPEN
        codes = ("86",) if cut else ()
        registration = (MethodReading(Method.ANY, state, Source.OFFICIAL_TEXT, codes, excerpt=WORDS if cut else ""),)
    seen = Observation(reason, detail="", phases=Phases(wait_s=0.2), chat=chat, registration=registration)
    return Result(RunId(probe.id, "local", tick), tick, 0.4, seen)


def opened(url: str) -> Engine:
    """Open it again, for looking at what a page did."""
    return open_engine(url)

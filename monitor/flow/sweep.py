"""What follows from time alone, and workers' heartbeats: begin, evaluate, flush."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine

from monitor.core.evaluation import Evaluation
from monitor.core.state_store import WorkerReport
from monitor.flow.blanking import blank_stale
from monitor.flow.isolating import Unjudged, words
from monitor.flow.record import Recorded
from monitor.flow.telling import tell, timed
from monitor.logs import Event, Room
from monitor.store.catalogues import load_index
from monitor.store.connection.engine import begin, is_away, reading
from monitor.store.transaction.store import SqlStore

log = Room("flow")

SAY_EVERY = timedelta(hours=1)
MOST_SAID = 1_000
_SAID: dict[str, datetime] = {}
"""Log line → when it was last written."""


def sweep(engine: Engine, now: datetime) -> Recorded:
    """Judge everything as of now: stale → unknown, monitoring → resolved, review limits, repeats and escalations."""
    done = Recorded()
    try:
        with timed("sweep"), begin(engine) as connection:
            store = SqlStore(connection, now)
            store.load(store.index.services)
            evaluation = Evaluation(store)
            evaluation.on_time(now)
            store.flush()
            done.take(store, evaluation)
    except Exception as error:
        if is_away(error):
            raise
        if _is_news(words(error), now):
            log.exception(Event.JUDGEMENT_FAILED, "Sweep failed; judging each service by itself")
        return _sweep_apart(engine, now)
    tell(done.news)
    return done


def _sweep_apart(engine: Engine, now: datetime) -> Recorded:
    """Judge each service on its own, so that one that raises does not stop the others."""
    done = Recorded()
    with reading(engine) as connection:
        services = list(load_index(connection).services)
    for service in (*services, ""):
        try:
            with begin(engine) as connection:
                store = SqlStore(connection, now)
                evaluation = Evaluation(store)
                if service:
                    store.load([service])
                    evaluation.on_time_of(service, now)
                    evaluation.pipeline.settle(now)
                else:
                    evaluation.on_time_of_ourselves(now)
                store.flush()
                done.take(store, evaluation)
        except Exception as error:
            if is_away(error):
                raise
            done.unjudged[service] = Unjudged((), words(error))
            _blank(engine, service, now, words(error))
    tell(done.news)
    return done


def _blank(engine: Engine, service: str, now: datetime, why: str) -> None:
    """Make a service unknown that cannot be judged, once its evidence is old; should even that fail, go on."""
    if _is_news(f"{service}: {why}", now):
        text = "Sweep of %s failed: %s"
        log.error(Event.JUDGEMENT_FAILED, text, service or "alerts", why, service=service)
    try:
        gone = blank_stale(engine, service, now)
    except Exception as error:
        if is_away(error):
            raise
        if _is_news(f"{service} is left: {words(error)}", now):
            text = "%s cannot be set to unknown either"
            log.exception(Event.JUDGEMENT_FAILED, text, service, service=service)
    else:
        if gone:
            text = "Set to unknown, as nothing judges it: %s"
            log.error(Event.JUDGEMENT_FAILED, text, ", ".join(gone), service=service)


def _is_news(line: str, now: datetime) -> bool:
    """Say whether a line was not logged lately: a sweep comes every few seconds, and its fault may last for days."""
    said = _SAID.get(line)
    if said is not None and timedelta() <= now - said < SAY_EVERY:
        return False
    if len(_SAID) >= MOST_SAID:
        _SAID.clear()
    _SAID[line] = now
    return True


def check_in(
    engine: Engine,
    worker: str,
    location: str,
    now: datetime,
    *,
    blind: str = "",
    spooled: int = 0,
    loop_lag_s: float = 0.0,
    started_at: datetime | None = None,
    held: str = "",
) -> Recorded:
    """Record a worker's heartbeat; see :meth:`monitor.core.evaluation.Evaluation.on_worker`."""
    done = Recorded()
    with begin(engine) as connection:
        store = SqlStore(
            connection, now, lenient=True
        )  # a damaged row must not keep a worker from recording its heartbeat
        evaluation = Evaluation(store)
        evaluation.on_worker(WorkerReport(worker, location, blind, spooled, loop_lag_s, started_at, held), now)
        store.flush()
        done.take(store, evaluation)
    tell(done.news)
    return done

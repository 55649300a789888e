"""A catalogue that cannot be read stops nothing: the worker knows it from its configuration and writes it again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from monitor import clock, flow
from monitor.config.settled import Settled
from monitor.core.codec import dumps_result
from monitor.core.commands import Silence
from monitor.core.model.incident_events import Cause
from monitor.core.model.reasons import Reason
from monitor.recorder.durability.spool import Spool
from monitor.recorder.metrics import Seen, registry_for
from monitor.recorder.quarantine import Quarantine
from monitor.recorder.recorder import Recorder
from monitor.runtime.messages import Batch, ProberAlive
from monitor.store import catalogues, reads
from monitor.store.connection.engine import CatalogueDamagedError, begin, open_engine, reading
from tests.edges.flowing import CATALOGUE, MINUTE, T0, look, play, publish

DAMAGE = {
    "body": "UPDATE catalogue SET body = 'garbage'",
    "body and digest": "UPDATE catalogue SET body = 'garbage', digest = 'garbage'",
    "cut short": "UPDATE catalogue SET body = substr(body, 1, 300)",
    "emptied": "UPDATE catalogue SET body = '', digest = ''",
    "of another shape": """UPDATE catalogue SET body = '{"services": 7}'""",
}


def damage(engine: Engine, what: str) -> None:
    """Spoil the row, and let no process have read it before."""
    with begin(engine) as connection:
        assert connection.execute(text(DAMAGE[what])).rowcount == 1
    catalogues._PARSED.clear()


@pytest.mark.parametrize("what", DAMAGE)
def test_without_a_catalogue_nothing_is_judged_wrongly_and_published_again_all_goes_on(
    engine: Engine, what: str
) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 6), Reason.SERVER_ERROR)
    damage(engine, what)
    later = [look("ds-api", T0 + 6 * MINUTE, Reason.SERVER_ERROR)]
    now = T0 + 7 * MINUTE
    with pytest.raises(CatalogueDamagedError, match=r"cannot be read: a running worker writes it again"):
        flow.record(engine, later, now)
    with pytest.raises(CatalogueDamagedError):
        flow.sweep(engine, now)
    with pytest.raises(CatalogueDamagedError):
        flow.command(engine, Silence(now + MINUTE, service="deepseek"), "alice", now)
    flow.publish_catalogue(engine, CATALOGUE, now)
    assert flow.record(engine, later, now).stored == 1
    found = [item for item in reads.incidents(engine, public=False) if item.service == "deepseek"]
    assert [(item.cause, item.resolved_at) for item in found] == [(Cause.OUTAGE, None)]


@pytest.mark.parametrize("what", DAMAGE)
def test_a_catalogue_that_can_be_read_is_left_as_it_is(engine: Engine, what: str) -> None:
    publish(engine)
    other = replace(CATALOGUE, version="2")
    flow.mend_catalogue(engine, other, T0 + MINUTE)
    assert reads.catalogue(engine) == CATALOGUE
    damage(engine, what)
    flow.mend_catalogue(engine, other, T0 + 2 * MINUTE)
    assert reads.catalogue(engine) == other


def test_a_catalogue_that_is_gone_is_published_again(engine: Engine) -> None:
    publish(engine)
    with begin(engine) as connection:
        connection.execute(text("DELETE FROM catalogue"))
    flow.mend_catalogue(engine, CATALOGUE, T0 + MINUTE)
    assert reads.catalogue(engine) == CATALOGUE


@pytest.mark.parametrize("what", DAMAGE)
def test_the_recorder_writes_a_damaged_catalogue_again_at_once_and_stores_what_came(
    database_url: str, engine: Engine, tmp_path: Path, what: str
) -> None:
    start = clock.now() - timedelta(minutes=2)

    async def run() -> None:
        seen = Seen(clock.now)
        config = Settled(CATALOGUE)
        recorder = Recorder(
            config,
            open_engine(database_url),
            Spool(tmp_path / "spool"),
            Quarantine(tmp_path / "held"),
            seen,
            registry_for(seen)[1],
        )
        recorder.apply(config)
        try:
            await recorder.on_frame(ProberAlive(since=start))
            await recorder.open()
            damage(engine, what)
            looks = [look("oa-api", start + timedelta(seconds=1)), look("ds-api", start + timedelta(seconds=1))]
            await recorder.on_frame(Batch(1, lines=tuple(dumps_result(one) for one in looks)))
            assert (len(recorder.spool), dict(recorder.judging.quarantine.held)) == (0, {})
            damage(engine, what)
            await recorder.sweep()
            with begin(engine) as connection:
                connection.execute(text(DAMAGE[what]))
            await recorder.sign_of_life()
        finally:
            await recorder.close()

    asyncio.run(run())
    assert {result.run.probe for result in reads.results(engine)} >= {"oa-api", "ds-api"}
    with reading(engine) as connection:
        assert catalogues.is_sound(connection), "other programs would go on without it"

"""A clock that ran ahead and was set back: what was stored of the future must not swallow the looks of the present."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from monitor import flow
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.store import reads
from tests.edges.flowing import MINUTE, T0, look, play, publish


def health(engine: Engine, minute: float) -> Health:
    """Return the health of the API at that minute."""
    shot = reads.snapshot(engine, T0 + minute * MINUTE, public=False)
    return next(part.health for service in shot.services for part in service.components if part.id == "deepseek/api")


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(days=30)], ids=["two hours", "a month"])
def test_looks_count_again_at_once_after_a_clock_that_ran_ahead_was_set_back(engine: Engine, ahead: timedelta) -> None:
    publish(engine)
    play(engine, range(3), start=T0 + ahead)
    first = flow.record(engine, [look("ds-api", T0)], T0 + timedelta(seconds=1))
    assert first.rewound == {"ds-api"}
    assert (first.stored, first.duplicates) == (1, 0)
    again = flow.record(engine, [look("ds-api", T0)], T0 + timedelta(seconds=2))
    assert (again.stored, again.duplicates, again.rewound) == (0, 1, set())
    play(engine, range(1, 3))
    assert health(engine, 3) is Health.OPERATIONAL
    play(engine, range(3, 6), Reason.SERVER_ERROR)
    assert health(engine, 6) is Health.MAJOR
    (incident,) = reads.incidents(engine, public=False)
    assert incident.started_at == T0 + 3 * MINUTE


def test_an_outage_seen_by_a_clock_that_ran_ahead_is_ended_by_looks_of_the_present(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    play(engine, range(3, 6), Reason.SERVER_ERROR, start=T0 + timedelta(hours=2))
    assert len(reads.incidents(engine, public=False)) == 1
    play(engine, range(6, 20))
    assert health(engine, 20) is Health.OPERATIONAL


def test_a_clock_that_is_a_minute_apart_is_no_clock_set_back(engine: Engine) -> None:
    publish(engine)
    play(engine, range(3))
    late = flow.record(engine, [look("ds-api", T0)], T0 + MINUTE)
    assert (late.duplicates, late.rewound) == (1, set())

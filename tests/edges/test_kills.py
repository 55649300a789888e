"""Kill -9 at every named point once, on both databases; hundreds of rounds are ``python -m tests.bench kills``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.edges import killing
from tests.edges.databases import Server
from tests.edges.kill_loops import Delivering, Recording, copies, migrations
from tests.edges.killing import Point
from tests.edges.receiver import receiving

pytestmark = [pytest.mark.slow]
killing.prepare()
ON_BOTH = (
    "raw rows written",
    "judgement half written",
    "row of the outbox written",
    "before the commit",
    "committed, not acknowledged",
    "replay: half stored",
    "roll-up: before the commit",
    "prune: step committed",
    "leased, not committed",
    "sent, not settled",
    "settled, not committed",
    "notice settled",
)
"""Points where the databases may differ; all of them are for SQLite here and for both in the benchmark."""
OFTEN = {"judgement half written": 3, "replay: half stored": 2}
"""Where the first time is the dullest."""


def chosen(points: dict[str, Point], url: str) -> dict[str, Point]:
    return {name: point for name, point in points.items() if url.startswith("sqlite") or name in ON_BOTH}


@pytest.fixture
def fresh(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], str]:
    """Make addresses of empty databases of the same kind."""

    def make() -> str:
        if database_url.startswith("sqlite"):
            return f"sqlite:///{tmp_path / f'{len(list(tmp_path.iterdir()))}.db'}"
        server: Server = request.getfixturevalue("postgres_server")
        return server.create()

    return make


def test_nothing_acknowledged_is_lost_or_doubled_wherever_the_recorder_is_killed(
    database_url: str, tmp_path: Path
) -> None:
    points = chosen(killing.RECORDING | killing.SPOOLING | killing.KEEPING_HOUSE, database_url)
    with closing(Recording(database_url, tmp_path)) as under:
        for name, point in points.items():
            assert under.round(name, point, OFTEN.get(name, 1), many=24).killed, f"never came to: {name}"
        for after_s in (0.02, 0.1):
            under.round("at random", None, many=1_000, after_s=after_s)
        under.finish()


def test_every_notice_arrives_in_order_under_one_key_wherever_the_sender_is_killed(database_url: str) -> None:
    with receiving(3) as received, closing(Delivering(database_url, received)) as under:
        points = chosen(killing.SENDING, database_url)
        for name, point in points.items():
            under.round(name, point, many=12)
        assert set(points) == {name for name, kills in under.kills.items() if kills}
        under.finish()


def test_a_migration_that_is_killed_leaves_the_old_schema_or_the_new_one(fresh: Callable[[], str]) -> None:
    migrations(fresh, 1)


def test_a_backup_or_restore_that_is_killed_leaves_nothing_half(fresh: Callable[[], str], tmp_path: Path) -> None:
    copies(fresh, tmp_path, 1)

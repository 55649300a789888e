"""A compressed soak: a day for each run in CI; CHATWATCH_SOAK_HOURS=72 and CHATWATCH_SOAK_PROBES=240 for all of it."""

from __future__ import annotations

import os

import pytest

from monitor.store.connection.engine import CHECKPOINT_PAGES
from tests.bench.soak import HOUR, INTERVAL_S, KEPT, Soak, play

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

HOURS = int(os.environ.get("CHATWATCH_SOAK_HOURS", "24"))
PROBES = int(os.environ.get("CHATWATCH_SOAK_PROBES", "10"))
PAGE_MB = 4096 / 1e6


@pytest.fixture(scope="module")
def soak(tmp_path_factory: pytest.TempPathFactory) -> Soak:
    return play(tmp_path_factory.mktemp("soak"), PROBES, HOURS)


def test_objects_and_descriptors_stay_flat(soak: Soak) -> None:
    assert len(soak.samples) == HOURS - 1
    assert soak.grown("objects") < 2_000
    assert soak.grown("descriptors") == 0


def test_the_write_ahead_log_is_bounded(soak: Soak) -> None:
    assert max(sample.log_mb for sample in soak.samples) < 2 * CHECKPOINT_PAGES * PAGE_MB


def test_the_database_grows_by_what_is_kept_for_good_alone(soak: Soak) -> None:
    kept_hours = KEPT / HOUR
    # Pruning takes whole steps, and the newest hour is not pruned yet: a fifth more than the keeping time.
    assert soak.rows["result"] < 1.2 * PROBES * (kept_hours + 1) * 3600 / INTERVAL_S
    assert soak.rows["rollup_hour"] <= PROBES * (HOURS + 1)
    # Hours, days, incidents and alerts stay: less than 400 bytes an hour and probe, and half a megabyte besides.
    assert soak.grown("file_mb") < 0.5 + PROBES * HOURS / 2 * 400 / 1e6


def test_no_incident_without_evidence_and_none_is_missed(soak: Soak) -> None:
    assert soak.incidents == soak.outages
    assert soak.unresolved == 0


def test_the_grid_does_not_drift(soak: Soak) -> None:
    assert soak.drift_s < INTERVAL_S

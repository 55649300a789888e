"""Senseless looks at length: a million through the rules in memory, and as many through the recorder into SQLite."""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path
from random import Random

from monitor.store.upgrade import migrate
from tests.judgement import nasty
from tests.judgement.database import fast

SEQUENCE = 50_000
"""Looks of one catalogue, before another one is drawn."""


def main(quick: bool) -> None:
    """Print how many looks were borne; raises on the first exception and on the first service that was left out."""
    logging.getLogger("chatwatch").setLevel(logging.ERROR)
    looks = 20_000 if quick else 1_000_000
    sequences = [min(SEQUENCE, looks - start) for start in range(0, looks, SEQUENCE)]
    began, incidents, alerts = time.perf_counter(), 0, 0
    for seed, count in enumerate(sequences):
        store = nasty.judge_in_memory(Random(seed), count)
        incidents, alerts = incidents + len(store.incidents), alerts + len(store.alerts)
    took_s = time.perf_counter() - began
    print(f"memory:   {looks:,} looks, {incidents:,} incidents, {alerts:,} alerts, no exception, in {took_s:,.0f} s")
    began, stored, left_out = time.perf_counter(), 0, 0
    for seed, count in enumerate(sequences):
        with tempfile.TemporaryDirectory(prefix="chatwatch-") as folder:
            engine = fast(f"sqlite:///{Path(folder) / 'chatwatch.db'}")
            migrate(engine)
            done = nasty.record(engine, Random(1_000_000 + seed), count)
            engine.dispose()
        stored += done.stored
        left_out += sum(len(one.results) for one in done.unjudged.values())
        assert not left_out, done.unjudged
    took_s = time.perf_counter() - began
    print(f"recorder: {looks:,} looks, {stored:,} stored, {left_out} left out, no exception, in {took_s:,.0f} s")

"""Rows 25 to 32: the schedule, the clock, and ourselves at work."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

from monitor import clock
from monitor.core.model.reasons import Outcome
from tests.faults.rows import NOTHING, Live, Proof, Row, Told
from tests.faults.stage import stage, tally

STEPS, PROBER, FLOW = (f"edges/test_{part}.py::test_" for part in ("clock_steps", "prober", "flow"))
LEASES = "edges/test_store_leases.py::test_"
STOOD_S = 6.0


async def standing_still(home: Path, quick: bool) -> AsyncIterator[Told]:
    """Stop the prober for some seconds, and then the recorder."""
    for victim in ("prober", "recorder")[: 1 if quick else 2]:
        (own := home / victim).mkdir()
        async with stage(own) as on:
            pid, since = on.running.children()[victim], clock.now()
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(STOOD_S)
            os.kill(pid, signal.SIGCONT)
            woke = clock.now()
            good = await on.look("sim-page", woke, lambda result: result.outcome is Outcome.OK)
            await on.look("sim-page", clock.now())
            lost = tally(on.results(), on.config, since, woke)
            after_s = (good.started_at - woke).total_seconds() + good.duration_s
            yield Told(
                f"{victim} stopped for {STOOD_S:.0f} s",
                None,
                str(lost),
                f"by itself, first good look {after_s:.1f} s after it woke",
                "when it wakes" if victim == "prober" else "not at all: the prober goes on",
                kept=not lost.without,
            )


ROWS = (
    Row(
        25,
        "The wall clock is set",
        (
            Proof(
                "by two hours, ahead and back, in mid-outage and out of it",
                "within a second",
                "ticks that the step passed over, recorded as missed",
                "the schedule is rebuilt; no burst, no run twice, no negative duration",
                (
                    f"{STEPS}a_clock_that_is_set_makes_no_burst_no_silence_and_no_run_twice",
                    f"{STEPS}a_set_clock_hides_no_outage_and_makes_none",
                ),
            ),
            Proof(
                "summer time begins and ends",
                "never: the grid is in UTC",
                NOTHING,
                "nothing to recover from",
                (
                    f"{STEPS}summer_time_is_no_event_for_the_grid",
                    f"{STEPS}summer_time_is_no_event_for_what_is_stored",
                ),
            ),
        ),
    ),
    Row(
        26,
        "Suspended and woken",
        (
            Live(standing_still),
            Proof(
                "asleep for ten minutes",
                "when it wakes",
                "the ticks of the sleep, recorded as missed",
                "looks once and goes on along the grid; unknown time, no outage",
                (
                    f"{STEPS}a_worker_that_was_asleep_records_the_gap_and_looks_once",
                    f"{STEPS}ten_minutes_asleep_are_unknown_time_and_no_outage",
                ),
            ),
            Proof(
                "the owner of a lease sleeps",
                "when the lease runs out",
                NOTHING,
                "another worker takes over; the sleeper is fenced when it wakes",
                (f"{LEASES}a_dead_workers_probes_are_taken_over_and_it_is_fenced_when_it_wakes",),
            ),
        ),
    ),
    Row(
        27,
        "A look that outlasts its interval",
        (
            Proof(
                "the next tick comes while it looks",
                "at that tick",
                "that tick, recorded as overrun",
                "at the tick after",
                (f"{PROBER}an_overrun_is_recorded_after_the_look_that_caused_it",),
            ),
        ),
    ),
    Row(
        28,
        "A machine without time for us",
        (
            Proof(
                "the loop is held up",
                "at the next turn of the loop",
                "ticks passed over, recorded as late; an alert above 5 %",
                "without a burst",
                (
                    f"{PROBER}a_blocked_loop_leaves_missed_ticks_and_no_burst",
                    "doors/test_cli_export.py::test_each_rule_fires_on_its_trouble_and_on_nothing_else",
                ),
            ),
        ),
    ),
    Row(
        29,
        "Two schedulers by mistake",
        (
            Proof(
                "several workers on one PostgreSQL",
                "at the first lease",
                NOTHING,
                "each probe has one owner",
                (f"{LEASES}no_probe_is_ever_held_twice_while_workers_race",),
            ),
            Proof(
                "a second worker on one SQLite file",
                "at its start",
                NOTHING,
                "the second ends with one line",
                ("edges/test_spool.py::test_two_workers_cannot_share_a_spool",),
            ),
        ),
    ),
    Row(
        30,
        "The configuration changes during a look",
        (
            Proof(
                "a probe is removed in mid-incident",
                "at the reload",
                "nothing: what was seen is kept",
                "its series end; the incident closes as removed, not as recovered",
                (
                    f"{FLOW}a_removed_probe_closes_its_incident_as_removed_not_as_recovered",
                    "edges/test_metrics.py::test_a_removed_probe_has_no_series",
                ),
            ),
            Proof(
                "a file with a fault is loaded",
                "at the reload, with its line",
                NOTHING,
                "the old one stays in force",
                ("doors/test_worker.py::test_reload_takes_a_sound_configuration_and_keeps_the_old_for_a_faulty_one",),
            ),
        ),
    ),
    Row(
        31,
        "A threshold changes in mid-incident",
        (
            Proof(
                "interval or policy changed",
                "at the next look",
                NOTHING,
                "the state is kept",
                (
                    f"{FLOW}a_changed_threshold_keeps_the_state_of_an_open_incident",
                    "edges/test_flow_catalogue.py::test_a_policy_that_changes_during_an_incident_holds_from_the_next_look_on",
                ),
            ),
        ),
    ),
    Row(
        32,
        "A bug of ours",
        (
            Proof(
                "in a kind of probe",
                "in the same look",
                "that look, as unknown: it does not count against the service",
                "at the next look",
                ("edges/test_probe_base.py::test_a_bug_of_ours_is_unknown_and_tells_type_and_place_but_not_its_text",),
            ),
            Proof(
                "in a rule or in what is stored",
                "in the same batch",
                "nothing: results of that service are held in quarantine",
                "judged again when it is mended; everybody else goes on",
                ("edges/test_quarantine.py::test_a_held_service_heals_into_what_an_undisturbed_run_gives",),
            ),
        ),
    ),
)

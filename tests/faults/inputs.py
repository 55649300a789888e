"""Rows 58 to 72: what strangers and operators hand us, the pages, secrets, and the long run."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tests.doors.running import ROOT
from tests.faults.rows import NOTHING, Live, Proof, Row, Told
from tests.faults.telling import proof

UPSTREAM, METRICS, CONFIG = (f"edges/test_{part}.py::test_" for part in ("probe_upstream", "metrics", "config"))
BOUNDARY, WEB, SECRETS = (f"doors/test_{part}.py::test_" for part in ("boundary", "web", "secrets"))
SOAK, EXPORT, HEARTBEAT = (
    "edges/test_soak.py::test_",
    "doors/test_cli_export.py::test_",
    "edges/test_heartbeat_door.py::test_",
)
PLACES: tuple[dict[str, str], ...] = (
    {"LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "0"},
    {"LC_ALL": "C", "TZ": "Pacific/Chatham", "PYTHONHASHSEED": "4711"},
    {"LC_ALL": "C.UTF-8", "TZ": "America/St_Johns", "PYTHONHASHSEED": "1", "HOME": "/proc"},
)


async def replayed(environ: dict[str, str]) -> bytes:
    """Return what the replay of a shipped scenario prints under an environment."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "monitor", "replay", "tests/scenarios/january-2025.yaml"),
        env={**os.environ, **environ},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return out + str(process.returncode).encode()


async def elsewhere(home: Path, quick: bool) -> AsyncIterator[Told]:
    """Replay a scenario under several locales, time zones, hash seeds and a home that cannot be written."""
    found = [await replayed(place) for place in PLACES]
    same = len(set(found)) == 1 and found[0].endswith(b"0")
    told = "the same output, byte for byte" if same else "the outputs differ"
    yield Told(f"{len(PLACES)} environments", None, NOTHING, told, "never", kept=same)


ROWS = (
    Row(
        58,
        "A vendor's status page that makes no sense",
        (
            proof(
                "wrong types, unknown words, ids again, times of the future, HTML with 200",
                "in the same look",
                "the last good reading is kept with its age; never green",
                f"{UPSTREAM}no_single_wrong_value_in_a_real_page_breaks_a_reader",
                f"{UPSTREAM}a_page_that_cannot_be_read_is_unknown_never_green",
                f"{UPSTREAM}times_in_the_future_are_not_believed",
                f"{UPSTREAM}an_unknown_status_word_is_unknown_and_noted",
            ),
        ),
    ),
    Row(
        59,
        "A vendor's words that are code",
        (
            proof(
                "script, images, bidi, NUL, ANSI, templates",
                "never: shown as text",
                "inert on pages, feeds, tables, messages and metrics",
                "doors/test_hostile_vendor.py",
                "edges/test_delivery.py::test_slack_reads_nothing_from_outside_as_markup",
            ),
        ),
    ),
    Row(
        60,
        "A vendor's page that stands still",
        (
            proof(
                "unchanged for days while looks fail",
                "when its newest word is too old",
                "unknown, and shown as no agreement",
                f"{UPSTREAM}a_page_that_is_quiet_for_weeks_is_read_and_one_that_was_left_behind_is_unknown",
                f"{WEB}a_vendor_agrees_only_where_it_says_the_same",
            ),
        ),
    ),
    Row(
        61,
        "A configuration that is wrong",
        (
            proof(
                "bombs, duplicates, tabs, units, sizes, encodings",
                "at once, with file and line",
                "refused; what runs keeps running",
                f"{CONFIG}yaml_bombs_are_refused_at_once",
                f"{CONFIG}every_fault_is_told_in_one_run_with_its_line",
                f"{CONFIG}ten_thousand_probes_are_read_and_a_hundred_thousand_refused",
                "doors/test_bad_input.py",
            ),
        ),
    ),
    Row(
        62,
        "A secret that is missing or torn",
        (
            proof(
                "empty, with a line end, not set",
                "at the start, by the variable's name",
                "that probe alone is switched off",
                f"{CONFIG}an_empty_or_torn_secret_counts_as_missing_and_is_told_by_name_only",
                f"{CONFIG}a_missing_secret_switches_off_that_probe_alone_and_is_named",
            ),
        ),
    ),
    Row(
        63,
        "A hunt for our secrets",
        (
            proof(
                "canaries in logs, metrics, pages, exports, database, spool",
                "never found",
                "0 hits",
                "doors/test_secrets.py",
            ),
        ),
    ),
    Row(
        64,
        "Odd requests to public doors",
        (
            proof(
                "paths, methods, numbers, private objects",
                "at once, with 4xx",
                "nothing private is told",
                f"{BOUNDARY}nothing_private_is_in_any_public_answer_or_in_what_is_kept_of_them",
                f"{BOUNDARY}odd_addresses_are_not_found_and_give_nothing_away",
                f"{BOUNDARY}no_method_but_reading_does_anything",
            ),
        ),
    ),
    Row(
        65,
        "Reports to our doors that are forged",
        (
            proof(
                "wrong token, senseless and huge reports, guessing",
                "at once",
                "refused; nobody else is shut out",
                f"{HEARTBEAT}without_the_right_token_nothing_is_taken_nor_told",
                f"{HEARTBEAT}a_report_that_makes_no_sense_is_refused",
                f"{HEARTBEAT}reports_and_guesses_are_limited_and_guessing_shuts_nobody_out",
            ),
        ),
    ),
    Row(
        66,
        "A crowd during an outage",
        (
            proof(
                "the database gone under the page; visitors in floods",
                "at the next drawing",
                "the last good page with its age, also after a restart",
                f"{WEB}the_last_good_page_survives_a_restart_with_the_database_gone",
                f"{WEB}data_past_its_limit_is_shown_as_unknown",
                f"{BOUNDARY}a_flood_of_headers_costs_the_sender_the_connection",
            ),
        ),
    ),
    Row(
        67,
        "Exports in strict readers",
        (
            proof(
                "formulas in tables, feeds, calendars",
                "never",
                "clean",
                f"{EXPORT}a_cell_that_begins_like_a_formula_is_made_inert",
                f"{WEB}feeds_are_well_formed",
                f"{WEB}hostile_text_is_inert_in_badges_feeds_and_the_calendar",
            ),
        ),
    ),
    Row(
        68,
        "Scrapes at a bad moment",
        (
            proof(
                "while probes change, in storms, without a database",
                "in the scrape itself",
                "always a valid answer, which says that it lacks something",
                f"{METRICS}changes_during_scrapes_never_break_one",
                f"{METRICS}a_collector_that_fails_leaves_a_scrape_that_says_so",
                f"{METRICS}without_the_database_the_probes_are_still_shown_and_the_collector_says_so",
            ),
        ),
    ),
    Row(
        69,
        "Names that break formats",
        (
            proof(
                "quotes, line ends, emoji, 10 kB",
                "at the start, or never",
                "refused or made safe, unique and stable",
                f"{METRICS}no_text_of_a_vendor_is_ever_in_a_label",
                f"{METRICS}the_text_is_sound_openmetrics",
                f"{WEB}odd_ids_become_safe_ones",
            ),
        ),
    ),
    Row(
        70,
        "SIGTERM in the middle of everything",
        (
            Proof(
                "while looks hang",
                "at once",
                "looks under way, recorded as not made",
                "all processes end by themselves within seconds",
                ("doors/test_worker.py::test_sigterm_ends_everything_by_itself_in_the_middle_of_looks",),
            ),
        ),
    ),
    Row(71, "Odd machines", (Live(elsewhere),)),
    Row(
        72,
        "72 hours",
        (
            proof(
                "a soak, compressed",
                "never",
                "memory, descriptors and log stay flat; `python -m tests.bench soak` measures",
                f"{SOAK}objects_and_descriptors_stay_flat",
                f"{SOAK}the_write_ahead_log_is_bounded",
                f"{SOAK}the_grid_does_not_drift",
            ),
        ),
    ),
)

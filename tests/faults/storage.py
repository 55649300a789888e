"""Rows 33 to 42: the database, the disk, and the processes that write there."""

from __future__ import annotations

from tests.faults.plugs import (
    killed,
    locked,
    lying,
    postgres_away,
    reading_long,
)
from tests.faults.rows import NOTHING, Live, Proof, Row

KILLS, STORE, LOST = (f"edges/test_{part}.py::test_" for part in ("kills", "store", "store_lost"))
MIGRATIONS, BACKUP, POSTGRES = (
    f"edges/test_{part}.py::test_" for part in ("migrations", "store_backup", "recorder_postgres")
)

ROWS = (
    Row(
        33,
        "kill -9 at any moment",
        (
            Live(killed),
            Proof(
                "at named points and at random",
                "when the process starts again",
                NOTHING,
                "equal to the undisturbed story; `python -m tests.bench kills` plays a thousand",
                (f"{KILLS}nothing_acknowledged_is_lost_or_doubled_wherever_the_recorder_is_killed",),
            ),
        ),
    ),
    Row(
        34,
        "Files that are torn, cut or swapped",
        (
            Live(lying),
            Proof(
                "a log cut anywhere; a torn or damaged record; an empty file",
                "at the start, counted",
                "the record that was torn, counted",
                "opens; what is before and behind is kept",
                (
                    f"{STORE}a_copy_of_the_file_with_its_log_cut_anywhere_opens_and_holds_a_prefix",
                    "edges/test_spool.py::test_a_torn_end_costs_one_record_wherever_it_is_cut",
                    "edges/test_spool.py::test_a_damaged_byte_anywhere_costs_one_record_and_no_other",
                ),
            ),
        ),
    ),
    Row(
        35,
        "A full disk",
        (
            Proof(
                "under the database, then under the spool",
                "at the next batch, in log, metric and page",
                NOTHING,
                "by itself once there is room",
                ("doors/test_disk.py::test_full_disks_are_said_loudly_and_cost_nothing",),
            ),
        ),
    ),
    Row(
        36,
        "Nothing may be written",
        (
            Proof(
                "a file system or a folder that is read-only",
                "at the start",
                NOTHING,
                "one plain line",
                ("edges/test_full_disk.py::test_a_read_only_place_is_said_plainly",),
            ),
            Proof(
                "a PostgreSQL that became read-only",
                "at the next batch",
                NOTHING,
                "by itself; results wait on disk",
                (f"{POSTGRES}a_database_that_became_read_only_is_away_until_it_can_be_written",),
            ),
        ),
    ),
    Row(37, "The database is locked", (Live(locked),)),
    Row(
        38,
        "PostgreSQL away, restarted, failed over",
        (
            Live(postgres_away),
            Proof(
                "sessions ended, restarted in mid-transaction, hanging, out of connections",
                "at the next batch",
                NOTHING,
                "by itself; what waited is stored once, in order",
                (
                    f"{POSTGRES}ended_sessions_and_restarts_in_mid_transaction_cost_nothing",
                    f"{POSTGRES}a_server_that_hangs_is_given_up_and_what_it_did_meanwhile_counts_once",
                    f"{POSTGRES}a_server_without_a_free_connection_is_away_and_comes_back",
                ),
            ),
            Proof(
                "the primary killed, a standby without its newest moments promoted",
                "at the next batch",
                NOTHING,
                "what the standby lacks is stored again",
                (
                    "doors/test_failover.py::test_no_tick_is_lost_or_doubled_when_the_primary_is_killed_and_the_standby_lacks_its_newest_moments",
                ),
            ),
        ),
    ),
    Row(39, "A reader that never ends", (Live(reading_long),)),
    Row(
        40,
        "Another version's schema",
        (
            Proof(
                "newer than the program",
                "at the start",
                NOTHING,
                "refused, with what to do",
                (f"{STORE}a_newer_schema_is_refused_with_an_instruction",),
            ),
            Proof(
                "a migration that breaks off or is killed",
                "at the next start",
                NOTHING,
                "everything as before, or everything done",
                (
                    f"{MIGRATIONS}a_migration_that_breaks_off_anywhere_leaves_everything_as_it_was",
                    f"{MIGRATIONS}a_migration_that_is_killed_is_made_again",
                ),
            ),
        ),
    ),
    Row(
        41,
        "Ten million results grow old",
        (
            Proof(
                "pruned beside an incident and beside scrapes",
                "not at all: in short steps",
                "what is past its keeping time",
                "pages and incidents keep what they need; `python -m tests.bench retention` measures",
                (
                    "edges/test_pruning.py::test_between_two_steps_everybody_may_write",
                    "edges/test_flow.py::test_ageing_out_keeps_what_pages_and_incidents_need",
                ),
            ),
        ),
    ),
    Row(
        42,
        "Restored to an older day",
        (
            Proof(
                "a backup put back over a newer database",
                "at the restore, which asks first",
                "what came after the backup and no longer waits on disk",
                "no page is sent again; the file before is kept beside it",
                (
                    f"{BACKUP}what_was_due_when_the_backup_was_made_is_not_sent_again",
                    f"{BACKUP}what_a_database_holds_is_named_and_only_replaced_on_purpose_and_then_kept",
                ),
            ),
        ),
    ),
)

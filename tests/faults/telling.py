"""Rows 43 to 57: alerts, the people and programs that are told, and what comes in from outside."""

from __future__ import annotations

from tests.faults.rows import NOTHING, Proof, Row

FLOW, STORM, DELIVERY = (f"edges/test_{part}.py::test_" for part in ("flow", "flow_storm", "delivery"))
ALERTS = "core/test_alerts.py::test_"
KILLED = "edges/test_kills.py::test_every_notice_arrives_in_order_under_one_key_wherever_the_sender_is_killed"
OUTBOX = "edges/test_outbox.py::TestOutbox"


def proof(fault: str, noticed: str, recovered: str, *tests: str, lost: str = NOTHING) -> Proof:
    """Return a proof; most of them lose nothing."""
    return Proof(fault, noticed, lost, recovered, tests)


ROWS = (
    Row(
        43,
        "A receiver that fails for an hour",
        (
            proof(
                "500, then 200",
                "at the first try",
                "tried again with growing pauses; one delivery, in order",
                f"{FLOW}a_notice_is_leased_once_retried_and_settled_under_one_key",
                OUTBOX,
            ),
        ),
    ),
    Row(
        44,
        "A receiver that dies before it answers",
        (proof("cut before and in the answer", "at that try", "sent again under the same key", KILLED),),
    ),
    Row(
        45,
        "A receiver that refuses for good",
        (
            proof(
                "400, 401, 404, 410",
                "at the first try",
                "given up and shown; the operator is told by another channel",
                f"{DELIVERY}answers_are_told_apart_into_sent_again_and_never",
                f"{FLOW}a_dead_notice_alerts_the_operator_and_a_sent_one_ends_that",
                lost="that notice, in that channel",
            ),
        ),
    ),
    Row(
        46,
        "429 of a receiver",
        (
            proof(
                "with Retry-After",
                "at that try",
                "waited for, capped",
                f"{DELIVERY}retry_after_is_read_in_both_forms_and_capped",
            ),
        ),
    ),
    Row(
        47,
        "A receiver that drips",
        (
            proof(
                "an answer that never ends",
                "at the deadline of the try",
                "other channels are sent meanwhile",
                f"{DELIVERY}a_dead_receiver_is_tried_again",
                OUTBOX,
            ),
        ),
    ),
    Row(
        48,
        "kill -9 around a delivery",
        (
            proof(
                "after the commit, after the send, during the claim",
                "when the next sender starts",
                "sent, or sent again under the same key; `python -m tests.bench kills` plays hundreds",
                KILLED,
                f"{FLOW}a_sender_that_dies_gives_the_notice_back",
            ),
        ),
    ),
    Row(
        49,
        "Down, up, down within a retry",
        (
            proof(
                "before the first notice went out",
                "at the next try",
                "no end overtakes its start; one message tells both",
                f"{FLOW}an_end_never_overtakes_its_start",
                f"{FLOW}an_end_before_the_first_try_makes_one_message_of_both",
            ),
        ),
    ),
    Row(
        50,
        "Flapping",
        (
            proof(
                "at every period from 1 to 20 looks",
                "at six changes in twenty looks",
                "one incident, few notices",
                "core/test_incidents.py::test_flapping_at_any_period_is_one_incident_and_few_notices",
            ),
        ),
    ),
    Row(
        51,
        "Hundreds fail together",
        (
            proof(
                "300 components at once",
                "at the sixth within a route",
                "told in a digest; who still fails after a parent recovered is told",
                f"{STORM}three_hundred_components_fail_together_and_come_back",
                f"{ALERTS}parents_are_followed_upwards_and_a_cycle_only_once",
            ),
        ),
    ),
    Row(
        52,
        "Silences and planned work at odd times",
        (
            proof(
                "in mid-incident, overlapping, over summer time, of everything",
                "at once",
                "held back with its reason, audited; one of everything must be confirmed",
                f"{FLOW}a_silence_holds_notices_back_and_says_so",
                f"{FLOW}a_silence_of_everything_must_be_meant",
                f"{FLOW}maintenance_lies_over_the_health_and_holds_back_incidents",
                "core/test_maintenance.py::test_a_recurring_window_keeps_its_wall_clock_time_over_daylight_saving",
            ),
        ),
    ),
    Row(
        53,
        "Two people at once",
        (
            proof(
                "both acknowledge, both end a silence",
                "in the transaction of the second",
                "one winner, one line in the audit",
                f"{FLOW}acknowledging_twice_has_one_winner_and_one_audit_row",
                "edges/test_session.py::test_of_two_people_who_end_a_silence_at_once_one_ended_it",
            ),
        ),
    ),
    Row(
        54,
        "No channel works",
        (
            proof(
                "every notice is given up",
                "at the last try",
                "banner and metric; Prometheus fires by itself",
                f"{FLOW}a_dead_notice_alerts_the_operator_and_a_sent_one_ends_that",
                "doors/test_cli_export.py::test_each_rule_fires_on_its_trouble_and_on_nothing_else",
                lost="the notices, which the console still shows",
            ),
        ),
    ),
    Row(
        55,
        "The recorder hangs while the prober looks",
        (
            proof(
                "it answers nothing for a minute",
                "after 60 s",
                "the pair starts again; an external rule fires before that",
                "edges/test_prober.py::test_a_recorder_that_does_not_answer_costs_the_oldest_and_they_are_counted",
                "doors/test_cli_export.py::test_each_rule_fires_on_its_trouble_and_on_nothing_else",
                lost="nothing up to 20,000 looks, then the oldest, counted",
            ),
        ),
    ),
    Row(
        56,
        "A probe without data",
        (
            proof(
                "it never ran, or no more",
                "after its turn, as overdue",
                "unknown, never up, until it looks",
                f"{ALERTS}silence_is_overdue_and_ignorance_is_not",
                f"{FLOW}a_dead_worker_leaves_unknown_time_not_the_last_green",
            ),
        ),
    ),
    Row(
        57,
        "A storm at our own intake",
        (
            proof(
                "wrong types, huge labels, ends before starts, ten thousand alerts",
                "at once, with 4xx",
                "bounded; one line in the log",
                "doors/test_alert_intake.py::test_what_is_no_message_of_alertmanager_is_refused_in_one_line",
                "doors/test_alert_intake.py::test_distinct_alerts_from_outside_are_bounded",
                lost="alerts beyond the bound, counted",
            ),
        ),
    ),
)

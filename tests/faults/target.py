"""Rows 1 to 24: the watched service, the network to it, and our own."""

from __future__ import annotations

from monitor.core.model.reasons import Reason
from tests.faults.rows import NOTHING, Proof, Row
from tests.faults.strikes import Strike, strike, striking

HOSTILE, PAGES = "edges/test_wire_hostile.py::test_", "edges/test_probe_net.py::test_"
TLS, REDIRECTS, GUARD = (f"edges/test_wire_{part}.py::test_" for part in ("tls", "redirects", "guard"))
NEXT_LOOK = "at the next look"

ROWS = (
    Row(1, "Connection refused", (striking(Strike("port closed", (Reason.CONNECT,))),)),
    Row(
        2,
        "SYN black hole",
        (
            Proof(
                "packets to the port vanish",
                "at the connect limit",
                NOTHING,
                f"{NEXT_LOOK}; other probes on time meanwhile",
                (f"{HOSTILE}a_black_hole_costs_the_connect_limit_and_delays_nobody_else",),
            ),
        ),
    ),
    Row(
        3,
        "A name that cannot be resolved",
        (
            Proof(
                "no such name, server failure, no answer",
                "in the same look, each as its own sub-class",
                NOTHING,
                NEXT_LOOK,
                (f"{HOSTILE}the_ways_a_name_can_fail_are_told_apart",),
            ),
            Proof(
                "the resolver hangs",
                "at the limit of the look",
                NOTHING,
                "its threads are bounded; other names still resolve, and a lack of threads counts as ours",
                (
                    f"{HOSTILE}a_hung_resolver_costs_the_limit_and_other_names_still_resolve",
                    f"{HOSTILE}a_resolver_whose_threads_are_all_taken_is_our_trouble_and_not_the_services",
                ),
            ),
        ),
    ),
    Row(
        4,
        "A certificate that is no good",
        (
            Proof(
                "expired, of tomorrow, self-signed, of another host",
                "in the same look, with its reason",
                NOTHING,
                f"{NEXT_LOOK}; the expiry is told all the while",
                (
                    f"{TLS}an_expired_certificate_is_named_and_its_expiry_still_told",
                    f"{TLS}a_certificate_of_tomorrow_is_not_valid_yet",
                    f"{TLS}a_self_signed_certificate_is_untrusted",
                    f"{TLS}a_certificate_of_another_host_is_a_name_failure",
                ),
            ),
        ),
    ),
    Row(
        5,
        "TLS that stalls or is too old",
        (
            Proof(
                "handshake stalls; TLS 1.0 alone",
                "at the TLS limit; in the same look",
                NOTHING,
                NEXT_LOOK,
                (
                    f"{HOSTILE}a_handshake_that_stalls_is_cut_and_gives_its_place_back",
                    f"{TLS}a_server_of_tls_1_0_alone_is_a_tls_failure_that_names_the_version",
                ),
            ),
        ),
    ),
    Row(
        6,
        "Reset at any moment of an answer",
        (
            striking(
                strike("reset before the headers", "reset", Reason.PROTOCOL),
                strike("reset in the middle of the body", "reset_midway", Reason.PROTOCOL),
                strike("closed without a word", "close", Reason.PROTOCOL),
            ),
        ),
    ),
    Row(
        7,
        "An answer that breaks HTTP",
        (
            striking(
                strike("3 bytes of a promised 100", "short_body", Reason.PROTOCOL),
                strike("two lengths", "two_lengths", Reason.PROTOCOL),
                strike("a status line that is none", "garbage", Reason.PROTOCOL),
            ),
        ),
    ),
    Row(8, "A slow drip", (striking(strike("a byte a second", "drip", Reason.TIMEOUT_HEADERS, Reason.TIMEOUT_TOTAL)),)),
    Row(
        9,
        "An endless stream",
        (
            striking(strike("a chunked body without end", "endless", Reason.TOO_LARGE, Reason.TIMEOUT_TOTAL)),
            Proof(
                "how much of it is taken",
                "at the longest body",
                NOTHING,
                "cut; memory bounded",
                (f"{HOSTILE}an_endless_stream_is_taken_no_further_than_the_longest_body",),
            ),
        ),
    ),
    Row(
        10,
        "A compressed bomb",
        (
            striking(
                strike("8 MB of zeros in a small body", "gzip_bomb", Reason.TOO_LARGE),
                strike("a body that is no gzip", "bad_gzip", Reason.PROTOCOL, Reason.MALFORMED),
            ),
        ),
    ),
    Row(
        11,
        "Headers without measure",
        (
            striking(
                strike("one header of 8 MB", "huge_header", Reason.PROTOCOL, Reason.TOO_LARGE),
                strike("thousands of headers", "many_headers", Reason.PROTOCOL, Reason.TOO_LARGE),
            ),
        ),
    ),
    Row(
        12,
        "Interim answers without an answer",
        (
            striking(
                strike(
                    "Early Hints again and again", "interim", Reason.TIMEOUT_HEADERS, Reason.TIMEOUT_TOTAL, seconds=0.05
                )
            ),
        ),
    ),
    Row(
        13,
        "Redirects where nobody may go",
        (
            striking(
                strike("to a metadata service", "redirect", Reason.REDIRECT, Reason.ADDRESS, Reason.CHANGED),
                strike("to itself, for ever", "redirect_loop", Reason.REDIRECT),
            ),
            Proof(
                "to another host, to a private address, down to http",
                "in the same look",
                "no key: the second host sees none",
                NEXT_LOOK,
                (
                    f"{REDIRECTS}the_second_host_never_sees_the_canary_key",
                    f"{REDIRECTS}a_redirect_to_where_nobody_may_go_is_refused",
                    f"{REDIRECTS}https_never_redirects_down_to_http",
                ),
            ),
        ),
    ),
    Row(
        14,
        "A name that leads inside",
        (
            Proof(
                "rebinding, mapped and translated addresses, odd spellings",
                "before anything is sent",
                NOTHING,
                "refused at each look as our configuration",
                (
                    f"{GUARD}an_answer_that_changes_between_check_and_connect_changes_nothing",
                    f"{GUARD}no_spelling_of_loopback_gets_through",
                    f"{GUARD}an_address_that_is_not_public_is_refused",
                ),
            ),
        ),
    ),
    Row(
        15,
        "200 with something else in it",
        (
            striking(
                strike("an error object", "error_body", Reason.SERVER_ERROR, Reason.MALFORMED, probe="chat"),
                strike("a web page where data is due", "html", Reason.BLOCKED, probe="chat"),
                strike("no body", "empty", Reason.EMPTY, probe="chat"),
            ),
        ),
    ),
    Row(
        16,
        "429",
        (
            striking(strike("with Retry-After: ours", "rate_limit", Reason.RATE_LIMIT, probe="chat")),
            Proof(
                "asked again and again",
                "in the same look",
                NOTHING,
                "nothing is sent until the time that was asked for; capped",
                ("edges/test_probe_base.py::test_after_a_429_that_asks_to_wait_nothing_is_sent_until_then",),
            ),
        ),
    ),
    Row(
        17,
        "A key that is refused",
        (
            striking(
                strike("401", "auth", Reason.AUTH, Reason.AUTH_BROKEN, probe="chat"),
                strike("quota used up", "quota", Reason.QUOTA, probe="chat"),
            ),
            Proof(
                "who hears of it",
                "at the alert",
                NOTHING,
                "the operator is told; the public page is not touched",
                ("core/test_alerts.py::test_our_own_trouble_is_the_operators",),
            ),
        ),
    ),
    Row(
        18,
        "5xx of every kind",
        (
            striking(
                strike("503 as a page", "status", Reason.SERVER_ERROR, Reason.STATUS, Reason.OVERLOADED, status=503),
                strike("overloaded", "overloaded", Reason.OVERLOADED, probe="chat"),
                strike("500", "server_error", Reason.SERVER_ERROR, probe="chat"),
            ),
            Proof(
                "Retry-After of the past or of 10^9",
                "in the same look",
                NOTHING,
                "capped",
                ("edges/test_probe_http.py::test_retry_after_is_honoured_within_reason",),
            ),
        ),
    ),
    Row(
        19,
        "A stream of tokens that goes wrong",
        (
            striking(
                strike("no first token", "no_token", Reason.TIMEOUT_QUEUED, Reason.TIMEOUT_TOTAL, probe="chat"),
                strike("silence in mid-answer", "stall", Reason.STALLED, probe="chat"),
                strike("cut in mid-answer", "cut", Reason.TRUNCATED, probe="chat"),
                strike(
                    "an error after 200", "midstream_error", Reason.MIDSTREAM_ERROR, Reason.OVERLOADED, probe="chat"
                ),
                strike("one event of 2 MB", "big_event", Reason.TOO_LARGE, probe="chat", size_mb=2),
            ),
        ),
    ),
    Row(
        20,
        "A wrong answer",
        (
            striking(
                strike("a wrong sum", "wrong_answer", Reason.QUALITY, probe="chat"),
                strike("a refusal", "filtered", Reason.POLICY, probe="chat"),
            ),
            Proof(
                "whether it pages",
                "in the same look",
                NOTHING,
                "a soft signal that pages nobody by itself",
                ("edges/test_green.py::test_a_filtered_or_wrong_answer_is_no_outage_and_never_green",),
            ),
        ),
    ),
    Row(
        21,
        "IPv6 broken, IPv4 good",
        (
            Proof(
                "the first address is dead",
                "in the same look, as a warning",
                NOTHING,
                "falls back to IPv4",
                (f"{HOSTILE}a_broken_ipv6_falls_back_to_ipv4_and_says_so",),
            ),
        ),
    ),
    Row(
        22,
        "Our own network lost",
        (
            Proof(
                "a worker without any network",
                "at the first failure, once the control targets were asked",
                "the looks of that time, recorded as unknown",
                "at the first answer; no incident, nothing filled in afterwards",
                ("doors/test_worker.py::test_without_any_network_the_worker_is_blind_and_opens_no_incident",),
            ),
        ),
    ),
    Row(
        23,
        "One vantage point broken",
        (
            Proof(
                "one place of two fails alone",
                "at the quorum",
                NOTHING,
                "no incident; the place is named a suspect",
                ("edges/test_flow_together.py::test_one_place_alone_makes_no_incident_but_is_named_a_suspect",),
            ),
        ),
    ),
    Row(
        24,
        "A thousand probes in one second",
        (
            Proof(
                "all due at once",
                "as lateness, in a metric",
                NOTHING,
                "places on the grid spread them; `python -m tests.bench schedule` measures the lateness",
                (
                    "edges/test_prober.py::test_looks_lie_on_the_grid_and_in_order",
                    "edges/test_prober.py::test_a_blocked_loop_leaves_missed_ticks_and_no_burst",
                ),
            ),
        ),
    ),
)

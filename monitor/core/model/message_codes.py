"""What we say about ourselves: codes with facts, stored without a language and worded by ``monitor/text`` when told.

A message is kept inside an ordinary text (a look's detail, an alert's facts, a worker's report), so that what a
stranger or an older version wrote can stand beside it: ``{results_wait n=12}``. Redact and clean strangers' texts
before they become facts; a fact may itself be a message.
"""

from __future__ import annotations

import re
from enum import StrEnum
from urllib.parse import quote


class MessageCode(StrEnum):
    """Stored with looks, alerts and deliveries: never rename one. Its words name its facts."""

    # Our own network
    CONTROL_TARGETS_FAIL = "control_targets_fail"
    SERVICES_FAIL = "services_fail"
    NO_NAME_RESOLVES = "no_name_resolves"
    CONTROL_TARGETS_FAIL_ALIKE = "control_targets_fail_alike"
    SERVICES_FAIL_ALIKE = "services_fail_alike"
    FAIL_IN_HANDSHAKE = "fail_in_handshake"
    FAIL_BEFORE_ANSWER = "fail_before_answer"
    FAIL_WITH_ANSWERS = "fail_with_answers"
    FAIL_BY_CLOCK = "fail_by_clock"
    CLOCK_WRONG = "clock_wrong"
    NOT_CONFIRMED = "not_confirmed"
    WORKER_BLIND = "worker_blind"
    NO_ROUTE = "no_route"
    NO_LOCAL_PORT = "no_local_port"
    NO_ADDRESS_FAMILY = "no_address_family"
    OWN_FIREWALL = "own_firewall"
    RESOLVERS_BUSY = "resolvers_busy"
    NO_RESOLVER = "no_resolver"

    # Our own programs
    RESULTS_WAIT = "results_wait"
    CANNOT_BE_JUDGED = "cannot_be_judged"
    CANNOT_BE_JUDGED_MORE = "cannot_be_judged_more"
    LOOKS_LEFT_OUT = "looks_left_out"
    LOOK_NOT_JUDGED = "look_not_judged"
    IMPOSSIBLE_LENGTH = "impossible_length"
    OUT_OF_SOCKETS = "out_of_sockets"
    NO_HANDSHAKE_SLOT = "no_handshake_slot"
    READING_LATE = "reading_late"
    SCHEDULER_LATE = "scheduler_late"
    LOOK_OVERRAN = "look_overran"
    WORKER_STOPPED = "worker_stopped"
    WORKER_NOT_RUNNING = "worker_not_running"
    GIVEN_UP_FROM_QUARANTINE = "given_up_from_quarantine"

    # Our own database
    DATABASE_MISSING = "database_missing"
    DATABASE_VANISHED = "database_vanished"
    DATABASE_SWAPPED = "database_swapped"
    DATABASE_CUT = "database_cut"
    DATABASE_DAMAGED = "database_damaged"
    DATABASE_ROLLED_BACK = "database_rolled_back"
    DATABASE_READ_ONLY = "database_read_only"
    DATABASE_NEWER = "database_newer"
    RESTORE_BACKUP = "restore_backup"
    RESTORE_RESCUED = "restore_rescued"
    RESTORE_OR_BEGIN = "restore_or_begin"
    MAKE_WRITABLE = "make_writable"
    INSTALL_NEWER = "install_newer"

    # Our own account and settings
    ASKED_TO_WAIT = "asked_to_wait"
    BUDGET_SPENT = "budget_spent"
    BUDGET_SLOWED = "budget_slowed"
    ACCOUNT_EMPTY = "account_empty"
    HEARTBEAT_NO_TOKEN = "heartbeat_no_token"  # noqa: S105  a code, not a token
    HEARTBEAT_LISTENING = "heartbeat_listening"
    ACCOUNT_LEFT = "account_left"
    SECRET_NOT_SET = "secret_not_set"  # noqa: S105  a code, not a secret
    SECRET_MALFORMED = "secret_malformed"  # noqa: S105  the same

    # A model server of one's own
    ENGINE_COUNTS = "engine_counts"
    ENGINE_BUSY = "engine_busy"
    ENGINE_HUNG = "engine_hung"
    ENGINE_MUTE = "engine_mute"
    ENGINE_COUNTERS_MUTE = "engine_counters_mute"
    ENGINE_IDLE = "engine_idle"
    ENGINE_LOADING = "engine_loading"
    ENGINE_DEAD = "engine_dead"
    ENGINE_UNREACHED = "engine_unreached"

    # Deliveries
    NOTICE_GIVEN_UP = "notice_given_up"
    NOTICE_UNREADABLE = "notice_unreadable"
    CHANNEL_OFF = "channel_off"
    CHANNEL_GONE = "channel_gone"
    NO_ANSWER_WITHIN = "no_answer_within"
    OWN_FAULT = "own_fault"
    RECEIVER_ANSWERED = "receiver_answered"
    ADDRESS_REFUSED = "address_refused"
    MAIL_UNUSABLE = "mail_unusable"
    MAIL_ANSWERED = "mail_answered"
    MAIL_UNENCRYPTED = "mail_unencrypted"
    MAIL_NO_LOGIN = "mail_no_login"
    MAIL_ASCII_ONLY = "mail_ascii_only"
    PROXY_FAILED = "proxy_failed"
    PROXY_ANSWERED = "proxy_answered"
    PROXY_MALFORMED = "proxy_malformed"
    MAIL_REFUSED_ALL = "mail_refused_all"
    MAIL_REFUSED_SOME = "mail_refused_some"
    MAIL_REST_UNSENT = "mail_rest_unsent"

    # Slower than usual
    FIRST_TOKEN_UNUSUAL = "first_token_unusual"  # noqa: S105  a code, not a token
    ANSWER_UNUSUAL = "answer_unusual"
    THAT_HOUR = "that_hour"
    THIS_HOUR = "this_hour"


FACT_CHARS = 300
_RESERVED = re.compile(r"[\s{}%]")


def coded(code: MessageCode, **facts: str | float) -> str:
    """Return the text that stands for a message until it is told."""
    pairs = (f"{name}={_written(value)}" for name, value in facts.items())
    return "{" + " ".join([code.value, *pairs]) + "}"


def _written(value: str | float) -> str:
    text = value[:FACT_CHARS] if isinstance(value, str) else str(value) if isinstance(value, int) else f"{value:g}"
    return _RESERVED.sub(lambda found: quote(found[0], safe=""), text)

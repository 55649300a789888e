"""Every warning that a look can carry: things worth knowing that are no failure.

A warning is a code, or a code with a detail after a colon. Both are stored as text, and so is what another version
wrote; :func:`code_of` says which code a stored text has. What a code means to the operator stands in
:mod:`monitor.core.alerts.warnings`, its words in ``monitor/text``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NewType


class WarningCode(StrEnum):
    """Stored with the look and part of the keys of alerts: never rename one."""

    ADDRESS_REFUSED = "address.refused"
    """The guard refused one of several addresses."""
    AUTH_WORKED_BEFORE = "auth.worked_before"
    CANARY_NO_VERDICT = "canary.no_verdict"
    CHAT_EDGE_ONLY = "chat.edge_only"
    CHAT_SPENT_ON_REASONING = "chat.spent_on_reasoning"
    CONNECT_FALLBACK = "connect.fallback"
    """Another address of the same name did not answer."""
    DNS_RESOLVER_FAILED = "dns.resolver_failed"
    LOGIN_EDGE_ONLY = "login.edge_only"
    LOGIN_SECOND_FACTOR = "login.second_factor"
    MODEL_CHANGED = "model.changed"
    MODEL_ENDS_IN_14_DAYS = "model.ends_in_14_days"
    MODEL_ENDS_IN_30_DAYS = "model.ends_in_30_days"
    MODEL_ENDS_IN_3_DAYS = "model.ends_in_3_days"
    """Or was to end already."""
    MODEL_NOT_LISTED = "model.not_listed"
    MODEL_REROUTED = "model.rerouted"
    """It answers under another name than the one that was asked."""
    PAGE_LEARNING = "page.learning"
    """What the product's page looks like is not known yet: its status alone judges."""
    PROBE_LAGGED = "probe.lagged"
    PROTOCOL_BAD_EVENT = "protocol.bad_event"
    PROTOCOL_BAD_UTF8 = "protocol.bad_utf8"
    PROTOCOL_CONTENT_TYPE = "protocol.content_type"
    """The answer was data of the right kind under another media type."""
    PROTOCOL_CUT_AFTER_END = "protocol.cut_after_end"
    PROTOCOL_NOT_STREAMED = "protocol.not_streamed"
    """A stream was asked for and the answer came whole."""
    PROTOCOL_NO_DONE = "protocol.no_done"
    PROTOCOL_NO_FINISH = "protocol.no_finish"
    """The stream ended by its own end mark and gave no finish reason in its own place."""
    PROTOCOL_NO_USAGE = "protocol.no_usage"
    PROTOCOL_ODD_CHARSET = "protocol.odd_charset"
    PROTOCOL_ODD_HEADER = "protocol.odd_header"
    """A line in the headers that is no header, left out or mended as browsers do."""
    PROTOCOL_ODD_LENGTH = "protocol.odd_length"
    """The body's length is told twice, in two ways or in no number."""
    PROTOCOL_UNKNOWN_CODING = "protocol.unknown_coding"
    """A content coding that nobody knows, so the body is taken as it came."""
    PROTOCOL_UNASKED_CODING = "protocol.unasked_coding"
    RATELIMIT_LOW = "ratelimit.low"
    REGISTRATION_CAPTCHA = "registration.captcha"
    REGISTRATION_CONTRADICTORY = "registration.contradictory"
    REGISTRATION_DELEGATED = "registration.delegated"
    REGISTRATION_EXISTING_USERS_CAN_LOG_IN = "registration.existing_users_can_log_in"
    REGISTRATION_FIELD_MISSING = "registration.field_missing"
    REGISTRATION_NO_ACCOUNTS = "registration.no_accounts"
    REGISTRATION_NO_ADMIN_YET = "registration.no_admin_yet"
    REGISTRATION_NOT_EXPOSED = "registration.not_exposed"
    REGISTRATION_NOTHING_TO_READ = "registration.nothing_to_read"
    REGISTRATION_SOURCE_MOVED = "registration.source_moved"
    REGISTRATION_UNMAPPED_VALUE = "registration.unmapped_value"
    SYSTEM_FINGERPRINT_CHANGED = "system_fingerprint.changed"
    TLS_NO_CLOSE_NOTIFY = "tls.no_close_notify"
    TLS_STRICT = "tls.strict"
    """A chain that only the strictest checking refuses."""
    UPSTREAM_AMBIGUOUS_NAME = "upstream.ambiguous_name"
    """A name that is mapped stands for several components of the vendor's page: the worst of them counts."""
    UPSTREAM_BAD_TIME = "upstream.bad_time"
    UPSTREAM_BLOCKED = "upstream.blocked"
    UPSTREAM_COMPONENT_VANISHED = "upstream.component_vanished"
    UPSTREAM_DUPLICATE_ID = "upstream.duplicate_id"
    UPSTREAM_EMPTY_FEED = "upstream.empty_feed"
    UPSTREAM_FROZEN = "upstream.frozen"
    UPSTREAM_INCIDENT_DELETED = "upstream.incident_deleted"
    UPSTREAM_INCIDENT_DROPPED = "upstream.incident_dropped"
    UPSTREAM_MAINTENANCE = "upstream.maintenance"
    UPSTREAM_MOVED = "upstream.moved"
    UPSTREAM_NO_COMPONENTS = "upstream.no_components"
    UPSTREAM_REDIRECTED = "upstream.redirected"
    UPSTREAM_SHAPE_CHANGED = "upstream.shape_changed"
    UPSTREAM_UNKNOWN_WORD = "upstream.unknown_word"
    UPSTREAM_UNREACHABLE = "upstream.unreachable"
    UPSTREAM_UNREADABLE = "upstream.unreadable"


WarningText = NewType("WarningText", str)
"""A code with a detail, or a stored text of whatever version."""
AnyWarning = WarningCode | WarningText
_CODES = {code.value: code for code in WarningCode}


def detailed(code: WarningCode, detail: str) -> WarningText:
    """Return a warning that says more than its code."""
    return WarningText(f"{code.value}: {detail}")


def code_of(warning: AnyWarning) -> WarningCode | None:
    """Return the code of a warning; ``None`` for one that this version does not know."""
    return _CODES.get(str(warning).partition(":")[0])


def detail_of(warning: AnyWarning) -> str:
    """Return what a warning says beside its code, ``""`` for nothing."""
    return str(warning).partition(": ")[2]

"""Warnings of looks: which of them are the operator's trouble.

A warning is a code that a probe adds to a look that may well have succeeded. Most are only for the curious. Some mean
that what we look at has moved or is no longer what we set up: those become operator alerts, never public, raised once
and over when the warning stayed away from a few good looks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from monitor.core.alerts.conditions import Condition, alert_key
from monitor.core.catalogue import service_of
from monitor.core.entities import Alert
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import Severity
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Outcome
from monitor.core.model.warning_codes import WarningCode, code_of, detail_of

RULE = Rule.WARNING
CLEAR_LOOKS = 3
"""So many good looks without the warning end its alert."""
FIRM_LOOKS = 3
"""A warning of an inconclusive look alerts only after so many of them in a row: any page fails once."""

W = WarningCode


def loudness(code: WarningCode) -> Severity | None:
    """Return how loudly the operator is told of a warning; ``None`` where it is only kept with the look."""
    match code:
        case (
            W.LOGIN_SECOND_FACTOR
            | W.MODEL_ENDS_IN_14_DAYS
            | W.MODEL_ENDS_IN_3_DAYS
            | W.MODEL_NOT_LISTED
            | W.MODEL_REROUTED
            | W.REGISTRATION_FIELD_MISSING
            | W.REGISTRATION_NOT_EXPOSED
            | W.REGISTRATION_SOURCE_MOVED
            | W.REGISTRATION_UNMAPPED_VALUE
            | W.UPSTREAM_AMBIGUOUS_NAME
            | W.UPSTREAM_BLOCKED
            | W.UPSTREAM_COMPONENT_VANISHED
            | W.UPSTREAM_FROZEN
            | W.UPSTREAM_MOVED
            | W.UPSTREAM_NO_COMPONENTS
            | W.UPSTREAM_SHAPE_CHANGED
        ):
            return Severity.TICKET
        case (
            W.CHAT_SPENT_ON_REASONING
            | W.MODEL_CHANGED
            | W.MODEL_ENDS_IN_30_DAYS
            | W.RATELIMIT_LOW
            | W.REGISTRATION_CONTRADICTORY
            | W.UPSTREAM_REDIRECTED
            | W.UPSTREAM_UNKNOWN_WORD
        ):
            return Severity.INFO
        case (
            W.ADDRESS_REFUSED | W.AUTH_WORKED_BEFORE | W.CANARY_NO_VERDICT | W.CHAT_EDGE_ONLY | W.CONNECT_FALLBACK
            | W.DNS_RESOLVER_FAILED | W.LOGIN_EDGE_ONLY | W.PAGE_LEARNING | W.PROBE_LAGGED
            | W.PROTOCOL_BAD_EVENT | W.PROTOCOL_CONTENT_TYPE | W.PROTOCOL_NOT_STREAMED | W.PROTOCOL_NO_FINISH
            | W.PROTOCOL_BAD_UTF8 | W.PROTOCOL_CUT_AFTER_END | W.PROTOCOL_NO_DONE
            | W.PROTOCOL_NO_USAGE | W.PROTOCOL_ODD_CHARSET | W.PROTOCOL_ODD_HEADER | W.PROTOCOL_ODD_LENGTH
            | W.PROTOCOL_UNASKED_CODING | W.PROTOCOL_UNKNOWN_CODING | W.REGISTRATION_CAPTCHA | W.REGISTRATION_DELEGATED
            | W.REGISTRATION_EXISTING_USERS_CAN_LOG_IN | W.REGISTRATION_NO_ACCOUNTS
            | W.REGISTRATION_NO_ADMIN_YET | W.REGISTRATION_NOTHING_TO_READ | W.SYSTEM_FINGERPRINT_CHANGED
            | W.TLS_NO_CLOSE_NOTIFY | W.TLS_STRICT | W.UPSTREAM_BAD_TIME | W.UPSTREAM_DUPLICATE_ID
            | W.UPSTREAM_EMPTY_FEED | W.UPSTREAM_INCIDENT_DELETED | W.UPSTREAM_INCIDENT_DROPPED
            | W.UPSTREAM_MAINTENANCE | W.UPSTREAM_UNREACHABLE | W.UPSTREAM_UNREADABLE
        ):  # fmt: skip
            return None


ALERTS = {code: loud for code in WarningCode if (loud := loudness(code)) is not None}
"""Warning → how loudly the operator is told; the others alert nobody."""


def noticed(
    scope: str, component: str, result: Result, unclear: int, standing: Mapping[str, Alert], muted: Collection[str] = ()
) -> tuple[Condition, ...]:
    """Return the conditions of a look's warnings. ``scope`` is ``probe@location``.

    ``unclear`` is how many looks in a row were inconclusive, this one included; ``standing`` are the open alerts and
    ``muted`` those that a person ended, by key. A failed or inconclusive look ends no warning: it may not have
    come as far as the place where it arises.
    """
    service, details = service_of(component), {code_of(one): detail_of(one) for one in result.observation.warnings}
    warnings = details.keys()
    good = result.outcome in (Outcome.OK, Outcome.SLOW)
    found = []
    for code, severity in ALERTS.items():
        place = f"{scope}/{code}"
        key = alert_key(service, component, RULE, place)
        before = standing.get(key)
        if code in warnings and before is None and not result.outcome.is_evidence and unclear < FIRM_LOOKS:
            continue
        if code not in warnings and not (good and (before or key in muted)):
            continue
        clear = 0 if code in warnings else CLEAR_LOOKS if before is None else _clear(before) + 1
        facts: dict[str, str | int] = {"warning": code.value, "probe": scope}
        told = details.get(code) or result.observation.detail
        facts["detail"] = str(before.summary.get("detail", "")) if before else told
        facts |= {"clear_looks": clear} if clear else {}
        holds = clear < CLEAR_LOOKS
        found.append(Condition(RULE, service, component, holds, severity, result.run.tick, place, summary=facts))
    return tuple(found)


def _clear(alert: Alert) -> int:
    return int(alert.summary.get("clear_looks", 0))

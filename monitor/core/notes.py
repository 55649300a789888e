"""Warnings of looks: which of them are the operator's trouble.

A warning is a code that a probe adds to a look that may well have succeeded. Most are only for the curious. Some mean
that what we look at has moved or is no longer what we set up: those become operator alerts, never public, raised once
and over when the warning stayed away from a few good looks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from monitor.core.conditions import Condition, alert_key
from monitor.core.events import Alert
from monitor.core.model import Outcome, Result, Severity
from monitor.core.rules import Rule

RULE = Rule.WARNING
CLEAR_LOOKS = 3
"""So many good looks without the warning end its alert."""
FIRM_LOOKS = 3
"""So many looks in a row must have told nothing before a warning of such a look alerts: a page fails once, too."""

ALERTS: Mapping[str, Severity] = {
    "auth.worked_before": Severity.TICKET,
    "chat.spent_on_reasoning": Severity.INFO,
    "login.second_factor": Severity.TICKET,
    "model.changed": Severity.INFO,
    "model.not_listed": Severity.TICKET,
    "ratelimit.low": Severity.INFO,
    "registration.contradictory": Severity.INFO,
    "registration.field_missing": Severity.TICKET,
    "registration.not_exposed": Severity.TICKET,
    "registration.source_moved": Severity.TICKET,
    "registration.unmapped_value": Severity.TICKET,
    "upstream.blocked": Severity.TICKET,
    "upstream.component_vanished": Severity.TICKET,
    "upstream.frozen": Severity.TICKET,
    "upstream.moved": Severity.TICKET,
    "upstream.no_components": Severity.TICKET,
    "upstream.redirected": Severity.INFO,
    "upstream.shape_changed": Severity.TICKET,
    "upstream.unknown_word": Severity.INFO,
}
"""Warning → how loudly the operator is told. Every code needs its words in the dashboard's languages."""

QUIET = (
    "address.refused",
    "canary.no_verdict",
    "chat.edge_only",
    "connect.fallback",
    "login.edge_only",
    "probe.lagged",
    "protocol.",
    "registration.captcha",
    "registration.delegated",
    "registration.existing_users_can_log_in",
    "registration.no_accounts",
    "registration.no_admin_yet",
    "registration.nothing_to_read",
    "system_fingerprint.changed",
    "tls.no_close_notify",
    "upstream.bad_time",
    "upstream.duplicate_id",
    "upstream.empty_feed",
    "upstream.incident_deleted",
    "upstream.incident_dropped",
    "upstream.maintenance",
    "upstream.unreachable",
    "upstream.unreadable",
)
"""How warnings begin that alert nobody: they are kept with the look for whoever reads it."""


def is_known(warning: str) -> bool:
    """Say whether it has been decided what a warning means to the operator."""
    return warning in ALERTS or warning.startswith(QUIET)


def noticed(
    scope: str, component: str, result: Result, blank: int, standing: Mapping[str, Alert], muted: Collection[str] = ()
) -> tuple[Condition, ...]:
    """Return the conditions of a look's warnings. ``scope`` is ``probe@location``.

    ``blank`` is how many looks in a row told nothing, this one included; ``standing`` are the open alerts and
    ``muted`` those that a person ended, by key. A look that failed or told nothing ends no warning: it may not have
    come as far as the place where it arises.
    """
    service, warnings = component.partition("/")[0], set(result.observation.warnings)
    good = result.outcome in (Outcome.OK, Outcome.SLOW)
    found = []
    for code, severity in ALERTS.items():
        place = f"{scope}/{code}"
        key = alert_key(service, component, RULE, place)
        before = standing.get(key)
        if code in warnings and before is None and not result.outcome.is_evidence and blank < FIRM_LOOKS:
            continue
        if code not in warnings and not (good and (before or key in muted)):
            continue
        clear = 0 if code in warnings else CLEAR_LOOKS if before is None else _clear(before) + 1
        facts: dict[str, str | int] = {"warning": code, "probe": scope}
        facts["detail"] = str(before.summary.get("detail", "")) if before else result.observation.detail
        facts |= {"clear_looks": clear} if clear else {}
        holds = clear < CLEAR_LOOKS
        found.append(Condition(RULE, service, component, holds, severity, result.run.tick, place, summary=facts))
    return tuple(found)


def _clear(alert: Alert) -> int:
    return int(alert.summary.get("clear_looks", 0))

"""Alertmanager's webhook (format version 4) as conditions of ours; everything in it is somebody else's text.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.core.alerts.conditions import Condition
from monitor.core.catalogue import Catalogue, service_of
from monitor.core.model.alert_rules import FROM_OUTSIDE, Foreign
from monitor.core.model.alerting import Severity

MOST = 200
"""Alerts in one message."""
LONGEST = 300
"""Characters kept of a label or annotation."""
OLDEST = timedelta(days=366)
SHOWN = ("instance", "severity")
LOUD = {"page": Severity.PAGE, "critical": Severity.PAGE, "ticket": Severity.TICKET, "warning": Severity.TICKET}


def read(document: object, catalogue: Catalogue, now: datetime) -> tuple[Condition, ...]:
    """Return a condition per alert of the message; raises ``ValueError`` with one line when it is no such message."""
    if not isinstance(document, Mapping) or document.get("version") != "4":
        raise ValueError('This takes Alertmanager\'s webhook, an object with "version": "4"')
    alerts = document.get("alerts")
    if not isinstance(alerts, list):
        raise ValueError('"alerts" must be a list')
    if len(alerts) > MOST:
        raise ValueError(f"A message holds at most {MOST} alerts; set max_alerts in Alertmanager")
    return tuple(_condition(alert, catalogue, now) for alert in alerts)


def _condition(alert: object, catalogue: Catalogue, now: datetime) -> Condition:
    if not isinstance(alert, Mapping):
        raise ValueError("An alert must be an object")
    labels, notes = (_texts(alert, name) for name in ("labels", "annotations"))
    status, fingerprint = alert.get("status"), alert.get("fingerprint")
    if status not in ("firing", "resolved"):
        raise ValueError('"status" of an alert is firing or resolved')
    if not isinstance(fingerprint, str) or not re.fullmatch(r"[0-9a-f]{1,64}", fingerprint):
        raise ValueError('"fingerprint" of an alert must be hexadecimal')
    name = re.sub(r"[^A-Za-z0-9_.]+", "-", labels.get("alertname", ""))[:60].strip("-")
    if not name:
        raise ValueError('An alert needs the label "alertname"')
    service, component = _about(labels, catalogue)
    facts = {key: labels[key][:LONGEST] for key in SHOWN if labels.get(key)}
    facts |= {"summary": notes["summary"][:LONGEST]} if notes.get("summary") else {}
    loud = LOUD.get(labels.get("severity", ""), Severity.INFO)
    since = _started(alert.get("startsAt"), now)
    rule = Foreign(FROM_OUTSIDE + name)
    return Condition(rule, service, component, status == "firing", loud, since, fingerprint, summary=facts)


def _texts(alert: Mapping[str, Any], name: str) -> Mapping[str, str]:
    found = alert.get(name, {})
    if not isinstance(found, Mapping) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError(f'"{name}" of an alert must be an object of texts')
    return found


def _about(labels: Mapping[str, str], catalogue: Catalogue) -> tuple[str, str]:
    """Return the service and component that an alert names, as far as we know them."""
    component = labels.get("component", "")
    if component in {item.id for item in catalogue.components}:
        return service_of(component), component
    service = labels.get("service", "")
    return (service if service in {item.id for item in catalogue.services} else ""), ""


def _started(text: object, now: datetime) -> datetime:
    """Return when it began, never in the future and not before the last year."""
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
        if at is None or at.tzinfo is None:
            raise ValueError
        return min(now, max(now - OLDEST, at.astimezone(UTC)))
    except (ValueError, OverflowError):
        raise ValueError('"startsAt" of an alert must be a time as in 2026-01-31T22:00:00Z') from None

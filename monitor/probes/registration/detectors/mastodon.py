"""Mastodon: the ``Instance`` entity of its API v2."""

from __future__ import annotations

from monitor.core.model.registration import Method
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.registration.detector import (
    CLOSED,
    OPEN,
    RESTRICTED,
    Detector,
    Heard,
    Reading,
    config,
    missing,
    says,
    unread,
)
from monitor.text.cleaner import as_map, clean, said, visible_text


def read(heard: Heard) -> Reading:
    """Return what the answer says."""
    document = heard.fields
    rules = as_map(document.get("registrations"))
    enabled = rules.get("enabled")
    if not isinstance(enabled, bool):
        return missing("registrations.enabled")
    message = clean(visible_text(said(rules.get("message"))[:5000]), 200)
    excerpt = f"registrations.enabled: {str(enabled).lower()}" + (f"; {message}" if message else "")
    if rules.get("url"):
        return unread(f"{excerpt}; sign-up is at another address", WarningCode.REGISTRATION_DELEGATED)
    if not enabled:
        return says(excerpt, config(Method.ANY, CLOSED))
    if rules.get("approval_required") is True:
        excerpt += "; approval_required: true"
        return says(excerpt, config(Method.ANY, RESTRICTED, approval_required=True))
    if rules.get("approval_required") is not False:
        return missing("registrations.approval_required")
    return says(excerpt, config(Method.ANY, OPEN), config(Method.EMAIL, OPEN))


KIND = Detector("mastodon", read, path="/api/v2/instance")

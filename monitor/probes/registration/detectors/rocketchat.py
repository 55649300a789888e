"""Rocket.Chat: its public settings."""

from __future__ import annotations

from monitor.core.model.registration import Method
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
)
from monitor.text.cleaner import as_rows, clean, said


def read(heard: Heard) -> Reading:
    """Return what the answer says."""
    document = heard.fields
    settings = {clean(row.get("_id"), 100): row.get("value") for row in as_rows(document.get("settings"), 2000)}
    form = settings.get("Accounts_RegistrationForm")
    excerpt = f"Accounts_RegistrationForm: {clean(form, 40)}"
    domains = tuple(
        domain
        for item in said(settings.get("Accounts_AllowedDomainsList"))[:2000].split(",")[:20]
        if (domain := clean(item, 100).lower())
    )
    match form:
        case "Public" if domains:
            limited = [config(method, RESTRICTED, email_domains=domains) for method in (Method.ANY, Method.EMAIL)]
            return says(f"{excerpt}; Accounts_AllowedDomainsList: {', '.join(domains)}", *limited)
        case "Public":
            return says(excerpt, config(Method.ANY, OPEN), config(Method.EMAIL, OPEN))
        case "Secret URL":
            return says(excerpt, config(Method.ANY, RESTRICTED, invite_required=True))
        case "Disabled":
            return says(excerpt, config(Method.ANY, CLOSED))
    return missing("Accounts_RegistrationForm")


_SETTINGS = "Accounts_RegistrationForm,Accounts_AllowedDomainsList"
KIND = Detector("rocketchat", read, path=f"/api/v1/settings.public?_id={_SETTINGS}&count=100")

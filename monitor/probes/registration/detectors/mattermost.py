"""Mattermost: the client configuration, as ``client.go`` writes it in the old format."""

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
from monitor.text.cleaner import brief


def read(heard: Heard) -> Reading:
    """Return what the answer says."""
    document = heard.fields

    def flag(name: str) -> bool | None:  # the old format has strings
        return {"true": True, "false": False}.get(brief(document.get(name), 10).lower())

    creation, server = flag("EnableUserCreation"), flag("EnableOpenServer")
    if creation is None or server is None:
        return missing("EnableUserCreation and EnableOpenServer")
    excerpt = f"EnableUserCreation: {str(creation).lower()}; EnableOpenServer: {str(server).lower()}"
    if not creation:
        return says(excerpt, config(Method.ANY, CLOSED))
    if not server:
        return says(excerpt, config(Method.ANY, RESTRICTED, invite_required=True))
    offered = {
        "EnableSignUpWithEmail": Method.EMAIL,
        "EnableSignUpWithGoogle": Method.GOOGLE,
        "EnableSignUpWithOffice365": Method.MICROSOFT,
        "EnableSignUpWithOpenId": Method.SSO,
        "EnableSignUpWithGitLab": Method.SSO,
    }
    methods = dict.fromkeys(method for name, method in offered.items() if flag(name))
    if not methods:
        return unread(f"{excerpt}; no way to sign up is listed", WarningCode.REGISTRATION_FIELD_MISSING)
    return says(excerpt, *(config(method, OPEN) for method in (Method.ANY, *methods)))


KIND = Detector("mattermost", read, path="/api/v4/config/client?format=old")

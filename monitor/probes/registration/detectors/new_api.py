"""New API: ``/api/status``, as its ``misc.go`` answers it."""

from __future__ import annotations

from monitor.core.model.registration import Method
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.registration.detector import CLOSED, OPEN, Detector, Heard, Reading, config, missing, says
from monitor.text.cleaner import as_map


def read(heard: Heard) -> Reading:
    """Known versions list the ways to log in but not whether registration is open; then nothing is said."""
    document = heard.fields
    data = as_map(document.get("data"))
    if document.get("success") is not True or not data:
        return missing("data")
    enabled = data.get("register_enabled")
    if enabled is False:
        return says("data.register_enabled: false", config(Method.ANY, CLOSED))
    if enabled is not True:
        return Reading(
            warnings=(WarningCode.REGISTRATION_NOT_EXPOSED,),
            detail="this version does not tell whether sign-up is open",
        )
    offered = {"github_oauth": Method.GITHUB, "wechat_login": Method.WECHAT, "oidc_enabled": Method.SSO}
    methods = [method for name, method in offered.items() if data.get(name) is True]
    if data.get("password_register_enabled", True) is True:
        methods.insert(0, Method.EMAIL)
    return says("data.register_enabled: true", *(config(method, OPEN) for method in (Method.ANY, *methods)))


KIND = Detector("new_api", read, path="/api/status")

"""New API: ``/api/status``, as its ``misc.go`` answers it."""

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
    flag_of_another_type,
    missing,
    says,
    unread,
)
from monitor.text.cleaner import as_map, as_rows, brief

_SINGLE_SIGN_ON = ("oidc_enabled", "discord_oauth", "linuxdo_oauth", "telegram_oauth")


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
    social = {"github_oauth": Method.GITHUB, "wechat_login": Method.WECHAT} | dict.fromkeys(_SINGLE_SIGN_ON, Method.SSO)
    offered = list(dict.fromkeys(method for name, method in social.items() if data.get(name) is True))
    if as_rows(data.get("custom_oauth_providers"), 20) and Method.SSO not in offered:
        offered.append(Method.SSO)
    odd = flag_of_another_type(data, "password_register_enabled", "password_login_enabled")
    if odd and not offered:
        return missing(f"data.{odd}")
    by_form = data.get("password_register_enabled")
    told = "not told" if by_form is None else brief(by_form, 10).lower()
    excerpt = f"data.register_enabled: true; data.password_register_enabled: {told}"
    if by_form is False or data.get("password_login_enabled") is False:
        if not offered:
            return unread(f"{excerpt}; no way to sign up is listed", WarningCode.REGISTRATION_FIELD_MISSING)
        whole = (config(Method.ANY, RESTRICTED), config(Method.EMAIL, CLOSED))
        return says(excerpt, *whole, *(config(method, OPEN) for method in offered))
    methods = (Method.ANY, *((Method.EMAIL,) if by_form is True else ()), *offered)
    return says(excerpt, *(config(method, OPEN) for method in methods))


KIND = Detector("new_api", read, path="/api/status")

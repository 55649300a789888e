"""Open WebUI: ``/api/config``, as its ``main.py`` answers it."""

from __future__ import annotations

from monitor.core.model.registration import Method
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.registration.detector import (
    OPEN,
    Detector,
    Heard,
    Reading,
    config,
    flag_of_another_type,
    missing,
    says,
    sso_or_closed,
)
from monitor.text.cleaner import as_map


def read(heard: Heard) -> Reading:
    """Return what the answer says."""
    document = heard.fields
    features = as_map(document.get("features"))
    if document.get("onboarding") is True:
        excerpt = "onboarding: true; the first to sign up becomes the administrator"
        return says(excerpt, config(Method.ANY, OPEN), warnings=(WarningCode.REGISTRATION_NO_ADMIN_YET,))
    if features.get("auth") is False:
        return says(
            "features.auth: false; no accounts at all",
            config(Method.ANY, OPEN),
            warnings=(WarningCode.REGISTRATION_NO_ACCOUNTS,),
        )
    if odd := flag_of_another_type(features, "auth", "enable_login_form", "enable_ldap"):
        return missing(f"features.{odd}")
    enabled = features.get("enable_signup")
    if not isinstance(enabled, bool):
        return missing("features.enable_signup")
    listed = as_map(document.get("oauth")).get("providers")
    if listed and not isinstance(listed, dict):
        return missing("oauth.providers")
    providers = as_map(listed)
    excerpt = f"features.enable_signup: {str(enabled).lower()}; oauth.providers: {len(providers)}"
    if features.get("enable_login_form") is False:  # its sign-up refuses everybody then, whatever enable_signup says
        excerpt, enabled = f"{excerpt}; features.enable_login_form: false", False
    if enabled:
        return says(excerpt, config(Method.ANY, OPEN), config(Method.EMAIL, OPEN))
    return sso_or_closed(excerpt, sso=bool(providers) or features.get("enable_ldap") is True)


KIND = Detector("open_webui", read, path="/api/config")

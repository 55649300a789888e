"""LibreChat: ``/api/config``, as its ``config.js`` answers it."""

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


def read(heard: Heard) -> Reading:
    """Return what the answer says."""
    document = heard.fields
    enabled = document.get("registrationEnabled")
    if not isinstance(enabled, bool):
        return missing("registrationEnabled")
    known = ("google", "github", "discord", "facebook", "apple", "openid", "saml")
    flags = ("emailLoginEnabled", "socialLoginEnabled", *(f"{name}LoginEnabled" for name in known))
    if odd := flag_of_another_type(document, *flags):
        return missing(odd)
    excerpt = f"registrationEnabled: {str(enabled).lower()}"
    names = document.get("socialLogins")
    social = [str(name)[:40] for name in names[:20]] if isinstance(names, list) else known
    is_set_up = any(document.get(f"{name}LoginEnabled") is True for name in social)  # the list names others too
    by_social = document.get("socialLoginEnabled") is True and is_set_up
    single = any(document.get(key) is True for key in ("openidLoginEnabled", "samlLoginEnabled"))
    single = single or bool(document.get("ldap"))
    if enabled and document.get("emailLoginEnabled") is False:  # an account by e-mail could never be signed in to
        return sso_or_closed(f"{excerpt}; emailLoginEnabled: false", sso=single or by_social)
    if enabled:  # by e-mail; whether a social log-in may create an account is not exposed
        warnings = (WarningCode.REGISTRATION_CAPTCHA,) if document.get("turnstile") else ()
        return says(excerpt, config(Method.ANY, OPEN), config(Method.EMAIL, OPEN), warnings=warnings)
    return sso_or_closed(excerpt, sso=single or by_social)


KIND = Detector("librechat", read, path="/api/config")

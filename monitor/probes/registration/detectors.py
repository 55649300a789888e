"""Registration detectors: one answer of a product's own, public configuration → what it says of signing up.

Pure functions. An answer that could not be read gives its reason and no reading: a failed read is never "closed".
Field names and mappings are those of the products' sources (Open WebUI ``main.py``, LibreChat ``config.js``, the Matrix
client-server API, Mastodon's ``Instance`` entity, Mattermost ``client.go``, Rocket.Chat settings, New API ``misc.go``);
DeepSeek's settings envelope is known from public clients only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from monitor.core.alerts.warning_codes import WarningCode
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, MethodReading, Registration, Source
from monitor.probes.answers import dig, is_html, parse_json, robot_wall
from monitor.probes.registration.pagetext import page_text
from monitor.probes.registration.phrases import EXCERPT_CHARS, says_existing_users_can_log_in, settled, statements
from monitor.text.cleaner import as_map, as_rows, brief, clean, said, visible_text
from monitor.wire import text_of

OPEN, RESTRICTED, CLOSED = Registration.OPEN, Registration.RESTRICTED, Registration.CLOSED
PATHS = {
    "open_webui": "/api/config",
    "librechat": "/api/config",
    "matrix": "/_matrix/client/v3/register",
    "mastodon": "/api/v2/instance",
    "mattermost": "/api/v4/config/client?format=old",
    "rocketchat": "/api/v1/settings.public?_id=Accounts_RegistrationForm,Accounts_AllowedDomainsList&count=100",
    "new_api": "/api/status",
    "deepseek_banner": "/api/v0/client/settings",
}
"""Detector → the path it asks for below the product's address."""


class Reading(NamedTuple):
    """What one answer says. ``readings`` is empty unless ``reason`` is OK, and may be empty even then."""

    readings: tuple[MethodReading, ...] = ()
    warnings: tuple[WarningCode, ...] = ()
    reason: Reason = Reason.OK
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Extra:
    """What single detectors need besides the answer."""

    path: str = ""
    """``json``: dotted path of the field."""
    mapping: Mapping[str, MethodReading] | None = None
    """``json``: the field's value as text (``true``, ``null``, ``Public``) → what it means."""
    delegated: bool | None = None
    """``matrix``: whether the server's sign-up is elsewhere (OAuth metadata is there); ``None`` if not asked."""


def unread(detail: str, *warnings: WarningCode, reason: Reason = Reason.UNREADABLE) -> Reading:
    """Return "we could not tell", with its reason."""
    return Reading((), warnings, reason, detail)


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> Reading | None:
    """Return the reading of an answer that says nothing of registration because it failed, or ``None``."""
    if wall := robot_wall(status, headers, body):
        return unread(f"turned away by {wall}", reason=Reason.BLOCKED)
    if status in (502, 503, 504, 529) or 500 <= status <= 599:
        reason = Reason.OVERLOADED if status in (503, 529) else Reason.SERVER_ERROR
        return unread(f"HTTP {status}", reason=reason)
    if 300 <= status <= 399 or status in (404, 410):
        return unread(f"HTTP {status}: not at this address", WarningCode.REGISTRATION_SOURCE_MOVED)
    if status == 202:
        return unread("HTTP 202: a page in between", reason=Reason.BLOCKED)
    return None if status == 200 else unread(f"HTTP {status}")


def detect(
    detector: str, status: int, headers: Mapping[str, str], body: bytes, url: str, extra: Extra | None = None
) -> Reading:
    """Read one answer with one detector; never raises."""
    extra = extra or Extra()
    refused = refusal(status, headers, body)
    is_matrix_answer = detector == "matrix" and status in (401, 403)  # its protocol answers with these
    if refused and (refused.reason is Reason.BLOCKED or not is_matrix_answer):
        return refused
    if detector == "page_text":
        readings, warnings = page_text(text_of(headers, body), url)
        return Reading(readings, warnings)
    try:
        document = parse_json(body)
    except ValueError:
        page = "a web page" if is_html(headers, body) else "no JSON"
        return unread(f"{page} where JSON is due", *((WarningCode.REGISTRATION_SOURCE_MOVED,) if status == 200 else ()))
    if detector == "json":
        return _json(document, extra, url)
    if detector == "matrix":
        found = _matrix(status, as_map(document), extra.delegated)
    else:
        found = DETECTORS[detector](as_map(document))
    return found._replace(readings=tuple(replace(reading, url=url) for reading in found.readings))


def _says(excerpt: str, *readings: MethodReading, warnings: tuple[WarningCode, ...] = ()) -> Reading:
    return Reading(tuple(replace(reading, excerpt=excerpt[:EXCERPT_CHARS]) for reading in readings), warnings)


def _config(method: Method, state: Registration, **details: Any) -> MethodReading:
    return MethodReading(method, state, Source.CONFIG_ENDPOINT, **details)


def _missing(field: str) -> Reading:
    return unread(f"no readable {field} in the answer", WarningCode.REGISTRATION_FIELD_MISSING)


def _sso_or_closed(excerpt: str, *, sso: bool) -> Reading:
    """Without sign-up by form, single sign-on may still create accounts; whether it does is not exposed."""
    if sso:
        by_form = _config(Method.EMAIL, CLOSED)
        return _says(excerpt, _config(Method.ANY, RESTRICTED), _config(Method.SSO, RESTRICTED), by_form)
    return _says(excerpt, _config(Method.ANY, CLOSED))


def _open_webui(document: dict[str, Any]) -> Reading:
    features = as_map(document.get("features"))
    if document.get("onboarding") is True:
        excerpt = "onboarding: true; the first to sign up becomes the administrator"
        return _says(excerpt, _config(Method.ANY, OPEN), warnings=(WarningCode.REGISTRATION_NO_ADMIN_YET,))
    if features.get("auth") is False:
        return _says(
            "features.auth: false; no accounts at all",
            _config(Method.ANY, OPEN),
            warnings=(WarningCode.REGISTRATION_NO_ACCOUNTS,),
        )
    enabled = features.get("enable_signup")
    if not isinstance(enabled, bool):
        return _missing("features.enable_signup")
    providers = as_map(as_map(document.get("oauth")).get("providers"))
    excerpt = f"features.enable_signup: {str(enabled).lower()}; oauth.providers: {len(providers)}"
    if features.get("enable_login_form") is False:  # its sign-up refuses everybody then, whatever enable_signup says
        excerpt, enabled = f"{excerpt}; features.enable_login_form: false", False
    if enabled:
        return _says(excerpt, _config(Method.ANY, OPEN), _config(Method.EMAIL, OPEN))
    return _sso_or_closed(excerpt, sso=bool(providers) or features.get("enable_ldap") is True)


def _librechat(document: dict[str, Any]) -> Reading:
    enabled = document.get("registrationEnabled")
    if not isinstance(enabled, bool):
        return _missing("registrationEnabled")
    excerpt = f"registrationEnabled: {str(enabled).lower()}"
    names = document.get("socialLogins")
    social = [str(name)[:40] for name in names[:20]] if isinstance(names, list) else []
    is_set_up = any(document.get(f"{name}LoginEnabled") is True for name in social)  # the list names others too
    by_social = document.get("socialLoginEnabled") is True and is_set_up
    if enabled:  # by e-mail; whether a social log-in may create an account is not exposed
        warnings = (WarningCode.REGISTRATION_CAPTCHA,) if document.get("turnstile") else ()
        return _says(excerpt, _config(Method.ANY, OPEN), _config(Method.EMAIL, OPEN), warnings=warnings)
    single = any(document.get(key) is True for key in ("openidLoginEnabled", "samlLoginEnabled", "ldap"))
    return _sso_or_closed(excerpt, sso=single or by_social)


def _matrix(status: int, document: dict[str, Any], delegated: bool | None) -> Reading:
    if status == 403:
        excerpt = f"HTTP 403 {clean(document.get('errcode'), 60)}"
        if document.get("errcode") not in ("M_FORBIDDEN", "M_UNKNOWN"):
            return unread(excerpt)
        if delegated is not False:
            return unread(f"{excerpt}; sign-up may be delegated to an OAuth server", WarningCode.REGISTRATION_DELEGATED)
        return _says(excerpt, MethodReading(Method.ANY, CLOSED, Source.PROTOCOL))
    flows = as_rows(document.get("flows"), 50)
    stages = [{str(stage) for stage in flow["stages"][:20]} for flow in flows if isinstance(flow.get("stages"), list)]
    if status != 401 or not stages:
        return _missing("flows")
    excerpt = "stages: " + clean(" | ".join(", ".join(sorted(flow)) for flow in stages), 260)
    if all("m.login.application_service" in flow for flow in stages):
        return unread(f"{excerpt}; only for application services", WarningCode.REGISTRATION_DELEGATED)
    if all("m.login.registration_token" in flow for flow in stages):
        return _says(excerpt, MethodReading(Method.ANY, RESTRICTED, Source.PROTOCOL, invite_required=True))
    wanted = {"m.login.email.identity": Method.EMAIL, "m.login.msisdn": Method.PHONE}
    methods = [method for stage, method in wanted.items() if any(stage in flow for flow in stages)]
    return _says(excerpt, *(MethodReading(method, OPEN, Source.PROTOCOL) for method in (Method.ANY, *methods)))


def _mastodon(document: dict[str, Any]) -> Reading:
    rules = as_map(document.get("registrations"))
    enabled = rules.get("enabled")
    if not isinstance(enabled, bool):
        return _missing("registrations.enabled")
    message = clean(visible_text(said(rules.get("message"))[:5000]), 200)
    excerpt = f"registrations.enabled: {str(enabled).lower()}" + (f"; {message}" if message else "")
    if rules.get("url"):
        return unread(f"{excerpt}; sign-up is at another address", WarningCode.REGISTRATION_DELEGATED)
    if not enabled:
        return _says(excerpt, _config(Method.ANY, CLOSED))
    if rules.get("approval_required") is True:
        excerpt += "; approval_required: true"
        return _says(excerpt, _config(Method.ANY, RESTRICTED, approval_required=True))
    return _says(excerpt, _config(Method.ANY, OPEN), _config(Method.EMAIL, OPEN))


def _mattermost(document: dict[str, Any]) -> Reading:
    def flag(name: str) -> bool | None:  # the old format has strings
        return {"true": True, "false": False}.get(brief(document.get(name), 10).lower())

    creation, server = flag("EnableUserCreation"), flag("EnableOpenServer")
    if creation is None or server is None:
        return _missing("EnableUserCreation and EnableOpenServer")
    excerpt = f"EnableUserCreation: {str(creation).lower()}; EnableOpenServer: {str(server).lower()}"
    if not creation:
        return _says(excerpt, _config(Method.ANY, CLOSED))
    if not server:
        return _says(excerpt, _config(Method.ANY, RESTRICTED, invite_required=True))
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
    return _says(excerpt, *(_config(method, OPEN) for method in (Method.ANY, *methods)))


def _rocketchat(document: dict[str, Any]) -> Reading:
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
            limited = [_config(method, RESTRICTED, email_domains=domains) for method in (Method.ANY, Method.EMAIL)]
            return _says(f"{excerpt}; Accounts_AllowedDomainsList: {', '.join(domains)}", *limited)
        case "Public":
            return _says(excerpt, _config(Method.ANY, OPEN), _config(Method.EMAIL, OPEN))
        case "Secret URL":
            return _says(excerpt, _config(Method.ANY, RESTRICTED, invite_required=True))
        case "Disabled":
            return _says(excerpt, _config(Method.ANY, CLOSED))
    return _missing("Accounts_RegistrationForm")


def _new_api(document: dict[str, Any]) -> Reading:
    """Known versions list the ways to log in but not whether registration is open; then nothing is said."""
    data = as_map(document.get("data"))
    if document.get("success") is not True or not data:
        return _missing("data")
    enabled = data.get("register_enabled")
    if enabled is False:
        return _says("data.register_enabled: false", _config(Method.ANY, CLOSED))
    if enabled is not True:
        return Reading(
            warnings=(WarningCode.REGISTRATION_NOT_EXPOSED,),
            detail="this version does not tell whether sign-up is open",
        )
    offered = {"github_oauth": Method.GITHUB, "wechat_login": Method.WECHAT, "oidc_enabled": Method.SSO}
    methods = [method for name, method in offered.items() if data.get(name) is True]
    if data.get("password_register_enabled", True) is True:
        methods.insert(0, Method.EMAIL)
    return _says("data.register_enabled: true", *(_config(method, OPEN) for method in (Method.ANY, *methods)))


_BANNER_STRINGS = 200


def _deepseek_banner(document: dict[str, Any]) -> Reading:
    data = as_map(document.get("data"))
    settings = as_map(data.get("biz_data")).get("settings")
    if document.get("code") != 0 or data.get("biz_code") != 0 or not isinstance(settings, dict):
        code = clean(data.get("biz_msg") or document.get("msg"), 60)
        return unread(
            f"the settings endpoint refused: {code or 'no settings in the answer'}",
            WarningCode.REGISTRATION_FIELD_MISSING,
        )
    texts: list[str] = []
    _strings(settings, texts, 0)
    said = [statement for text in texts for statement in statements(visible_text(text), Source.OFFICIAL_TEXT)]
    readings, contradictory = settled(said)
    warnings = [WarningCode.REGISTRATION_CONTRADICTORY] if contradictory else []
    if any(says_existing_users_can_log_in(text) for text in texts):
        warnings.append(WarningCode.REGISTRATION_EXISTING_USERS_CAN_LOG_IN)
    # No announcement does not mean open: nothing was said.
    silent = "an announcement that says nothing of registration" if texts else "no announcement"
    return Reading(readings, tuple(warnings), detail="" if readings else silent)


def _strings(value: object, found: list[str], depth: int) -> None:
    """Collect every string below a banner; what a banner's value looks like inside is not documented."""
    if len(found) >= _BANNER_STRINGS or depth > 8:
        return
    if isinstance(value, str):
        if len(value.strip()) > 3:
            found.append(value[:4000])
    elif isinstance(value, dict | list):
        for item in list(value.values() if isinstance(value, dict) else value)[:_BANNER_STRINGS]:
            _strings(item, found, depth + 1)


def _json(document: object, extra: Extra, url: str) -> Reading:
    try:
        value = dig(document, extra.path)
    except KeyError:
        return _missing(clean(extra.path, 100) or "value")
    if isinstance(value, dict | list):
        return _missing(f"plain value at {clean(extra.path, 100)}")
    word = (
        {True: "true", False: "false", None: "null"}[value] if value is None or isinstance(value, bool) else str(value)
    )
    meaning = (extra.mapping or {}).get(word)
    excerpt = f"{clean(extra.path, 100)}: {clean(word, 100)}"
    if meaning is None:
        return unread(f"{excerpt} is not in the mapping", WarningCode.REGISTRATION_UNMAPPED_VALUE)
    return Reading((replace(meaning, excerpt=excerpt, url=url),))


DETECTORS: dict[str, Callable[[dict[str, Any]], Reading]] = {
    "open_webui": _open_webui,
    "librechat": _librechat,
    "mastodon": _mastodon,
    "mattermost": _mattermost,
    "rocketchat": _rocketchat,
    "new_api": _new_api,
    "deepseek_banner": _deepseek_banner,
}

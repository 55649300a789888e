"""Each registration detector against answers of the real shape, whole and broken."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.core.catalogue import Policy
from monitor.core.components.registration.rules import new_state, overall_state, step
from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.registration import Method, MethodReading, Registration, Source
from monitor.probes.registration.detector import Detector, Extra, Reading, detect
from monitor.probes.registration.detectors import DETECTORS
from monitor.probes.registration.observed import restated
from monitor.probes.registration.probe import Meaning, Options
from monitor.simulator.pages import client_settings, open_webui, sign_up
from monitor.simulator.state import Sign
from tests.edges import driven
from tests.edges.site import HTML, JSON, NOW, Page, fixture, fixture_json, look_at, serve

URL = "https://product.example/"
PAGE = DETECTORS["page_text"]
JSON_DETECTORS = [one for one in DETECTORS.values() if not one.is_page and one.look is None]


def read(detector: str, document: Any, status: int = 200, **extra: Any) -> Reading:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return detect(DETECTORS[detector], status, JSON, body, URL, Extra(**extra))


def brief(found: Reading) -> dict[str, str]:
    return {reading.method.value: reading.state.value for reading in found.readings}


def without(name: str, *path: str, **changes: Any) -> Any:
    """A fixture with the object at a path changed; a value of ``...`` removes the key."""
    document = fixture_json(name)
    target = document
    for part in path:
        target = target[part]
    for key, value in changes.items():
        if value is ...:
            del target[key]
        else:
            target[key] = value
    return document


OPEN_WEBUI = [
    ({}, {"any": "open", "email": "open"}),
    ({"enable_signup": False}, {"any": "closed"}),
    ({"enable_signup": False, "enable_ldap": True}, {"any": "restricted", "sso": "restricted", "email": "closed"}),
    ({"auth": False}, {"any": "open"}),
    ({"enable_signup": ...}, {}),
    ({"enable_signup": None}, {}),
    ({"enable_signup": "true"}, {}),
]


@pytest.mark.parametrize(("changes", "expected"), OPEN_WEBUI)
def test_open_webui_tells_by_its_features(changes: dict[str, Any], expected: dict[str, str]) -> None:
    found = read("open_webui", without("open_webui.json", "features", **changes))
    assert brief(found) == expected
    assert (found.reason is Reason.OK) == bool(expected)


def test_open_webui_without_sign_up_but_with_providers_is_restricted_to_them() -> None:
    document = without("open_webui.json", "features", enable_signup=False)
    document["oauth"]["providers"] = {"oidc": "Keycloak"}
    assert brief(read("open_webui", document)) == {"any": "restricted", "sso": "restricted", "email": "closed"}


def test_open_webui_without_its_form_takes_no_sign_up_whatever_its_switch_says() -> None:
    document = without("open_webui.json", "features", enable_login_form=False)
    assert brief(read("open_webui", document)) == {"any": "closed"}
    document["oauth"]["providers"] = {"oidc": "Keycloak"}
    assert brief(read("open_webui", document)) == {"any": "restricted", "sso": "restricted", "email": "closed"}


def test_open_webui_without_any_user_warns_that_the_first_becomes_administrator() -> None:
    found = read("open_webui", fixture_json("open_webui.json") | {"onboarding": True})
    assert found.warnings == ("registration.no_admin_yet",)
    assert brief(found)["any"] == "open"


LIBRECHAT = [
    ({}, {"any": "open", "email": "open"}),  # ALLOW_SOCIAL_REGISTRATION is not exposed
    (
        {"registrationEnabled": False, "googleLoginEnabled": False, "githubLoginEnabled": False},
        {"any": "closed"},  # the list of social log-ins names what is not set up, too
    ),
    ({"registrationEnabled": False}, {"any": "restricted", "sso": "restricted", "email": "closed"}),
    ({"registrationEnabled": False, "socialLoginEnabled": False}, {"any": "closed"}),
    ({"registrationEnabled": ...}, {}),
    # whoever cannot log in by e-mail cannot sign up by it, whatever its switch says
    ({"emailLoginEnabled": False}, {"any": "restricted", "sso": "restricted", "email": "closed"}),
    ({"emailLoginEnabled": False, "socialLoginEnabled": False}, {"any": "closed"}),
    (
        {"emailLoginEnabled": False, "socialLoginEnabled": False, "openidLoginEnabled": True},
        {"any": "restricted", "sso": "restricted", "email": "closed"},
    ),
    ({"emailLoginEnabled": ...}, {"any": "open", "email": "open"}),
    (
        {"registrationEnabled": False, "socialLoginEnabled": False, "ldap": {"enabled": True}},
        {"any": "restricted", "sso": "restricted", "email": "closed"},
    ),
]


@pytest.mark.parametrize(("changes", "expected"), LIBRECHAT)
def test_librechat_tells_by_registration_enabled(changes: dict[str, Any], expected: dict[str, str]) -> None:
    assert brief(read("librechat", without("librechat.json", **changes))) == expected


def test_librechat_mentions_its_captcha() -> None:
    assert read("librechat", fixture_json("librechat.json")).warnings == ("registration.captcha",)


def flows(*stages: list[Any]) -> dict[str, Any]:
    """What a Matrix server answers that offers these ways to sign up."""
    return {"session": "s", "flows": [{"stages": flow} for flow in stages], "params": {}}


MATRIX = [
    (401, fixture_json("matrix_flows.json"), None, {"any": "open", "email": "open", "phone": "open"}),
    (401, {"flows": [{"stages": ["m.login.dummy"]}]}, None, {"any": "open"}),
    (401, {"flows": [{"stages": ["m.login.registration_token"]}]}, None, {"any": "restricted"}),
    (401, {"flows": [{"stages": ["org.matrix.msc3231.login.registration_token"]}]}, None, {"any": "restricted"}),
    (401, flows(["m.login.registration_token"], ["m.login.application_service"]), None, {"any": "restricted"}),
    (401, flows(["m.login.registration_token"], ["m.login.dummy"]), None, {"any": "open"}),
    (401, flows(["m.login.registration_token", "m.login.email.identity"], ["m.login.dummy"]), None, {"any": "open"}),
    (401, flows(["m.login.terms", "org.matrix.msc3231.login.registration_token"]), None, {"any": "restricted"}),
    (401, flows(["org.example.approval", "m.login.registration_token"]), None, {"any": "restricted"}),
    (401, flows(["m.login.application_service"]), None, {}),
    (401, flows(["org.example.approval"]), None, {}),
    (401, flows(["m.login.registration_token"], ["org.example.approval"]), None, {}),
    (401, flows(["m.login.application_service"], ["org.example.approval"]), None, {}),
    (401, flows([]), None, {}),
    (401, flows(["m.login.registration_token"], [7]), None, {}),
    (401, {"flows": ["m.login.dummy"]}, None, {}),
    (401, {"flows": {}}, None, {}),
    (401, {"errcode": "M_MISSING_TOKEN"}, None, {}),
    (403, {"errcode": "M_FORBIDDEN", "error": "Registration has been disabled"}, False, {"any": "closed"}),
    (403, {"errcode": "M_UNKNOWN"}, False, {"any": "closed"}),
    (403, {"errcode": "M_FORBIDDEN"}, True, {}),
    (403, {"errcode": "M_FORBIDDEN"}, None, {}),
    (403, {"error": "nothing"}, False, {}),
    (429, {"errcode": "M_LIMIT_EXCEEDED"}, None, {}),
]


@pytest.mark.parametrize(("status", "document", "delegated", "expected"), MATRIX)
def test_matrix_tells_by_its_flows(
    status: int, document: Any, delegated: bool | None, expected: dict[str, str]
) -> None:
    found = read("matrix", document, status, more=delegated)
    assert brief(found) == expected
    assert all(reading.source is Source.PROTOCOL for reading in found.readings)


def test_matrix_with_a_token_in_every_flow_asks_for_an_invitation() -> None:
    found = read("matrix", {"flows": [{"stages": ["m.login.registration_token", "m.login.terms"]}]}, 401)
    assert found.readings[0].invite_required


MASTODON = [
    ({"approval_required": False}, {"any": "open", "email": "open"}),
    ({}, {"any": "restricted"}),
    ({"enabled": False}, {"any": "closed"}),
    ({"url": "https://sso.example/"}, {}),
    ({"enabled": ...}, {}),
    ({"approval_required": ...}, {}),
    ({"approval_required": "yes"}, {}),
]


@pytest.mark.parametrize(("changes", "expected"), MASTODON)
def test_mastodon_tells_by_its_registrations(changes: dict[str, Any], expected: dict[str, str]) -> None:
    found = read("mastodon", without("mastodon.json", "registrations", **changes))
    assert brief(found) == expected
    assert all(reading.approval_required == (expected == {"any": "restricted"}) for reading in found.readings)


def test_mastodons_message_is_quoted_without_its_markup() -> None:
    document = without(
        "mastodon.json", "registrations", enabled=False, message="<p>Closed <script>x</script>for now</p>"
    )
    assert read("mastodon", document).readings[0].excerpt == "registrations.enabled: false; Closed for now"


MATTERMOST = [
    ({}, {"any": "open", "email": "open", "google": "open"}),
    ({"EnableUserCreation": "false"}, {"any": "closed"}),
    ({"EnableOpenServer": "false"}, {"any": "restricted"}),
    ({"EnableSignUpWithEmail": "false", "EnableSignUpWithGoogle": "false"}, {}),
    ({"EnableOpenServer": ...}, {}),
]


@pytest.mark.parametrize(("changes", "expected"), MATTERMOST)
def test_mattermost_has_strings_for_booleans(changes: dict[str, Any], expected: dict[str, str]) -> None:
    assert brief(read("mattermost", without("mattermost.json", **changes))) == expected


ROCKETCHAT = [
    ("Public", "", {"any": "open", "email": "open"}),
    ("Public", "example.org, Example.com", {"any": "restricted", "email": "restricted"}),
    ("Secret URL", "", {"any": "restricted"}),
    ("Disabled", "", {"any": "closed"}),
    ("Something new", "", {}),
    (None, "", {}),
]


@pytest.mark.parametrize(("form", "domains", "expected"), ROCKETCHAT)
def test_rocketchat_tells_by_its_registration_form(form: object, domains: str, expected: dict[str, str]) -> None:
    document = without("rocketchat.json")
    document["settings"][0]["value"], document["settings"][1]["value"] = form, domains
    found = read("rocketchat", document)
    assert brief(found) == expected
    if domains:
        assert found.readings[0].email_domains == ("example.org", "example.com")


def test_new_api_says_nothing_where_its_version_exposes_nothing() -> None:
    found = read("new_api", fixture_json("new_api.json"))
    assert (found.readings, found.warnings, found.reason) == ((), ("registration.not_exposed",), Reason.OK)
    assert brief(read("new_api", without("new_api.json", "data", register_enabled=False))) == {"any": "closed"}
    assert read("new_api", without("new_api.json", success=False)).reason is Reason.UNREADABLE


NEW_API = [
    ({}, {"any": "open", "github": "open"}),  # nothing is told of the form
    ({"password_register_enabled": True}, {"any": "open", "email": "open", "github": "open"}),
    ({"password_register_enabled": False}, {"any": "restricted", "email": "closed", "github": "open"}),
    ({"password_login_enabled": False}, {"any": "restricted", "email": "closed", "github": "open"}),
    ({"password_register_enabled": "true"}, {"any": "open", "github": "open"}),
    (
        {"password_register_enabled": False, "github_oauth": False, "discord_oauth": True, "telegram_oauth": True},
        {"any": "restricted", "email": "closed", "sso": "open"},
    ),
    (
        {"password_register_enabled": False, "github_oauth": False, "custom_oauth_providers": [{"name": "Company"}]},
        {"any": "restricted", "email": "closed", "sso": "open"},
    ),
    ({"password_register_enabled": False, "github_oauth": False}, {}),
    ({"register_enabled": "true"}, {}),
]


@pytest.mark.parametrize(("changes", "expected"), NEW_API)
def test_new_api_names_the_ways_that_it_offers_and_no_other(changes: dict[str, Any], expected: dict[str, str]) -> None:
    assert brief(read("new_api", without("new_api.json", "data", **{"register_enabled": True} | changes))) == expected


def test_deepseeks_banner_goes_through_the_phrases_in_both_languages() -> None:
    found = read("deepseek_banner", fixture_json("deepseek_banner.json"))
    assert brief(found) == {"any": "restricted", "phone": "restricted"}
    assert {reading.country_codes for reading in found.readings} == {(), ("86",)}
    assert {reading.source for reading in found.readings} == {Source.OFFICIAL_TEXT}
    assert found.warnings == ("registration.existing_users_can_log_in",)


@pytest.mark.parametrize(
    "value",
    ["注册可能繁忙", {"text": "注册可能繁忙"}, [{"zh": {"title": "公告", "body": "<p>注册可能<b>繁忙</b></p>"}}]],
)
def test_a_banners_words_are_found_wherever_they_are(value: object) -> None:
    document = without("deepseek_banner.json", "data", "biz_data", settings={"any_name": {"id": 1, "value": value}})
    assert brief(read("deepseek_banner", document)) == {"any": "delayed"}


def test_no_announcement_is_not_open() -> None:
    found = read("deepseek_banner", fixture_json("deepseek_banner_empty.json"))
    assert (found.readings, found.reason, found.detail) == ((), Reason.OK, "no announcement")


def test_a_refused_settings_request_is_unreadable() -> None:
    found = read("deepseek_banner", fixture_json("deepseek_banner_refused.json"))
    assert (found.readings, found.reason) == ((), Reason.UNREADABLE)
    assert "INVALID_PARAM" in found.detail
    whole = fixture_json("deepseek_banner.json")
    assert read("deepseek_banner", whole).readings
    assert read("deepseek_banner", whole | {"code": 40003}).reason is Reason.UNREADABLE
    whole["data"]["biz_code"] = 2
    assert (read("deepseek_banner", whole).readings, read("deepseek_banner", whole).reason) == ((), Reason.UNREADABLE)


def test_any_json_field_can_be_mapped() -> None:
    mapping = {
        "true": MethodReading(Method.ANY, Registration.OPEN, Source.CONFIG_ENDPOINT),
        "null": MethodReading(Method.ANY, Registration.CLOSED, Source.CONFIG_ENDPOINT),
    }
    document = {"data": [{"signup": True}]}
    found = read("json", document, path="data.0.signup", mapping=mapping)
    assert brief(found) == {"any": "open"}
    assert found.readings[0].excerpt == "data.0.signup: true"
    assert brief(read("json", {"a": None}, path="a", mapping=mapping)) == {"any": "closed"}
    oddities: list[Any] = [{"a": "soon"}, {"a": {}}, {"b": True}, [], "text"]
    for odd in oddities:
        found = read("json", odd, path="a", mapping=mapping)
        assert (found.readings, found.reason) == ((), Reason.UNREADABLE)
        assert found.warnings


FAILED = [
    (500, JSON, b"{}", Reason.SERVER_ERROR),
    (502, HTML, b"<html>bad gateway</html>", Reason.SERVER_ERROR),
    (503, JSON, b"", Reason.OVERLOADED),
    (403, HTML, fixture("challenge_cloudflare.html"), Reason.BLOCKED),
    (403, {"cf-mitigated": "challenge"}, b"", Reason.BLOCKED),
    (202, {"x-amzn-waf-action": "challenge"}, b"", Reason.BLOCKED),
    (405, HTML, b"<html>no</html>", Reason.UNREADABLE),
    (404, JSON, b"{}", Reason.UNREADABLE),
    (301, HTML, b"", Reason.UNREADABLE),
    (429, JSON, b"{}", Reason.UNREADABLE),
    (200, HTML, b"<!doctype html><html><body>registration is closed</body></html>", Reason.UNREADABLE),
    (200, JSON, b"", Reason.UNREADABLE),
    (200, JSON, b"\xff\xfe\x00", Reason.UNREADABLE),
    (200, JSON, b"[" * 100_000, Reason.UNREADABLE),
    (200, JSON, b"null", Reason.UNREADABLE),
    (200, JSON, b"[]", Reason.UNREADABLE),
]


@pytest.mark.parametrize("detector", JSON_DETECTORS, ids=lambda detector: detector.name)
@pytest.mark.parametrize(("status", "headers", "body", "reason"), FAILED)
def test_a_failed_read_is_unknown_never_closed(
    detector: Detector, status: int, headers: dict[str, str], body: bytes, reason: Reason
) -> None:
    found = detect(detector, status, headers, body, URL, Extra(path="a"))
    assert found.readings == ()
    assert found.reason is reason
    assert found.detail


@pytest.mark.parametrize(("status", "headers", "body", "reason"), FAILED[:8])
def test_a_sign_up_page_that_fails_says_nothing_of_registration(
    status: int, headers: dict[str, str], body: bytes, reason: Reason
) -> None:
    found = detect(PAGE, status, headers, body + b"registration is closed", URL)
    assert (found.readings, found.reason) == ((), reason)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["data", "features", "enable_signup", "flows", "stages", "settings", "_id", "value", "biz_data"]
            )
            | st.text(max_size=6),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.sampled_from(JSON_DETECTORS), st.sampled_from([200, 401, 403]), anything)
def test_no_json_whatsoever_breaks_a_detector(detector: Detector, status: int, document: Any) -> None:
    found = detect(detector, status, JSON, json.dumps(document).encode(), URL, Extra(path="data.0.value"))
    assert found.reason is Reason.OK or found.readings == ()


@given(st.binary(max_size=400) | st.text(max_size=400).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_whatsoever_break_the_page_reader(body: bytes) -> None:
    detect(PAGE, 200, HTML, body, URL)


def page(body: str) -> Reading:
    return detect(PAGE, 200, HTML, body.encode(), URL)


def test_a_form_on_a_sign_up_page_offers_its_methods() -> None:
    found = page(
        "<h1>Create your account</h1><form><input type=email name=email><input type='tel' name=phone>"
        "<button>Continue with Google</button><a href=#>Sign up with Apple</a><button>Sign up</button></form>"
    )
    assert brief(found) == {"any": "open", "google": "open", "apple": "open", "email": "open", "phone": "open"}
    assert {reading.source for reading in found.readings} == {Source.PAGE_TEXT}


def test_a_page_is_read_in_the_charset_that_it_declares() -> None:
    words = "<p>目前仅支持中国大陆手机号注册</p>".encode("gb18030")
    found = detect(PAGE, 200, {"content-type": "text/html; charset=GBK"}, words, URL)
    assert brief(found) == {"any": "restricted", "phone": "restricted"}
    assert detect(PAGE, 200, HTML, words, URL).readings == ()


def test_a_log_in_form_or_a_newsletter_is_no_sign_up() -> None:
    assert page("<h1>Log in</h1><input type=email><button>Log in with Google</button>").readings == ()
    assert page("<h1>News</h1><input type=email placeholder='Your e-mail'><button>Subscribe</button>").readings == ()


def test_an_empty_shell_of_a_page_says_nothing_and_warns() -> None:
    found = page('<!doctype html><title>DeepSeek</title><div id="root"></div><script>"registration is closed"</script>')
    said = ("registration.nothing_to_read",)
    assert (found.readings, found.warnings, found.reason) == ((), said, Reason.UNREADABLE)


def notice(words: str, more: str = "") -> bytes:
    return f"<!doctype html><title>{words}</title><h1>{words}</h1>{more}".encode()


NOT_THE_SIGN_UP_PAGE = [
    (b"", Reason.UNREADABLE, "without a word"),
    (b"  \n", Reason.UNREADABLE, "without a word"),
    (b"<html><head></head><body></body></html>", Reason.UNREADABLE, "shows nothing"),
    (b'<title>Chat</title><div id="root"></div><script src="/a.js"></script>', Reason.UNREADABLE, "neither says"),
    (b'{"error":{"message":"The server is overloaded"}}', Reason.UNREADABLE, "server is overloaded"),
    (notice("Scheduled maintenance"), Reason.UNREADABLE, "scheduled maintenance"),
    (notice("系统维护中，请稍后再试"), Reason.UNREADABLE, "系统维护"),
    (notice("We are at capacity", "<a>Sign up with e-mail</a>"), Reason.UNREADABLE, "at capacity"),
    (notice("Service unavailable"), Reason.UNREADABLE, "service unavailable"),
    (notice("chat.example is for sale", "<p>Buy this domain.</p>"), Reason.UNREADABLE, "for sale"),
    (notice("Welcome to nginx!"), Reason.UNREADABLE, "welcome to nginx"),
    (notice("Welcome to the casino"), Reason.UNREADABLE, "neither says"),
    (notice("Log in", "<input type=password>"), Reason.UNREADABLE, "neither says"),
    (notice("Just a moment..."), Reason.BLOCKED, "Cloudflare"),
    (notice("Please complete the security check to access"), Reason.BLOCKED, "robot"),
    (notice("Verify you are human"), Reason.BLOCKED, "robot"),
    (notice("请完成安全验证"), Reason.BLOCKED, "robot"),
    (notice("請完成安全驗證"), Reason.BLOCKED, "robot"),
]


@pytest.mark.parametrize(("body", "reason", "words"), NOT_THE_SIGN_UP_PAGE)
def test_what_stands_in_place_of_a_sign_up_page_is_unknown_and_says_why(
    body: bytes, reason: Reason, words: str
) -> None:
    async def story() -> Observation:
        async with serve({"/sign_up": Page(body, 200, HTML)}) as site:
            return await look_at("registration", detector="page_text", url=f"{site.url}/sign_up")

    seen = driven.run(story())
    assert (seen.reason, seen.outcome, seen.registration) == (reason, Outcome.UNKNOWN, ())
    assert words in seen.detail
    assert seen.evidence is not None


@pytest.mark.parametrize("sites", [(), ("localhost",)])
def test_a_sign_up_page_on_another_site_is_read_only_if_that_site_is_declared(sites: tuple[str, ...]) -> None:
    async def story() -> Observation:
        form = Page(b"<h1>Sign up</h1><input type=email><button>Sign up</button>", 200, HTML)
        async with serve({"/in": form}) as site:
            site.pages["/sign_up"] = Page(b"", 302, {"location": site.url.replace("127.0.0.1", "localhost") + "/in"})
            return await look_at("registration", detector="page_text", url=f"{site.url}/sign_up", sites=sites)

    seen = driven.run(story())
    assert (seen.reason, bool(seen.registration)) == ((Reason.OK, True) if sites else (Reason.UNREADABLE, False))
    assert ("localhost" in seen.detail) is not bool(sites)


@pytest.mark.parametrize("words", ["Registration is closed during maintenance.", "系统繁忙，暂停注册。"])
def test_words_about_registration_count_beside_words_of_trouble(words: str) -> None:
    assert brief(page(f"<p>{words}</p>")) == {"any": "closed"}


def test_an_announcement_outweighs_the_form_below_it() -> None:
    form = "<h1>Sign up</h1><input type=email><button>Sign up</button>"
    assert brief(page(f"<p>Registration is temporarily closed.</p>{form}")) == {"any": "closed"}
    assert brief(page(f"<p>Registration may be busy.</p>{form}")) == {"any": "delayed", "email": "delayed"}


@pytest.mark.parametrize("chinese", [False, True])
def test_the_simulated_sign_up_page_is_read_in_both_languages(chinese: bool) -> None:
    read_page = {sign: brief(page(sign_up("Chat", sign, chinese=chinese))) for sign in Sign}
    assert read_page[Sign.PHONE_86] == {"any": "restricted", "phone": "restricted"}
    assert read_page[Sign.CLOSED] == {"any": "closed"}
    assert set(read_page[Sign.BUSY].values()) == {"delayed"}
    assert set(read_page[Sign.OPEN].values()) == {"open"}
    assert set(read_page[Sign.OPEN]) == {"any", "email", "phone", "google", "apple"}


def test_the_simulated_configuration_endpoints_are_read() -> None:
    assert brief(read("open_webui", open_webui("Chat", Sign.CLOSED))) == {"any": "closed"}
    assert brief(read("deepseek_banner", client_settings(Sign.BUSY, "banner"))) == {"any": "delayed"}
    assert brief(read("deepseek_banner", client_settings(Sign.OPEN, "banner"))) == {}


def reading(method: Method, state: Registration, **details: Any) -> MethodReading:
    return MethodReading(method, state, Source.PAGE_TEXT, **details)


def test_a_word_on_the_whole_renews_the_methods_that_were_named_before() -> None:
    whole = reading(Method.ANY, Registration.DELAYED)
    assert {(r.method, r.state) for r in restated((whole,), ["phone", "google"])} == {
        (Method.ANY, Registration.DELAYED),
        (Method.PHONE, Registration.DELAYED),
        (Method.GOOGLE, Registration.DELAYED),
    }


def test_only_some_phones_takes_the_other_methods_back() -> None:
    said = (
        reading(Method.ANY, Registration.RESTRICTED),
        reading(Method.PHONE, Registration.RESTRICTED, country_codes=("86",)),
    )
    states = {r.method: r.state for r in restated(said, ["email", "phone"])}
    assert states[Method.EMAIL] is Registration.CLOSED
    assert states[Method.PHONE] is Registration.RESTRICTED


def test_a_word_on_one_method_renews_no_other() -> None:
    said = (reading(Method.EMAIL, Registration.CLOSED),)
    assert restated(said, ["google"]) == said


def test_a_look_asks_the_products_endpoint_without_cookie_or_token() -> None:
    async def story() -> None:
        async with serve({"/api/config": Page(fixture("open_webui.json"))}) as site:
            seen = await look_at("registration", detector="open_webui", url=site.url)
        assert seen.reason is Reason.OK
        assert seen.detail == "any: open, email: open"
        assert seen.registration[0].url == site.url
        (asked,) = site.asked
        assert (asked.method, asked.path) == ("GET", "/api/config")
        assert not {"cookie", "authorization", "content-length", "content-type"} & set(asked.headers)

    driven.run(story())


def test_the_matrix_look_posts_nothing_but_an_empty_object() -> None:
    async def story() -> None:
        pages = {"/_matrix/client/v3/register": Page(fixture("matrix_flows.json"), 401)}
        async with serve(pages) as site:
            seen = await look_at("registration", detector="matrix", url=site.url)
        assert seen.registration[0].state is Registration.OPEN
        assert [(asked.method, asked.body) for asked in site.asked] == [("POST", b"{}")]

    driven.run(story())


@pytest.mark.parametrize(("metadata", "state"), [(404, Registration.CLOSED), (200, None), (500, None)])
def test_a_matrix_server_that_refuses_is_closed_only_if_it_delegates_nothing(
    metadata: int, state: Registration | None
) -> None:
    async def story() -> None:
        pages = {
            "/_matrix/client/v3/register": Page(b'{"errcode":"M_FORBIDDEN"}', 403),
            "/_matrix/client/v1/auth_metadata": Page(b"{}", metadata),
        }
        async with serve(pages) as site:
            seen = await look_at("registration", detector="matrix", url=site.url)
        assert [r.state for r in seen.registration] == ([state] if state else [])
        assert seen.reason is (Reason.OK if state else Reason.UNREADABLE)

    driven.run(story())


def test_deepseeks_settings_are_asked_with_a_device_id_that_stays() -> None:
    async def story() -> None:
        memory: dict[str, Any] = {}
        async with serve({"/api/v0/client/settings": Page(fixture("deepseek_banner.json"))}) as site:
            for _ in range(2):
                seen = await look_at("registration", memory, detector="deepseek_banner", url=site.url)
        assert {r.method for r in seen.registration} == {Method.ANY, Method.PHONE}
        first, second = (asked.path for asked in site.asked)
        assert first == second
        assert "scope=banner" in first
        assert "did=" in first
        assert "did=" not in seen.registration[0].url

    driven.run(story())


def test_a_restriction_that_follows_an_open_page_closes_what_the_page_offered() -> None:
    async def story() -> None:
        memory: dict[str, Any] = {}
        pages = {"/sign_up": Page(sign_up("Chat", Sign.OPEN, chinese=False).encode(), headers=HTML)}
        async with serve(pages) as site:
            await look_at("registration", memory, detector="page_text", url=f"{site.url}/sign_up")
            site.pages["/sign_up"] = Page(sign_up("Chat", Sign.PHONE_86, chinese=False).encode(), headers=HTML)
            seen = await look_at("registration", memory, detector="page_text", url=f"{site.url}/sign_up")
        states = {r.method.value: r.state.value for r in seen.registration}
        assert states == {
            "any": "restricted",
            "phone": "restricted",
            "email": "closed",
            "google": "closed",
            "apple": "closed",
        }

    driven.run(story())


def test_the_page_of_january_2025_becomes_restricted_then_delayed_then_open_again() -> None:
    async def story() -> list[tuple[str, set[str]]]:
        memory: dict[str, Any] = {}
        state, now, told = new_state("deepseek/registration"), NOW, []
        async with serve({}) as site:
            for sign in (Sign.OPEN, Sign.PHONE_86, Sign.BUSY, Sign.OPEN):
                site.pages["/sign_up"] = Page(sign_up("Chat", sign, chinese=True).encode(), headers=HTML)
                changed: set[str] = set()
                for _ in range(2):
                    now += timedelta(minutes=5)
                    seen = await look_at("registration", memory, detector="page_text", url=f"{site.url}/sign_up")
                    state, changes = step(state, seen.registration, now, Policy())
                    changed |= {
                        f"{c.after.method} {c.after.state} {' '.join(c.after.country_codes)}".strip() for c in changes
                    }
                told.append((overall_state(state, now).value, changed))
        return told

    first, limited, busy, last = driven.run(story())
    ways = ("any", "email", "phone", "google", "apple")
    assert first == ("open", {f"{way} open" for way in ways})
    assert limited[0] == "restricted"
    assert limited[1] == {"any restricted", "phone restricted 86", "email closed", "google closed", "apple closed"}
    assert busy == ("delayed", {f"{way} delayed" for way in ways})
    assert last == first


def test_a_failed_look_has_evidence_and_no_reading() -> None:
    async def story() -> None:
        pages = {"/sign_up": Page(b"<html>registration is closed", 503, HTML | {"retry-after": "30"})}
        async with serve(pages) as site:
            seen = await look_at("registration", detector="page_text", url=f"{site.url}/sign_up")
        assert (seen.reason, seen.registration, seen.retry_after_s) == (Reason.OVERLOADED, (), 30.0)
        assert seen.evidence is not None
        assert "registration is closed" in seen.evidence.excerpt

    driven.run(story())


def test_a_dead_server_is_a_failed_look_without_readings() -> None:
    async def story() -> None:
        async with serve({}) as site:
            url = site.url
        seen = await look_at("registration", detector="open_webui", url=url)
        assert (seen.reason, seen.registration) == (Reason.CONNECT, ())

    driven.run(story())


def statuspage_with(*bodies: str, status: str = "investigating") -> bytes:
    document = fixture_json("statuspage_summary.json")
    updates = [
        {"display_at": f"2026-11-22T14:{10 - n:02}:00Z", "status": status, "body": b} for n, b in enumerate(bodies)
    ]
    document["incidents"][0] |= {"incident_updates": updates, "status": status}
    document["scheduled_maintenances"] = []
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("bodies", "status", "expected"),
    [
        (("Only +86 phone numbers can register for now.", "Registration is closed."), "identified", "any restricted"),
        (("We keep looking.", "Registration may be busy."), "investigating", "any delayed"),
        (("We keep looking.",), "investigating", ""),
        (("Registration has been restored.", "Registration is closed."), "resolved", "any open"),
        (("All is well.", "Registration is closed."), "resolved", ""),
        (("Registration is closed.",), "resolved", ""),  # nobody said that it opened
        (("New accounts cannot be created.",), "investigating", "any failing"),
        (("This incident is over.", "New accounts cannot be created."), "resolved", "any open"),
        (("We keep an eye on it.", "About 69 % of sign-ups fail."), "monitoring", "any failing"),
        (("Sign-ups work again.", "About 69 % of sign-ups fail."), "monitoring", "any open"),
        (("New subscriptions of the Plus plan are paused.",), "identified", ""),
    ],
)
def test_the_vendors_incident_texts_are_read_newest_word_first(
    bodies: tuple[str, ...], status: str, expected: str
) -> None:
    async def story() -> None:
        async with serve({"/api/v2/summary.json": Page(statuspage_with(*bodies, status=status))}) as site:
            seen = await look_at("registration", detector="upstream_text", provider="statuspage", url=site.url)
        general = [f"{r.method} {r.state}" for r in seen.registration if r.method is Method.ANY]
        assert general == ([expected] if expected else [])
        assert seen.reason is Reason.OK
        assert all(r.source is Source.OFFICIAL_TEXT for r in seen.registration)

    driven.run(story())


def test_a_status_page_that_moved_says_nothing_of_registration() -> None:
    async def story() -> None:
        async with serve({"/api/v2/summary.json": Page(b"<html>hello</html>", headers=HTML)}) as site:
            seen = await look_at("registration", detector="upstream_text", provider="statuspage", url=site.url)
        assert (seen.reason, seen.registration, seen.warnings) == (Reason.UNREADABLE, (), ("upstream.moved",))

    driven.run(story())


def test_options_say_what_is_missing() -> None:
    for wrong in (
        {"detector": "json", "url": URL},
        {"detector": "upstream_text", "url": URL},
        {"detector": "json", "url": URL, "path": "a", "mapping": {"true": "half-open"}},
        {
            "detector": "json",
            "url": URL,
            "path": "a",
            "mapping": {"x": {"state": "restricted", "country_codes": ["+999"]}},
        },
        {"detector": "mind_reading", "url": URL},
        {"detector": "page_text", "url": "ftp://x"},
    ):
        with pytest.raises(ValidationError):
            Options.model_validate(wrong)


def test_a_mapping_may_be_short_or_in_detail_and_use_yamls_booleans() -> None:
    options = Options.model_validate(
        {
            "detector": "json",
            "url": URL,
            "path": "a",
            "mapping": {
                True: "open",
                "phone_only": {"state": "restricted", "method": "phone", "country_codes": ["+86", "852"]},
            },
        }
    )
    assert options.mapping["true"] == Meaning(state=Registration.OPEN)
    assert options.mapping["phone_only"].reading().country_codes == ("86", "852")


def test_a_banner_that_is_taken_down_takes_its_words_back_and_says_nothing_of_open() -> None:
    async def scene() -> list[Observation]:
        memory: dict[str, Any] = {}
        path = "/api/v0/client/settings"
        async with serve({path: Page(fixture("deepseek_banner.json"))}) as site:
            before = await look_at("registration", memory, detector="deepseek_banner", url=site.url)
            site.pages[path] = Page(fixture("deepseek_banner_empty.json"))
            after = await look_at("registration", memory, detector="deepseek_banner", url=site.url)
        return [before, after]

    before, after = driven.run(scene())
    assert before.registration
    assert {reading.method for reading in after.registration} >= {reading.method for reading in before.registration}
    assert {reading.state for reading in after.registration} == {Registration.UNKNOWN}
    assert {(r.source, r.url) for r in after.registration} == {(r.source, r.url) for r in before.registration}

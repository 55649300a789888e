"""Existing users: signing in with a test account, the edge alone, and whose fault a refusal is."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from pydantic import ValidationError

from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Outcome, Reason, Scope
from monitor.probes.login import Options
from monitor.simulator.play import serve as serve_vendor
from monitor.simulator.state import Account
from tests.edges import driven
from tests.edges.site import HTML, JSON, Page, Site, fixture, look_at, serve

ACCOUNT = {"email": "alice@example.org", "password": "correct horse battery"}
SIGN_IN = {"open_webui": "/api/v1/auths/signin", "librechat": "/api/auth/login"}
REFUSAL = {"open_webui": (400, b'{"detail":"The email or password provided is incorrect."}')}
REFUSAL["librechat"] = (404, b'{"message":"Email does not exist."}')


WELCOME = Page(b"<title>Chat</title><div id=app>Hello, Alice <a href=/logout>Log out</a></div>", 200, HTML)
INSIDE = {
    "/": WELCOME,
    "/home": WELCOME,
    "/chat/welcome": WELCOME,
    "/oops": Page(b"<h1>Internal error</h1>", 500, HTML),
    "/full": Page(b"<h1>Come back later</h1>", 503, HTML),
    "/start": Page("<h1>系统维护中</h1>".encode(), 200, HTML),
    "/sad": Page(b"<h1>Your account has been suspended</h1>", 200, HTML),
    "/again": Page(b"<form><input type=password></form>", 200, HTML),
    "/blank": Page(b"", 200, HTML),
    "/wall": Page(b"<h1>Verify you are human</h1>", 200, HTML),
    "/step": Page(b"", 302, {"location": "/home", "set-cookie": "more=1"}),
    "/hop": Page(b"", 302, {"location": "/session"}),
    "/away": Page(b"", 302, {"location": "https://elsewhere.example/"}),
}


def sign_in(product: str, page: Page, **options: Any) -> tuple[Observation, Site]:
    async def story() -> tuple[Observation, Site]:
        path = SIGN_IN.get(product, "/session")
        url = "" if product in SIGN_IN else path
        async with serve({path: page}) as site:
            site.pages |= INSIDE
            return await look_at("login", product=product, url=site.url + url, **(ACCOUNT | options)), site

    return driven.run(story())


@pytest.mark.parametrize("product", SIGN_IN)
def test_a_token_means_signed_in_and_nothing_of_the_answer_is_kept(product: str) -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6IjEifQ.c2lnbmF0dXJl"
    seen, site = sign_in(product, Page(json.dumps({"token": token, "token_type": "Bearer"}).encode()))
    assert (seen.reason, seen.detail, seen.evidence, seen.warnings) == (Reason.OK, "signed in", None, ())
    assert token not in repr(seen)
    (asked,) = site.asked
    assert (asked.method, json.loads(asked.body)) == ("POST", ACCOUNT)


@pytest.mark.parametrize("product", SIGN_IN)
def test_a_wrong_password_is_our_accounts_trouble_not_the_services(product: str) -> None:
    status, body = REFUSAL[product]
    for answer in (Page(body, status), Page(body, 401)):
        seen, _ = sign_in(product, answer)
        assert (seen.reason, seen.outcome) == (Reason.AUTH, Outcome.UNKNOWN)


CASES = [
    (Page(b"{}", 500), Reason.SERVER_ERROR),
    (Page(b"{}", 503), Reason.OVERLOADED),
    (Page(b"{}", 429, JSON | {"retry-after": "60"}), Reason.RATE_LIMIT),
    (Page(b"{}", 429), Reason.THROTTLED),
    (Page(fixture("challenge_cloudflare.html"), 403, HTML), Reason.BLOCKED),
    (Page(b'{"message":"banned"}', 403), Reason.AUTH),
    (Page(b"<html>not here</html>", 404, HTML), Reason.CONFIG),
    (Page(b"<html>the app</html>", 200, HTML), Reason.BLOCKED),
    (Page(b"<title>Down for maintenance</title>", 200, HTML), Reason.CONTENT),
    (Page(b"", 200, HTML), Reason.EMPTY),
    (Page(b" \n", 200), Reason.EMPTY),
    (Page(b"not json"), Reason.MALFORMED),
    (Page(b"[" * 100_000), Reason.MALFORMED),
    (Page(b"{}"), Reason.CONTENT),
    (Page(b'{"token": null}'), Reason.CONTENT),
    (Page(b'["token"]'), Reason.CONTENT),
    (Page(b"", 302, {"location": "https://elsewhere.example/"}), Reason.REDIRECT),
]


@pytest.mark.parametrize("product", SIGN_IN)
@pytest.mark.parametrize(("page", "reason"), CASES)
def test_every_other_answer_has_its_reason(product: str, page: Page, reason: Reason) -> None:
    seen, site = sign_in(product, page)
    assert seen.reason is reason, seen.detail
    assert len(site.asked) == 1
    assert ACCOUNT["password"] not in repr(seen)


def test_a_password_that_comes_back_is_redacted_in_the_evidence() -> None:
    seen, _ = sign_in("open_webui", Page(json.dumps({"detail": f"bad: {ACCOUNT['password']}"}).encode(), 500))
    assert seen.evidence is not None
    assert ACCOUNT["password"] not in seen.evidence.excerpt
    assert "[redacted]" in seen.evidence.excerpt


def test_a_second_factor_means_that_the_password_was_right() -> None:
    seen, _ = sign_in("librechat", Page(b'{"twoFAPending": true, "tempToken": "x"}'))
    assert (seen.reason, seen.warnings) == (Reason.OK, ("login.second_factor",))


def test_any_json_endpoint_can_be_asked_with_its_own_fields() -> None:
    options = {"email_field": "user", "password_field": "pass", "expect": "session.id"}
    seen, site = sign_in("json", Page(b'{"session": {"id": 7}}'), **options)
    assert seen.reason is Reason.OK
    assert json.loads(site.asked[0].body) == {"user": ACCOUNT["email"], "pass": ACCOUNT["password"]}
    assert sign_in("json", Page(b'{"session": {}}'), **options)[0].reason is Reason.CONTENT


def redirected(to: str, cookie: str = "sid=1") -> Page:
    return Page(b"", 302, {"location": to, "set-cookie": cookie})


AGAIN = b"<form><input name=user><input type=password name=password></form>"
FORM = [
    (redirected("/home"), "", Reason.OK),
    (redirected("/"), "", Reason.OK),
    (redirected("/home", "sid=; Max-Age=0"), "", Reason.CONFIG),
    (redirected("/home", "sid=x; expires=Thu, 01 Jan 1970 00:00:00 GMT"), "", Reason.CONFIG),
    (redirected("/error"), "", Reason.AUTH),
    (redirected("/login?error=1"), "", Reason.AUTH),
    (redirected("/session?failed"), "", Reason.AUTH),
    (redirected("/session"), "", Reason.AUTH),
    (redirected("/auth/sign-in"), "", Reason.AUTH),
    (redirected("/oops/access-denied"), "", Reason.AUTH),
    (redirected("/maintenance"), "", Reason.CONTENT),
    (redirected("/503.html"), "", Reason.CONTENT),
    (redirected("https://elsewhere.example/home"), "", Reason.CHANGED),
    (redirected("/chat/welcome"), "/chat/welcome", Reason.OK),
    (redirected("/home"), "/chat/welcome", Reason.CONTENT),
    (Page(AGAIN, 200, HTML), "", Reason.AUTH),
    (Page(AGAIN, 200, HTML), "Welcome", Reason.AUTH),
    (Page(b"", 200, HTML), "", Reason.EMPTY),
    (Page("<h1>系统维护中</h1>".encode(), 200, HTML), "", Reason.CONTENT),
    (Page(b"<h1>We are at capacity</h1>", 200, HTML), "", Reason.OVERLOADED),
    (Page(b"<h1>Welcome</h1>", 200, HTML), "Welcome", Reason.OK),
    (Page(b"<h1>Wrong password</h1>", 200, HTML), "Welcome", Reason.AUTH),
    (Page(b"<h1>Good morning</h1>", 200, HTML), "Welcome", Reason.CONTENT),
    (Page(b"<h1>Log in</h1>", 200, HTML), "", Reason.CONFIG),
    (Page(b"no", 401, HTML), "", Reason.AUTH),
]


@pytest.mark.parametrize(("page", "expect", "reason"), FORM)
def test_a_form_is_judged_by_its_session_or_by_a_text(page: Page, expect: str, reason: Reason) -> None:
    seen, site = sign_in("form", page, expect=expect)
    assert seen.reason is reason
    assert site.asked[0].body == b"email=alice%40example.org&password=correct+horse+battery"


@pytest.mark.parametrize(
    "words",
    [
        "Invalid username or password", "Wrong e-mail or password. Try again.", "Incorrect password",
        "Your account is locked. Too many attempts.", "The email or password you entered is incorrect.",
        "Your account has been suspended", "No such user", "Login failed", "We could not sign you in",
        "Please verify your email", "Username and password do not match",
        "密码错误", "用户名或密码不正确", "账号已被锁定",
        "帳號或密碼錯誤", "该用户不存在", "登录失败", "登入失敗次数过多，账户已冻结",
    ],
)  # fmt: skip
@pytest.mark.parametrize("shape", ["page", "form", "json", "400", "429", "query", "cookie"])
def test_an_account_that_is_refused_in_words_is_ours_however_they_come(words: str, shape: str) -> None:
    page = {
        "page": Page(f"<title>x</title><h1>{words}</h1>".encode(), 200, HTML),
        "form": Page(f"<p>{words}</p>".encode() + AGAIN, 200, HTML),
        "json": Page(json.dumps({"error": words}, ensure_ascii=False).encode(), 200, JSON),
        "400": Page(f"<h1>{words}</h1>".encode(), 400, HTML),
        "429": Page(f"<h1>{words}</h1>".encode(), 429, HTML),
        "query": redirected(f"/home?message={quote_plus(words)}"),
        "cookie": redirected("/home", f"sid={quote_plus(words)}; Path=/"),
    }[shape]
    seen, _ = sign_in("form", page)
    assert (seen.reason, seen.reason.scope, seen.outcome) == (Reason.AUTH, Scope.ACCOUNT, Outcome.UNKNOWN), seen.detail


def test_a_refusal_in_the_words_of_a_json_sign_in_is_ours_too() -> None:
    for body in ({"error": "invalid credentials"}, {"code": "INVALID_PASSWORD"}, {"msg": "密码错误", "data": None}):
        seen, _ = sign_in("json", Page(json.dumps(body, ensure_ascii=False).encode()), expect="token")
        assert seen.reason is Reason.AUTH, seen.detail


NO_WAY_IN = [
    ("/oops", Reason.SERVER_ERROR), ("/full", Reason.OVERLOADED), ("/start", Reason.CONTENT), ("/sad", Reason.AUTH),
    ("/again", Reason.AUTH), ("/blank", Reason.EMPTY), ("/wall", Reason.BLOCKED), ("/hop", Reason.AUTH),
    ("/away", Reason.CHANGED), ("/nowhere", Reason.CONFIG), ("/account/suspended", Reason.AUTH),
    ("/captcha", Reason.BLOCKED), ("/verify-email", Reason.AUTH), ("/login-failed", Reason.AUTH),
    ("//elsewhere.example/home", Reason.CHANGED), ("/step", Reason.OK),
]  # fmt: skip


@pytest.mark.parametrize(("to", "reason"), NO_WAY_IN)
@pytest.mark.parametrize("expect", ["", "Hello, Alice"])
def test_a_session_and_a_redirect_are_a_success_only_where_they_lead_to_a_way_in(
    to: str, reason: Reason, expect: str
) -> None:
    seen, _ = sign_in("form", redirected(to), expect=expect)
    assert seen.reason is reason, seen.detail


@pytest.mark.parametrize(
    ("cookie", "is_one"),
    [("csrftoken=x", False), ("lang=en", False), ("flash=1", False), ("XSRF-TOKEN=x", False),
     ("oauth_state=x", False), ("_ga=1", False), ("__cf_bm=1", False), ("aws-waf-token=x", False), ("session=", False),
     ("guest_session=x", False), ("session=x", True), ("PHPSESSID=x", True), ("connect.sid=x", True),
     ("JSESSIONID=x", True), ("laravel_session=x", True),
     ("__Secure-next-auth.session-token=x", True), (".AspNetCore.Identity.Application=x", True), ("token=x", True)],
)  # fmt: skip
def test_only_a_cookie_that_is_called_like_a_session_is_one(cookie: str, is_one: bool) -> None:
    seen, site = sign_in("form", redirected("/home", f"{cookie}; Path=/; HttpOnly"))
    assert seen.reason is (Reason.OK if is_one else Reason.CONFIG)
    assert [asked.headers.get("cookie") for asked in site.asked] == [None, cookie][: 1 + is_one]


def test_the_page_behind_a_log_in_may_show_the_declared_text_and_a_query_may_not() -> None:
    assert sign_in("form", redirected("/home"), expect="Hello, Alice")[0].reason is Reason.OK
    assert sign_in("form", redirected("/nowhere?next=/chat"), expect="/chat")[0].reason is Reason.CONFIG
    assert sign_in("form", redirected("/home?m=Wrong+password"), expect="/home")[0].reason is Reason.AUTH


EDGE = [
    (Page(b"<html>Log in</html>", 200, HTML), Reason.OK),
    (Page(b"", 500), Reason.SERVER_ERROR),
    (Page(b"", 503), Reason.OVERLOADED),
    (Page(b"", 404), Reason.CONFIG),
    (Page(b"<html>no robots</html>", 403, HTML), Reason.BLOCKED),
    (Page(fixture("challenge_cloudflare.html"), 403, HTML), Reason.BLOCKED),
]


@pytest.mark.parametrize(("page", "reason"), EDGE)
def test_without_an_account_only_the_edge_is_seen_and_every_look_says_so(page: Page, reason: Reason) -> None:
    async def story() -> None:
        async with serve({"/sign_in": page}) as site:
            seen = await look_at("login", url=f"{site.url}/sign_in")
        learning = ("page.learning",) if reason is Reason.OK else ()
        assert (seen.reason, seen.warnings) == (reason, ("login.edge_only", *learning))
        assert [asked.method for asked in site.asked] == ["GET"]

    driven.run(story())


def test_a_product_without_an_account_is_asked_for_its_configuration_only() -> None:
    async def story() -> None:
        async with serve({"/api/config": Page(fixture("open_webui.json"))}) as site:
            seen = await look_at("login", product="open_webui", url=site.url)
        assert (seen.reason, seen.warnings) == (Reason.OK, ("login.edge_only",))
        assert [(asked.method, asked.path) for asked in site.asked] == [("GET", "/api/config")]

    driven.run(story())


def test_the_simulated_vendor_signs_its_account_in_and_refuses_others() -> None:
    async def story() -> None:
        async with serve_vendor() as vendor:
            known = Account()
            given: dict[str, Any] = {"email": known.email, "password": known.password}
            right = await look_at("login", product="open_webui", url=vendor.url, **given)
            wrong = await look_at(
                "login", product="open_webui", url=vendor.url, **(given | {"password": "not this one"})
            )
        assert right.reason is Reason.OK
        assert wrong.reason is Reason.AUTH

    driven.run(story())


def test_options_want_a_whole_account_and_a_way_to_use_it() -> None:
    url = "https://chat.example/"
    for wrong in (
        {"url": url, "product": "open_webui", "email": "alice@example.org"},
        {"url": url, **ACCOUNT},
        {"url": url, "product": "json", **ACCOUNT},
        {"url": "chat.example"},
    ):
        with pytest.raises(ValidationError) as caught:
            Options.model_validate(wrong)
        assert ACCOUNT["password"] not in str(caught.value)

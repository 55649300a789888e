"""Settings of another type and forms for another matter: what was not read is never open, and never closed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.core.model.registration import Method, Registration
from monitor.probes.registration.detector import Extra, detect
from monitor.probes.registration.detectors import DETECTORS
from tests.edges import driven
from tests.edges.site import Page, look_at, serve

OPEN, CLOSED, RESTRICTED = Registration.OPEN, Registration.CLOSED, Registration.RESTRICTED
TOKEN, MAIL = {"stages": ["m.login.registration_token"]}, '<input type="email" name="mail">'


def whole(name: str, body: bytes, content: str, status: int = 200) -> Registration | None:
    """Return what a detector says of registration as a whole, if it says anything."""
    found = detect(DETECTORS[name], status, {"content-type": content}, body, "http://s", Extra())
    return next((one.state for one in found.readings if one.method is Method.ANY), None)


def new_api(**data: Any) -> dict[str, Any]:
    return {"success": True, "data": {"register_enabled": True} | data}


def web_ui(providers: object = None, **features: Any) -> dict[str, Any]:
    return {"features": {"auth": True, "enable_signup": True} | features, "oauth": {"providers": providers}}


@pytest.mark.parametrize(
    ("name", "document", "state"),
    [
        ("new_api", new_api(password_register_enabled="false"), None),
        ("new_api", new_api(password_register_enabled=0), None),
        ("new_api", new_api(password_login_enabled="false"), None),
        ("new_api", new_api(password_register_enabled=False, github_oauth=True), RESTRICTED),
        ("librechat", {"registrationEnabled": True, "emailLoginEnabled": "false"}, None),
        ("librechat", {"registrationEnabled": False, "socialLoginEnabled": "true", "googleLoginEnabled": True}, None),
        (
            "librechat",
            {"registrationEnabled": False, "socialLoginEnabled": True, "appleLoginEnabled": True},
            RESTRICTED,
        ),
        ("librechat", {"registrationEnabled": False, "socialLoginEnabled": True}, CLOSED),
        ("open_webui", web_ui(enable_login_form="false"), None),
        ("open_webui", web_ui(auth="false"), None),
        ("open_webui", web_ui(["google"], enable_signup=False), None),
        ("open_webui", web_ui({}, enable_signup=False), CLOSED),
    ],
)
def test_a_flag_of_another_type_says_nothing(name: str, document: dict[str, Any], state: Registration | None) -> None:
    assert whole(name, json.dumps(document).encode(), "application/json") is state


@pytest.mark.parametrize("others", [50, 300])
def test_a_matrix_server_with_more_flows_than_are_read_says_nothing(others: int) -> None:
    body = json.dumps({"flows": [TOKEN] * others + [{"stages": ["m.login.dummy"]}]}).encode()
    assert whole("matrix", body, "application/json", 401) is None


@pytest.mark.parametrize(
    ("page", "state"),
    [
        (f"<h1>Sign up for our newsletter</h1><form>{MAIL}<button>Subscribe</button></form>", None),
        (f"<a href='/x'>Get started</a><footer>{MAIL}<button>Subscribe</button></footer>", None),
        (f"<h1>Sign up for status updates</h1>{MAIL}<button>Sign up</button>", None),
        (f"<h1>Register for DevDay</h1><form>{MAIL}<button>Register</button></form>", None),
        ("<h1>注册即送代金券</h1><input type='email' placeholder='邮箱订阅'>", None),
        ("<h1>Create your account</h1><input type='email' disabled><button>Sign up</button>", None),
        ("<h1>Create your account</h1><input type='email' class='not disabled now'><button>Sign up</button>", OPEN),
        (f"<h1>Create your account</h1>{MAIL}<button>Continue</button>", OPEN),
        (f"<h1>Sign up</h1>{MAIL}<input type='password'><button>Sign up</button><a>Subscribe to news</a>", OPEN),
    ],
)
def test_a_form_for_another_matter_offers_no_account(page: str, state: Registration | None) -> None:
    body = f"<html><body>{page}</body></html>".encode()
    assert whole("page_text", body, "text/html; charset=utf-8") is state


@pytest.mark.parametrize("path", ["auth_metadata", "auth_issuer"])
def test_a_matrix_server_that_delegates_by_an_older_name_is_not_closed(path: str) -> None:
    async def story() -> None:
        pages = {
            "/_matrix/client/v3/register": Page(b'{"errcode":"M_FORBIDDEN"}', 403),
            f"/_matrix/client/unstable/org.matrix.msc2965/{path}": Page(b"{}"),
        }
        async with serve(pages) as site:
            assert (await look_at("registration", detector="matrix", url=site.url)).registration == ()

    driven.run(story())

"""What the simulated vendor shows besides chat: web app, sign-up page, configuration endpoints, sign-in."""

from __future__ import annotations

from typing import Any

from monitor.simulator.state import Account, Sign

LIMITED = (
    "Due to large-scale malicious attacks on our services, we are temporarily limiting registrations to ensure "
    "continued service. Only registration with a mainland China mobile phone number (+86) is currently supported. "
    "Existing users can log in as usual."
)
BUSY = (
    "Due to large-scale malicious attacks on our services, registration may be busy. Please wait and try again. "
    "Registered users can log in normally."
)
CLOSED = "Registration is temporarily closed. Existing users can log in as usual."
FAILING = "New accounts cannot be created at the moment. We are working on a fix. Existing users can log in as usual."
BANNER: dict[Sign, tuple[str, str]] = {
    Sign.OPEN: ("", ""),
    Sign.PHONE_86: (
        LIMITED,
        "线上服务受到大规模恶意攻击，为持续提供服务，暂时限制了+86手机号以外的注册方式，已注册用户可以正常登录。",
    ),
    Sign.BUSY: (BUSY, "由于服务受到大规模恶意攻击，注册可能繁忙，请稍候重试。已注册用户可以正常登录。"),
    Sign.CLOSED: (CLOSED, "暂停注册，已注册用户可以正常登录。"),
    Sign.FAILING: (FAILING, "注册功能异常，正在修复。已注册用户可以正常登录。"),
}
"""Registration → the banner's words in English and Chinese, after those of January 2025."""

METHODS: dict[Sign, tuple[str, ...]] = {
    Sign.OPEN: ("Sign up with e-mail", "Sign up with phone", "Sign up with Google", "Sign up with Apple"),
    Sign.PHONE_86: ("Sign up with phone (+86)",),
    Sign.BUSY: ("Sign up with e-mail", "Sign up with phone", "Sign up with Google", "Sign up with Apple"),
    Sign.CLOSED: (),
    Sign.FAILING: ("Sign up with e-mail", "Sign up with phone", "Sign up with Google", "Sign up with Apple"),
}


def web_app(title: str) -> str:
    """Return the page that a visitor of the chat sees."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} – simulated chat</title>'
        '<meta name="commit-id" content="5150a11e"></head><body><div id="root"><h1>How can I help you today?</h1>'
        '<textarea placeholder="Send a message"></textarea></div></body></html>'
    )


def sign_up(title: str, sign: Sign, *, chinese: bool) -> str:
    """Return the sign-up page with its banner and the methods on offer."""
    banner = BANNER[sign][1 if chinese else 0]
    buttons = "".join(f"<button>{method}</button>" for method in METHODS[sign])
    heading = "注册" if chinese else "Create your account"
    language = "zh" if chinese else "en"
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{heading} – {title}</title></head>'
        f'<body><h1>{heading}</h1><div class="banner" role="alert">{banner}</div>'
        f'<form>{buttons}</form><a href="../sign_in">Log in</a></body></html>'
    )


def open_webui(title: str, sign: Sign) -> dict[str, Any]:
    """Return Open WebUI's public configuration; a restriction leaves only the providers' own sign-in."""
    features = {"auth": True, "enable_signup": sign not in (Sign.PHONE_86, Sign.CLOSED), "enable_login_form": True}
    providers = {"oidc": "Single sign-on"} if sign is Sign.PHONE_86 else {}
    return {
        "status": True,
        "name": title,
        "version": "0.9.2",
        "default_locale": "",
        "oauth": {"providers": providers},
        "features": features | {"enable_ldap": False, "enable_websocket": True},
    }


def client_settings(sign: Sign, scope: str) -> dict[str, Any]:
    """Return DeepSeek's settings envelope; the banner scope is empty while there is nothing to announce."""
    if scope not in ("banner", "main"):
        return _envelope(2, "INVALID_PARAM", None)
    settings: dict[str, Any] = {}
    if scope == "main":
        settings = {"chat_hcaptcha": {"id": 7, "value": False}}
    elif sign is not Sign.OPEN:
        english, chinese = BANNER[sign]
        settings = {"sign_up_banner": {"id": 31, "value": {"en": english, "zh_CN": chinese}}}
    return _envelope(0, "", {"version": "simulated-1", "settings": settings})


def _envelope(code: int, message: str, data: dict[str, Any] | None) -> dict[str, Any]:
    return {"code": 0, "msg": "", "data": {"biz_code": code, "biz_msg": message, "biz_data": data}}


def sign_in(account: Account, given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return status and body of Open WebUI's sign-in for the given e-mail and password."""
    if (given.get("email"), given.get("password")) != (account.email, account.password):
        return 400, {
            "detail": "The email or password provided is incorrect. Please check for typos and try logging in again."
        }
    user = {"id": "simulated-user", "email": account.email, "name": "Probe", "role": "user"}
    return 200, user | {"token": "simulated-session", "token_type": "Bearer", "expires_at": None}


def model_list(models: tuple[str, ...]) -> dict[str, Any]:
    """Return an OpenAI-compatible list of models."""
    rows = [{"id": name, "object": "model", "created": 1_737_763_200, "owned_by": "simulated"} for name in models]
    return {"object": "list", "data": rows, "has_more": False}


def user_balance(amount: float) -> dict[str, Any]:
    """Return DeepSeek's balance; amounts are strings."""
    info = {
        "currency": "USD",
        "total_balance": f"{amount:.2f}",
        "granted_balance": "0.00",
        "topped_up_balance": f"{amount:.2f}",
    }
    return {"is_available": amount > 0, "balance_infos": [info]}

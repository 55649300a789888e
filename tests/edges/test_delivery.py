"""Channels and the dispatcher over a real receiver: what is sent, what is tried again, what is given up."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest
from pydantic import SecretStr, ValidationError

from monitor.channels import KINDS
from monitor.channels.base import Notice, Undeliverable
from monitor.channels.email import Email, message
from monitor.channels.slack import body as slack_body
from monitor.channels.webhook import Webhook
from monitor.channels.words import facts, title
from monitor.core.entities import Alert
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import AlertState, Severity, Why
from monitor.recorder.delivery import LONGEST_PAUSE_S, pause
from monitor.text.cleaner import plain
from monitor.text.lexicon import lexicon
from monitor.text.messages import worded
from monitor.text.units import retry_after_s
from monitor.wire import Wire
from tests.edges.mailing import MailServer, serving

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
HOSTILE = "<!channel> *bold* <https://evil.example|click> & \u202e\x00 `code`"


def notice(**changes: object) -> Notice:
    alert = Alert(
        "01ALERT",
        "k" * 64,
        Rule.COMPONENT_DOWN,
        Severity.PAGE,
        AlertState.FIRING,
        "shop",
        "shop/web",
        NOW - timedelta(minutes=3),
        NOW,
        incident="01INC",
        summary={"health": "major_outage", "detail": HOSTILE},
    )
    base = Notice("key-1", alert, Why.FIRST, NOW, "Shop", "Web")
    return replace(base, **changes)  # type: ignore[arg-type]  # named by the tests


def resolved() -> Notice:
    first = notice()
    alert = replace(first.alert, state=AlertState.RESOLVED, resolved_at=NOW + timedelta(minutes=5))
    return replace(first, alert=alert, why=Why.RESOLVED)


def test_a_digest_names_the_count_and_the_first_and_where_the_rest_is() -> None:
    summary = {
        "route": "oncall",
        "count": 295,
        "services": 290,
        "names": ["a/api", "b/api"],
        "rules": {"component_down": 295},
    }
    base = notice()
    digest = replace(base.alert, rule=Rule.DIGEST, service="", component="", summary=summary)
    told = replace(base, alert=digest, service_name="", component_name="")
    assert title(told) == "Page: 295 more alerts of 290 services at once"
    one = replace(told, alert=replace(digest, summary=summary | {"count": 1, "services": 1}))
    assert title(one) == "Page: 1 more alert at once"
    rows = dict(facts(told))
    assert rows["Among them"] == "a/api, b/api and 293 more"
    assert rows["Rules"] == "295 × component down"
    assert "inbox" in rows["All of them"]
    over = replace(told, alert=replace(digest, state=AlertState.RESOLVED, resolved_at=NOW), why=Why.RESOLVED)
    assert title(over) == "Resolved: all alerts that were told together are over"


@dataclass
class Receiver:
    """A real HTTP server that answers as told and keeps what it got."""

    url: str = ""
    answer: bytes = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append((headers | {":path": head[0].split()[1]}, body))
        writer.write(self.answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def receiving() -> AsyncIterator[tuple[Receiver, Wire]]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    wire = Wire(allow_networks=["127.0.0.0/8"])
    try:
        yield receiver, wire
    finally:
        await wire.aclose()
        server.close()
        await server.wait_closed()


def deliver(kind: str, options: Callable[[str], dict[str, object]], what: Notice, answer: bytes = b"") -> Receiver:
    async def play() -> Receiver:
        async with receiving() as (receiver, wire):
            receiver.answer = answer or receiver.answer
            await KINDS[kind].send(KINDS[kind].options.model_validate(options(receiver.url)), what, wire)
            return receiver

    return asyncio.run(play())


def test_a_webhook_is_signed_after_standard_webhooks_and_carries_the_key() -> None:
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
    receiver = deliver("webhook", lambda url: {"url": f"{url}/hook", "signing_secret": secret}, notice())
    headers, body = receiver.requests[0]
    signed = f"key-1.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(b"0123456789abcdef01234567", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == headers["idempotency-key"] == "key-1"
    sent = json.loads(body)
    assert sent["type"] == "alert.firing"
    assert sent["data"]["alert"]["component"] == "shop/web"


def test_a_signing_secret_that_is_no_base64_is_refused_without_being_repeated() -> None:
    with pytest.raises(ValidationError) as caught:
        Webhook(url=SecretStr("https://hook.example/"), signing_secret=SecretStr("whsec_canary!"))
    assert "canary" not in str(caught.value)


def test_slack_reads_nothing_from_outside_as_markup() -> None:
    text = json.dumps(slack_body(notice()), ensure_ascii=False)
    assert "<!channel>" not in text
    assert "<https://evil" not in text
    assert "\u202e" not in text
    assert "*bold*" not in text
    receiver = deliver("slack", lambda url: {"url": url}, notice())
    assert json.loads(receiver.requests[0][1])["text"] == "Page: Shop Web is down"


def test_alertmanager_gets_its_own_shape_and_an_end_when_resolved() -> None:
    for what, ends in ((notice(), NOW + timedelta(hours=4)), (resolved(), NOW + timedelta(minutes=5))):
        headers, body = deliver("alertmanager", lambda url: {"url": url}, what).requests[0]
        assert headers[":path"] == "/api/v2/alerts"
        (alert,) = json.loads(body)
        assert alert["labels"]["alertname"] == "Chatwatch_component_down"
        assert datetime.fromisoformat(alert["endsAt"]) == ends
        assert "detail" not in alert["labels"]


def test_a_title_tells_slowness_from_an_outage_and_names_the_state_of_sign_up() -> None:
    down = notice()
    slow = replace(down.alert, severity=Severity.TICKET, summary={"health": "degraded_performance"})
    assert title(replace(down, alert=slow)) == "Ticket: Shop Web is slow or unstable"
    better = replace(slow, severity=Severity.PAGE, summary={"health": "degraded_performance", "worst": "major_outage"})
    assert title(replace(down, alert=better)) == "Page: Shop Web is slow or unstable"
    over = replace(better, state=AlertState.RESOLVED, resolved_at=NOW)
    assert title(replace(down, alert=over, why=Why.RESOLVED)) == "Resolved: Shop Web is down"
    sign_up = replace(down.alert, rule=Rule.REGISTRATION_CHANGED, summary={"registration": "restricted"})
    assert title(replace(down, alert=sign_up)) == "Page: Shop Web: sign-up is restricted"


def way(method: str, after: str, *codes: str, **more: object) -> dict[str, object]:
    return {"method": method, "after": after, "country_codes": list(codes), **more}


@pytest.mark.parametrize(
    ("state", "ways", "firing", "over"),
    [
        (
            "restricted",
            [way("phone", "restricted", "86"), way("email", "closed"), way("google", "closed")],
            "Page: Shop Web: sign-up by phone is restricted to China (+86); by e-mail and Google is closed",
            "Resolved: Shop Web: sign-up by phone was restricted to China (+86); by e-mail and Google was closed",
        ),
        (
            "restricted",
            [way("any", "restricted"), way("phone", "restricted", "86"), way("email", "closed")],
            "Page: Shop Web: sign-up by phone is restricted to China (+86); by e-mail is closed",
            "Resolved: Shop Web: sign-up by phone was restricted to China (+86); by e-mail was closed",
        ),
        (
            "restricted",
            [way("any", "restricted", "86"), way("email", "restricted")],
            "Page: Shop Web: sign-up is restricted to China (+86); by e-mail is restricted",
            "Resolved: Shop Web: sign-up was restricted to China (+86); by e-mail was restricted",
        ),
        (
            "restricted",
            [way("any", "restricted", invite_required=True)],
            "Page: Shop Web: sign-up is restricted to invited people",
            "Resolved: Shop Web: sign-up was restricted to invited people",
        ),
        ("closed", [], "Page: Shop Web: sign-up is closed", "Resolved: Shop Web: sign-up was closed"),
        (
            "delayed",
            [way("email", "delayed")],
            "Page: Shop Web: sign-up by e-mail works with delays",
            "Resolved: Shop Web: sign-up by e-mail worked with delays",
        ),
        (
            "open",
            [],
            "Page: Shop Web: sign-up is open again, and watched for a while",
            "Resolved: Shop Web: sign-up is open again",
        ),
    ],
)
def test_the_pager_says_by_which_way_and_for_whom(
    state: str, ways: list[dict[str, object]], firing: str, over: str
) -> None:
    base, end = notice(), resolved()
    facts_of = {"rule": Rule.REGISTRATION_CHANGED, "summary": {"registration": state, "ways": ways}}
    assert title(replace(base, alert=replace(base.alert, **facts_of))) == firing  # type: ignore[arg-type]  # two fields
    assert title(replace(end, alert=replace(end.alert, **facts_of))) == over  # type: ignore[arg-type]  # two fields


def test_an_end_says_how_long_it_lasted() -> None:
    sent = json.loads(deliver("webhook", lambda url: {"url": url}, resolved()).requests[0][1])
    assert sent["data"]["title"].startswith("Resolved: Shop Web")
    assert sent["data"]["facts"]["Lasted"] == "8 min"


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        ("200 OK", None),
        *((status, False) for status in ("408 T", "425 E", "429 M", "500 E", "503 S")),
        *((status, True) for status in ("302 F", "400 B", "401 N", "404 N", "410 G")),
    ],
)
def test_answers_are_told_apart_into_sent_again_and_never(status: str, permanent: bool | None) -> None:
    answer = (
        f"HTTP/1.1 {status}\r\ncontent-length: 0\r\nretry-after: 7\r\nlocation: https://x.example/\r\n\r\n".encode()
    )
    if permanent is None:
        deliver("webhook", lambda url: {"url": url}, notice(), answer)
        return
    with pytest.raises(Undeliverable) as caught:
        deliver("webhook", lambda url: {"url": f"{url}/token-canary"}, notice(), answer)
    assert caught.value.permanent is permanent
    assert caught.value.retry_after_s == (None if permanent else 7.0)
    assert "canary" not in str(caught.value)


def test_a_dead_receiver_is_tried_again() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nshort"
    with pytest.raises(Undeliverable) as caught:
        deliver("webhook", lambda url: {"url": url}, notice(), answer)
    assert not caught.value.permanent


def test_retry_after_is_read_in_both_forms_and_capped() -> None:
    assert retry_after_s("120", NOW, 3600) == 120
    assert retry_after_s("999999999", NOW, 3600) == 3600
    assert retry_after_s("Fri, 02 Jan 2026 12:00:30 GMT", NOW, 3600) == 30
    assert retry_after_s("Fri, 02 Jan 1998 12:00:30 GMT", NOW, 3600) == 0
    assert retry_after_s("soon", NOW, 3600) is None
    assert retry_after_s("-5", NOW, 3600) is None


def test_mail_is_plain_text_in_one_thread_and_no_header_can_be_injected() -> None:
    options = Email(host="mail.example", sender="watch@example.com", to=("on@example.com",))
    mail = message(options, notice(service_name="Shop\r\nBcc: all@example.com"))
    assert isinstance(mail, EmailMessage)
    assert mail["Bcc"] is None
    assert mail.get_content_type() == "text/plain"
    assert mail["References"] == message(options, resolved())["References"]
    assert mail["Message-ID"] == message(options, notice())["Message-ID"]


def mailed(server: MailServer, *allowed: str) -> None:
    async def play() -> None:
        with serving(server) as port:
            options = Email(
                host="127.0.0.1", port=port, security="none", sender="w@example.com", to=("on@example.com",)
            )
            await KINDS["email"].send(options, notice(), Wire(allow_networks=allowed))

    asyncio.run(play())


def test_mail_is_delivered_over_smtp() -> None:
    server = MailServer()
    mailed(server, "127.0.0.0/8")
    assert b"Subject: Page: Shop Web is down" in server.mails[0]


def test_what_a_mail_server_refuses_is_tried_again_or_given_up_as_it_says() -> None:
    for answer, words, permanent in (
        (b"550 no", "mail_answered status=550", True),
        (b"451 later", "mail_answered status=451", False),
    ):
        with pytest.raises(Undeliverable, match=words) as caught:
            mailed(MailServer({"MAIL": answer}), "127.0.0.0/8")
        assert caught.value.permanent is permanent
    with pytest.raises(Undeliverable, match=r"\{mail_unusable why=.*protocol") as caught:
        mailed(MailServer({"": b"no mail here"}), "127.0.0.0/8")
    assert not caught.value.permanent


DAY, NIGHT, WEEK = "day@example.com", "night@example.com", "week@example.com"


def tried(server: MailServer, *last_errors: str) -> tuple[str, bool]:
    """Send to three; return the error of the last try and whether it is for good."""

    async def play(last_error: str) -> None:
        with serving(server) as port:
            to = (DAY, NIGHT, WEEK)
            options = Email(host="127.0.0.1", port=port, security="none", sender="w@example.com", to=to)
            await KINDS["email"].send(options, notice(last_error=last_error), Wire(allow_networks=["127.0.0.0/8"]))

    error, permanent = "", False
    for last_error in last_errors or ("",):
        server.heard.clear()
        try:
            asyncio.run(play(last_error))
            error = ""
        except Undeliverable as caught:
            error, permanent = str(caught), caught.permanent
    return error, permanent


def asked(server: MailServer) -> list[str]:
    return [line[9:-1] for line in server.heard if line.startswith("RCPT TO:")]


@pytest.mark.parametrize(
    ("answers", "permanent"),
    [
        ([b"250 ok", b"550 no such user", b"250 ok"], True),
        ([b"250 ok", b"451 greylisted", b"250 ok"], False),
        ([b"250 ok", b"452 full", b"251 forwarded"], False),
        ([b"250 ok", b"421 busy", b"250 ok"], False),
    ],
)
def test_a_mail_that_reached_some_is_not_delivered(answers: list[bytes], permanent: bool) -> None:  # a row of a table
    server = MailServer({"RCPT": answers})
    error, for_good = tried(server)
    assert for_good is permanent
    assert f"refused {NIGHT} ({answers[1][:3].decode()}); the others have it" in worded(error, lexicon())
    assert DAY not in worded(error, lexicon())
    assert len(server.mails) == 1


def test_only_who_was_refused_is_tried_again_until_the_last_has_it() -> None:
    first, _ = tried(MailServer({"RCPT": [b"250 ok", b"451 later", b"550 gone"]}))
    server = MailServer({"RCPT": [b"451 still", b"250 ok"]})
    second, _ = tried(server, first)
    assert asked(server) == [NIGHT, WEEK]
    server = MailServer()
    assert tried(server, second) == ("", False)
    assert asked(server) == [NIGHT]


def test_trouble_on_the_way_does_not_make_the_others_get_it_twice() -> None:
    first, _ = tried(MailServer({"RCPT": [b"250 ok", b"451 later", b"250 ok"]}))
    broken, _ = tried(MailServer({"": b"no mail here"}), first)
    refused, permanent = tried(MailServer({"RCPT": b"550 gone"}), broken)
    assert permanent
    assert NIGHT in worded(refused, lexicon())
    server = MailServer()
    assert tried(server, refused) == ("", False)
    assert asked(server) == [NIGHT]


def test_whoever_is_left_of_another_configuration_is_nobody_so_all_get_it() -> None:
    server = MailServer()
    tried(server, "{mail_refused_some again=000000 who=old@example.com%20(550)}")
    assert asked(server) == [DAY, NIGHT, WEEK]


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"])
def test_no_channel_opens_a_socket_to_an_address_that_the_guard_refuses(kind: str, host: str) -> None:
    server = MailServer()

    async def play() -> None:
        with serving(server) as port:
            mail = {"host": host.strip("[]"), "port": port, "security": "none", "sender": "w@e.org", "to": ["on@e.org"]}
            options = mail if kind == "email" else {"url": f"http://{host}:{port}/token-canary"}
            await KINDS[kind].send(KINDS[kind].options.model_validate(options), notice(), Wire())

    with pytest.raises(Undeliverable, match="address_refused") as caught:
        asyncio.run(play())
    assert server.connections == 0
    assert "canary" not in str(caught.value)
    assert host.strip("[]") not in str(caught.value)


def test_pauses_grow_with_jitter_and_are_bounded() -> None:
    assert pause(0, 1.0) == 2.0
    assert pause(3, 1.0) == 16.0
    assert pause(99, 1.0) == LONGEST_PAUSE_S
    assert pause(5, 0.0) == 0.5


def test_text_from_anywhere_becomes_one_harmless_line() -> None:
    assert plain("a\r\nb\u202e\x1b[31m") == "a b [31m"
    assert len(plain("x" * 9999)) == 300

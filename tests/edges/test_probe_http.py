"""The kind ``http`` against real answers: rules, refusals, slowness, certificates, evidence."""

from __future__ import annotations

import asyncio
import socket
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from monitor import clock
from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Outcome, Reason
from monitor.probes.http import Options
from monitor.wire.dns.resolve import Resolver
from tests.edges import driven
from tests.edges.hostile import Recorder, drips, serve, silent
from tests.edges.hostile_tls import DAY, Authority
from tests.edges.probing import KEY, context, http, look_at, look_once, replays
from tests.edges.test_wire_http2 import h2_server

PAGE = "<html><body>Welcome to the chat. Build 4711. All is fine.</body></html>"
HTML = "text/html"
CLOUDFLARE = '<title>Just a moment...</title><script src="/cdn-cgi/challenge-platform/x.js"></script>'


def page(status: int = 200, body: str = PAGE, *headers: str, kind: str = HTML, **options: Any) -> Observation:
    accept = {"status": options.pop("accept")} if "accept" in options else {}
    return look_at("http", replays(http(status, body, *headers, kind=kind)), **accept, **options)


def test_a_good_page_is_ok_with_all_that_is_known_of_it() -> None:
    seen = page(contains="Welcome", absent=["maintenance"], regex=r"Build \d+")
    assert (seen.reason, seen.http_status, seen.http_version, seen.address) == (Reason.OK, 200, "HTTP/1.1", "127.0.0.1")
    assert seen.phases is not None
    assert seen.phases.connect_s is not None
    assert seen.phases.wait_s is not None
    assert seen.bytes_received is not None
    assert seen.bytes_received > len(PAGE)
    assert seen.evidence is None


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (500, Reason.SERVER_ERROR), (502, Reason.SERVER_ERROR), (503, Reason.OVERLOADED), (529, Reason.OVERLOADED),
        (404, Reason.STATUS), (410, Reason.STATUS), (408, Reason.TIMEOUT_HEADERS), (402, Reason.QUOTA),
        (401, Reason.AUTH), (403, Reason.BLOCKED), (429, Reason.THROTTLED), (451, Reason.REGION),
    ],
)  # fmt: skip
def test_a_status_outside_the_ranges_is_named_for_what_it_says(status: int, reason: Reason) -> None:
    seen = page(status, "no")
    assert (seen.reason, seen.http_status) == (reason, status)
    assert seen.evidence is not None
    assert seen.evidence.excerpt == "no"


def test_with_a_key_a_403_is_about_the_key() -> None:
    assert page(403, "{}", kind="application/json", secret_headers={"X-Key": KEY}).reason is Reason.AUTH


def test_accepted_statuses_are_ranges_and_single_numbers() -> None:
    assert page(401, accept=["200-299", "401"]).reason is Reason.OK
    assert page(401, accept=[200, 401]).reason is Reason.OK
    assert page(204, "", accept="204").reason is Reason.OK
    assert page(302, "", "location: /x", accept="200-299").reason is Reason.REDIRECT
    for bad in ("99", "600", "300-200", "two", "200-299-300", ""):
        with pytest.raises(ValidationError, match="200-399"):
            Options(url="https://example.com", status=(bad,))


@pytest.mark.parametrize(
    ("rule", "detail"),
    [
        ({"contains": "Goodbye"}, 'text does not contain "Goodbye"'),
        ({"absent": ["Welcome"]}, 'text contains "Welcome"'),
        ({"regex": r"Build \d{9}"}, r"pattern not found: Build \d{9}"),
        ({"header_contains": {"content-type": "json"}}, 'header content-type does not contain "json"'),
        ({"header_absent": "content-type"}, "header content-type is there and must not be"),
    ],
)
def test_a_broken_rule_is_the_services_fault_and_says_which(rule: dict[str, Any], detail: str) -> None:
    seen = page(**rule)
    assert (seen.reason, seen.outcome, seen.detail) == (Reason.CONTENT, Outcome.FAILED, detail)


def test_a_header_rule_ignores_case_and_an_empty_page_breaks_a_text_rule() -> None:
    assert page(header_contains={"Content-Type": "TEXT/html"}).reason is Reason.OK
    assert page(body="", contains="Welcome").reason is Reason.CONTENT


JSON = '{"status": "ok", "items": [{"id": 7, "on": true}], "none": null, "one": 1, "a.b": {"$c": 3}}'


@pytest.mark.parametrize(
    ("path", "wanted", "is_met"),
    [
        ("status", "ok", True), ("status", "bad", False), ("items.0.id", 7, True), ("items.0.on", True, True),
        ("items.0.on", 1, False), ("one", True, False), ("items.1.id", None, False), ("none", None, True),
        ("items[0].id", 7, True), ("$.items[0]['id']", 7, True), ('$["a.b"].$c', 3, True), ("items[1]", None, False),
        ("status.deeper", None, False), ("missing", None, False), ("items.0", {"id": 7, "on": True}, True),
    ],
)  # fmt: skip
def test_json_rules_follow_dotted_paths(path: str, wanted: Any, is_met: bool) -> None:
    seen = page(body=JSON, kind="application/json", json_path={path: wanted})
    assert seen.reason is (Reason.OK if is_met else Reason.CONTENT)


@pytest.mark.parametrize("path", ["a[", "a[]", "a..b", ".a", "a[x]", 'a["b]', "a."])
def test_what_is_no_path_is_refused_at_the_start(path: str) -> None:
    with pytest.raises(ValidationError, match="no path into JSON"):
        Options(url="https://x.example", json_path={path: 1})


def test_headers_may_have_patterns_too() -> None:
    assert (
        page(200, PAGE, "x-build: 2026.11-ab12", header_regex={"X-Build": r"^2026\.\d+-[0-9a-f]+$"}).reason is Reason.OK
    )
    broken = page(200, PAGE, "x-build: none", header_regex={"X-Build": r"^2026"})
    assert (broken.reason, broken.detail) == (Reason.CONTENT, "header X-Build: pattern not found: ^2026")
    assert page(200, PAGE, header_regex={"x-build": "."}).reason is Reason.CONTENT
    bomb = page(200, PAGE, "x-build: " + "a" * 60 + "b", header_regex={"x-build": r"(a|a)+(a|a)+$"})
    assert bomb.reason is Reason.CONFIG


def test_threads_that_are_all_taken_are_our_trouble_and_not_the_services() -> None:
    async def main() -> Observation:
        release = threading.Event()
        busy = [asyncio.get_running_loop().run_in_executor(None, release.wait) for _ in range(40)]
        async with serve(replays(http(200, PAGE, kind=HTML))) as port:
            ctx = context(timeout_s=0.3)
            seen = await look_once("http", ctx, url=f"http://127.0.0.1:{port}", regex="never mind")
        release.set()
        await asyncio.gather(*busy)
        return seen

    seen = asyncio.run(main())  # driven time would wait for the threads
    assert (seen.reason, seen.outcome) == (Reason.LAGGED, Outcome.UNKNOWN)


def test_a_web_page_where_json_is_due_says_nothing_of_the_data() -> None:
    seen = page(json_path={"a": 1})
    assert (seen.reason, seen.detail) == (Reason.BLOCKED, "HTTP 200 with a web page where data was due")
    assert page(body="neither", kind="text/plain", json_path={"a": 1}).reason is Reason.CONTENT


def test_json_nested_without_end_is_not_json() -> None:
    assert page(body="[" * 100_000, kind="application/json", json_path={"a": 1}).detail == "the answer is not JSON"


def test_a_pattern_that_runs_away_is_our_configuration_and_stops_nobody() -> None:
    async def main() -> tuple[Observation, int]:
        turns = 0

        async def watch() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += driven.at_work()

        watcher = asyncio.create_task(watch())
        async with serve(replays(http(200, "a" * 60 + "b", kind=HTML))) as port:
            seen = await look_once(
                "http", context(timeout_s=600), url=f"http://127.0.0.1:{port}", regex=r"(a|a)+(a|a)+$"
            )
        watcher.cancel()
        return seen, turns

    seen, turns = driven.run(main())
    assert (seen.reason, seen.outcome) == (Reason.CONFIG, Outcome.UNKNOWN)
    assert "longer than 250 ms" in seen.detail
    assert turns > 10, "the loop goes on while the search does"


def test_a_pattern_that_does_not_compile_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match="does not compile"):
        Options(url="https://example.com", regex=("(",))


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (403, CLOUDFLARE, ()),
        (503, CLOUDFLARE, ()),
        (403, "<html>x</html>", ("cf-mitigated: challenge",)),
        (202, "<html></html>", ("x-amzn-waf-action: challenge",)),
        (429, "", ("x-kpsdk-ct: 0a",)),
        (405, '<html><script src="https://x.awswaf.com/challenge.js"></script></html>', ()),
        (403, "<html>please solve geo.captcha-delivery.com</html>", ()),
    ],
)
def test_a_robot_wall_says_nothing_of_the_service(status: int, body: str, headers: tuple[str, ...]) -> None:
    seen = page(status, body, *headers)
    assert (seen.reason, seen.outcome) == (Reason.BLOCKED, Outcome.UNKNOWN)
    assert "turned the robot away" in seen.detail


def test_a_page_with_a_captcha_of_its_own_is_fine() -> None:
    assert page(body='<html><div class="g-recaptcha"></div></html>').reason is Reason.OK


def test_a_429_that_shows_our_own_limit_is_ours() -> None:
    assert page(429, "", "retry-after: 7").reason is Reason.RATE_LIMIT
    assert page(429, "", "retry-after: 7").retry_after_s == 7
    assert page(429, "", "x-ratelimit-remaining: 0", "x-ratelimit-limit: 10").reason is Reason.RATE_LIMIT


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("1000000000", 900.0), ("9" * 400, None), ("-5", None), ("soon", None), ("1.5", 1.5), ("0", 0.0),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30.0), ("Mon, 23 Nov 2020 12:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 900.0), ("Mon, 99 Nov 2026", None),
        ("Mon, 23 Nov 99999999999999999999 12:00:00 GMT", None), ("Mon, 23 Nov 2026 12:00:00 +99999999999999", None),
    ],
)  # fmt: skip
def test_retry_after_is_honoured_within_reason(value: str, wait_s: float | None) -> None:
    seen = page(503, "", f"retry-after: {value}")
    assert (seen.reason, seen.retry_after_s) == (Reason.OVERLOADED, wait_s)


@pytest.mark.parametrize("option", ["slow_s", "slow_wait_s"])
def test_a_late_answer_is_slow_and_names_the_phase(option: str) -> None:
    late = replays(http(200, PAGE, kind=HTML), pauses={0: 0.15})
    seen = look_at("http", late, None, **{option: "100ms"})
    assert (seen.reason, seen.outcome) == (Reason.SLOW, Outcome.SLOW)
    assert "objective 0.1 s" in seen.detail
    assert look_at("http", late, None, **{option: "1s"}).reason is Reason.OK


def test_a_slow_transfer_is_told_from_a_slow_first_byte() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"
    late = replays(head, b"done", pauses={1: 0.15})
    assert look_at("http", late, slow_wait_s="100ms").reason is Reason.OK
    assert look_at("http", late, slow_transfer_s="100ms").reason is Reason.SLOW


def tls_page(folder: Path, *, warn: str = "14d", **leaf: Any) -> Observation:
    authority = Authority(folder)

    async def main() -> Observation:
        async with serve(replays(http(200, PAGE, kind=HTML)), authority.server(**leaf)) as port:
            ctx = context(ca_file=str(authority.ca_file), now=clock.now())
            return await look_once("http", ctx, url=f"https://127.0.0.1:{port}", expiry_warning_s=warn)

    return driven.run(main())


def test_a_certificate_that_ends_soon_is_a_warning_of_its_own(tmp_path: Path) -> None:
    seen = tls_page(tmp_path, ends_in=5 * DAY)
    assert (seen.reason, seen.outcome) == (Reason.CERTIFICATE_EXPIRING, Outcome.SLOW)
    assert seen.detail in ("certificate ends in 4 days", "certificate ends in 5 days")
    assert tls_page(tmp_path, ends_in=5 * DAY, warn="1d").reason is Reason.OK


def test_an_expired_certificate_fails_and_is_still_shown(tmp_path: Path) -> None:
    seen = tls_page(tmp_path, starts_in=-10 * DAY, ends_in=timedelta(hours=-1))
    assert seen.reason is Reason.CERTIFICATE_EXPIRED
    assert seen.certificate is not None
    assert seen.certificate.not_after < clock.now()


def test_a_root_that_ends_before_its_leaf_is_the_end_that_counts(tmp_path: Path) -> None:
    async def main() -> Observation:
        authority = Authority(tmp_path, ends_in=5 * DAY)
        async with serve(replays(http(200, PAGE, kind=HTML)), authority.server(ends_in=60 * DAY)) as port:
            ctx = context(ca_file=str(authority.ca_file), now=clock.now())
            return await look_once("http", ctx, url=f"https://127.0.0.1:{port}")

    seen = driven.run(main())
    assert seen.reason is Reason.CERTIFICATE_EXPIRING
    assert seen.detail in ("certificate ends in 4 days", "certificate ends in 5 days")


@pytest.mark.parametrize(
    ("option", "phase"), [("slow_dns_s", "DNS"), ("slow_connect_s", "connect"), ("slow_tls_s", "TLS"),
                          ("slow_wait_s", "first byte"), ("slow_s", "whole exchange")],
)  # fmt: skip
def test_each_phase_has_an_objective_of_its_own(option: str, phase: str, tmp_path: Path) -> None:
    async def main() -> Observation:
        loop, authority = asyncio.get_running_loop(), Authority(tmp_path)

        def lookup(host: str, port: int) -> list[tuple[int, str]]:
            driven.pass_time(0.001, loop)
            return [(socket.AF_INET, "127.0.0.1")]

        async with serve(replays(http(200, PAGE, kind=HTML)), authority.server()) as port:
            ctx = context(ca_file=str(authority.ca_file), now=clock.now(), resolver=Resolver(lookup))
            return await look_once("http", ctx, url=f"https://localhost:{port}", **{option: "0.001ms"})

    seen = driven.run(main())
    assert (seen.reason, seen.outcome) == (Reason.SLOW, Outcome.SLOW)
    assert seen.detail.startswith(f"{phase} took ")


def test_a_target_may_be_asked_over_http_2(tmp_path: Path) -> None:
    async def main(http2: bool) -> Observation:
        authority = Authority(tmp_path)
        async with serve(h2_server([b"fine"]), authority.server(alpn=("h2",))) as port:
            ctx = context(ca_file=str(authority.ca_file), now=clock.now())
            return await look_once("http", ctx, url=f"https://127.0.0.1:{port}", http2=http2, contains="fine")

    seen = driven.run(main(True))
    assert (seen.reason, seen.http_version) == (Reason.OK, "HTTP/2")
    assert driven.run(main(False)).reason is Reason.PROTOCOL, "this server speaks nothing else"


def test_a_secret_header_is_sent_and_never_shown() -> None:
    async def main() -> tuple[Observation, list[bytes]]:
        recorder = Recorder()
        async with serve(recorder) as port:
            seen = await look_once(
                "http",
                context(),
                url=f"http://127.0.0.1:{port}/a?token=abc",
                method="POST",
                body="hello",
                headers={"X-Plain": "yes"},
                secret_headers={"X-Key": KEY},
                contains="impossible",
            )
        return seen, recorder.heard

    seen, heard = driven.run(main())
    assert KEY.encode() in heard[0]
    assert heard[0].startswith(b"POST /a?token=abc")
    assert heard[0].endswith(b"hello")
    assert b"x-plain: yes" in heard[0].lower()
    assert KEY not in repr(seen)
    assert "abc" not in repr(seen)


@pytest.mark.parametrize("kind", ["text/plain; charset=utf-16", "text/plain"])
def test_a_key_in_two_bytes_a_letter_is_redacted_too(kind: str) -> None:
    answer = f"you sent {KEY}".encode("utf-16")
    head = b"HTTP/1.1 500 x\r\nconnection: close\r\ncontent-type: " + kind.encode() + b"\r\n\r\n"
    seen = look_at("http", replays(head, answer), secret_headers={"x-key": KEY})
    assert seen.evidence is not None
    assert "[redacted]" in seen.evidence.excerpt
    assert "abcdef" not in "".join(letter for letter in seen.evidence.excerpt if letter.isascii())


def test_a_server_that_echoes_our_key_gets_it_redacted() -> None:
    seen = page(500, f"your key {KEY} is bad", secret_headers={"X-Key": KEY})
    assert KEY not in repr(seen)
    assert seen.evidence is not None
    assert "[redacted]" in seen.evidence.excerpt


def test_headers_that_carry_secrets_and_addresses_with_passwords_are_refused() -> None:
    for name in ("Authorization", "cookie", "X-Api-Key"):
        with pytest.raises(ValidationError, match="secret_headers"):
            Options(url="https://example.com", headers={name: "x"})
    for url in ("https://user:pw@example.com", "ftp://example.com", "example.com", "https://", "file:///etc/passwd"):
        with pytest.raises(ValidationError):
            Options(url=url)


def test_an_answer_that_breaks_off_leaves_what_came_of_it_as_evidence() -> None:
    head = b"HTTP/1.1 200 OK\r\nserver: shop\r\ncontent-length: 900\r\n\r\n"
    cut = look_at("http", replays(head, f"half of it and {KEY}".encode()), secret_headers={"x-key": KEY})
    assert cut.reason is Reason.PROTOCOL
    assert cut.http_status == 200
    assert cut.evidence is not None
    assert cut.evidence.excerpt == "half of it and [redacted]"
    assert cut.evidence.headers["server"] == "shop"
    late = look_at("http", replays(head, b"half of it", then=5), context(timeout_s=0.3))
    assert late.reason is Reason.TIMEOUT_TOTAL
    assert late.evidence is not None
    assert late.evidence.excerpt == "half of it"
    endless = look_at("http", drips(b"HTTP/1.1 200 OK\r\n\r\n", b"more " * 9000, 0))
    assert endless.reason is Reason.TOO_LARGE
    assert endless.evidence is not None
    assert len(endless.evidence.excerpt) <= 2048


def test_evidence_keeps_useful_headers_and_drops_cookies() -> None:
    seen = page(500, "x", "set-cookie: session=1", "cf-ray: 8a-FRA", "x-request-id: r1", "x-secret-thing: y")
    assert seen.evidence is not None
    assert seen.evidence.headers["cf-ray"] == "8a-FRA"
    assert set(seen.evidence.headers) == {"content-type", "content-length", "cf-ray", "x-request-id"}


def test_a_private_address_is_refused_as_our_own_configuration() -> None:
    seen = look_at("http", replays(http(200)), context(allow_networks=[]))
    assert (seen.reason, seen.outcome) == (Reason.ADDRESS, Outcome.UNKNOWN)


@pytest.mark.parametrize("behave", [silent, drips(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.02)])
def test_a_server_without_end_costs_the_deadline_and_no_more(behave: Any) -> None:
    async def main() -> tuple[Observation, float]:
        async with serve(behave) as port:
            started_s = clock.monotonic()
            seen = await look_once("http", context(timeout_s=0.4), url=f"http://127.0.0.1:{port}")
            return seen, clock.monotonic() - started_s

    seen, took_s = driven.run(main())
    assert seen.reason in (Reason.TIMEOUT_HEADERS, Reason.TIMEOUT_TOTAL)
    assert 0.4 <= took_s < 0.4 + 0.1


def test_a_status_may_mean_what_this_server_says_with_it() -> None:
    assert page(503, "{}", kind="application/json", means={503: "service.loading"}).reason is Reason.LOADING
    assert page(502, "{}", kind="application/json", means={503: "service.loading"}).reason is Reason.SERVER_ERROR
    assert page(503, means={503: "service.loading"}).reason is Reason.OVERLOADED, "a page comes from a front server"
    taken = look_at("http", replays(http(503, PAGE, kind=HTML)), status=["503"], means={503: "service.loading"})
    assert taken.reason is Reason.OK


@pytest.mark.parametrize("means", [{503: "ok"}, {503: "account.auth"}, {99: "service.hung"}, {503: "service.no_such"}])
def test_what_a_status_cannot_mean_is_refused_at_the_start(means: dict[int, str]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate({"url": "http://127.0.0.1/", "means": means})

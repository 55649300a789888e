"""The simulated vendor speaks what real ones speak, and breaks what it is told to break."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from monitor.simulator.play import serve
from monitor.simulator.state import Fault
from monitor.simulator.vendor import MAKES, Vendor
from tests.edges import driven

KEY = {"Authorization": "Bearer test-key"}
CLAUDE = {"x-api-key": "test-key", "anthropic-version": "2023-06-01"}
QUESTION = "What is 17 + 25? Answer with the number only."


def ask(**changes: Any) -> dict[str, Any]:
    return {"model": "sim-chat", "max_tokens": 64, "messages": [{"role": "user", "content": QUESTION}]} | changes


@asynccontextmanager
async def visit(**state: Any) -> AsyncIterator[tuple[Vendor, httpx.AsyncClient]]:
    async with serve() as vendor, httpx.AsyncClient(base_url=vendor.url, timeout=2) as client:
        vendor.set("*", latency_s=0, ttft_s=0, chunk_gap_s=0)
        vendor.set(**state)
        yield vendor, client


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    driven.run(story())


def data_of(text: str) -> list[Any]:
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def words_of(events: list[Any]) -> str:
    deltas = [event["choices"][0]["delta"] for event in events if event != "[DONE]" and event["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def test_a_stream_begins_with_the_role_and_ends_with_usage_and_done() -> None:
    async def story() -> None:
        async with visit() as (_vendor, client):
            wish = ask(stream=True, stream_options={"include_usage": True})
            events = data_of((await client.post("/v1/chat/completions", json=wish, headers=KEY)).text)
        assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert words_of(events) == "42"
        assert events[-2]["choices"] == []
        assert events[-2]["usage"]["completion_tokens"] == 2
        assert events[-1] == "[DONE]"

    run(story)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_a_reasoning_model_thinks_under_the_name_that_is_set(name: str) -> None:
    async def story() -> None:
        async with visit(reasoning=name) as (_vendor, client):
            events = data_of((await client.post("/chat/completions", json=ask(stream=True), headers=KEY)).text)
        deltas = [event["choices"][0]["delta"] for event in events if event != "[DONE]"]
        assert sum(name in delta for delta in deltas) == 6
        assert words_of(events) == "42"

    run(story)


def test_thinking_can_use_up_the_token_limit() -> None:
    async def story() -> None:
        async with visit(reasoning="reasoning_content") as (_vendor, client):
            answer = (await client.post("/chat/completions", json=ask(max_tokens=4), headers=KEY)).json()
        assert answer["choices"][0]["finish_reason"] == "length"
        assert answer["choices"][0]["message"]["content"] == ""

    run(story)


def test_anthropic_messages_come_as_named_events_with_a_ping() -> None:
    async def story() -> None:
        async with visit() as (_vendor, client):
            text = (await client.post("/claude/v1/messages", json=ask(stream=True), headers=CLAUDE)).text
            whole = (await client.post("/claude/v1/messages", json=ask(), headers=CLAUDE)).json()
        names = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
        assert names[:3] == ["message_start", "ping", "content_block_start"]
        assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
        assert whole["content"] == [{"type": "text", "text": "42"}]
        assert whole["stop_reason"] == "end_turn"

    run(story)


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [("What is 17 + 25?", "42"), ("17 minus 25 is", "-8"), ("compute 6 × 7", "42"), ("3 times -4", "-12")],
)
def test_it_solves_small_sums(prompt: str, answer: str) -> None:
    async def story() -> None:
        async with visit() as (_vendor, client):
            wish = ask(messages=[{"role": "user", "content": prompt}])
            reply = (await client.post("/v1/chat/completions", json=wish, headers=KEY)).json()
        assert reply["choices"][0]["message"]["content"] == answer

    run(story)


@pytest.mark.parametrize(
    ("fault", "service", "path", "headers", "status", "word"),
    [
        ("overloaded", "deepseek", "/chat/completions", KEY, 503, "too busy"),
        ("overloaded", "claude", "/v1/messages", CLAUDE, 529, "overloaded_error"),
        ("auth", "chatgpt", "/v1/chat/completions", KEY, 401, "invalid_api_key"),
        ("payment", "deepseek", "/chat/completions", KEY, 402, "Insufficient Balance"),
        ("quota", "chatgpt", "/v1/chat/completions", KEY, 429, "insufficient_quota"),
        ("quota", "claude", "/v1/messages", CLAUDE, 429, "enforced_spend_limit_reached"),
        ("rate_limit", "chatgpt", "/v1/chat/completions", KEY, 429, "rate_limit_exceeded"),
        ("throttled", "deepseek", "/chat/completions", KEY, 429, "Too many"),
        ("region", "chatgpt", "/v1/chat/completions", KEY, 403, "not supported"),
        ("model_gone", "deepseek", "/chat/completions", KEY, 400, "Model Not Exist"),
    ],
)
def test_each_vendor_refuses_in_its_own_shape(
    fault: str, service: str, path: str, headers: dict[str, str], status: int, word: str
) -> None:
    async def story() -> None:
        async with visit() as (vendor, client):
            vendor.set(service, chat=fault)
            answer = await client.post(f"/{service}{path}", json=ask(stream=True), headers=headers)
        assert answer.status_code == status
        assert word in answer.text

    run(story)


def test_without_a_key_the_edge_is_alive_and_says_401() -> None:
    async def story() -> None:
        async with visit() as (_vendor, client):
            assert (await client.get("/v1/models")).status_code == 401
            assert (await client.post("/v1/chat/completions", json=ask())).status_code == 401
            assert (await client.get("/v1/models", headers=KEY)).json()["data"][0]["id"] == "sim-chat"

    run(story)


def test_an_empty_balance_refuses_the_chat_and_shows_in_the_balance() -> None:
    async def story() -> None:
        async with visit(balance_amount=0) as (_vendor, client):
            assert (await client.post("/chat/completions", json=ask(), headers=KEY)).status_code == 402
            assert (await client.get("/user/balance", headers=KEY)).json()["is_available"] is False

    run(story)


@pytest.mark.parametrize("fault", ["stall", "no_token"])
def test_a_stalled_stream_stays_open_and_silent(fault: str) -> None:
    async def story() -> None:
        async with visit(chat={"fault": fault}) as (_vendor, client):
            with pytest.raises(httpx.ReadTimeout):
                await client.post("/chat/completions", json=ask(stream=True), headers=KEY, timeout=0.2)

    run(story)


@pytest.mark.parametrize("fault", ["cut", "close", "reset", "garbage", "short_body", "reset_midway"])
def test_a_torn_answer_is_a_protocol_error_to_a_strict_client(fault: str) -> None:
    async def story() -> None:
        async with visit(chat={"fault": fault}) as (_vendor, client):
            with pytest.raises(httpx.HTTPError):
                await client.post("/chat/completions", json=ask(stream=True), headers=KEY)

    run(story)


def test_an_error_can_come_after_the_200() -> None:
    async def story() -> None:
        async with visit(chat={"fault": "midstream_error", "after": 1}) as (_vendor, client):
            text, wish = "", ask(stream=True)
            async with client.stream("POST", "/chat/completions", json=wish, headers=KEY) as answer:
                assert answer.status_code == 200
                async for line in answer.aiter_lines():
                    text += line + "\n"
                    if "error" in line:
                        break
        assert words_of(data_of(text)[:-1]) == "4"
        assert data_of(text)[-1]["error"]["type"] == "server_error"

    run(story)


def test_a_queued_request_is_kept_alive_before_its_first_token() -> None:
    async def story() -> None:
        async with visit(chat={"fault": "queued", "seconds": 0.1}) as (_vendor, client):
            text = (await client.post("/chat/completions", json=ask(stream=True), headers=KEY)).text
            whole = (await client.post("/chat/completions", json=ask(), headers=KEY)).text
        assert text.startswith(": keep-alive\n\n")
        assert words_of(data_of(text)) == "42"
        assert whole.startswith("\n{")

    run(story)


def test_a_share_of_the_requests_fails_and_the_same_ones_each_time() -> None:
    async def story() -> list[int]:
        async with visit(web={"fault": "status", "share": 0.3}) as (_vendor, client):
            return [(await client.get("/")).status_code for _ in range(60)]

    first, second = driven.run(story()), driven.run(story())
    assert first == second
    assert 8 <= first.count(503) <= 28


def test_every_third_request_can_fail_without_dice() -> None:
    async def story() -> None:
        async with visit(web={"fault": "status", "every": 3}) as (_vendor, client):
            codes = [(await client.get("/")).status_code for _ in range(9)]
        assert codes == [200, 200, 503] * 3

    run(story)


def test_trouble_of_one_service_leaves_the_others_alone() -> None:
    async def story() -> None:
        async with visit() as (vendor, client):
            vendor.set("deepseek", everything={"fault": "status", "status": 502})
            assert (await client.get("/deepseek/")).status_code == 502
            assert (await client.get("/deepseek/status/api/v2/summary.json")).status_code == 200
            assert (await client.get("/claude/")).status_code == 200

    run(story)


@pytest.mark.parametrize(
    ("sign", "english", "chinese", "enabled"),
    [
        ("open", "Sign up with Google", "", True),
        ("phone_86", "only registration with a mainland china mobile phone number", "+86手机号以外", False),
        ("busy", "registration may be busy", "注册可能繁忙", True),
        ("closed", "temporarily closed", "暂停注册", False),
        ("failing", "new accounts cannot be created", "注册功能异常", True),
    ],
)
def test_registration_shows_on_the_page_the_banner_and_the_endpoint(
    sign: str, english: str, chinese: str, enabled: bool
) -> None:
    async def story() -> None:
        async with visit(registration=sign) as (_vendor, client):
            assert english.lower() in (await client.get("/sign_up")).text.lower()
            assert chinese in (await client.get("/sign_up?lang=zh")).text
            assert (await client.get("/api/config")).json()["features"]["enable_signup"] is enabled
            banner = (await client.get("/api/v0/client/settings?did=x&scope=banner")).json()["data"]["biz_data"]
            assert bool(banner["settings"]) is (sign != "open")
            assert (await client.get("/api/v0/client/settings")).json()["data"]["biz_code"] == 2

    run(story)


def test_the_test_account_logs_in_and_no_other() -> None:
    async def story() -> None:
        async with visit() as (_vendor, client):
            good = await client.post(
                "/api/v1/auths/signin", json={"email": "probe@example.com", "password": "simulated"}
            )
            bad = await client.post("/api/v1/auths/signin", json={"email": "alice@example.com", "password": "x"})
        assert (good.status_code, bad.status_code) == (200, 400)
        assert good.json()["token"]

    run(story)


def test_the_status_page_says_what_it_was_told_in_both_formats() -> None:
    async def story() -> None:
        async with visit() as (vendor, client):
            vendor.announce(
                status="investigating",
                title="Log-in trouble",
                text="We look into it.",
                components={"api": "major_outage"},
            )
            summary = (await client.get("/status/api/v2/summary.json")).json()
            native = (await client.get("/incident-io/proxy/status.simulated")).json()["summary"]
            vendor.announce(status="resolved", text="Solved.")
            after = (await client.get("/status/api/v2/summary.json")).json()
            past = (await client.get("/status/api/v2/incidents.json")).json()["incidents"]
        assert summary["status"]["indicator"] == "critical"
        assert summary["incidents"][0]["incident_updates"][0]["body"] == "We look into it."
        assert native["affected_components"] == [{"component_id": "api", "status": "full_outage"}]
        assert after["incidents"] == []
        assert after["status"]["indicator"] == "none"
        assert [update["status"] for update in past[0]["incident_updates"]] == ["resolved", "investigating"]

    run(story)


def test_a_refusing_vendor_comes_back_on_the_same_port() -> None:
    async def story() -> None:
        async with visit() as (vendor, client):
            url = vendor.url
            await vendor.refuse()
            with pytest.raises(httpx.ConnectError):
                await client.get("/")
            await vendor.listen()
            assert vendor.url == url
            assert (await client.get("/")).status_code == 200

    run(story)


def test_the_control_endpoint_sets_shows_and_refuses_unknown_words() -> None:
    async def story() -> None:
        async with visit() as (_vendor, client):
            await client.post("/_control", json={"service": "claude", "set": {"login": "reset"}})
            shown = (await client.get("/_control")).json()
            assert shown["services"]["claude"]["login"]["fault"] == "reset"
            assert (await client.post("/_control", json={"set": {"colour": "red"}})).status_code == 422
            aside = await client.post("/_control", json={"service": "claude", "everything": "reset"})
            assert (aside.status_code, aside.json()["error"]) == (
                422,
                "unknown: everything; there are service, set and announce",
            )
            assert (await client.get("/_control")).json() == shown, "half a wish sets nothing"
            assert (await client.post("/_control", json={"service": "nobody"})).status_code == 404

    run(story)


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
def test_no_fault_hangs_the_server_or_leaks_into_the_next_request(fault: Fault) -> None:
    async def story() -> None:
        async with visit(chat={"fault": fault, "seconds": 0.01, "size_mb": 1}) as (vendor, client):
            try:
                async with client.stream(
                    "POST", "/chat/completions", json=ask(stream=True), headers=KEY, timeout=0.3
                ) as answer:
                    async for _part in answer.aiter_raw():
                        pass
            except httpx.HTTPError:
                pass
            vendor.set(chat="none")
            assert (await client.post("/chat/completions", json=ask(), headers=KEY)).status_code == 200

    run(story)


def test_every_make_serves_its_first_model() -> None:
    async def story() -> None:
        async with visit() as (_vendor, client):
            for name, make in MAKES.items():
                headers = CLAUDE if make.dialect == "anthropic" else KEY
                listed = (await client.get(f"/{name}/v1/models".replace("//", "/"), headers=headers)).json()["data"]
                assert tuple(row["id"] for row in listed) == make.models

    run(story)

"""An attempt to sign up at one's own server: made, removed, bounded, and never at a vendor's."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Registration, Source
from monitor.probes import KINDS
from monitor.probes.base import Context, look
from monitor.wire import Wire
from tests.edges import driven
from tests.edges.site import NOW, Page, Site, serve

MADE = Page(json.dumps({"token": "t", "id": "u1"}).encode(), 200)
GONE = Page(b"{}", 204)
CREATE = {"path": "/signup", "body": {"name": "{name}", "email": "{email}", "password": "{password}"}}
BY_ID = {"path": "/users/{id}", "verb": "DELETE", "secret_headers": {"Authorization": "Bearer k"}}
BY_MAIL = {"path": "/remove", "body": {"email": "{email}"}}


def options(address: str, **changes: Any) -> dict[str, Any]:
    given = {"create": CREATE, "remove": BY_ID, "expect": "token", "id": "id", "way": "email"} | changes
    return {"detector": "own_attempt", "url": given.pop("url", address), "attempt": given}


def context(wire: Wire, moment: datetime, memory: dict[str, Any]) -> Context:
    return Context(wire, "own", 3.0, 1, moment, random.Random(1), memory)


async def attempts(
    site: Site, count: int, memory: dict[str, Any], *, every_s: int = 3600, **changes: Any
) -> list[Observation]:
    """Looks an hour apart, of which none may be sent elsewhere."""
    wire, kind = Wire(allow_networks=["127.0.0.0/8"]), KINDS["registration"]
    chosen = kind.options.model_validate(options(site.url, **changes))
    started = memory.get("looks", 0)
    memory["looks"] = started + count
    try:
        return [
            await look(
                kind,
                chosen,
                Context(wire, "own", 3.0, 1, NOW + timedelta(seconds=every_s * n), random.Random(1), memory),
            )
            for n in range(started, started + count)
        ]
    finally:
        await wire.aclose()


def told(seen: Observation) -> list[tuple[Registration, float | None]]:
    assert all(reading.source is Source.ATTEMPT for reading in seen.registration)
    return [(reading.state, reading.failed_ratio) for reading in seen.registration]


def test_an_account_is_made_and_removed_and_its_password_is_kept_nowhere() -> None:
    async def story() -> None:
        memory: dict[str, Any] = {}
        async with serve({"/signup": MADE, "/users/u1": GONE}) as site:
            (seen,) = await attempts(site, 1, memory)
            assert (seen.reason, told(seen)) == (Reason.OK, [(Registration.OPEN, None)])
            assert [(asked.method, asked.path) for asked in site.asked] == [
                ("POST", "/signup"),
                ("DELETE", "/users/u1"),
            ]
            sent = json.loads(site.asked[0].body)
            assert sent["name"].startswith("chatwatch-")
            assert sent["email"] == f"{sent['name']}@example.invalid"
            assert sent["password"] not in json.dumps(memory)
            assert "left" not in memory

    driven.run(story())


def test_failures_become_failing_with_a_share_and_two_good_attempts_end_it() -> None:
    async def story() -> None:
        memory: dict[str, Any] = {}
        async with serve({"/signup": MADE, "/users/u1": GONE}) as site:
            await attempts(site, 2, memory)
            site.pages["/signup"] = Page(b"{}", 500)
            seen = await attempts(site, 5, memory)
            assert [told(one) for one in seen] == [
                [(Registration.FAILING, None)],
                [(Registration.FAILING, None)],
                [(Registration.FAILING, None)],
                [(Registration.FAILING, None)],
                [(Registration.FAILING, 1.0)],
            ]
            assert {one.reason for one in seen} == {Reason.OK}
            site.pages["/signup"] = MADE
            mended = await attempts(site, 3, memory)
            assert [told(one) for one in mended] == [
                [(Registration.FAILING, 0.83)],
                [(Registration.OPEN, None)],
                [(Registration.OPEN, None)],
            ]

    driven.run(story())


def test_a_first_failure_alone_says_nothing_and_an_answer_without_an_account_is_a_failure() -> None:
    async def story() -> None:
        memory: dict[str, Any] = {}
        async with serve({"/signup": Page(b'{"error": "busy"}', 200), "/remove": GONE}) as site:
            first, second = await attempts(site, 2, memory, remove=BY_MAIL, id="")
            assert (first.reason, told(first)) == (Reason.UNREADABLE, [])
            assert told(second) == [(Registration.FAILING, None)]
            assert [asked.path for asked in site.asked] == ["/signup", "/remove"] * 2

    driven.run(story())


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (403, Reason.UNREADABLE),
        (404, Reason.CONFIG),
        (422, Reason.CONFIG),
        (302, Reason.CONFIG),
        (429, Reason.RATE_LIMIT),
    ],
)
def test_a_refusal_says_nothing_of_whether_sign_up_works(status: int, reason: Reason) -> None:
    async def story() -> None:
        memory: dict[str, Any] = {}
        async with serve({"/signup": Page(b"{}", status), "/users/u1": GONE}) as site:
            (seen,) = await attempts(site, 1, memory)
            assert (seen.reason, told(seen)) == (reason, [])
            assert "left" not in memory
            assert len(site.asked) == 1

    driven.run(story())


def test_no_other_account_is_made_while_one_may_be_left_behind() -> None:
    async def story() -> None:
        memory: dict[str, Any] = {}
        async with serve({"/signup": MADE, "/users/u1": Page(b"{}", 500)}) as site:
            seen = await attempts(site, 3, memory)
            assert {one.reason for one in seen} == {Reason.CONFIG}
            assert [asked.path for asked in site.asked] == ["/signup", *["/users/u1"] * 3]
            assert told(seen[0]) == [(Registration.OPEN, None)]
            site.pages["/users/u1"] = GONE
            (after,) = await attempts(site, 1, memory)
            assert after.reason is Reason.OK
            assert [asked.path for asked in site.asked[-3:]] == ["/users/u1", "/signup", "/users/u1"]

    driven.run(story())


def test_an_account_whose_id_nobody_told_is_named_for_a_day() -> None:
    async def story() -> None:
        memory: dict[str, Any] = {}
        async with serve({"/signup": Page(b"{}", 200), "/users/u1": GONE}) as site:
            seen = await attempts(site, 24, memory)
            assert {one.reason for one in seen} == {Reason.CONFIG}
            assert len(site.asked) == 1
            await attempts(site, 2, memory)
            assert len(site.asked) == 2

    driven.run(story())


def test_looks_that_come_too_often_make_no_more_accounts_than_the_day_allows() -> None:
    async def story() -> None:
        memory: dict[str, Any] = {}
        async with serve({"/signup": MADE, "/users/u1": GONE}) as site:
            seen = await attempts(site, 60, memory, every_s=60)
            assert len([asked for asked in site.asked if asked.path == "/signup"]) == 2
            assert {one.reason for one in seen if not one.registration} == {Reason.UNREADABLE}

    driven.run(story())


def test_an_address_outside_the_networks_of_ones_own_is_never_asked() -> None:
    async def story() -> None:
        async with serve({"/signup": MADE, "/users/u1": GONE}) as site:
            wire, kind = Wire(allow_networks=["10.0.0.0/8"]), KINDS["registration"]
            chosen = kind.options.model_validate(options("http://192.0.2.7"))
            public = kind.options.model_validate(options("http://1.1.1.1"))
            memory: dict[str, Any] = {}
            seen = [
                await look(kind, one, Context(wire, "own", 3.0, 1, NOW, random.Random(1), memory))
                for one in (chosen, public)
            ]
            assert [one.reason for one in seen] == [Reason.ADDRESS] * 2
            assert "not in a network of your own" in seen[1].detail
            assert "left" not in memory
            assert site.asked == []
            await wire.aclose()

    driven.run(story())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "https://chat.deepseek.com"}, "is a vendor's"),
        ({"url": "https://anything.openai.com"}, "is a vendor's"),
        ({"url": "https://my-resource.openai.azure.com"}, "is a vendor's"),  # by a parameter's example only
        ({"url": "https://chat.z.ai"}, "is a vendor's"),
        ({"remove": {"path": "/remove"}}, "must name the account"),
        ({"remove": {"path": "/x/{name}/{password}"}}, "kept nowhere"),
        ({"id": ""}, "dotted path"),
        ({"attempts_a_day": 1000}, "attempts_a_day"),
        ({"create": {"path": "//evil.example/x"}}, "a path on the server"),
    ],
)
def test_what_cannot_be_done_safely_is_refused_when_the_file_is_read(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        KINDS["registration"].options.model_validate(options("http://127.0.0.1:1", **changes))

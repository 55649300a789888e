"""Refusals of gateways and walls in their own words: ours stays ours whatever the status, theirs stays theirs."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from tests.edges import driven
from tests.edges.hostile import serve
from tests.edges.probing import KEY, context, http, look_once, whole_request

TABLE: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("chat_gateways.yaml").read_text(encoding="utf-8"))
ROWS = [(row, status) for row in TABLE for status in row["statuses"]]


def response(row: dict[str, Any], status: int) -> bytes:
    error = {"message": row.get("words"), "type": row.get("type"), "param": None, "code": row.get("code")}
    body = row.get("page") or row.get("body") or json.dumps({"error": error}, ensure_ascii=False)
    headers = [f"{name}: {value}" for name, value in row.get("headers", {}).items()]
    return http(status, body, *headers, kind="text/html; charset=utf-8" if "page" in row else "application/json")


def looks(kind: str, rows: list[tuple[dict[str, Any], int]], **options: Any) -> list[Observation]:
    """Look at every row of the table, all on one server and one event loop."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await whole_request(reader)
        found = re.match(rb"\w+ /(\d+)", head)
        assert found is not None
        writer.write(response(*rows[int(found[1])]))
        await writer.drain()

    async def main() -> list[Observation]:
        async with serve(behave) as port:
            address = "base_url" if kind == "chat" else "url"
            gate, usual = asyncio.Semaphore(16), context()  # one wire for all: a context of TLS takes long to make

            async def look_at(number: int) -> Observation:
                async with gate:
                    page = {address: f"http://127.0.0.1:{port}/{number}"}
                    return await look_once(kind, replace(usual, memory={}), **options, **page)

            return list(await asyncio.gather(*map(look_at, range(len(rows)))))

    return driven.run(main())


def test_a_gateways_refusal_is_whose_trouble_it_is_whatever_the_status() -> None:
    seen = looks("chat", ROWS, model="m-1", key=KEY)
    wrong = [
        f"{row['of']} {status}: {one.reason}, not {row['reason']}; {one.detail}"
        for (row, status), one in zip(ROWS, seen, strict=True)
        if one.reason is not Reason(row["reason"])
    ]
    assert not wrong, "\n".join(wrong)


def test_a_wall_turns_a_look_at_a_page_away_whatever_its_status() -> None:
    walls = [(row, status) for row, status in ROWS if row["reason"] == "probe.blocked"]
    assert {one.reason for one in looks("http", walls)} == {Reason.BLOCKED}


def test_an_error_status_with_an_event_stream_is_read_for_its_error() -> None:
    body = 'event: error\ndata: {"error":{"message":"Budget has been exceeded!","type":"budget_exceeded"}}\n\n'
    rows = [({"body": body}, status) for status in (400, 429, 500)]
    assert {one.reason for one in looks("chat", rows, model="m-1", key=KEY)} == {Reason.QUOTA}


def test_a_model_that_answered_and_has_no_channel_now_is_the_gateways_trouble() -> None:
    row = {"code": "model_not_found", "words": "No available channel for model m-1 under group default"}

    async def main() -> Observation:
        async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head, _ = await whole_request(reader)
            listed = '{"object":"list","data":[{"id":"m-1"}]}'
            writer.write(http(200, listed) if head.startswith(b"GET") else response(row, 503))
            await writer.drain()

        async with serve(behave) as port:
            url = f"http://127.0.0.1:{port}"
            memory = {"worked_with": f"{url} m-1"}
            return await look_once("chat", context(memory), base_url=url, model="m-1", key=KEY)

    assert driven.run(main()).reason is Reason.OVERLOADED

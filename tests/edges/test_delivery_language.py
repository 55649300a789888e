"""A channel speaks its own language, from the alert in the database to the receiver's socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import Engine

from monitor import clock, flow
from monitor.channels.webhook import Webhook
from monitor.config.settled import Channel, Settings, Settled
from monitor.core.commands import SendTest
from monitor.core.model.reasons import Reason
from monitor.recorder.delivery import Dispatcher
from monitor.store.connection.engine import open_engine
from monitor.store.upgrade import migrate
from monitor.text.lexicon import Language
from tests.edges.flowing import CATALOGUE, MINUTE, look, publish
from tests.edges.test_delivery import receiving

WORLD = replace(
    CATALOGUE,
    components=tuple(replace(part, names={"zh": "接口"}) for part in CATALOGUE.components if part.name == "API"),
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    found = open_engine(f"sqlite:///{tmp_path}/chatwatch.db")
    migrate(found)
    yield found
    found.dispose()


async def delivered(engine: Engine, language: Language) -> list[dict[str, Any]]:
    """What the receiver got once the outbox is empty, oldest first."""

    async def database(work: Any, *arguments: Any, **named: Any) -> Any:
        return work(*arguments, **named)

    async with receiving() as (receiver, _):
        pager = Channel("pager", "webhook", Webhook(url=SecretStr(receiver.url), language=language))
        settings = Settings(allow_networks=("127.0.0.0/8",))
        dispatcher = Dispatcher(engine, database, "w/1", Settled(WORLD, settings, {"pager": pager}), lambda *_: None)
        await dispatcher.step()
        for _ in range(12_000):
            if len(receiver.requests) >= 2:
                break
            await asyncio.sleep(0.01)
        await dispatcher.close()
        return [json.loads(body)["data"] for _, body in receiver.requests]


@pytest.mark.parametrize(
    ("language", "title", "reason", "test"),
    [
        (
            Language.EN,
            "Page: DeepSeek API is down",
            ("Reason", "it answers with a server error (service.error)"),
            "Test: Chatwatch can reach you here",
        ),
        (
            Language.ZH,
            "呼叫：DeepSeek 接口中断",
            ("原因", "返回服务器错误（service.error）"),
            "测试：Chatwatch 可以在这里通知您",
        ),
    ],
)
def test_a_notice_is_in_the_channels_language(
    engine: Engine, language: Language, title: str, reason: tuple[str, str], test: str
) -> None:
    start = clock.now() - 5 * MINUTE
    publish(engine, WORLD, start)
    for minute in range(5):
        at = start + minute * MINUTE
        flow.record(engine, [look("ds-api", at, Reason.OK if minute < 2 else Reason.SERVER_ERROR)], at + MINUTE / 60)
    flow.command(engine, SendTest("pager"), "alice", clock.now())
    sent = asyncio.run(delivered(engine, language))
    assert sorted(data["title"] for data in sent) == sorted([title, test])
    (down,) = (data for data in sent if data["title"] == title)
    assert reason in down["facts"].items()


def test_a_language_that_we_do_not_speak_is_refused() -> None:
    with pytest.raises(ValidationError, match="'en' or 'zh'"):
        Webhook.model_validate({"url": "https://hooks.example/x", "language": "fr"})

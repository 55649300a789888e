"""That the database must not be used reaches people although the outbox lies in it: once, under a key, with its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from pydantic import SecretStr

from monitor import clock
from monitor.channels.webhook import Webhook
from monitor.config.settled import Channel, Settings, Settled
from monitor.core.catalogue import Route
from monitor.core.model.alerting import Severity
from monitor.recorder.alarm import StoreAlarm
from monitor.recorder.delivery import GIVE_UP
from monitor.recorder.recorder import Recorder
from monitor.runtime.trouble import NAME, TroubleFile, trouble_of
from monitor.store.backup import backup, restore
from monitor.store.proof import Fault
from monitor.text.lexicon import Language
from tests.edges.flowing import CATALOGUE, look
from tests.edges.receiver import Received, receiving
from tests.edges.test_recorder import alive, batch, recording
from tests.edges.test_store_lost import cut, vanish


@dataclass
class Scene:
    """A home with a database, a receiver, and who is told."""

    home: Path
    received: Received
    routes: tuple[Route, ...] = (Route("oncall", ("pager",)),)
    language: Language = Language.EN
    wanted: list[str] = field(default_factory=list)

    @property
    def config(self) -> Settled:
        names = {name for route in self.routes for name in route.channels}
        options = Webhook(url=SecretStr(self.received.url), language=self.language)
        channels = {name: Channel(name, "webhook", options) for name in names}
        catalogue = replace(CATALOGUE, routes=self.routes)
        return Settled(catalogue, Settings(allow_networks=("127.0.0.0/8",)), channels)

    @property
    def url(self) -> str:
        return f"sqlite:///{self.home / 'test.db'}"

    def play(self, story: Callable[[Recorder, StoreAlarm], Awaitable[None]]) -> None:
        """Run a story with a recorder whose database is open."""

        async def run(recorder: Recorder) -> None:
            recorder.apply(self.config)
            alarm = alarm_of(recorder)
            await recorder.on_frame(alive(clock.now()))
            await story(recorder, alarm)

        recording(self.home, run)

    def lost(self) -> None:
        """Let a worker lose its database and tell of it."""

        async def story(recorder: Recorder, alarm: StoreAlarm) -> None:
            await used(recorder, self.home)
            await alarm.step(recorder.config)
            vanish(self.home / "test.db")
            await recorder.guard.step()
            await alarm.step(recorder.config)
            await alarm.step(recorder.config)

        self.play(story)

    def told(self) -> list[tuple[str, str]]:
        return [(arrival.type, arrival.body["data"]["alert"]["rule"]) for arrival in self.received.arrivals]


def alarm_of(recorder: Recorder) -> StoreAlarm:
    file = TroubleFile(recorder.spool.directory)
    return StoreAlarm(file, recorder.seen, recorder.counters, recorder.dispatcher, recorder.opened.is_set)


async def used(recorder: Recorder, home: Path) -> None:
    await recorder.open()
    await recorder.on_frame(batch(1, look("oa-api", clock.now() - timedelta(minutes=1))))
    await recorder.sign_of_life()
    await recorder.guard.step()
    backup(recorder.engine, home / "older.db")


async def back(recorder: Recorder, alarm: StoreAlarm) -> None:
    """Go on with the file that is there now."""
    await recorder.guard.step()
    await alarm.step(recorder.config)
    await recorder.open()
    await alarm.step(recorder.config)
    await alarm.step(recorder.config)


def test_a_lost_file_is_told_once_with_what_to_do_and_its_end_is_told_as_well(tmp_path: Path) -> None:
    with receiving(1) as received:
        received.moody = False
        scene = Scene(tmp_path, received)

        async def story(recorder: Recorder, alarm: StoreAlarm) -> None:
            await used(recorder, tmp_path)
            await alarm.step(recorder.config)
            assert scene.told() == []
            cut(tmp_path / "test.db")
            await recorder.guard.step()
            for _ in range(3):
                await alarm.step(recorder.config)
            assert scene.told() == [("alert.firing", "store")]
            restore(tmp_path / "older.db", scene.url, replace=True)
            await back(recorder, alarm)

        scene.play(story)
        first, last = received.arrivals
        assert scene.told() == [("alert.firing", "store"), ("alert.resolved", "store")]
        assert first.alert == last.alert
        assert first.body["data"]["alert"]["key"] == last.body["data"]["alert"]["key"]
        assert first.key != last.key
        assert first.body["data"]["title"] == "Page: Our database cannot be used: the file was cut"
        assert "chatwatch restore BACKUP --force" in first.body["data"]["facts"]["To do"]
        assert last.body["data"]["title"] == "Resolved: Our database cannot be used: the file was cut"
        assert "Lasted" in last.body["data"]["facts"]
        assert not (tmp_path / "spool" / "local" / NAME).exists()


def test_a_worker_that_is_started_again_neither_repeats_it_nor_forgets_the_end(tmp_path: Path) -> None:
    with receiving(1) as received:
        received.moody = False
        scene = Scene(tmp_path, received)
        scene.lost()
        trouble = trouble_of(scene.url)
        assert trouble is not None
        assert trouble.fault is Fault.VANISHED

        async def again(recorder: Recorder, alarm: StoreAlarm) -> None:
            await alarm.step(recorder.config)
            assert scene.told() == [("alert.firing", "store")], "it is not over because nobody has looked yet"
            opening = asyncio.create_task(recorder.open())
            for _ in range(6_000):
                if recorder.seen.store_fault is not None:
                    break
                await asyncio.sleep(0.01)
            await alarm.step(recorder.config)
            assert scene.told() == [("alert.firing", "store")]
            now_wrong = trouble_of(scene.url)
            assert now_wrong is not None
            assert now_wrong.fault is Fault.VANISHED
            restore(tmp_path / "older.db", scene.url)
            await recorder.guard.step()
            await opening
            await alarm.step(recorder.config)

        scene.play(again)
        assert scene.told() == [("alert.firing", "store"), ("alert.resolved", "store")]
        assert len({arrival.alert for arrival in received.arrivals}) == 1
        assert trouble_of(scene.url) is None


def test_a_receiver_in_trouble_is_tried_again_under_the_same_key(tmp_path: Path) -> None:
    with receiving(8) as received:
        scene = Scene(tmp_path, received)
        scene.lost()

        async def story(recorder: Recorder, alarm: StoreAlarm) -> None:
            recorder.seen.store_fault = Fault.VANISHED
            for _ in range(200):
                if any(arrival.taken for arrival in received.arrivals):
                    break
                await alarm.step(recorder.config)
                await asyncio.sleep(0.05)

        scene.play(story)
        assert [arrival for arrival in received.arrivals if arrival.taken]
        assert len({arrival.key for arrival in received.arrivals}) == 1


def test_only_those_are_told_who_want_pages_about_ourselves_and_who_escalates_after_their_time(tmp_path: Path) -> None:
    with receiving(1) as received:
        received.moody = False
        routes = (
            Route("tickets", ("desk",), severities=(Severity.TICKET,)),
            Route("oncall", ("pager", "chat"), services=("openai",)),
            Route("late", ("boss",), escalate_after_s=600),
        )
        scene = Scene(tmp_path, received, routes)
        scene.lost()
        trouble = trouble_of(scene.url)
        assert trouble is not None
        assert trouble.told == ("chat", "pager")

        async def story(recorder: Recorder, alarm: StoreAlarm) -> None:
            recorder.seen.store_fault = Fault.VANISHED
            with time_machine.travel(clock.now() + timedelta(seconds=601), tick=False):
                await alarm.step(recorder.config)

        scene.play(story)
        trouble = trouble_of(scene.url)
        assert trouble is not None
        assert trouble.told == ("boss", "chat", "pager")


def test_who_was_never_told_of_it_hears_nothing_of_its_end(tmp_path: Path) -> None:
    with receiving(1) as received:
        received.moody = False
        scene = Scene(tmp_path, received, routes=())
        scene.lost()
        restore(tmp_path / "older.db", scene.url)
        scene.routes = (Route("oncall", ("pager",)),)

        async def story(recorder: Recorder, alarm: StoreAlarm) -> None:
            await back(recorder, alarm)

        scene.play(story)
        assert scene.told() == []
        assert trouble_of(scene.url) is None


def test_an_end_that_nobody_can_be_told_of_is_given_up_after_a_day(tmp_path: Path) -> None:
    with receiving(1) as received:
        received.moody = False
        scene = Scene(tmp_path, received)
        scene.lost()
        restore(tmp_path / "older.db", scene.url)
        scene.routes = ()  # the channel is gone from the configuration

        async def story(recorder: Recorder, alarm: StoreAlarm) -> None:
            await back(recorder, alarm)
            assert (tmp_path / "spool" / "local" / NAME).exists()
            with time_machine.travel(clock.now() + GIVE_UP + timedelta(minutes=1), tick=False):
                await alarm.step(recorder.config)

        scene.play(story)
        assert scene.told() == [("alert.firing", "store")]
        assert not (tmp_path / "spool" / "local" / NAME).exists()


def test_it_is_told_in_the_language_of_the_channel(tmp_path: Path) -> None:
    with receiving(1) as received:
        received.moody = False
        scene = Scene(tmp_path, received, language=Language.ZH)
        scene.lost()
        (first,) = received.arrivals
        assert first.body["data"]["title"].endswith("我们的数据库无法使用：文件不见了")
        assert "chatwatch restore" in first.body["data"]["facts"]["该做什么"]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"id": 1}', json.dumps({"id": "a", "fault": "?", "todo": "", "since": "2026-01-01T00:00:00Z"})],
)
def test_a_note_that_cannot_be_read_is_no_trouble(content: str, tmp_path: Path) -> None:
    folder = tmp_path / "spool" / "local"
    folder.mkdir(parents=True)
    (folder / NAME).write_text(content)
    assert TroubleFile(folder).kept is None
    assert trouble_of(f"sqlite:///{tmp_path / 'test.db'}") is None

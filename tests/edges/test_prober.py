"""The prober: the grid, what it misses, the order of what it hands over, and whether it can see at all."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from monitor import clock
from monitor.config.load import Config, load
from monitor.core.catalogue import Catalogue, Probe
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.schedule import slot
from monitor.logs import Event
from monitor.prober.grid import MOST_MISSED, Grid
from monitor.prober.prober import Prober
from monitor.prober.self_check import SelfCheck
from monitor.prober.uplink import BATCH_RESULTS, MOST_WAITING, Handover
from monitor.probes.memory import Memories
from monitor.runtime.frames import from_prober, open_link, to_prober, to_recorder
from monitor.runtime.messages import Ack, Batch, FrameError
from monitor.simulator.play import serve
from monitor.simulator.vendor import Vendor
from tests.edges import driven

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


def ended(result: Result) -> datetime:
    return result.started_at + timedelta(seconds=result.duration_s)


HASTY = "policies: {default: {shortest_outage: 1s, failure_ratio: 0.45, false_pages_per_year: 1000}}\n"
"""Three points a failure, looks a second apart."""


def config(tmp_path: Path, url: str, interval: str = "1s", timeout: str = "900ms", more: str = "") -> Config:
    path = tmp_path / "probes.yaml"
    path.write_text(f"""\
allow_networks: [127.0.0.0/8]
services:
  - id: sim
    name: Simulated
    components: [{{id: web, name: Web, kind: web}}]
    probes:
      - {{id: page, component: web, kind: http, interval: {interval}, timeout: {timeout}, options: {{url: "{url}/"}}}}
{more}""")
    return load(path, {})


async def until(good: Callable[[], bool]) -> None:
    for _ in range(400):
        if good():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it never came to that")


def watch(
    tmp_path: Path, seconds: float, act: Callable[[Vendor], None] = lambda vendor: None, **settings: str
) -> list[Result]:
    """Run a prober over a simulated vendor and return what it handed over."""
    found: list[Result] = []

    async def play() -> None:
        async with serve() as vendor:
            prober = Prober(config(tmp_path, vendor.url, **settings), found.append)
            prober.start()
            act(vendor)
            await asyncio.sleep(seconds)
            await prober.stop()

    driven.run_by_the_wall(play())
    return found


def test_the_grid_goes_on_from_tick_to_tick_and_forgets_a_long_sleep() -> None:
    probe = Probe("shop-page", "shop/web", "http", 30, 5.0)
    grid = Grid(probe)
    first = grid.get_next_fire_time(None, NOW)
    assert (first - NOW) <= timedelta(seconds=30)
    assert first.timestamp() % 30 == pytest.approx(slot("shop-page", 30))
    assert grid.get_next_fire_time(first, first) == first + timedelta(seconds=30)
    later = first + timedelta(days=300)
    assert grid.get_next_fire_time(first, later) <= later + timedelta(seconds=30)
    assert grid.latest(first) == first
    assert grid.latest(first + timedelta(seconds=29)) == first


def test_what_lies_between_two_ticks_is_bounded() -> None:
    grid = Grid(Probe("shop-page", "shop/web", "http", 30, 5.0))
    first = grid.get_next_fire_time(None, NOW)
    assert grid.between(first, first + timedelta(seconds=30)) == []
    assert grid.between(first, first + timedelta(seconds=90)) == [first + timedelta(seconds=30 * n) for n in (1, 2)]
    days = grid.between(first, first + timedelta(days=30))
    assert len(days) == MOST_MISSED
    assert days[-1] == first + timedelta(days=30, seconds=-30)


@pytest.mark.slow
def test_looks_lie_on_the_grid_and_in_order(tmp_path: Path) -> None:
    found = watch(tmp_path, 3.5)
    ticks = [result.run.tick for result in found]
    assert len(ticks) >= 3
    assert ticks == sorted(set(ticks))
    assert {result.outcome for result in found} == {Outcome.OK}
    assert all(timedelta(0) <= result.started_at - result.run.tick < timedelta(milliseconds=300) for result in found)


@pytest.mark.slow
def test_a_failure_is_looked_at_again_as_long_as_there_is_time_before_the_next_tick(tmp_path: Path) -> None:
    quick = {"interval": "3s", "timeout": "800ms", "more": HASTY}
    found = watch(tmp_path, 6.5, lambda vendor: vendor.set(web={"fault": "status", "status": 503}), **quick)
    first = [result for result in found if result.run.tick == found[0].run.tick]
    assert [result.run.attempt for result in first] == [1, 2, 3]
    assert (found[3].run.tick, found[3].run.attempt) == (first[0].run.tick + timedelta(seconds=3), 1)
    for earlier, later in pairwise(first):
        assert timedelta(milliseconds=999) <= later.started_at - ended(earlier)


@pytest.mark.slow
def test_an_early_look_that_hangs_is_stopped_before_the_next_tick_and_not_recorded(tmp_path: Path) -> None:
    found: list[Result] = []

    async def play() -> None:
        async with serve() as vendor:
            vendor.set(web={"fault": "status", "status": 503})
            prober = Prober(config(tmp_path, vendor.url, "12s", "12s", HASTY), found.append)
            prober.start()
            await until(lambda: bool(found))
            vendor.set(web={"fault": "hang"})
            await until(lambda: prober.idle)
            assert [result.run.attempt for result in found] == [1]
            vendor.set(web={"fault": "none"})
            await until(lambda: len(found) > 1)
            await prober.stop()

    driven.run_by_the_wall(play())
    ticks = [result.run.tick for result in found[:2]]
    assert ticks[1] - ticks[0] == timedelta(seconds=12)
    assert [result.outcome for result in found[:2]] == [Outcome.FAILED, Outcome.OK]


@pytest.mark.slow
def test_good_looks_end_the_early_looks(tmp_path: Path) -> None:
    found: list[Result] = []

    async def play() -> None:
        async with serve() as vendor:
            vendor.set(web={"fault": "status", "status": 503})
            prober = Prober(config(tmp_path, vendor.url, "10s", "900ms", HASTY), found.append)
            prober.start()
            await until(lambda: bool(found))
            vendor.set(web={"fault": "none"})
            await until(lambda: prober.idle)
            await prober.stop()

    driven.run_by_the_wall(play())
    assert [result.outcome for result in found] == [Outcome.FAILED, Outcome.OK, Outcome.OK, Outcome.OK]
    assert [result.run.attempt for result in found] == [1, 2, 3, 4]


@pytest.mark.slow
def test_a_pause_before_a_second_look_does_not_delay_the_end(tmp_path: Path) -> None:
    found: list[Result] = []

    async def play() -> None:
        async with serve() as vendor:
            vendor.set(web={"fault": "status", "status": 503})
            prober = Prober(config(tmp_path, vendor.url, "10s", "1s"), found.append)
            prober.start()
            await until(lambda: bool(found))
            assert not prober.idle
            started_s = clock.monotonic()
            await prober.stop()
            assert clock.monotonic() - started_s < 2

    driven.run_by_the_wall(play())
    assert [result.run.attempt for result in found] == [1]


@pytest.mark.slow
def test_an_overrun_is_recorded_after_the_look_that_caused_it(tmp_path: Path) -> None:
    found = watch(tmp_path, 5.0, lambda vendor: vendor.set(web={"fault": "hang"}), timeout="1s")
    assert Reason.OVERRUN in {result.reason for result in found}
    places = [(result.run.tick, result.run.attempt) for result in found]
    assert places == sorted(places)


@pytest.mark.slow
def test_a_blocked_loop_leaves_missed_ticks_and_no_burst(tmp_path: Path) -> None:
    found: list[Result] = []

    async def play() -> None:
        async with serve() as vendor:
            prober = Prober(config(tmp_path, vendor.url), found.append)
            prober.start()
            await asyncio.sleep(1.5)
            asyncio.get_running_loop().call_soon(driven.pass_time, 3.2)  # the event loop is blocked on purpose
            await asyncio.sleep(4.7)
            await prober.stop()

    driven.run_by_the_wall(play())
    ticks = [result.run.tick for result in found if result.run.attempt == 1]
    assert ticks == [ticks[0] + timedelta(seconds=number) for number in range(len(ticks))]
    assert sum(result.outcome is Outcome.MISSED for result in found) >= 2


@pytest.mark.slow
def test_stopping_during_a_look_leaves_a_record(tmp_path: Path) -> None:
    found: list[Result] = []

    async def play() -> None:
        async with serve() as vendor:
            vendor.set(web={"fault": "hang"})
            prober = Prober(config(tmp_path, vendor.url, "10s", "10s"), found.append)
            prober.start()
            await until(lambda: not prober.idle)
            started_s = clock.monotonic()
            await prober.stop()
            assert clock.monotonic() - started_s < 7

    driven.run_by_the_wall(play())
    assert [result.reason for result in found] == [Reason.NOT_RUNNING]


@pytest.mark.slow
@pytest.mark.parametrize("behind_s", [0.1, 0.0011, 0.001, 0.0009, 0.0005, 0.000001, 0.0])
def test_a_clock_set_during_a_look_starts_no_second_look_beside_it(tmp_path: Path, behind_s: float) -> None:
    found: list[Result] = []

    async def play() -> None:
        async with serve() as vendor:
            vendor.set(web={"fault": "hang"})
            prober = Prober(config(tmp_path, vendor.url, "3s", "1500ms"), found.append)
            prober.start()
            await until(lambda: not prober.idle)
            (tick,) = (watched.last for watched in prober._watched.values())
            back = tick + timedelta(hours=-2, seconds=behind_s) - clock.now()
            driven.set_wall(back.total_seconds())
            prober.rearm(back.total_seconds())
            await asyncio.sleep(0.5)
            await prober.stop()

    driven.run_by_the_wall(play())
    assert [result.reason for result in found if result.outcome is Outcome.MISSED] == []


def result(probe: str, reason: Reason, at: datetime = NOW) -> Result:
    return Result(RunId(probe, "local", at), at, 0.1, Observation(reason))


def sight(answers: dict[str, Reason]) -> tuple[SelfCheck, list[str]]:
    """Return a sight over one service and two controls that answer as told, and who was asked."""
    asked: list[str] = []

    async def ask(probe: Probe) -> Result:
        asked.append(probe.id)
        return result(probe.id, answers[probe.id])

    made = SelfCheck(ask, lambda: NOW)
    probes = [
        Probe("shop-page", "shop/web", "http", 30, 5.0, target="shop.example"),
        Probe("c-one", "chatwatch/controls", "http", 30, 5.0, control=True, target="one.example"),
        Probe("c-two", "chatwatch/controls", "http", 30, 5.0, control=True, target="two.example"),
    ]
    made.watch(Catalogue(probes=tuple(probes)))
    return made, asked


def test_a_network_failure_is_held_until_the_controls_were_asked() -> None:
    eyes, asked = sight({"c-one": Reason.CONNECT, "c-two": Reason.TIMEOUT_CONNECT})
    judged = driven.run_by_the_wall(eyes.judge(result("shop-page", Reason.CONNECT)))
    assert asked == ["c-one", "c-two"]
    assert judged.reason is Reason.NETWORK
    assert "service.connect" in judged.observation.detail
    assert eyes.reason == coded(MessageCode.CONTROL_TARGETS_FAIL, n=2)


def test_one_answering_control_makes_it_the_services_own_failure() -> None:
    eyes, _ = sight({"c-one": Reason.OK, "c-two": Reason.CONNECT})
    judged = driven.run_by_the_wall(eyes.judge(result("shop-page", Reason.CONNECT)))
    assert judged.reason is Reason.CONNECT
    assert eyes.reason == ""


@pytest.mark.parametrize("control", [Reason.OK, Reason.CONNECT, Reason.SLOW])
def test_a_bad_answer_is_the_services_own_unless_the_controls_get_such_answers_too(control: Reason) -> None:
    eyes, asked = sight({"c-one": control, "c-two": control})
    assert driven.run_by_the_wall(eyes.judge(result("shop-page", Reason.SERVER_ERROR))).reason is Reason.SERVER_ERROR
    assert asked == ["c-one", "c-two"]
    eyes, _ = sight({"c-one": Reason.SERVER_ERROR, "c-two": Reason.STATUS})
    assert driven.run_by_the_wall(eyes.judge(result("shop-page", Reason.SERVER_ERROR))).reason is Reason.NETWORK


def test_the_controls_are_asked_once_while_a_failure_goes_on() -> None:
    eyes, asked = sight({"c-one": Reason.OK, "c-two": Reason.OK})

    async def play() -> None:
        for number in range(5):
            await eyes.judge(result("shop-page", Reason.SERVER_ERROR, NOW - timedelta(seconds=5 - number)))

    driven.run_by_the_wall(play())
    assert asked == ["c-one", "c-two"]


def test_any_answer_ends_the_blindness_and_both_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "chatwatch.sight")
    answers = {"c-one": Reason.CONNECT, "c-two": Reason.CONNECT}
    eyes, _ = sight(answers)

    async def play() -> None:
        await eyes.judge(result("shop-page", Reason.CONNECT))
        assert eyes.reason
        assert (await eyes.judge(result("shop-page", Reason.CONNECT))).reason is Reason.NETWORK
        await eyes.judge(result("shop-page", Reason.STATUS, NOW + timedelta(seconds=1)))
        assert eyes.reason == ""

    driven.run_by_the_wall(play())
    began, ended = caplog.records
    assert began.getMessage().endswith("down, judging nothing: all 2 control targets fail with network errors")
    assert ended.getMessage().endswith("back")
    for record, event in ((began, Event.BLINDNESS_BEGAN), (ended, Event.BLINDNESS_ENDED)):
        assert vars(record)["event"] is event
        assert vars(record)["fields"]["location"] == result("shop-page", Reason.CONNECT).run.location


def test_controls_behind_a_firewall_do_not_hide_an_outage() -> None:
    eyes, _ = sight({"c-one": Reason.CONNECT, "c-two": Reason.CONNECT})

    async def play() -> Result:
        await eyes.judge(result("shop-page", Reason.OK, NOW - timedelta(minutes=5)))
        return await eyes.judge(result("shop-page", Reason.CONNECT))

    assert driven.run_by_the_wall(play()).reason is Reason.CONNECT


def test_an_expired_certificate_is_not_the_vendors_while_our_clock_is_wrong() -> None:
    ahead: list[timedelta | None] = [timedelta(days=730)]

    async def ask(probe: Probe) -> Result:
        raise AssertionError(f"nobody else is there: {probe.id}")

    eyes = SelfCheck(ask, lambda: NOW, lambda: ahead[0])
    eyes.watch(Catalogue(probes=(Probe("shop-page", "shop/web", "http", 30, 5.0, target="shop.example"),)))

    async def play() -> None:
        judged = await eyes.judge(result("shop-page", Reason.CERTIFICATE_EXPIRED))
        assert judged.reason is Reason.CLOCK
        assert "clock_wrong" in eyes.reason
        for wrong in (timedelta(days=-730), timedelta(hours=-1)):
            ahead[0] = wrong
            assert (await eyes.judge(result("shop-page", Reason.CERTIFICATE_EXPIRED))).reason is Reason.CLOCK
        for right in (timedelta(seconds=30), None):
            ahead[0] = right
            judged = await eyes.judge(result("shop-page", Reason.CERTIFICATE_EXPIRED))
            assert (judged.reason, eyes.reason) == (Reason.CERTIFICATE_EXPIRED, "")

    driven.run_by_the_wall(play())


def test_results_wait_until_they_are_acknowledged() -> None:
    async def play() -> None:
        ours, theirs = socket.socketpair()
        handover = Handover(*await open_link(ours.detach()))
        reader, writer = await open_link(theirs.detach())
        for number in range(BATCH_RESULTS + 5):
            handover.put(result("shop-page", Reason.OK, NOW + timedelta(seconds=number)))
        tasks = [asyncio.create_task(handover.send()), asyncio.create_task(handover.listen())]
        inbox = from_prober(reader)
        first, second = await inbox.receive(), await inbox.receive()
        assert isinstance(first, Batch)
        assert isinstance(second, Batch)
        assert (len(first.lines), len(second.lines)) == (BATCH_RESULTS, 5)
        assert handover.pending == BATCH_RESULTS + 5
        writer.write(to_prober(Ack(first.number)))
        await until(lambda: handover.pending == 5)
        writer.write(to_prober(Ack(second.number)))
        await handover.flush(5.0)
        assert handover.pending == 0
        tasks[0].cancel()
        writer.close()
        await asyncio.gather(*tasks, return_exceptions=True)

    driven.run_by_the_wall(play())


def test_a_recorder_that_does_not_answer_costs_the_oldest_and_they_are_counted() -> None:
    async def play() -> None:
        ours, theirs = socket.socketpair()
        reader, writer = await open_link(ours.detach())
        handover = Handover(reader, writer)
        same = result("shop-page", Reason.OK)
        for _ in range(MOST_WAITING + 3):
            handover.put(same)
        assert (handover.pending, handover.dropped) == (MOST_WAITING, 3)
        writer.close()
        theirs.close()

    driven.run_by_the_wall(play())


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x02hi", b"\x00\x00\x00\x02[]"])
def test_what_is_no_frame_is_an_error_and_a_torn_one_is_the_end(data: bytes) -> None:
    async def play() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        with pytest.raises(FrameError):
            await from_prober(reader).receive()
        torn = asyncio.StreamReader()
        torn.feed_data(to_recorder(Batch(1, lines=(b"{}",)))[:-1])
        torn.feed_eof()
        assert await from_prober(torn).receive() is None

    driven.run_by_the_wall(play())


@pytest.mark.slow
def test_a_prober_that_starts_again_while_a_probe_is_down_sees_it_recover_by_early_looks(tmp_path: Path) -> None:
    found: list[Result] = []
    file = tmp_path / "local.memory.json"

    async def play() -> None:
        async with serve() as vendor:
            vendor.set(web={"fault": "status", "status": 503})
            settings = config(tmp_path, vendor.url, "10s", "900ms", HASTY)
            memories = Memories(file)
            first = Prober(settings, found.append, memories)
            first.start()
            await until(lambda: len(found) >= 4)
            await first.stop()
            content = memories.copy()
            assert content is not None
            memories.write(content)
            vendor.set(web={"fault": "none"})
            found.clear()
            second = Prober(settings, found.append, Memories(file))
            second.start()
            await until(lambda: len(found) >= 2)
            await second.stop()

    driven.run_by_the_wall(play())
    assert [(result.run.attempt, result.outcome) for result in found[:2]] == [(1, Outcome.OK), (2, Outcome.OK)]

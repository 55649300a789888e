"""What is our own fault is grey: real certificates, name servers and lines that break, through prober and recorder.

A town of three vendors and a control target (:mod:`tests.edges.own_side`) is watched by a worker's own parts on driven
time. Then something on our side breaks, and is mended again. Nobody's service was away, so none may be red for a
moment, there is no incident, and one page tells the operator what is the matter.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from monitor.config.load import Config, load
from monitor.core.model.reasons import Reason
from monitor.prober.process import _watch_clock
from monitor.wire.dns.resolve import Resolver
from tests.edges import driven, own_side
from tests.edges.hostile_tls import Authority
from tests.edges.own_side import CONTROL, NAMES, PORTAL, Portal, Town
from tests.edges.watched import Told, Watched, watching

HEAD = """\
allow_networks: [127.0.0.0/8, "::1/128"]
ca_file: {ca}
channels: {{pager: {{kind: webhook, url: "${{HOOK}}"}}}}
routes: [{{id: oncall, channels: [pager]}}]
"""
CONTROLS = """\
controls:
  - {{id: port, kind: tcp, interval: 30s, timeout: 5s, options: {{host: 127.2.0.1, port: {port}}}}}
  - id: check
    kind: http
    interval: 60s
    timeout: 5s
    options: {{url: "https://{control}:{port}/", contains: {control}}}
"""
SERVICE = """\
  - id: {id}
    name: {id}
    components: [{{id: web, name: Web, kind: web}}]
    probes:
      - id: page
        component: web
        kind: http
        interval: 60s
        timeout: 5s
        options: {{url: "https://{host}:{port}/", marks: ["title:{host}"]}}
"""
RED = {"partial_outage", "major_outage", "degraded"}
PAGED = [Told("first", "page", "blind", ""), Told("resolved", "page", "blind", "")]
BREAKS_S, MENDED_S, ENDS_S = 200.0, 490.0, 890.0
NOTICED_S = 110.0
"""So long after the break the newest look at each vendor is one that met it."""
TWO_YEARS = timedelta(days=730)


@dataclass
class Story:
    """A town that is watched, and what is broken of our side."""

    town: Town
    watched: Watched
    broken: AsyncExitStack = field(default_factory=AsyncExitStack)


class Break(NamedTuple):
    """Something of our own that breaks."""

    begin: Callable[[Story], contextlib.AbstractAsyncContextManager[None]]
    how: str
    """What the alert has to say, as a code."""
    reason: Reason = Reason.NETWORK
    whole: bool = True
    """False if some looks get through."""


def divert(sign: str, status: str, *headers: str) -> Callable[[Story], contextlib.AbstractAsyncContextManager[None]]:
    """Let somebody on our line answer for everybody, with certificates for their names that ``sign`` issued."""

    @asynccontextmanager
    async def begin(story: Story) -> AsyncIterator[None]:
        town = story.town
        issuer: Authority = getattr(town, sign)
        shown = {name: issuer.server(names=(name,)) for name in (*town.names, CONTROL)}
        where = await town.serve("127.3.0.2", 0, Portal(status, *headers).answer, shown.__getitem__)
        async with on_the_way(own_side.Diverted(where))(story):
            yield

    return begin


def hijack(sign: str) -> Callable[[Story], contextlib.AbstractAsyncContextManager[None]]:
    """Let the name server answer a portal's address for every name; the portal has a certificate of its own."""

    @asynccontextmanager
    async def begin(story: Story) -> AsyncIterator[None]:
        own = getattr(story.town, sign).server(names=(PORTAL,))
        await story.town.serve("127.3.0.1", story.town.port, Portal("200 OK").answer, lambda _: own)
        async with on_the_way(own_side.Hijacked("127.3.0.1"))(story):
            yield

    return begin


def on_the_way(way: own_side.Way) -> Callable[[Story], contextlib.AbstractAsyncContextManager[None]]:
    """Let our line, or our name server, be another one."""

    @asynccontextmanager
    async def begin(story: Story) -> AsyncIterator[None]:
        before, story.town.way = story.town.way, way
        yield
        story.town.way = before

    return begin


@asynccontextmanager
async def no_sixth(story: Story) -> AsyncIterator[None]:
    """Let IPv6 lead nowhere, where names have no other address."""
    with own_side.dropping(story.town.port):
        async with on_the_way(own_side.BlackHole(both=False))(story):
            yield


def clock_set(by: timedelta) -> Callable[[Story], contextlib.AbstractAsyncContextManager[None]]:
    """Set our clock, and let certificates look as they do by such a clock."""

    async def step(story: Story, how: timedelta, ahead: timedelta) -> None:
        watching_it = asyncio.create_task(_watch_clock(story.watched.prober))
        await asyncio.sleep(1.5)
        driven.set_wall(how.total_seconds())
        story.town.issue_anew(ahead)
        await asyncio.sleep(1.5)
        watching_it.cancel()

    @asynccontextmanager
    async def begin(story: Story) -> AsyncIterator[None]:
        await step(story, by, by)
        yield
        await step(story, -by, timedelta(0))

    return begin


BACK = clock_set(-TWO_YEARS)
HANDSHAKE, ANSWERS, CUT = "fail_in_handshake", "fail_with_answers", "fail_before_answer"
BREAKS = {
    "an interceptor": Break(divert("stranger", "200 OK"), HANDSHAKE),
    "our proxy says 502": Break(divert("authority", "502 Bad Gateway"), ANSWERS),
    "our proxy says 407": Break(divert("authority", "407 Proxy Authentication Required"), ANSWERS),
    "a portal that everybody trusts": Break(divert("authority", "200 OK"), ANSWERS),
    "names lead to a portal": Break(hijack("authority"), HANDSHAKE),
    "names lead to a portal that nobody knows": Break(hijack("stranger"), HANDSHAKE),
    "no names": Break(on_the_way(own_side.Nameless()), "no_name_resolves"),
    "a full line": Break(on_the_way(own_side.Full()), CUT),
    "a line that lets some through": Break(on_the_way(own_side.Full(5)), CUT, whole=False),
    "IPv6 leads nowhere": Break(no_sixth, "s_fail"),
    "our clock is ahead": Break(clock_set(TWO_YEARS), "clock", Reason.CLOCK),
    "our clock is behind": Break(BACK, "clock", Reason.CLOCK),
}


def configured(town: Town, folder: Path, *, controls: bool) -> Config:
    head = HEAD.format(ca=town.authority.ca_file)
    checks = CONTROLS.format(port=town.port, control=CONTROL) if controls else ""
    rows = "".join(SERVICE.format(id=name.split(".")[1], host=name, port=town.port) for name in town.names)
    path = folder / "probes.yaml"
    path.write_text(f"{head}{checks}services:\n{rows}")
    return load(path, {"HOOK": "http://127.0.0.1:1/"})


async def until(watched: Watched, second: float) -> None:
    await asyncio.sleep(max(0.0, second - watched.now_s))


def played(folder: Path, what: Break, vendors: int, *, controls: bool, outage: bool = False) -> Watched:
    """Play a break; with ``outage`` the first vendor is truly away from before the break until after its end."""
    issued = own_side.authorities(folder)

    async def play() -> Watched:
        async with own_side.town(issued, NAMES[:vendors]) as town:
            resolver = Resolver(town.lookup)
            async with watching(configured(town, folder, controls=controls), folder, resolver) as watched:
                story = Story(town, watched)
                first = town.vendors[NAMES[0]]
                await until(watched, 62)
                first.down = outage
                await until(watched, BREAKS_S)
                async with what.begin(story):
                    await until(watched, MENDED_S)
                await until(watched, MENDED_S + 60)
                first.down = False
                await until(watched, ENDS_S)
                watched.close_book()
        return watched

    return driven.run_by_the_wall(play())


def seen_broken(watched: Watched) -> Sequence[dict[str, str]]:
    return watched.between(BREAKS_S + NOTICED_S, MENDED_S)


def held_as_ours(watched: Watched, what: Break, but: Sequence[str] = ()) -> None:
    """Every vendor but those that were truly away was grey while it was broken, never red, and is well again."""
    for at_s, shown in watched.healths:
        red = {name for name, health in shown.items() if health in RED}
        assert red <= set(but), f"{red} after {at_s:.0f} s"
    others = [{name: health for name, health in shown.items() if name not in but} for shown in seen_broken(watched)]
    assert len(others) > 7
    if what.whole:
        assert {health for shown in others for health in shown.values()} == {"unknown"}
    assert set(watched.healths[-1][1].values()) == {"operational"}
    assert what.reason in {result.reason for result in watched.results}
    assert all(what.how in why for why in watched.why_blind), watched.why_blind


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_on_our_side_makes_three_vendors_grey_and_one_page(name: str, tmp_path: Path) -> None:
    watched = played(tmp_path, BREAKS[name], 3, controls=True)
    held_as_ours(watched, BREAKS[name])
    assert watched.incidents == ()
    assert [one for one in watched.told if one.why != "repeat"] == PAGED
    # A clock that is set right by two years lets two years pass for the reminder.
    assert len(watched.told) - len(PAGED) <= (BREAKS[name].begin is BACK)


LAYOUTS = {"two vendors": (2, False), "one vendor and a control target": (1, True)}
SIBLINGS = [
    ("two vendors", "an interceptor"),
    ("two vendors", "our proxy says 502"),
    ("two vendors", "our clock is ahead"),
    ("two vendors", "IPv6 leads nowhere"),
    ("one vendor and a control target", "an interceptor"),
    ("one vendor and a control target", "a full line"),
    ("one vendor and a control target", "IPv6 leads nowhere"),
    ("one vendor and a control target", "our clock is ahead"),
]


@pytest.mark.parametrize(("layout", "name"), SIBLINGS)
def test_fewer_witnesses_are_enough(layout: str, name: str, tmp_path: Path) -> None:
    vendors, controls = LAYOUTS[layout]
    watched = played(tmp_path, BREAKS[name], vendors, controls=controls)
    held_as_ours(watched, BREAKS[name])
    assert watched.incidents == ()
    assert watched.told == PAGED


@pytest.mark.parametrize("name", ["an interceptor", "our proxy says 502", "a full line", "our clock is ahead"])
def test_a_true_outage_stays_the_vendors_while_our_own_side_breaks_and_is_mended(name: str, tmp_path: Path) -> None:
    watched = played(tmp_path, BREAKS[name], 3, controls=True, outage=True)
    held_as_ours(watched, BREAKS[name], but=("alpha/web",))
    (incident,) = watched.incidents
    assert incident.service == "alpha"
    assert incident.resolved_at is not None
    assert sorted(one for one in watched.told if one.rule == "blind") == sorted(PAGED)
    others = [(one.why, one.component) for one in watched.told if one.rule != "blind" and one.why != "repeat"]
    assert others == [("first", "alpha/web"), ("resolved", "alpha/web")]


def test_ipv6_that_leads_nowhere_is_no_trouble_where_there_is_ipv4(tmp_path: Path) -> None:
    @asynccontextmanager
    async def begin(story: Story) -> AsyncIterator[None]:
        with own_side.dropping(story.town.port):
            async with on_the_way(own_side.BlackHole(both=True))(story):
                yield

    watched = played(tmp_path, Break(begin, ""), 2, controls=False)
    assert {health for shown in seen_broken(watched) for health in shown.values()} == {"operational"}
    assert watched.told == []

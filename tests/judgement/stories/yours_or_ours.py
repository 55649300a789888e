"""Stories of whose trouble it is: our own side of every kind, whole or leaking, our clock, our keys, pages' marks."""

from __future__ import annotations

from datetime import timedelta

from monitor.core.catalogue import Probe, Proof
from monitor.core.components.health import LEARNING
from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.warning_codes import WarningCode
from tests.judgement.steps import CheckIn, Sweep
from tests.judgement.stories.stage import Choose, Seen, Stage
from tests.judgement.stories.telling import failing, told
from tests.judgement.worlds import PLACES

OWN_SIDE: tuple[tuple[Reason, ...], ...] = (
    (Reason.DNS,),
    (Reason.CONNECT, Reason.TIMEOUT_CONNECT),
    (Reason.CERTIFICATE_UNTRUSTED,),
    (Reason.CERTIFICATE_NAME,),
    (Reason.CERTIFICATE_EXPIRED,),
    (Reason.TIMEOUT_HEADERS, Reason.PROTOCOL, Reason.TIMEOUT_TLS, Reason.TRUNCATED),
    (Reason.SERVER_ERROR, Reason.STATUS),
    (Reason.CONTENT, Reason.CHANGED),
)
"""What one break of our own makes looks find: names, line, interceptor, portal, clock, full line, proxy, its page."""
FOUND_OURS = (Reason.NETWORK, Reason.CLOCK)
TROUBLE = Observation(Reason.AUTH, "HTTP 401 internal error, try again later", http_status=401)
REFUSAL = Observation(Reason.AUTH, "HTTP 401 invalid key", http_status=401)
MARKS: tuple[Seen, ...] = (
    Observation(Reason.OK, f"{LEARNING}HTTP 200", http_status=200, warnings=(WarningCode.PAGE_LEARNING,)),
    Observation(Reason.CHANGED, "the page changed; missing title:wise chat", http_status=200),
    Observation(Reason.CONTENT, "We'll be right back", http_status=200),
    Observation(Reason.OVERLOADED, "at capacity", http_status=200),
    Reason.EMPTY,
    Reason.BLOCKED,
    Reason.UNREADABLE,
    Reason.OK,
)


def broken(stage: Stage, where: tuple[str, ...], away: list[Probe]) -> Choose:
    """Let everything at some places fail as one break of ours makes it, some of it known to be ours already."""
    rng, kinds = stage.rng, stage.rng.choice(OWN_SIDE)
    leaks, known = rng.choice((0.0, 0.0, 0.2, 0.5)), rng.choice((0.0, 0.5, 1.0))

    def choose(probe: Probe, place: str, _number: int) -> Seen:
        if place not in where or rng.random() < leaks:
            return Reason.SERVER_ERROR if probe in away else Reason.OK
        reason = rng.choice(kinds)
        if rng.random() >= known:
            return reason
        return Observation(rng.choice(FOUND_OURS), f"our own side; {reason.value}")

    return choose


@told
def own_side(stage: Stage) -> None:
    """Our own side breaks, perhaps in the midst of an outage; sight comes and goes, and lasts in the end, or not."""
    rng = stage.rng
    away = rng.choice(([], stage.of_service(rng.choice(stage.services))))
    stage.calm(3)
    stage.check_in()
    if away:
        stage.rounds(rng.randint(2, 5), failing(away, Reason.SERVER_ERROR), busy=False)
    where = rng.choice((PLACES, PLACES, PLACES[:1]))
    choose = broken(stage, where, away)
    for number in range(rng.randint(3, 8)):
        stage.round(choose, number)
        sees = rng.random() < 0.25
        for place in where:
            stage.add(CheckIn(f"worker-{place}", place, stage.moment(), blind="" if sees else "all fail alike"))
        if rng.random() < 0.3:
            stage.add(Sweep(stage.moment()))
    for _ in range(rng.choice((2, 14))):
        stage.check_in()
        stage.now += stage.tick
    stage.rounds(2, failing(away, Reason.SERVER_ERROR))
    stage.rounds(rng.randint(0, 4), failing([], Reason.OK))


@told
def clock_ahead(stage: Stage) -> None:
    """Our clock jumps ahead by days: certificates look expired, and the time between was watched by nobody."""
    rng = stage.rng
    stage.calm(3)
    stage.check_in()
    stage.wait(timedelta(days=rng.choice((1, 3)), minutes=7), sweeps=rng.choice((0, 1)))
    for number in range(rng.randint(2, 6)):
        seen = rng.choice((Reason.CERTIFICATE_EXPIRED, Observation(Reason.CLOCK, "our clock is wrong")))
        stage.round(failing(stage.catalogue.probes, seen), number)
        stage.check_in(blind=rng.choice(("", "our clock is wrong")))
    stage.check_in()
    stage.rounds(rng.randint(1, 5), failing([], Reason.OK))


@told
def refused_for_long(stage: Stage) -> None:
    """Keys that worked are refused beside an edge that answers, one by one, with or without words of trouble."""
    rng = stage.rng
    asking = [probe for probe in stage.looking if probe.proves is Proof.WORK] or stage.looking
    stage.calm(2)
    first = rng.sample(asking, min(len(asking), rng.randint(1, 3)))
    for probes, rounds in ((first, rng.randint(2, 4)), (asking, rng.randint(0, 5)), (first, rng.randint(0, 3))):
        stage.rounds(rounds, failing(probes, rng.choice((REFUSAL, REFUSAL, TROUBLE))))
        if rng.random() < 0.3:
            stage.calm(1)
    stage.rounds(rng.randint(0, 4), failing([], Reason.OK))


@told
def marks(stage: Stage) -> None:
    """Pages are learned, lose their marks, speak of trouble, stand empty or behind a wall, one after the other."""
    rng, probes = stage.rng, stage.some()
    for _ in range(rng.randint(2, 5)):
        seen = rng.choice(MARKS)
        stage.rounds(rng.randint(1, 5), failing(probes if rng.random() < 0.8 else stage.looking, seen))
    unknown = [seen for seen in MARKS if isinstance(seen, Observation) and seen.outcome is Outcome.UNKNOWN]
    stage.rounds(rng.choice((0, 9)), failing(probes, rng.choice(unknown)))

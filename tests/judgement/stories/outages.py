"""Stories of trouble: theirs, ours, and that nobody can tell."""

from __future__ import annotations

from datetime import timedelta

from monitor.core.catalogue import Probe, Proof
from monitor.core.model.observations import Observation, Phases
from monitor.core.model.reasons import Outcome, Reason
from tests.judgement import worlds
from tests.judgement.steps import CheckIn, Looks, Sweep
from tests.judgement.stories.stage import SERVICE_REASONS, Seen, Stage
from tests.judgement.stories.telling import failing, told

NETWORK = [Reason.DNS, Reason.CONNECT, Reason.TIMEOUT_CONNECT, Reason.TIMEOUT_TLS]


@told
def outage(stage: Stage) -> None:
    """Something fails for a while, with everything that people do about it."""
    stage.calm(stage.rng.choice((0, 2, 4)))
    reason = stage.rng.choice(SERVICE_REASONS)
    stage.rounds(stage.rng.randint(2, 8), failing(stage.some(), reason))
    stage.rounds(stage.rng.randint(0, 8), failing([], reason))


@told
def worse_and_better(stage: Stage) -> None:
    """Slow first, then down, then slow, then well, then down again."""
    probes = stage.some(2)
    stage.calm(3)
    for reason in (Reason.SLOW, Reason.SERVER_ERROR, Reason.QUEUED, Reason.OK, Reason.OVERLOADED, Reason.OK):
        stage.rounds(stage.rng.randint(2, 5), failing(probes, reason))


@told
def storm(stage: Stage) -> None:
    """Everything fails at once."""
    stage.calm(2)
    stage.rounds(stage.rng.randint(3, 6), failing(stage.looking, Reason.SERVER_ERROR))
    stage.rounds(stage.rng.randint(2, 6), failing([], Reason.OK))


@told
def together(stage: Stage) -> None:
    """Two services begin to fail at the same moment; two minutes later their timelines say so."""
    stage.calm(2)
    probes = [stage.of_service(service)[0] for service in stage.services[:2]]
    for _ in range(9):
        stage.round(failing(probes, Reason.SERVER_ERROR))
        stage.add(Sweep(stage.moment()))


@told
def flapping(stage: Stage) -> None:
    """Up and down all the time."""
    probes, stage_n = stage.some(2), stage.rng.randint(6, 14)

    def choose(probe: Probe, _place: str, number: int) -> Seen:
        return Reason.SERVER_ERROR if probe in probes and number // 2 % 2 else Reason.OK

    stage.rounds(2 * stage_n, choose)


@told
def one_place(stage: Stage) -> None:
    """One location alone sees trouble."""
    stage.calm(2)
    place = stage.rng.choice(worlds.PLACES)
    stage.rounds(stage.rng.randint(3, 6), failing(stage.some(), Reason.STATUS, [place]))
    stage.rounds(stage.rng.randint(0, 4), failing([], Reason.OK))


@told
def weather(stage: Stage) -> None:
    """Every look finds something else: all reasons there are, or no look at all."""
    reasons = [None, *Reason, *[Reason.OK] * 30]
    stage.rounds(stage.rng.randint(4, 12), lambda _probe, _place, _n: stage.rng.choice(reasons))


@told
def refused(stage: Stage) -> None:
    """Questions are refused until their evidence is stale, beside an edge that answers; then they are answered."""
    rng = stage.rng
    asking = [probe for probe in stage.catalogue.probes if probe.proves is Proof.WORK]
    if not asking:
        return
    stage.calm(2)
    for _ in range(2):
        refusal = rng.choice([reason for reason in Reason if reason.outcome is Outcome.UNKNOWN])
        for number in range(rng.randint(4, 7)):
            stage.round(failing(asking, refusal), number)
            if rng.random() < 0.4:
                stage.add(Sweep(stage.moment()))
    stage.rounds(rng.randint(1, 4), failing([], Reason.OK))


@told
def answers(stage: Stage) -> None:
    """Looks with all that they can carry: status, our own lag, throttling with and without an end."""
    rng, probes = stage.rng, stage.some(2)
    lagged = Phases(wait_s=0.2, loop_lag_s=0.4)
    offered: list[Seen] = [
        Observation(Reason.SERVER_ERROR, "x" * 300, http_status=503, http_version="2", phases=Phases(wait_s=0.1)),
        Observation(Reason.SERVER_ERROR, phases=lagged),
        Observation(Reason.OK, phases=lagged, http_status=200, address="192.0.2.7", bytes_received=12),
        Observation(Reason.THROTTLED, "429", http_status=429, retry_after_s=3.0),
        Reason.THROTTLED,
        Reason.OK,
    ]
    for _ in range(rng.randint(3, 6)):
        stage.rounds(rng.randint(1, 4), failing(probes, rng.choice(offered)))


@told
def our_network(stage: Stage) -> None:
    """Nothing can be reached from a place; its worker says that it is blind, and later that it sees again."""
    rng = stage.rng
    stage.calm(2)
    stage.check_in()
    if rng.random() < 0.7:
        stage.rounds(4, failing(stage.some(), Reason.SERVER_ERROR), busy=rng.random() < 0.5)
    where = rng.choice((worlds.PLACES, worlds.PLACES[:1]))
    blind = failing(stage.catalogue.probes, rng.choice(NETWORK), where)
    for number in range(rng.randint(3, 6)):
        stage.round(blind, number)
        for place in where:
            stage.add(CheckIn(f"worker-{place}", place, stage.moment(), blind="all services fail together"))
        stage.between()
    stage.check_in()
    stage.rounds(rng.randint(1, 5), failing([], Reason.OK))


@told
def blind_in_an_outage(stage: Stage) -> None:
    """Every worker turns blind while something is known to fail; nobody is told more of it until one sees again."""
    probes = stage.some()
    stage.calm(2)
    stage.rounds(4, failing(probes, Reason.SERVER_ERROR), busy=False)
    stage.wait(timedelta(seconds=90))  # whoever else there was counts as gone
    stage.check_in(blind="nothing answers")
    stage.add(Sweep(stage.moment()))
    stage.rounds(2, failing(probes, Reason.SERVER_ERROR), busy=False)
    stage.check_in()
    stage.rounds(2, failing(probes, Reason.SERVER_ERROR))


@told
def refused_connections(stage: Stage) -> None:
    """One service cannot be reached while others can: its trouble is doubted until something else answered."""
    stage.calm(2)
    probes = stage.of_service(stage.rng.choice(stage.services))
    stage.rounds(stage.rng.randint(3, 7), failing(probes, stage.rng.choice(NETWORK)))
    stage.rounds(stage.rng.randint(0, 5), failing([], Reason.OK))


@told
def keys(stage: Stage) -> None:
    """Keys that worked are refused: one of them, or all of a service."""
    stage.calm(3)
    probes = stage.of_service(stage.rng.choice(stage.services))[: stage.rng.choice((1, 9))]
    stage.rounds(stage.rng.randint(2, 7), failing(probes, Reason.AUTH))
    stage.rounds(stage.rng.randint(0, 4), failing([], Reason.OK))


@told
def our_fault(stage: Stage) -> None:
    """Our money, configuration, limits or bugs, for long enough to be told of."""
    reasons = [reason for reason in Reason if reason.outcome is Outcome.UNKNOWN]
    stage.rounds(stage.rng.randint(2, 14), failing(stage.some(), stage.rng.choice(reasons)))
    stage.rounds(stage.rng.randint(0, 3), failing([], Reason.OK))


@told
def nobody_looks(stage: Stage) -> None:
    """Looks are missed while the worker lives, so that what they rested on runs out."""
    stage.calm(2)
    stage.check_in()
    for _ in range(stage.rng.randint(3, 12)):
        stage.round(failing(stage.looking, stage.rng.choice((Reason.OVERRUN, Reason.LATE))))
        stage.check_in()
        stage.add(Sweep(stage.moment()))
    stage.calm(stage.rng.choice((0, 3)), busy=True)


@told
def silent_workers(stage: Stage) -> None:
    """Nobody watches: with or without sweeps, told by a worker that began anew, or by one that lived all along."""
    rng = stage.rng
    stage.calm(2)
    stage.check_in()
    if rng.random() < 0.4:
        stage.rounds(3, failing(stage.some(), Reason.SERVER_ERROR), busy=False)
    stage.wait(timedelta(minutes=rng.choice((2, 10, 90))), sweeps=rng.choice((0, 0, 2)))
    lived = rng.choice(({}, {"spooled": 40}, {"started_at": stage.now - timedelta(days=1)}, {"started_at": stage.now}))
    stage.add(CheckIn("worker-berlin", "berlin", stage.now, **lived))
    stage.rounds(rng.randint(0, 5), failing([], Reason.OK))


@told
def late(stage: Stage) -> None:
    """What a worker kept on its disk comes hours later: it is judged, and nobody is paged."""
    rng = stage.rng
    stage.calm(2)
    before = len(stage.steps)
    stage.rounds(rng.randint(3, 8), failing(stage.some(), rng.choice((Reason.SERVER_ERROR, Reason.SLOW))), busy=False)
    stage.rounds(rng.randint(0, 4), failing([], Reason.OK), busy=False)
    kept = [one for step in stage.steps[before:] if isinstance(step, Looks) for one in step.results]
    del stage.steps[before:]
    stage.wait(timedelta(minutes=rng.choice((3, 60))), sweeps=rng.choice((0, 1)))
    stage.add(Looks(tuple(kept), stage.now, late=True))
    stage.now += stage.tick
    stage.between()


@told
def again_and_out_of_order(stage: Stage) -> None:
    """Looks come twice, or after younger ones; a worker that was thought lost brings its own."""
    rng = stage.rng
    before = len(stage.sent)
    stage.rounds(rng.randint(2, 5), failing(stage.some(), rng.choice((Reason.SERVER_ERROR, Reason.OK))), busy=False)
    fresh = stage.sent[before:]
    stage.add(Looks(tuple(rng.sample(fresh, min(len(fresh), 5))), stage.moment(), apart=True))
    slow, reason = stage.some(), rng.choice((Reason.SERVER_ERROR, Reason.CONNECT, Reason.OK))
    held = [one for probe in slow for place in probe.locations for one in stage.look(probe, place, reason)]
    others = [probe for probe in stage.catalogue.probes if probe not in slow]
    stage.rounds(rng.randint(1, 4), failing(stage.some(), rng.choice(SERVICE_REASONS)), probes=others, busy=False)
    stage.add(Looks(tuple(held), stage.moment(), apart=True))
    stage.between()

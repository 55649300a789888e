"""Stories of people and workers: commands, deliveries, edits of the catalogue, signs of life."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from monitor.core import commands as c
from monitor.core.model.alerting import Sending
from monitor.core.model.reasons import Reason
from tests.judgement import worlds
from tests.judgement.steps import CheckIn, Deliver, Publish, Sweep
from tests.judgement.stories import commands as people
from tests.judgement.stories.stage import Stage
from tests.judgement.stories.telling import failing, told


@told
def acknowledged(stage: Stage) -> None:
    """Somebody takes what fires, and it goes on."""
    stage.calm(2)
    stage.rounds(4, failing(stage.some(), Reason.SERVER_ERROR), busy=False)
    for kind in stage.rng.sample([c.AcknowledgeAlert, c.AcknowledgeAlert, c.ResolveAlert, c.PostUpdate], 2):
        stage.add(people.order(stage.rng, stage.catalogue, stage.moment(), kind))
    stage.rounds(3, failing(stage.some(), Reason.SERVER_ERROR))
    stage.add(Sweep(stage.moment()))


@told
def silenced(stage: Stage) -> None:
    """A silence begins before or during an outage, and ends before or after it."""
    probes = stage.some()
    stage.calm(2)
    if stage.rng.random() < 0.5:
        stage.rounds(4, failing(probes, Reason.SERVER_ERROR), busy=False)
    until = stage.now + timedelta(minutes=2)
    stage.add(people.said(stage.moment(), c.Silence(until, everything=True)))
    stage.rounds(8, failing(probes, Reason.SERVER_ERROR))
    stage.add(Sweep(stage.moment()))


@told
def silenced_no_longer(stage: Stage) -> None:
    """A silence is ended by hand, perhaps twice, while what it held back goes on."""
    probes = stage.some(2)
    stage.rounds(2, failing(probes, Reason.SERVER_ERROR), busy=False)
    stage.add(people.said(stage.moment(), c.Silence(stage.now + timedelta(hours=1), everything=True)))
    for _ in range(3):
        stage.rounds(2, failing(probes, Reason.SERVER_ERROR))
        stage.add(people.order(stage.rng, stage.catalogue, stage.moment(), c.Unsilence))


@told
def planned_work(stage: Stage) -> None:
    """Work is announced while something fails, or before it does."""
    probes = stage.some(2)
    stage.calm(2)
    stage.rounds(stage.rng.choice((0, 4)), failing(probes, Reason.SERVER_ERROR), busy=False)
    service, at = probes[0].component.partition("/")[0], stage.moment()
    work = c.ScheduleMaintenance(service, (), "Work", at, at + timedelta(minutes=3))
    stage.add(people.said(at, work))
    if stage.rng.random() < 0.4:
        stage.add(people.order(stage.rng, stage.catalogue, stage.moment(), c.CancelMaintenance))
    for _ in range(stage.rng.randint(3, 9)):
        stage.round(failing(probes, Reason.SERVER_ERROR))
        stage.add(Sweep(stage.moment()))
    stage.rounds(3, failing([], Reason.OK))


@told
def people_at_work(stage: Stage) -> None:
    """One command after the other, some twice and some at one moment."""
    for _ in range(stage.rng.randint(3, 8)):
        given = people.order(stage.rng, stage.catalogue, stage.moment())
        stage.add(given)
        if stage.rng.random() < 0.2:
            stage.add(given)
    stage.rounds(1, failing(stage.some(), Reason.SERVER_ERROR))


@told
def by_hand(stage: Stage) -> None:
    """A person opens, hides, shows, ends and explains an incident, with an outage beside it or right after it."""
    kinds = [c.OpenIncident, c.HideIncident, c.PublishIncident, c.PostUpdate, c.ResolveIncident, c.WritePostmortem]
    at = stage.moment() if stage.sent else stage.now
    for kind in kinds:
        if stage.rng.random() < 0.8:
            stage.add(people.order(stage.rng, stage.catalogue, at, kind))
        if stage.rng.random() < 0.4:
            stage.rounds(1, failing(stage.some(), Reason.SERVER_ERROR))
            at = stage.moment()
    stage.rounds(2, failing(stage.some(), Reason.SERVER_ERROR))


@told
def reviewed(stage: Stage) -> None:
    """An outage ends, its account is written, and somebody says what its alert was worth."""
    stage.calm(2)
    probes = stage.some(1)
    stage.rounds(4, failing(probes, Reason.SERVER_ERROR), busy=False)
    for _ in range(7):
        stage.round(failing([], Reason.OK))
        stage.add(Sweep(stage.moment()))
    for kind in (c.WritePostmortem, c.JudgeAlert, c.PostUpdate):
        stage.add(people.order(stage.rng, stage.catalogue, stage.moment(), kind))
    stage.rounds(4, failing(probes, Reason.SERVER_ERROR))


@told
def deliveries(stage: Stage) -> None:
    """Notices are sent, or given up."""
    stage.calm(2)
    stage.rounds(4, failing(stage.some(), Reason.SERVER_ERROR), busy=False)
    for _ in range(stage.rng.randint(1, 4)):
        outcome = stage.rng.choice((Sending.SENT, Sending.DEAD))
        stage.add(Deliver(stage.rng.randint(1, 4), outcome, stage.moment()))
        stage.rounds(1, failing(stage.some(), Reason.SERVER_ERROR))


@told
def workers_tell(stage: Stage) -> None:
    """Workers hold results on disk or in quarantine, lag, and come and go."""
    for _ in range(stage.rng.randint(2, 5)):
        told_ = {
            "spooled": stage.rng.choice((0, 3, 900)),
            "held": stage.rng.choice(("", "alpha: 12 looks")),
            "loop_lag_s": stage.rng.choice((0.0, 0.7)),
        }
        stage.check_in(**told_)
        stage.add(CheckIn("worker-spare", "tokyo", stage.moment(), blind=stage.rng.choice(("", "nothing answers"))))
        stage.calm(1, busy=True)


@told
def gone_from_the_catalogue(stage: Stage) -> None:
    """The catalogue changes, in the midst of an outage or without."""
    rng = stage.rng
    if rng.random() < 0.7:
        stage.calm(2)
        stage.rounds(rng.randint(2, 5), failing(stage.some(), Reason.SERVER_ERROR))
    before = stage.catalogue
    for _ in range(rng.choice((1, 1, 2))):
        stage.catalogue = worlds.changed(rng, stage.catalogue)
    if not stage.looking:
        stage.catalogue = before
    stage.add(Publish(stage.catalogue, stage.moment()))
    stage.rounds(rng.randint(1, 4), failing(stage.some(), rng.choice((Reason.SERVER_ERROR, Reason.OK))))
    if rng.random() < 0.4:
        stage.catalogue = replace(before, version=stage.catalogue.version + "1")
        stage.add(Publish(stage.catalogue, stage.moment()))


@told
def nobody_watches_it_any_more(stage: Stage) -> None:
    """Every probe of a component that fails is switched off."""
    probe = stage.rng.choice(stage.looking)
    stage.calm(2)
    stage.rounds(5, failing([probe], Reason.SERVER_ERROR), busy=False)
    off = tuple(
        replace(item, disabled="no key") if item.component == probe.component else item
        for item in stage.catalogue.probes
    )
    stage.catalogue = replace(stage.catalogue, probes=off, version=str(int(stage.catalogue.version) + 1))
    stage.add(Publish(stage.catalogue, stage.moment()))
    stage.between()

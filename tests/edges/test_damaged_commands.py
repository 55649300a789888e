"""A person who acts on what a damaged row holds gets one line that says what, where and how to mend it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from monitor import flow
from monitor.core import commands as c
from monitor.core.model.alerting import Verdict
from monitor.core.model.incident_events import Cause
from monitor.core.model.observations import Certificate
from monitor.core.model.states import Impact
from monitor.store import reads
from monitor.store.connection.engine import begin
from tests.edges.flowing import MINUTE, T0, look
from tests.edges.test_damaged_rows import DAMAGE, outage_and_more

NOW = T0 + 7 * MINUTE
LATER = T0 + timedelta(hours=4)
INCIDENTS = {
    c.OpenIncident, c.PostUpdate, c.PublishIncident, c.HideIncident, c.ResolveIncident, c.WritePostmortem,
}  # fmt: skip
ABOUT_THE_ROW: dict[str, set[type]] = {
    "open alert": {c.AcknowledgeAlert, c.ResolveAlert, c.JudgeAlert},
    "incident": INCIDENTS,
    "state of a probe": INCIDENTS,
    "registration": INCIDENTS,
    "latency": INCIDENTS,
}
"""Damage → the commands that cannot do without that row; every other command does not mind."""
LOOKED_AT = {
    "certificate": "UPDATE certificate SET body = 'garbage'",
    "evidence": "UPDATE evidence SET body = 'garbage'",
    "reading": "UPDATE reading SET registration = 'garbage', upstream = 'garbage'",
}
"""Damage that no command meets."""
NAMED = {
    "open alert": "alert ",
    "incident": "incident ",
    "state of a probe": "the state of probe ds-api",
    "registration": "component deepseek/registration",
    "latency": "component deepseek/api",
}


def orders(engine: Engine) -> list[c.Command]:
    """Return every command, about what ``outage_and_more`` left."""
    (alert,) = (view.alert for view in reads.alerts(engine, open_only=True) if view.alert.component == "deepseek/api")
    (incident,) = (view.id for view in reads.incidents(engine, public=False))
    (silence,) = (view.id for view in reads.silences(engine, NOW))
    (planned,) = (view.id for view in reads.snapshot(engine, NOW, public=False).maintenances)
    return [
        c.AcknowledgeAlert(alert.id),
        c.ResolveAlert(alert.id),
        c.JudgeAlert(alert.id, Verdict.ACTIONABLE, "well"),
        c.ReportMissed("deepseek", "deepseek/api", T0, text="it was slow"),
        c.OpenIncident("deepseek", ("deepseek/registration",), Impact.MINOR, "slow", cause=Cause.REGISTRATION),
        c.PostUpdate(incident, "we see it"),
        c.PublishIncident(incident),
        c.HideIncident(incident),
        c.ResolveIncident(incident, "over"),
        c.WritePostmortem(incident, "a cable"),
        c.Silence(LATER, service="deepseek"),
        c.Unsilence(silence),
        c.ScheduleMaintenance("deepseek", (), "work", LATER, LATER + timedelta(hours=1)),
        c.CancelMaintenance(planned),
        c.SendTest("pager"),
    ]


def test_every_command_is_tried() -> None:
    assert len(c.Command.__args__) == 15, "a new command belongs into orders()"


@pytest.mark.parametrize("what", DAMAGE)
def test_whoever_acts_on_a_damaged_row_reads_one_clear_line(engine: Engine, what: str) -> None:
    outage_and_more(engine)
    given = orders(engine)
    assert {type(order) for order in given} == set(c.Command.__args__)
    with begin(engine) as connection:
        connection.execute(text(DAMAGE[what]))
    refused = {}
    for order in given:
        try:
            flow.command(engine, order, "alice", NOW, "why not")
        except flow.CommandError as error:
            refused[type(order)] = str(error)
    for said in refused.values():
        assert "\n" not in said
        assert NAMED[what] in said
        assert "chatwatch restore" in said
        assert "garbage" not in said
    assert set(refused) <= set(ABOUT_THE_ROW.get(what, set())), refused


def test_a_fault_of_ours_is_one_line_too_and_changes_nothing(sqlite_engine: Engine) -> None:
    engine = sqlite_engine
    outage_and_more(engine)
    (acknowledge, *_) = orders(engine)
    with begin(engine) as connection:
        connection.execute(text("CREATE TRIGGER no BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'broken'); END"))
    with pytest.raises(flow.CommandError, match=r"^nothing was changed: .*broken.*report it$"):
        flow.command(engine, acknowledge, "alice", NOW)
    assert all(view.alert.acknowledged_at is None for view in reads.alerts(engine, open_only=True))


@pytest.mark.parametrize("what", [*DAMAGE, *LOOKED_AT])
def test_what_a_person_lists_leaves_a_damaged_row_out(engine: Engine, what: str) -> None:
    outage_and_more(engine)
    seen = Certificate(LATER, "deepseek.example", "CA", "ab", trusted=True)
    flow.record(engine, [look("ds-api", NOW, certificate=seen)], NOW + MINUTE)
    with begin(engine) as connection:
        assert connection.execute(text((DAMAGE | LOOKED_AT)[what])).rowcount
    reads.alerts(engine, open_only=False)
    reads.incidents(engine, public=False)
    reads.silences(engine, NOW)
    reads.snapshot(engine, NOW, public=False)
    reads.probes(engine)
    reads.audit(engine)
    list(reads.results(engine))

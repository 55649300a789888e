"""The tables. Times are whole microseconds since 1970 (``_us``); nouns of the rules are kept as JSON text.

These classes describe columns and nothing else: readers get the views, never a row.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from monitor.store.results.tables import (
    CLUSTERED,
    Certificate,
    Evidence,
    Gap,
    Mark,
    Reading,
    Result,
    RollupDay,
    RollupHour,
    RollupMinute,
    Series,
    Word,
    table,
    text_column,
    us,
)

__all__ = [
    "Account",
    "Alert",
    "AlertEvent",
    "Audit",
    "Beat",
    "Catalogue",
    "Certificate",
    "Component",
    "ComponentDay",
    "Decision",
    "Evidence",
    "Gap",
    "Incident",
    "IncidentEvent",
    "Judgement",
    "Lease",
    "LoginSession",
    "Maintenance",
    "Mark",
    "Memory",
    "Outbox",
    "Reading",
    "RegistrationLog",
    "Result",
    "RollupDay",
    "RollupHour",
    "RollupMinute",
    "Series",
    "Silence",
    "Span",
    "Upstream",
    "Word",
    "Worker",
    "table",
]


class Catalogue(SQLModel, table=True):
    """What is watched, as last published: one row."""

    id: int = Field(default=1, primary_key=True)
    digest: str
    at_us: int = us()
    label: str = text_column()
    body: str = text_column()


class Component(SQLModel, table=True):
    """A component's verdict as last judged. Locked while it is judged."""

    id: str = Field(primary_key=True)
    service: str
    health: str = "unknown"
    since_us: int | None = us(default=None)
    reason: str = ""
    detail: str = text_column()
    created_us: int = us()
    span_us: int = us()
    """Start of the stretch of this health that is not closed yet; the closed ones are in ``component_span``."""
    known_us: int | None = us(default=None)
    """While the health is unknown: the first evidence since, before which the time stays unknown."""
    days_revision: int = us(default=0)
    """A new random number whenever its rows in ``component_day`` change; 0 while there are none."""
    registration: str = text_column()
    """State of the registration rules; empty for other components."""
    latency: str = text_column()
    """The latency view of the last roll-up."""
    unusual: str = text_column()
    """What is slower than usual for the hour of the week; empty while nothing is."""


class Span(SQLModel, table=True):
    """A closed stretch of one health of one component. A component's spans touch and never overlap."""

    __tablename__ = "component_span"
    __table_args__ = (Index("component_span_component", "component", "start_us"), Index("component_span_end", "end_us"))

    id: int | None = Field(default=None, primary_key=True)
    component: str
    start_us: int = us()
    end_us: int = us()
    health: str


class ComponentDay(SQLModel, table=True):
    """A closed UTC day of a component in microseconds per state, worked out from its spans."""

    __tablename__ = "component_day"
    __table_args__ = CLUSTERED

    component: str = Field(primary_key=True)
    day_us: int = Field(primary_key=True, sa_type=BigInteger)
    operational_us: int = us(default=0)
    degraded_us: int = us(default=0)
    partial_us: int = us(default=0)
    major_us: int = us(default=0)
    maintenance_us: int = us(default=0)
    unknown_us: int = us(default=0)


class RegistrationLog(SQLModel, table=True):
    """Every confirmed change of a way to sign up."""

    __tablename__ = "registration_log"

    id: int | None = Field(default=None, primary_key=True)
    component: str = Field(index=True)
    at_us: int = us()
    body: str = text_column()


class Upstream(SQLModel, table=True):
    """The vendor's own page as last read by a witness probe."""

    probe: str = Field(primary_key=True)
    service: str
    read_us: int | None = us(default=None)
    failed_us: int | None = us(default=None)
    reason: str = ""
    body: str = text_column()


class Incident(SQLModel, table=True):
    """Projection of ``incident_event``; can be rebuilt from it."""

    id: str = Field(primary_key=True)
    service: str = Field(index=True)
    cause: str
    status: str
    started_us: int = us(index=True)
    resolved_us: int | None = us(default=None)
    public: bool = True
    body: str = text_column()


class IncidentEvent(SQLModel, table=True):
    """Append-only history of incidents."""

    __tablename__ = "incident_event"

    incident: str = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    at_us: int = us()
    recorded_us: int = us()
    kind: str
    by: str = ""
    data: str = text_column("{}")


class Alert(SQLModel, table=True):
    """What pages a person. At most one is open per key."""

    __table_args__ = (
        Index(
            "alert_open",
            "key",
            unique=True,
            sqlite_where=text("state <> 'resolved'"),
            postgresql_where=text("state <> 'resolved'"),
        ),
    )

    id: str = Field(primary_key=True)
    key: str = Field(index=True)
    state: str = Field(index=True)
    rule: str
    service: str
    component: str
    incident: str = Field(default="", index=True)
    fired_us: int = us(index=True)
    resolved_us: int | None = us(default=None)
    body: str = text_column()
    muted: bool = False
    """A person resolved it while its condition lasts; it fires again only after that was over."""
    told: str = text_column("{}")
    """JSON: what each route was told so far."""


class AlertEvent(SQLModel, table=True):
    """Append-only history of alerts."""

    __tablename__ = "alert_event"

    id: int | None = Field(default=None, primary_key=True)
    alert: str = Field(index=True)
    at_us: int = us()
    kind: str
    by: str = ""
    data: str = text_column("{}")


class Decision(SQLModel, table=True):
    """Who was told about an alert, or why nobody was."""

    id: int | None = Field(default=None, primary_key=True)
    alert: str = Field(index=True)
    route: str
    send: bool
    why: str
    at_us: int = us()


class Outbox(SQLModel, table=True):
    """One delivery to one channel, kept until it is sent or given up for good."""

    __table_args__ = (Index("outbox_due", "sending", "due_us"),)

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    """Idempotency key on the wire: the same for every try."""
    alert: str = Field(index=True)
    route: str
    channel: str
    why: str
    sending: str
    created_us: int = us()
    due_us: int = us()
    tries: int = 0
    owner: str = ""
    leased_until_us: int | None = us(default=None)
    sent_us: int | None = us(default=None)
    error: str = text_column()
    body: str = text_column()


class Silence(SQLModel, table=True):
    """Nobody is told about what it matches; everything is recorded all the same."""

    id: str = Field(primary_key=True)
    starts_us: int = us()
    ends_us: int = us(index=True)
    by: str
    why: str = text_column()
    body: str = text_column()
    removed_us: int | None = us(default=None)


class Maintenance(SQLModel, table=True):
    """An announced window; time inside it counts neither as up nor as down."""

    id: str = Field(primary_key=True)
    service: str
    starts_us: int = us()
    until_us: int | None = us(default=None)
    """End of the last occurrence; None repeats without end."""
    title: str = text_column()
    text: str = text_column()
    body: str = text_column()
    """The announcement as the rules know it."""
    by: str = ""
    cancelled_us: int | None = us(default=None)


class Judgement(SQLModel, table=True):
    """What a person said of an alert afterwards."""

    alert: str = Field(primary_key=True)
    verdict: str
    by: str
    at_us: int = us()
    note: str = text_column()


class Audit(SQLModel, table=True):
    """Who did what, when and why. Append-only."""

    id: int | None = Field(default=None, primary_key=True)
    at_us: int = us(index=True)
    who: str
    action: str
    subject: str = ""
    why: str = text_column()
    data: str = text_column("{}")


class Account(SQLModel, table=True):
    """A person who may use the console."""

    name: str = Field(primary_key=True)
    password_hash: str = text_column()
    created_us: int = us()
    epoch: int = 0
    """Raised on every change of password; sessions of an older epoch are void."""
    disabled: bool = False
    role: str = Field(default="responder", sa_column_kwargs={"server_default": "responder"})
    """One of :class:`monitor.flow.accounts.Role`."""


class LoginSession(SQLModel, table=True):
    """A console session; only a hash of its token is kept."""

    __tablename__ = "login_session"

    token_hash: str = Field(primary_key=True)
    account: str = Field(index=True)
    epoch: int
    created_us: int = us()
    expires_us: int = us()


class Worker(SQLModel, table=True):
    """A worker's last sign of life."""

    id: str = Field(primary_key=True)
    location: str
    seen_us: int = us()
    blind_us: int | None = us(default=None)
    blind_reason: str = text_column()
    spooled: int = 0
    loop_lag_us: int = us(default=0)


class Lease(SQLModel, table=True):
    """Which worker of a location looks at a probe. ``epoch`` fences off an owner that slept through its lease."""

    probe: str = Field(primary_key=True)
    location: str = Field(primary_key=True)
    owner: str = ""
    until_us: int = us(default=0)
    epoch: int = 0
    gives: bool = False
    """In a worker's own row: it cannot see or is about to end, so others should hold its probes."""


class Memory(SQLModel, table=True):
    """What a probe remembers between looks, kept for the worker that looks at it next."""

    __tablename__ = "probe_memory"

    probe: str = Field(primary_key=True)
    location: str = Field(primary_key=True)
    at_us: int = us()
    body: str = text_column()


class Beat(SQLModel, table=True):
    """The newest report of a job, whichever worker received it."""

    probe: str = Field(primary_key=True)
    at_us: int = us()
    failed: bool = False
    words: str = text_column()

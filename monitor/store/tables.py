"""The tables. Times are whole microseconds since 1970 (``_us``); nouns of the rules are kept as JSON text.

These classes describe columns and nothing else: readers get the views, never a row.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

# A big integer that is still an alias of SQLite's rowid where it is the key.
BIG = BigInteger().with_variant(Integer(), "sqlite")


def _key(**options: Any) -> Any:
    return Field(default=None, primary_key=True, sa_type=BIG, **options)


def _us(**options: Any) -> Any:
    return Field(sa_type=BigInteger, **options)


def _text(default: str = "") -> Any:
    return Field(default=default, sa_type=Text)


class Catalogue(SQLModel, table=True):
    """What is watched, as last published: one row."""

    id: int = Field(default=1, primary_key=True)
    digest: str
    at_us: int = _us()
    label: str = _text()
    body: str = _text()


class Series(SQLModel, table=True):
    """One probe at one location: its watermark, the state of the rules, and where its newest result lies."""

    __table_args__ = (UniqueConstraint("probe", "location"),)

    id: int | None = Field(default=None, primary_key=True)
    probe: str
    location: str
    tick_us: int = _us(default=0)
    """With ``attempt`` the newest run that was judged; anything at or before it is a repetition."""
    attempt: int = 0
    evidence_us: int | None = _us(default=None)
    result_id: int | None = _us(default=None)
    result_at_us: int | None = _us(default=None)
    reading: str = ""
    """Digest of the readings last stored, so that an unchanged one is not stored again."""
    evidence_kept_us: int | None = _us(default=None)
    state: str = _text()


class Result(SQLModel, table=True):
    """One look: integers only, appended in order, no second index. See ``store/raw.py`` for what each one holds."""

    __table_args__ = {"postgresql_partition_by": "RANGE (at_us)"}

    id: int | None = _key()
    series: int
    tick_us: int = _us()
    attempt: int = 1
    at_us: int = _us()
    duration_us: int = _us()
    reason: int
    flags: int = 0
    http_status: int | None = None
    bytes_received: int | None = _us(default=None)
    address: int | None = None
    dns_us: int | None = _us(default=None)
    connect_us: int | None = _us(default=None)
    tls_us: int | None = _us(default=None)
    request_us: int | None = _us(default=None)
    wait_us: int | None = _us(default=None)
    transfer_us: int | None = _us(default=None)
    rtt_us: int | None = _us(default=None)
    overhead_us: int | None = _us(default=None)
    lag_us: int | None = _us(default=None)
    ttft_us: int | None = _us(default=None)
    first_answer_us: int | None = _us(default=None)
    queue_us: int | None = _us(default=None)
    last_token_us: int | None = _us(default=None)
    gap_us: int | None = _us(default=None)
    itl_us: int | None = _us(default=None)
    tpot_us: int | None = _us(default=None)
    rate_milli: int | None = _us(default=None)
    output_tokens: int | None = None
    input_tokens: int | None = None
    reasoning_tokens: int | None = None
    keepalives: int | None = None
    chunks: int | None = None
    cost_nano_usd: int | None = _us(default=None)
    finish_reason: int | None = None
    chat_model: int | None = None
    fingerprint: int | None = None


class Word(SQLModel, table=True):
    """Words that repeat in results (addresses, model names), so that a result holds integers only."""

    id: int | None = Field(default=None, primary_key=True)
    text: str = Field(unique=True)


class Evidence(SQLModel, table=True):
    """What was seen at a look that was worth keeping; pruned unless an incident holds on to it."""

    result_id: int = Field(primary_key=True, sa_type=BigInteger)
    series: int
    at_us: int = _us(index=True)
    incident: str = Field(default="", index=True)
    body: str = _text()


class Reading(SQLModel, table=True):
    """What a source said of registration or of the vendor's own incidents, stored when it changes."""

    __table_args__ = (Index("reading_series", "series", "result_id"),)

    result_id: int = Field(primary_key=True, sa_type=BigInteger)
    series: int
    at_us: int = _us()
    registration: str = _text()
    upstream: str = _text()


class Certificate(SQLModel, table=True):
    """The certificate last seen by a series."""

    series: int = Field(primary_key=True)
    seen_us: int = _us()
    body: str = _text()


class _Rollup(SQLModel):
    """Counts per outcome and a latency sketch of one series in one bucket; merging them is exact."""

    bucket_us: int = Field(primary_key=True, sa_type=BigInteger)
    series: int = Field(primary_key=True)
    counts: str = _text()
    """JSON: reason code → number of looks."""
    response: bytes = Field(default=b"", sa_type=LargeBinary)
    ttft: bytes = Field(default=b"", sa_type=LargeBinary)
    tokens_out: int = _us(default=0)
    cost_micro_usd: int = _us(default=0)


# SQLite keeps such a table in the order of its key: one bucket of all series lies together.
_CLUSTERED = {"sqlite_with_rowid": False}


class RollupMinute(_Rollup, table=True):
    """One minute."""

    __tablename__ = "rollup_minute"
    __table_args__ = _CLUSTERED


class RollupHour(_Rollup, table=True):
    """One hour."""

    __tablename__ = "rollup_hour"
    __table_args__ = _CLUSTERED


class RollupDay(_Rollup, table=True):
    """One UTC day."""

    __tablename__ = "rollup_day"
    __table_args__ = _CLUSTERED


class Mark(SQLModel, table=True):
    """How far a piece of housekeeping has come."""

    name: str = Field(primary_key=True)
    value: int = _us(default=0)


class Component(SQLModel, table=True):
    """A component's verdict as last judged. Locked while it is judged."""

    id: str = Field(primary_key=True)
    service: str
    health: str = "unknown"
    since_us: int | None = _us(default=None)
    reason: str = ""
    detail: str = _text()
    created_us: int = _us()
    span_us: int = _us()
    """Start of the stretch of this health that is not closed yet; the closed ones are in ``component_span``."""
    known_us: int | None = _us(default=None)
    """While the health is unknown: the first evidence since, before which the time stays unknown."""
    position: int = 0
    registration: str = _text()
    """State of the registration rules; empty for other components."""
    latency: str = _text()
    """The latency view of the last roll-up."""


class Span(SQLModel, table=True):
    """A closed stretch of one health of one component. A component's spans touch and never overlap."""

    __tablename__ = "component_span"
    __table_args__ = (Index("component_span_component", "component", "start_us"), Index("component_span_end", "end_us"))

    id: int | None = Field(default=None, primary_key=True)
    component: str
    start_us: int = _us()
    end_us: int = _us()
    health: str


class ComponentDay(SQLModel, table=True):
    """A closed UTC day of a component in microseconds per state, worked out from its spans."""

    __tablename__ = "component_day"
    __table_args__ = _CLUSTERED

    component: str = Field(primary_key=True)
    day_us: int = Field(primary_key=True, sa_type=BigInteger)
    operational_us: int = _us(default=0)
    degraded_us: int = _us(default=0)
    partial_us: int = _us(default=0)
    major_us: int = _us(default=0)
    maintenance_us: int = _us(default=0)
    unknown_us: int = _us(default=0)


class RegistrationLog(SQLModel, table=True):
    """Every confirmed change of a way to sign up."""

    __tablename__ = "registration_log"

    id: int | None = Field(default=None, primary_key=True)
    component: str = Field(index=True)
    at_us: int = _us()
    body: str = _text()


class Upstream(SQLModel, table=True):
    """The vendor's own page as last read by a witness probe."""

    probe: str = Field(primary_key=True)
    service: str
    read_us: int | None = _us(default=None)
    failed_us: int | None = _us(default=None)
    reason: str = ""
    body: str = _text()
    said: str = _text()
    """JSON: digests of what was already told, so that only new words become timeline entries."""


class Incident(SQLModel, table=True):
    """Projection of ``incident_event``; can be rebuilt from it."""

    id: str = Field(primary_key=True)
    service: str = Field(index=True)
    cause: str
    status: str
    started_us: int = _us(index=True)
    resolved_us: int | None = _us(default=None)
    public: bool = True
    review_us: int | None = _us(default=None)
    """When an incident that waits for review is published by itself."""
    body: str = _text()


class IncidentEvent(SQLModel, table=True):
    """Append-only history of incidents."""

    __tablename__ = "incident_event"

    incident: str = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    at_us: int = _us()
    recorded_us: int = _us()
    kind: str
    by: str = ""
    data: str = _text("{}")


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
    fired_us: int = _us(index=True)
    resolved_us: int | None = _us(default=None)
    body: str = _text()
    muted: bool = False
    """A person resolved it while its condition lasts; it fires again only after that was over."""
    told: str = _text("{}")
    """JSON: what each route was told so far."""


class AlertEvent(SQLModel, table=True):
    """Append-only history of alerts."""

    __tablename__ = "alert_event"

    id: int | None = Field(default=None, primary_key=True)
    alert: str = Field(index=True)
    at_us: int = _us()
    kind: str
    by: str = ""
    data: str = _text("{}")


class Decision(SQLModel, table=True):
    """Who was told about an alert, or why nobody was."""

    id: int | None = Field(default=None, primary_key=True)
    alert: str = Field(index=True)
    route: str
    send: bool
    why: str
    at_us: int = _us()


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
    created_us: int = _us()
    due_us: int = _us()
    tries: int = 0
    owner: str = ""
    leased_until_us: int | None = _us(default=None)
    sent_us: int | None = _us(default=None)
    error: str = _text()
    body: str = _text()


class Silence(SQLModel, table=True):
    """Nobody is told about what it matches; everything is recorded all the same."""

    id: str = Field(primary_key=True)
    starts_us: int = _us()
    ends_us: int = _us(index=True)
    by: str
    why: str = _text()
    body: str = _text()
    removed_us: int | None = _us(default=None)


class Maintenance(SQLModel, table=True):
    """An announced window; time inside it counts neither as up nor as down."""

    id: str = Field(primary_key=True)
    service: str
    starts_us: int = _us()
    until_us: int | None = _us(default=None)
    """End of the last occurrence; None repeats without end."""
    title: str = _text()
    text: str = _text()
    body: str = _text()
    """The announcement as the rules know it."""
    by: str = ""
    cancelled_us: int | None = _us(default=None)


class Judgement(SQLModel, table=True):
    """What a person said of an alert afterwards."""

    alert: str = Field(primary_key=True)
    verdict: str
    by: str
    at_us: int = _us()
    note: str = _text()


class Audit(SQLModel, table=True):
    """Who did what, when and why. Append-only."""

    id: int | None = Field(default=None, primary_key=True)
    at_us: int = _us(index=True)
    who: str
    action: str
    subject: str = ""
    why: str = _text()
    data: str = _text("{}")


class Account(SQLModel, table=True):
    """A person who may use the console."""

    name: str = Field(primary_key=True)
    password_hash: str = _text()
    created_us: int = _us()
    epoch: int = 0
    """Raised on every change of password; sessions of an older epoch are void."""
    disabled: bool = False


class LoginSession(SQLModel, table=True):
    """A console session; only a hash of its token is kept."""

    __tablename__ = "login_session"

    token_hash: str = Field(primary_key=True)
    account: str = Field(index=True)
    epoch: int
    created_us: int = _us()
    expires_us: int = _us()


class Worker(SQLModel, table=True):
    """A worker's last sign of life."""

    id: str = Field(primary_key=True)
    location: str
    seen_us: int = _us()
    blind_us: int | None = _us(default=None)
    blind_reason: str = _text()
    spooled: int = 0
    loop_lag_us: int = _us(default=0)


class Lease(SQLModel, table=True):
    """Which worker of a location looks at a probe. ``epoch`` fences off an owner that slept through its lease."""

    probe: str = Field(primary_key=True)
    location: str = Field(primary_key=True)
    owner: str = ""
    until_us: int = _us(default=0)
    epoch: int = 0


def table(model: type[SQLModel]) -> Table:
    """Return the table of a class above, for Core statements."""
    return SQLModel.metadata.tables[str(model.__tablename__)]

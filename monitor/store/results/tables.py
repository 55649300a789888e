"""The tables of raw results and their roll-ups. Times are whole microseconds since 1970 (``_us``)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, Table, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

# A big integer that is still an alias of SQLite's rowid where it is the key.
BIG = BigInteger().with_variant(Integer(), "sqlite")


def key(**options: Any) -> Any:
    """Return the column of a large number that counts up."""
    return Field(default=None, primary_key=True, sa_type=BIG, **options)


def us(**options: Any) -> Any:
    """Return a column of microseconds."""
    return Field(sa_type=BigInteger, **options)


def text_column(default: str = "") -> Any:
    """Return a column of long text."""
    return Field(default=default, sa_type=Text)


def table(model: type[SQLModel]) -> Table:
    """Return the table of a class, for Core statements."""
    return SQLModel.metadata.tables[str(model.__tablename__)]


class Series(SQLModel, table=True):
    """One probe at one location: its watermark, the state of the rules, and where its newest result lies."""

    __table_args__ = (UniqueConstraint("probe", "location"),)

    id: int | None = Field(default=None, primary_key=True)
    probe: str
    location: str
    tick_us: int = us(default=0)
    """With ``attempt`` the newest run that was judged; anything at or before it is a repetition."""
    attempt: int = 0
    evidence_us: int | None = us(default=None)
    result_id: int | None = us(default=None)
    result_at_us: int | None = us(default=None)
    reading: str = ""
    """Digest of the readings last stored, so that an unchanged one is not stored again."""
    evidence_kept_us: int | None = us(default=None)
    state: str = text_column()


class Result(SQLModel, table=True):
    """One look: integers only, appended in order, no second index. See ``store/raw.py`` for what each one holds."""

    __table_args__ = {"postgresql_partition_by": "RANGE (at_us)"}

    id: int | None = key()
    series: int
    tick_us: int = us()
    attempt: int = 1
    at_us: int = us()
    duration_us: int = us()
    reason: int
    flags: int = 0
    http_status: int | None = None
    bytes_received: int | None = us(default=None)
    address: int | None = None
    dns_us: int | None = us(default=None)
    connect_us: int | None = us(default=None)
    tls_us: int | None = us(default=None)
    request_us: int | None = us(default=None)
    wait_us: int | None = us(default=None)
    transfer_us: int | None = us(default=None)
    rtt_us: int | None = us(default=None)
    overhead_us: int | None = us(default=None)
    lag_us: int | None = us(default=None)
    ttft_us: int | None = us(default=None)
    first_answer_us: int | None = us(default=None)
    queue_us: int | None = us(default=None)
    last_token_us: int | None = us(default=None)
    gap_us: int | None = us(default=None)
    itl_us: int | None = us(default=None)
    tpot_us: int | None = us(default=None)
    rate_milli: int | None = us(default=None)
    output_tokens: int | None = None
    input_tokens: int | None = None
    reasoning_tokens: int | None = None
    keepalives: int | None = None
    chunks: int | None = None
    cost_nano_usd: int | None = us(default=None)
    finish_reason: int | None = None
    chat_model: int | None = None
    fingerprint: int | None = None


class Gap(SQLModel, table=True):
    """Ticks of a series that nobody came to and that have no result each: the first, the last, and how many."""

    series: int = Field(primary_key=True)
    from_us: int = Field(primary_key=True, sa_type=BigInteger)
    until_us: int = us()
    ticks: int = us()


class Word(SQLModel, table=True):
    """Words that repeat in results (addresses, model names), so that a result holds integers only."""

    id: int | None = Field(default=None, primary_key=True)
    text: str = Field(unique=True)


class Evidence(SQLModel, table=True):
    """What was seen at a look that was worth keeping; pruned unless an incident holds on to it."""

    result_id: int = Field(primary_key=True, sa_type=BigInteger)
    series: int
    at_us: int = us(index=True)
    incident: str = Field(default="", index=True)
    body: str = text_column()


class Reading(SQLModel, table=True):
    """What a source said of registration or of the vendor's own incidents, stored when it changes."""

    __table_args__ = (Index("reading_series", "series", "result_id"),)

    result_id: int = Field(primary_key=True, sa_type=BigInteger)
    series: int
    at_us: int = us()
    registration: str = text_column()
    upstream: str = text_column()


class Certificate(SQLModel, table=True):
    """The certificate last seen by a series."""

    series: int = Field(primary_key=True)
    seen_us: int = us()
    body: str = text_column()


class _Rollup(SQLModel):
    """Counts per outcome and a latency sketch of one series in one bucket; merging them is exact."""

    bucket_us: int = Field(primary_key=True, sa_type=BigInteger)
    series: int = Field(primary_key=True)
    counts: str = text_column()
    """JSON: reason code → number of looks."""
    response: bytes = Field(default=b"", sa_type=LargeBinary)
    ttft: bytes = Field(default=b"", sa_type=LargeBinary)
    tokens_out: int = us(default=0)
    cost_micro_usd: int = us(default=0)


# SQLite keeps such a table in the order of its key: one bucket of all series lies together.
CLUSTERED = {"sqlite_with_rowid": False}


class RollupMinute(_Rollup, table=True):
    """One minute."""

    __tablename__ = "rollup_minute"
    __table_args__ = CLUSTERED


class RollupHour(_Rollup, table=True):
    """One hour."""

    __tablename__ = "rollup_hour"
    __table_args__ = CLUSTERED


class RollupDay(_Rollup, table=True):
    """One UTC day."""

    __tablename__ = "rollup_day"
    __table_args__ = CLUSTERED


class Mark(SQLModel, table=True):
    """How far a piece of housekeeping has come."""

    name: str = Field(primary_key=True)
    value: int = us(default=0)

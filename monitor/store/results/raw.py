"""Raw results: a look as one row of integers and back.

Texts that repeat become ids of the ``word`` table; what does not fit an integer (detail, excerpt, readings,
certificate) lies beside it and is stored only when it is worth it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, text
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from monitor.core.model.observations import ChatTimes, Observation, Phases, Result, RunId
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.registration import MethodReading
from monitor.core.model.upstream import UpstreamReading
from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us
from monitor.store.codec import pack, span_s, span_us, unpack_or_none
from monitor.store.connection.engine import is_postgresql
from monitor.store.results import tables
from monitor.store.results.tables import table

RESULT, WORD, EVIDENCE = table(tables.Result), table(tables.Word), table(tables.Evidence)
READING, CERTIFICATE, GAP = table(tables.Reading), table(tables.Certificate), table(tables.Gap)
COLUMNS = tuple(column.name for column in RESULT.columns)
_INSERT = str(insert(RESULT).compile(dialect=sqlite_dialect()))
REASONS: Mapping[int, Reason] = {reason.code: reason for reason in Reason}

KERNEL_STAMPED, HAS_PHASES, HAS_CHAT, HAS_REGISTRATION, HAS_UPSTREAM, HAS_EVIDENCE = 1, 2, 4, 8, 16, 32
HTTP_VERSIONS = ("", "1.0", "1.1", "2", "3")
_VERSION_SHIFT = 8
MAX_WORDS = 20_000
"""Vendors choose some of these words (addresses, fingerprints): past this many, new ones are not remembered."""
Readings = tuple[tuple[MethodReading, ...], UpstreamReading | None]

_KNOWN = select(WORD.c.text, WORD.c.id).where(WORD.c.text.in_(bindparam("texts", expanding=True)))
_NEWEST = select(func.max(RESULT.c.id))


class Words:
    """Ids of repeated texts within one transaction, looked up together."""

    def __init__(self, connection: Connection, texts: Iterable[str]) -> None:
        wanted = sorted({text[:200] for text in texts if text})
        self._ids = self._find(connection, wanted)
        missing = [text for text in wanted if text not in self._ids]
        if missing and (connection.scalar(select(func.count()).select_from(WORD)) or 0) < MAX_WORDS:
            statement = text_insert(connection)
            connection.execute(statement, [{"text": text} for text in missing])
            self._ids |= self._find(connection, missing)

    @staticmethod
    def _find(connection: Connection, texts: Sequence[str]) -> dict[str, int]:
        return {row.text: row.id for row in connection.execute(_KNOWN, {"texts": texts})} if texts else {}

    def id(self, text: str) -> int | None:
        """Return the id of a text; None for an empty or a forgotten one."""
        return self._ids.get(text[:200]) if text else None


def text_insert(connection: Connection) -> Any:
    """Return an insert into ``word`` that leaves an existing word alone."""
    if is_postgresql(connection):
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert(WORD).on_conflict_do_nothing()
    return insert(WORD).prefix_with("OR IGNORE")


def words_of(results: Iterable[Result]) -> Iterator[str]:
    """Yield every text of these results that is kept as a word."""
    for result in results:
        seen = result.observation
        yield seen.address
        if seen.chat is not None:
            yield from (seen.chat.finish_reason, seen.chat.model, seen.chat.system_fingerprint)


def encode(result: Result, result_id: int, series: int, words: Words, evidence: bool) -> tuple[int | None, ...]:
    """Return a result as the columns of its row, in order."""
    seen, run = result.observation, result.run
    flags = (
        (HAS_REGISTRATION if seen.registration else 0)
        | (HAS_UPSTREAM if seen.upstream is not None else 0)
        | (HAS_EVIDENCE if evidence else 0)
        | ((HTTP_VERSIONS.index(seen.http_version) if seen.http_version in HTTP_VERSIONS else 0) << _VERSION_SHIFT)
    )
    phases, phase_flags = _encode_phases(seen.phases)
    chat, chat_flag = _encode_chat(seen.chat, words)
    return (
        result_id,
        series,
        us(run.tick),
        run.attempt,
        us(result.started_at),
        round(result.duration_s * 1e6),
        seen.reason.code,
        flags | phase_flags | chat_flag,
        seen.http_status,
        seen.bytes_received,
        words.id(seen.address),
        *phases,
        *chat,
    )


def _encode_phases(phases: Phases | None) -> tuple[tuple[int | None, ...], int]:
    if phases is None:
        return (None,) * 9, 0
    lengths = (
        phases.dns_s,
        phases.connect_s,
        phases.tls_s,
        phases.request_s,
        phases.wait_s,
        phases.transfer_s,
        phases.rtt_s,
        phases.overhead_s,
        phases.loop_lag_s or None,
    )
    return tuple(map(span_us, lengths)), HAS_PHASES | (KERNEL_STAMPED if phases.kernel_stamped else 0)


def _encode_chat(chat: ChatTimes | None, words: Words) -> tuple[tuple[int | None, ...], int]:
    if chat is None:
        return (None,) * 17, 0
    lengths = (
        chat.ttft_s,
        chat.first_answer_s,
        chat.queue_s,
        chat.last_token_s,
        chat.longest_gap_s,
        chat.itl_p50_s,
        chat.tpot_s,
    )
    counts = (
        None if chat.tokens_per_s is None else round(chat.tokens_per_s * 1000),
        chat.output_tokens,
        chat.input_tokens,
        chat.reasoning_tokens,
        chat.keepalives,
        chat.chunks,
        None if chat.cost_usd is None else round(chat.cost_usd * 1e9),
    )
    texts = (words.id(chat.finish_reason), words.id(chat.model), words.id(chat.system_fingerprint))
    return (*map(span_us, lengths), *counts, *texts), HAS_CHAT


def decode(row: Row[Any], run: RunId, words: Mapping[int, str]) -> Result:
    """Return the result that a row holds, without what lies beside it."""
    version = row.flags >> _VERSION_SHIFT
    seen = Observation(
        reason=REASONS.get(row.reason, Reason.INTERNAL),
        http_status=row.http_status,
        http_version=HTTP_VERSIONS[version] if version < len(HTTP_VERSIONS) else "",
        address=words.get(row.address, ""),
        bytes_received=row.bytes_received,
        phases=_decode_phases(row) if row.flags & HAS_PHASES else None,
        chat=_decode_chat(row, words) if row.flags & HAS_CHAT else None,
    )
    return Result(run, when(row.at_us), row.duration_us / 1e6, seen)


def _decode_phases(row: Row[Any]) -> Phases:
    return Phases(
        dns_s=span_s(row.dns_us),
        connect_s=span_s(row.connect_us),
        tls_s=span_s(row.tls_us),
        request_s=span_s(row.request_us),
        wait_s=span_s(row.wait_us),
        transfer_s=span_s(row.transfer_us),
        rtt_s=span_s(row.rtt_us),
        overhead_s=span_s(row.overhead_us),
        loop_lag_s=span_s(row.lag_us) or 0.0,
        kernel_stamped=bool(row.flags & KERNEL_STAMPED),
    )


def _decode_chat(row: Row[Any], words: Mapping[int, str]) -> ChatTimes:
    return ChatTimes(
        ttft_s=span_s(row.ttft_us),
        first_answer_s=span_s(row.first_answer_us),
        queue_s=span_s(row.queue_us),
        last_token_s=span_s(row.last_token_us),
        longest_gap_s=span_s(row.gap_us),
        itl_p50_s=span_s(row.itl_us),
        tpot_s=span_s(row.tpot_us),
        tokens_per_s=None if row.rate_milli is None else row.rate_milli / 1000,
        output_tokens=row.output_tokens,
        input_tokens=row.input_tokens,
        reasoning_tokens=row.reasoning_tokens,
        keepalives=row.keepalives or 0,
        chunks=row.chunks or 0,
        finish_reason=words.get(row.finish_reason, ""),
        model=words.get(row.chat_model, ""),
        system_fingerprint=words.get(row.fingerprint, ""),
        cost_usd=None if row.cost_nano_usd is None else row.cost_nano_usd / 1e9,
    )


_APPENDING = 5_426_003
"""Key of the advisory lock that everybody shares who has ids reserved and not yet committed."""


def next_ids(connection: Connection, count: int) -> Sequence[int]:
    """Reserve ``count`` result ids, ascending. On SQLite the write transaction keeps others out."""
    if is_postgresql(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": _APPENDING})
        query = text("SELECT nextval('result_id_seq') FROM generate_series(1, :count)")
        return [int(value) for value in connection.scalars(query, {"count": count})]
    last = connection.scalar(_NEWEST) or 0
    return range(last + 1, last + 1 + count)


def settled_id(connection: Connection) -> int:
    """Return the newest id below which nothing is still to be committed. For a transaction that does nothing else."""
    if is_postgresql(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _APPENDING})
    return connection.scalar(_NEWEST) or 0


def _gap_insert(connection: Connection) -> Any:
    # Late, each for its own: PostgreSQL's takes memory that a process on SQLite has no use for.
    if is_postgresql(connection):
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert(GAP)
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert(GAP)


def keep_gaps(connection: Connection, rows: Sequence[Mapping[str, int]]) -> None:
    """Keep ranges of ticks that nobody came to; one that begins where a kept one does is the same one, seen again."""
    # All in one statement: a past that is looked at on a coarse grid has one for each look.
    new = _gap_insert(connection)
    changes = {name: new.excluded[name] for name in ("until_us", "ticks")}
    connection.execute(new.on_conflict_do_update(index_elements=("series", "from_us"), set_=changes), list(rows))


def append(connection: Connection, rows: Sequence[tuple[int | None, ...]]) -> None:
    """Append rows from :func:`encode`: one prepared statement on SQLite, COPY on PostgreSQL."""
    # Hot path, one row per look: Core statements, because SQLModel objects would cost more than everything else here.
    if not rows:
        return
    if is_postgresql(connection):
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy(f"COPY result ({', '.join(COLUMNS)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    connection.exec_driver_sql(_INSERT, list(rows))


def beside(seen: Observation) -> str:
    """Return what the integers leave out, as JSON for the ``evidence`` table."""
    return pack(Observation, replace(seen, phases=None, chat=None, registration=(), upstream=None))


def readings_digest(seen: Observation) -> str:
    """Return a digest of the readings of a look, to see whether they changed; empty when there are none."""
    if not seen.registration and seen.upstream is None:
        return ""
    return hashlib.sha256(pack_readings(seen)[0].encode() + pack_readings(seen)[1].encode()).hexdigest()[:16]


def pack_readings(seen: Observation) -> tuple[str, str]:
    """Return the registration readings and the upstream reading of a look as JSON."""
    upstream = "" if seen.upstream is None else pack(UpstreamReading, seen.upstream)
    return pack(tuple[MethodReading, ...], seen.registration), upstream


def unpack_readings(registration: str, upstream: str) -> Readings:
    """Return what :func:`pack_readings` wrote; what cannot be read of it is left out."""
    return (
        unpack_or_none(tuple[MethodReading, ...], registration, "reading of registration") or (),
        unpack_or_none(UpstreamReading, upstream, "reading of a status page") if upstream else None,
    )


def outcome_of(code: int) -> Outcome:
    """Return the outcome that follows from a stored reason code."""
    return REASONS.get(code, Reason.INTERNAL).outcome

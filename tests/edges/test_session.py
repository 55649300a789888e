"""What people do goes by SQLModel's session inside the transaction that is there, on both databases."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, QueuePool, func, select
from sqlalchemy.exc import IntegrityError

from monitor.core.alerts.routing import SilenceWindow
from monitor.core.maintenance import Maintenance
from monitor.core.model.alerting import Verdict
from monitor.flow import CommandError, accounts
from monitor.store import tables
from monitor.store.connection.engine import begin, is_postgresql
from monitor.store.tables import table
from monitor.store.transaction.people import PeopleStore
from monitor.store.transaction.session import session_on

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SILENCE, JUDGEMENT, AUDIT = table(tables.Silence), table(tables.Judgement), table(tables.Audit)


def count(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(AUDIT)) or 0


def entry(subject: str) -> tables.Audit:
    return tables.Audit(at_us=1, who="alice", action="Test", subject=subject)


def test_a_session_writes_in_the_transaction_that_is_there_and_takes_no_connection_of_its_own(engine: Engine) -> None:
    assert isinstance(engine.pool, QueuePool)
    with begin(engine) as connection:
        with session_on(connection) as session:
            session.add(entry("one"))
        assert count(connection) == 1
        assert engine.pool.checkedout() == 1
        with suppress(RuntimeError), session_on(connection) as session:
            session.add(entry("two"))
            raise RuntimeError
        assert count(connection) == 1, "what a block that raised had not written yet is gone, what went before is not"
    with begin(engine) as connection:
        assert count(connection) == 1


def test_what_a_session_wrote_goes_with_the_transaction(engine: Engine) -> None:
    def play() -> None:
        with begin(engine) as connection:
            with session_on(connection) as session:
                session.add(entry("lost"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        play()
    with begin(engine) as connection:
        assert count(connection) == 0


def test_what_the_database_refuses_takes_the_whole_transaction_back(engine: Engine) -> None:
    def play() -> None:
        with begin(engine) as connection:
            with session_on(connection) as session:
                session.add(entry("lost"))
            with session_on(connection) as session:
                session.add(tables.Judgement(alert="a", verdict="noise", by="alice", at_us=1))
                session.flush()
            with session_on(connection) as session:
                session.add(tables.Judgement(alert="a", verdict="noise", by="bob", at_us=1))

    with pytest.raises(IntegrityError):
        play()
    with begin(engine) as connection:
        assert count(connection) == 0


def test_silences_planned_work_and_verdicts_are_kept_once_and_ended_once(engine: Engine) -> None:
    silence = SilenceWindow("s1", NOW, NOW + HOUR, "shop")
    work = Maintenance("m1", "shop", (), NOW, NOW + HOUR)
    with begin(engine) as connection:
        people = PeopleStore(connection, NOW)
        assert people.put_silence(silence, "alice", "noise")
        assert not people.put_silence(silence, "bob", "again")
        assert people.silences() == [silence]
        assert people.put_maintenance(work, "Moving", "", "alice")
        assert not people.put_maintenance(work, "Moving", "", "bob")
        assert [window.maintenance for window in people.windows(NOW)] == ["m1"]
        people.put_verdict("a1", Verdict.NOISE, "alice", NOW, "first")
    with begin(engine) as connection:
        people = PeopleStore(connection, NOW)
        assert (people.end_silence("s1", NOW + HOUR), people.end_silence("none", NOW)) == (False, None)
        assert (people.end_silence("s1", NOW), people.end_silence("s1", NOW)) == (True, False)
        assert people.silences() == []
        ended = NOW + HOUR / 2
        assert (people.cancel_maintenance("m1", ended), people.cancel_maintenance("m1", ended)) == (True, False)
        assert people.cancel_maintenance("none", ended) is None
        assert [window.ends_at for window in people.windows(NOW)] == [ended]
        people.put_verdict("a1", Verdict.ACTIONABLE, "bob", NOW, "second")
        row = connection.execute(select(JUDGEMENT)).one()
        assert (row.verdict, row.by, row.note) == ("actionable", "bob", "second")


def test_of_two_people_who_end_a_silence_at_once_one_ended_it(engine: Engine) -> None:
    with begin(engine) as connection:
        PeopleStore(connection, NOW).put_silence(SilenceWindow("s1", NOW, NOW + HOUR, "shop"), "alice", "noise")
    said: list[bool | None] = []
    at_once = threading.Barrier(4)

    def end() -> None:
        at_once.wait()
        with begin(engine) as connection:
            said.append(PeopleStore(connection, NOW).end_silence("s1", NOW))

    people = [threading.Thread(target=end) for _ in range(4)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert sorted(map(bool, said)) == [False, False, False, True]


def test_accounts_and_their_sessions_are_kept_in_either_database(engine: Engine) -> None:
    assert accounts.set_password(engine, "alice", "correct horse", NOW)
    token = accounts.log_in(engine, "alice", "correct horse", NOW)
    assert accounts.who_is(engine, token, NOW) == "alice"
    assert accounts.who_is(engine, token, NOW + accounts.SESSION_LASTS) == ""
    assert not accounts.set_password(engine, "alice", "battery staple", NOW, "bob")
    assert accounts.who_is(engine, token, NOW) == ""
    second = accounts.log_in(engine, "alice", "battery staple", NOW)
    accounts.log_out(engine, second)
    assert accounts.who_is(engine, second, NOW) == ""
    third = accounts.log_in(engine, "alice", "battery staple", NOW)
    accounts.disable_account(engine, "alice", NOW, "bob")
    assert accounts.who_is(engine, third, NOW) == accounts.log_in(engine, "alice", "battery staple", NOW) == ""
    with pytest.raises(CommandError):
        accounts.disable_account(engine, "nobody", NOW)
    (account,) = accounts.accounts(engine)
    assert (account.name, account.created_at, account.disabled) == ("alice", NOW, True)
    with begin(engine) as connection:
        told = connection.execute(select(AUDIT.c.action, AUDIT.c.who).order_by(AUDIT.c.id)).all()
    assert [tuple(row) for row in told] == [
        ("AddAccount", "alice"),
        ("LogIn", "alice"),
        ("ChangePassword", "bob"),
        ("LogIn", "alice"),
        ("LogIn", "alice"),
        ("DisableAccount", "bob"),
        ("LogInRefused", "alice"),
    ]


def test_a_row_that_is_to_be_changed_is_locked_where_there_are_several_writers(engine: Engine) -> None:
    with begin(engine) as connection, session_on(connection) as session:
        session.add(tables.Account(name="alice", password_hash="x", created_us=1))
    if not is_postgresql(engine):
        return  # every transaction of SQLite's is alone
    with begin(engine) as first, session_on(first) as session:
        assert session.get(tables.Account, "alice", with_for_update=True) is not None
        with begin(engine) as second:
            free = select(table(tables.Account)).with_for_update(skip_locked=True)
            assert second.execute(free).all() == []

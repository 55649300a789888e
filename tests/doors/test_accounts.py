"""Accounts of the console and their sessions, on a real database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from monitor.flow import CommandError, accounts
from monitor.store.connection.engine import open_engine
from monitor.store.upgrade import migrate

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PASSWORD = "correct horse battery"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(f"sqlite:///{tmp_path / 'console.db'}")
    migrate(opened)
    accounts.set_password(opened, "alice", PASSWORD, NOW)
    yield opened
    opened.dispose()


def test_the_right_password_opens_a_session_and_log_out_ends_it(engine: Engine) -> None:
    token = accounts.log_in(engine, "alice", PASSWORD, NOW)
    assert accounts.who_is(engine, token, NOW) == "alice"
    accounts.log_out(engine, token)
    assert accounts.who_is(engine, token, NOW) == ""


@pytest.mark.parametrize(("name", "password"), [("alice", "wrong"), ("nobody", PASSWORD), ("", ""), ("alice' --", "x")])
def test_a_wrong_password_and_an_unknown_name_are_answered_alike(engine: Engine, name: str, password: str) -> None:
    assert accounts.log_in(engine, name, password, NOW) == ""


def test_a_change_of_password_ends_every_session(engine: Engine) -> None:
    token = accounts.log_in(engine, "alice", PASSWORD, NOW)
    assert accounts.set_password(engine, "alice", "another long one", NOW) is False
    assert accounts.who_is(engine, token, NOW) == ""
    assert accounts.log_in(engine, "alice", PASSWORD, NOW) == ""


def test_a_disabled_account_is_out_at_once(engine: Engine) -> None:
    token = accounts.log_in(engine, "alice", PASSWORD, NOW)
    accounts.disable_account(engine, "alice", NOW)
    assert accounts.who_is(engine, token, NOW) == ""
    assert accounts.log_in(engine, "alice", PASSWORD, NOW) == ""


def test_a_session_ends_by_itself(engine: Engine) -> None:
    token = accounts.log_in(engine, "alice", PASSWORD, NOW)
    assert accounts.who_is(engine, token, NOW + timedelta(hours=13)) == ""


@pytest.mark.parametrize(
    ("name", "password"), [("Alice", PASSWORD), ("a/b", PASSWORD), ("", PASSWORD), ("bob", "short")]
)
def test_a_name_or_password_that_will_not_do_is_refused(engine: Engine, name: str, password: str) -> None:
    with pytest.raises(CommandError):
        accounts.set_password(engine, name, password, NOW)

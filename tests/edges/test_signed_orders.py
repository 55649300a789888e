"""An order given with a console session is held against the database in its own transaction, on both databases."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from monitor import flow
from monitor.core.commands import CommandError, OpenIncident
from monitor.core.model.states import Impact
from monitor.flow import accounts
from monitor.flow.accounts import Role
from monitor.store import reads
from monitor.store.connection.engine import begin
from tests.edges.flowing import T0, publish

NAME, PASSWORD = "alice", "a long enough password"


def order(number: int) -> OpenIncident:
    return OpenIncident("deepseek", ("deepseek/api",), Impact.MAJOR, f"By hand {number}")


def test_an_order_is_taken_under_the_sessions_own_name_and_not_after_it_is_void(engine: Engine) -> None:
    publish(engine)
    accounts.set_password(engine, NAME, PASSWORD, T0)
    signed = flow.Signed(accounts.log_in(engine, NAME, PASSWORD, T0))
    assert flow.command(engine, order(1), signed, T0).changed
    assert [row.who for row in reads.audit(engine) if row.action == "OpenIncident"] == [NAME]
    accounts.set_role(engine, NAME, Role.VIEWER, T0)
    with pytest.raises(CommandError, match="may look"):
        flow.command(engine, order(2), signed, T0)
    accounts.set_role(engine, NAME, Role.RESPONDER, T0)
    with pytest.raises(CommandError, match="session is over"):
        flow.command(engine, order(2), signed, T0 + accounts.SESSION_LASTS + timedelta(seconds=1))
    accounts.disable_account(engine, NAME, T0)
    with pytest.raises(CommandError, match="session is over"):
        flow.command(engine, order(2), signed, T0)
    assert len([row for row in reads.audit(engine) if row.action == "OpenIncident"]) == 1
    assert signed.token not in repr(signed)


def test_shutting_somebody_out_waits_for_an_act_that_has_begun_and_goes_before_the_next(engine: Engine) -> None:
    publish(engine)
    accounts.set_password(engine, NAME, PASSWORD, T0)
    token = accounts.log_in(engine, NAME, PASSWORD, T0)
    done: list[str] = []

    def shut_out() -> None:
        accounts.disable_account(engine, NAME, T0)
        done.append("shut out")

    with begin(engine) as connection:
        assert accounts.actor(connection, token, T0) == NAME
        thread = threading.Thread(target=shut_out)
        thread.start()
        thread.join(0.5)
        done.append("acted")
    thread.join(60)
    assert done == ["acted", "shut out"]
    with begin(engine) as connection, pytest.raises(CommandError):
        accounts.actor(connection, token, T0)

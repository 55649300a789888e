"""Addresses of PostgreSQL: what libpq reads is read alike, what it would refuse for ever is refused at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.logs.hiding import of_environment, shown_database
from monitor.store.connection.engine import StoreError, file_named, open_engine
from monitor.store.connection.server import of_programs, parameters, sessions

PAIR = {"host": "a,b", "port": "1,2", "dbname": "x", "user": "u"}


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u@a:1,b:2/x",
        "postgres://u@a:1,b:2/x",
        "postgresql+psycopg://u@a:1,b:2/x",
        "postgresql:///x?host=a,b&port=1,2&user=u",
        "postgresql://u@/x?host=a:1&host=b:2",
        "host=a,b port=1,2 dbname=x user=u",
        "dbname = x  user=u host = 'a,b' port = '1,2'",
    ],
)
def test_every_spelling_of_two_servers_comes_to_the_same(address: str) -> None:
    assert parameters(address) == PAIR
    assert file_named(address) is None


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("postgresql://[::1]:5,[::2]:6/x", {"host": "::1,::2", "port": "5,6", "dbname": "x"}),
        ("postgresql://u@/x?host=[::1]:5&host=c", {"host": "::1,c", "port": "5,", "dbname": "x", "user": "u"}),
        ("postgresql:///x?host=/run/postgresql", {"host": "/run/postgresql", "dbname": "x"}),
        ("service=watch", {"service": "watch"}),
        ("postgresql://u:p%40s@a/x", {"user": "u", "password": "p@s", "host": "a", "dbname": "x"}),
    ],
)
def test_other_forms_are_read_as_libpq_does(address: str, found: dict[str, str]) -> None:
    assert parameters(address) == found


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("postgresql://a,b/x?target_session_attrs=readwrite", "target_session_attrs is one of any, read-write"),
        ("postgresql://a,b/x?target_session_attr=any", 'no connection option "target_session_attr"'),
        ("host=a pasword=hunter2", 'no connection option "pasword"'),
        ("postgresql://a:1,b:2,c:3/x?port=1,2", "3 hosts and 2 ports"),
        ("postgresql://a:65536/x", "a port is a number from 1 to 65535"),
        ("postgresql://a:1,b:0/x", "a port is a number from 1 to 65535"),
        ("host='a password=hunter2", "not an address of PostgreSQL"),
        ("postgresql://u:hunter2@[::1/x", "not an address of PostgreSQL"),
        ("postgresql://a,b/x?target_session_attrs=standby", "leads to servers that take no writes: use read-write"),
        ("postgresql://a,b/x?target_session_attrs=prefer-standby", "take no writes"),
        ("postgresql://a/x?target_session_attrs=read-only", "take no writes"),
    ],
)
def test_a_faulty_address_is_refused_in_one_line_that_repeats_no_secret(address: str, said: str) -> None:
    with pytest.raises(StoreError) as caught:
        open_engine(address)
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_of_several_servers_a_worker_takes_the_one_that_can_be_written_to_and_a_page_any_rather_than_none() -> None:
    def wanted(found: dict[str, str], *, read_only: bool) -> list[str]:
        return [one.get("target_session_attrs", "") for one in sessions(found, read_only=read_only)]

    one = {"host": "a"}
    assert wanted(PAIR, read_only=False) == ["read-write"]
    assert wanted(PAIR, read_only=True) == ["primary", "any"]
    assert wanted(one, read_only=False) == wanted(one, read_only=True) == [""]
    # Our readers' sessions are read-only by default, which libpq would take for a server that is.
    for given, of_reader in {
        "read-write": "primary",
        "read-only": "standby",
        "prefer-standby": "prefer-standby",
    }.items():
        assert wanted(PAIR | {"target_session_attrs": given}, read_only=True) == [of_reader]
    for given in ("any", "read-write", "primary"):
        assert wanted(PAIR | {"target_session_attrs": given}, read_only=False) == [
            "read-write" if given == "any" else given
        ]


SERVICES = """\
# servers of ours
[one]
host=a
[two]
host=a,b
port=1,2
dbname=x

[kept]
hostaddr = 10.0.0.1,10.0.0.2
target_session_attrs=standby
[written]
host=a,b
target_session_attrs=read-write
"""


@pytest.mark.parametrize(
    ("address", "around", "of_writer", "of_readers"),
    [
        ("service=two", {}, "read-write", ["primary", "any"]),
        ("postgresql:///x?service=two", {}, "read-write", ["primary", "any"]),
        ("dbname=x", {"PGSERVICE": "two"}, "read-write", ["primary", "any"]),
        ("service=one", {}, "", [""]),
        ("service=one host=c,d", {}, "read-write", ["primary", "any"]),
        ("service=written", {}, "", ["primary"]),
        ("service=kept", {}, None, ["standby"]),
        ("service=unknown", {}, "read-write", ["primary", "any"]),
        ("dbname=x", {"PGHOSTADDR": "10.0.0.1,10.0.0.2"}, "read-write", ["primary", "any"]),
        ("dbname=x", {"PGHOST": "a,b", "PGTARGETSESSIONATTRS": "primary"}, "", ["primary"]),
    ],
)
def test_several_servers_are_known_wherever_they_are_named(
    address: str,
    around: dict[str, str],
    of_writer: str | None,
    of_readers: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A writer that libpq sends to the first that answers may reach the standby."""
    (tmp_path / "services").write_text(SERVICES)
    for name, value in {"PGSERVICEFILE": str(tmp_path / "services"), "PGSYSCONFDIR": str(tmp_path), **around}.items():
        monkeypatch.setenv(name, value)
    found = parameters(address)
    assert [one.get("target_session_attrs", "") for one in sessions(found, read_only=True)] == of_readers
    if of_writer is None:
        with pytest.raises(ValueError, match="take no writes"):
            sessions(found, read_only=False)
    else:
        assert [one.get("target_session_attrs", "") for one in sessions(found, read_only=False)] == [of_writer]


def test_the_programs_of_postgresql_get_no_password_on_their_command_line() -> None:
    assert of_programs(parameters("postgresql://u:hunter2@a,b/x?sslmode=require")) == (
        "user=u dbname=x host=a,b port=, sslmode=require"
    )
    assert of_programs({"hostaddr": "::1,::2"}) == "hostaddr=::1,::2 host=::1,::2"
    with pytest.raises(ValueError, match="client key without one"):
        of_programs({"host": "a", "sslpassword": "hunter2"})


@pytest.mark.parametrize(
    ("address", "shown", "secrets"),
    [
        ("postgresql://me:s3cret@a:1,b:2/x?sslpassword=other", "postgresql://me@a:1,b:2/x", {"s3cret", "other"}),
        ("host=a,b user=me password='s3 cret' dbname=x", "host=a,b user=me dbname=x", {"s3 cret"}),
        (r"host=a password=s3\ cret sslpassword = 'o\'r'", "host=a", {"s3 cret", "o'r"}),
        ("password='s3cret host=a", "not readable", {"s3cret host=a"}),
        ("postgresql://me:s3/cret@a/x", "not readable", {"postgresql://me:s3/cret@a/x"}),
        ("postgresql://[::1]:5432/x", "postgresql://[::1]:5432/x", set()),
        ("sqlite:///var/a b.db", "sqlite:///var/a b.db", set()),
    ],
)
def test_logs_show_the_servers_of_an_address_and_hide_its_secrets(address: str, shown: str, secrets: set[str]) -> None:
    assert shown_database(address) == shown
    assert set(of_environment({"CHATWATCH_DATABASE": address})) - {""} == secrets


def test_an_address_of_sqlite_names_its_file() -> None:
    assert file_named("sqlite:///var/x.db") == Path("var/x.db")
    with pytest.raises(StoreError, match="not readable"):
        file_named("nonsense")

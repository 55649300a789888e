"""A PostgreSQL server's address, in every spelling libpq takes, and which of several servers a session wants.

``postgresql://u@a:5432,b:5433/name?target_session_attrs=read-write``, ``host=a,b port=5432,5433 dbname=name``, a
service of ``pg_service.conf``, and SQLAlchemy's ``?host=a:5432&host=b:5433``. The spellings are libpq's own
("Connection Strings" in its documentation), so it reads them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from monitor.plain_files import text_of

ATTRIBUTES = ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
"""What ``target_session_attrs`` may be."""
_OF_WRITERS = {"any", "read-write", "primary"}
_OF_READERS = {"read-write": "primary", "read-only": "standby"}
"""Our readers open sessions that are read-only by default, and libpq would ask the server about just that."""
_SCHEME = re.compile(r"^postgres(ql)?(\+psycopg)?://")
_KEYWORD = re.compile(r"^\s*[a-z_]+\s*=")
_HOST = re.compile(r"(?:\[([^\]]+)\]|([^:]*))(?::(\d*))?")
_UNKNOWN = re.compile(r'invalid (?:URI query parameter|connection option)[: ]+"?([a-z_]{1,30})"?')
_UNREADABLE = (
    "not an address of PostgreSQL: write postgresql://user@host/name, with every special character of a password as %XX"
)
_SECRETS = ("password", "sslpassword")
_VARIABLES = {"host": "PGHOST", "hostaddr": "PGHOSTADDR", "target_session_attrs": "PGTARGETSESSIONATTRS"}
"""Where libpq looks for what neither the address nor a service says."""
_SERVICES = ("/etc/postgresql-common", "/etc/postgresql", "/etc")
"""Where the machine's services may stand: libpq has one place built in, and each distribution another."""
_SERVICES_BYTES = 2**20


def is_server_address(address: str) -> bool:
    """Say whether an address is meant for PostgreSQL."""
    return bool(_SCHEME.match(address)) or ("://" not in address and bool(_KEYWORD.match(address)))


def parameters(address: str) -> dict[str, Any]:
    """Return libpq's parameters of an address; raises ``ValueError`` with words that repeat no secret."""
    from psycopg import Error
    from psycopg.conninfo import conninfo_to_dict

    plain, hosts = _several_hosts(_SCHEME.sub("postgresql://", address))
    try:
        found: dict[str, Any] = dict(conninfo_to_dict(plain)) | hosts
    except Error as error:
        # The text may hold a password, so at most the name of an option that is not known is repeated.
        if unknown := _UNKNOWN.search(str(error)):
            raise ValueError(f'PostgreSQL has no connection option "{unknown[1]}"') from None
        raise ValueError(_UNREADABLE) from None
    _refuse_faulty(found)
    return found


def _several_hosts(address: str) -> tuple[str, dict[str, str]]:
    """Take hosts that are named one by one out of the query, as SQLAlchemy has it; libpq would keep the last only."""
    start, mark, query = address.partition("?")
    given = parse_qsl(query, keep_blank_values=True)
    hosts = [value for name, value in given if name == "host"]
    if "://" not in address or not mark or len(hosts) < 2:
        return address, {}
    parts = [_HOST.fullmatch(host) for host in hosts]
    if not all(parts):
        raise ValueError(_UNREADABLE)
    rest = urlencode([item for item in given if item[0] != "host"])
    names, ports = zip(*((part[1] or part[2], part[3] or "") for part in parts if part), strict=True)
    return f"{start}?{rest}", {"host": ",".join(names)} | ({"port": ",".join(ports)} if any(ports) else {})


def _refuse_faulty(found: dict[str, Any]) -> None:
    hosts = str(found.get("host") or found.get("hostaddr") or "").split(",")
    ports = str(found.get("port") or "").split(",")
    if len(ports) not in (1, len(hosts)):
        raise ValueError(f"{len(hosts)} hosts and {len(ports)} ports: give one port, or one for each host")
    if any(port and not (port.isdecimal() and 0 < int(port) < 65536) for port in ports):
        raise ValueError("a port is a number from 1 to 65535")
    wanted = found.get("target_session_attrs", "any")
    if wanted not in ATTRIBUTES:
        raise ValueError(f"target_session_attrs is one of {', '.join(ATTRIBUTES)}")


def sessions(found: dict[str, Any], *, read_only: bool) -> tuple[dict[str, Any], ...]:
    """Return what to try in turn, so that a session reaches the server it wants among several.

    Without ``target_session_attrs``, a writer takes the server that can be written to, and a reader as well, or else
    any that answers: a page from a standby is better than none. Raises ``ValueError`` for a writer that is sent to
    servers which take no writes.
    """
    known = _known(found)
    wanted = known.get("target_session_attrs")
    several = "," in str(known.get("host") or "") or "," in str(known.get("hostaddr") or "") or "?" in known
    if read_only:
        if wanted is None and several:
            return found | {"target_session_attrs": "primary"}, found | {"target_session_attrs": "any"}
        return (found | {"target_session_attrs": _OF_READERS.get(wanted, wanted)} if wanted else found,)
    if wanted is not None and wanted not in _OF_WRITERS:
        raise ValueError(f"target_session_attrs={wanted} leads to servers that take no writes: use read-write")
    # "any" of several would be the first that answers: after a failover that may be the standby.
    return (found | {"target_session_attrs": "read-write"} if several and wanted in (None, "any") else found,)


def _known(found: dict[str, Any]) -> dict[str, Any]:
    """Return what decides to which servers an address leads, wherever it is said; ``?`` for a service not found."""
    around = {name: os.environ[variable] for name, variable in _VARIABLES.items() if os.environ.get(variable)}
    if not (service := str(found.get("service") or os.environ.get("PGSERVICE") or "")):
        return around | found
    for path in _service_files():
        with suppress(OSError, ValueError):
            if (said := _service(text_of(path, _SERVICES_BYTES), service)) is not None:
                return around | said | found
    return around | {"?": service} | found


def _service_files() -> Iterator[Path]:
    own = os.environ.get("PGSERVICEFILE")
    yield Path(own) if own else Path("~/.pg_service.conf").expanduser()
    places = os.environ.get("PGSYSCONFDIR")
    yield from (Path(place) / "pg_service.conf" for place in ((places,) if places else _SERVICES))


def _service(text: str, name: str) -> dict[str, str] | None:
    """Return what a ``pg_service.conf`` says of a service, None when it does not know it."""
    said: dict[str, str] | None = None
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            if said is not None:
                break
            said = {} if line == f"[{name}]" else None
        elif said is not None and line and not line.startswith("#"):
            key, _, value = line.partition("=")
            said.setdefault(key.strip(), value.strip())
    return said


def of_programs(found: dict[str, Any]) -> str:
    """Return the address for the command line of PostgreSQL's programs, without the password; may raise ValueError."""
    from psycopg.conninfo import make_conninfo

    if found.get("sslpassword"):
        raise ValueError("sslpassword cannot be given to PostgreSQL's programs unseen: use a client key without one")
    told = {name: value for name, value in found.items() if name not in _SECRETS}
    if "hostaddr" in told:
        told.setdefault("host", told["hostaddr"])  # they ask for as many names as addresses
    return make_conninfo("", **told)

"""No secret and no trick of a stranger's text gets into a line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import parse_qsl, unquote

from monitor.text.cleaner import clean
from monitor.text.redaction import Forms, forms_of, redacted

LONGEST = 2_000
"""Letters of a message."""
LONGEST_VALUE = 300
_READ = 4 * LONGEST
"""So much of a text is looked at: whoever sends more pays no more."""
_NAMED_SECRETS = ("CHATWATCH_WEBHOOK_TOKEN", "PGPASSWORD")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_DATABASE = "CHATWATCH_DATABASE"
_HOSTS = re.compile(r"(?:(?:[\w.%-]*|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?:,|$))*")
"""Hosts of an address, with a port each or without."""
_PASSWORDS = re.compile(r"\b\w*pass\w*\s*=\s*(?:'((?:[^'\\]|\\.)*)'?|((?:[^\s\\]|\\.)+))")
"""A password in ``host=… password=…``, in quotes or without."""
_BACKSLASH = re.compile(r"\\(.)")
_SHOWN = re.compile(r"\b(host|hostaddr|port|dbname|user)\s*=\s*([\w.,:/@-]+)")


class Hidden:
    """The secrets that this process knows. They are only ever added: a line may be about the configuration before."""

    def __init__(self) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._forms = Forms()

    def add(self, secrets: Iterable[str]) -> None:
        """Hide these as well, in every spelling."""
        found = self._secrets | {secret for secret in secrets if secret}
        if found != self._secrets:
            self._secrets = found
            self._forms = forms_of(tuple(sorted(found)))

    def line(self, text: str, longest: int = LONGEST) -> str:
        """Return a text as one harmless line."""
        # Cleaning removes invisible characters and could join a split secret again, so redact before and
        # after it, and cut last, because a secret cut short is not recognised.
        cleaned = clean(redacted(text[:_READ], self._forms), _READ)
        line = redacted(cleaned, self._forms)
        return line if len(line) <= longest else line[: longest - 1] + "…"


HIDDEN = Hidden()


def hide(secrets: Iterable[str]) -> None:
    """Let these secrets appear in no line of this process from now on."""
    HIDDEN.add(secrets)


def of_environment(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the secrets that every program may have in its environment: a token, passwords of database and proxies."""
    yield from filter(None, (environ.get(name) for name in _NAMED_SECRETS))
    for name in _PROXIES:
        for given in (environ.get(name, ""), environ.get(name.upper(), "")):
            if password := given.rpartition("@")[0].rpartition("://")[2].partition(":")[2]:
                yield from (password, unquote(password))
    address = environ.get(_DATABASE, "")
    if "://" not in address:
        for found in _PASSWORDS.finditer(address):
            yield _BACKSLASH.sub(r"\1", found[1] or found[2])
        return
    place, _, query = address.partition("://")[2].partition("?")
    user, mark, hosts = place.partition("/")[0].rpartition("@")
    if not _HOSTS.fullmatch(hosts):
        yield address  # cannot be parsed, so all of it may be a password
        return
    password = user.partition(":")[2] if mark else ""
    yield from (password, unquote(password))
    yield from (value for name, value in parse_qsl(query) if "pass" in name.lower())


def shown_database(address: str) -> str:
    """Return a database's address without password and options."""
    scheme, mark, place = address.partition("?")[0].partition("://")
    if not mark:
        return " ".join(found[0] for found in _SHOWN.finditer(_PASSWORDS.sub("", address))) or "not readable"
    authority, slash, path = place.partition("/")
    user, at, hosts = authority.rpartition("@")
    if not _HOSTS.fullmatch(hosts):
        return "not readable"
    return f"{scheme}://{user.partition(':')[0]}{at}{hosts}{slash}{path}"

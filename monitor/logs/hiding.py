"""No secret and no trick of a stranger's text gets into a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from monitor.text.cleaner import clean
from monitor.text.redaction import Forms, forms_of, redacted

LONGEST = 2_000
"""Letters of a message."""
LONGEST_VALUE = 300
_READ = 4 * LONGEST
"""So much of a text is looked at: whoever sends more pays no more."""
_NAMED_SECRETS = ("CHATWATCH_WEBHOOK_TOKEN",)
_DATABASE = "CHATWATCH_DATABASE"


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
    """Yield the secrets that every program may have in its environment: a token, and the database's password."""
    yield from (environ.get(name, "") for name in _NAMED_SECRETS)
    try:
        parts = urlsplit(environ.get(_DATABASE, ""))
        password = parts.password or ""
        query = parse_qsl(parts.query)
    except ValueError:
        yield environ.get(_DATABASE, "")  # cannot be parsed, so all of it may be a password
        return
    yield from (password, unquote(password))
    yield from (value for name, value in query if "pass" in name.lower())


def shown_database(url: str) -> str:
    """Return a database's address without password and options."""
    try:
        parts = urlsplit(url)
        host = f"{parts.username}@{parts.hostname or ''}" if parts.username else parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "not readable"
    return f"{parts.scheme}://{host}{port}{parts.path}"

"""``${NAME}``: secrets come from the environment, and only into fields that are kept secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from monitor.config.faults import Code, Faults
from monitor.config.take import names_of
from monitor.config.yamltree import Path_, Tree
from monitor.core.model.message_codes import MessageCode, coded
from monitor.probes.base import Options, secrets_of
from monitor.wire import DIRECT, WireError, from_environment

REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""A reference, or ``$${``, which stands for the characters ``${`` themselves."""
LITERAL = "for the characters themselves write $${"
_PLACEHOLDER = "not-set"
_OF_THE_WAY = frozenset({"proxy_auth", "client_key_password"})
"""Secrets that the target never gets."""


@dataclass(slots=True)
class Secrets:
    """Fills references in and remembers where they stood and what was missing."""

    environ: Mapping[str, str]
    used: set[Path_] = field(default_factory=set)
    halves: set[Path_] = field(default_factory=set)
    """Of these, references that are not well formed."""
    missing: list[str] = field(default_factory=list)

    def fill(self, value: Any, tree: Tree, path: Path_, faults: Faults) -> Any:
        """Return ``value`` with every reference replaced; ``path`` is where it stands."""
        if isinstance(value, dict):
            return {key: self.fill(item, tree, (*path, key), faults) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, tree, (*path, index), faults) for index, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        is_half = "${" in REFERENCE.sub("", value)
        if is_half or any(found[1] for found in REFERENCE.finditer(value)):
            self.used.add(path)
        if is_half:
            self.halves.add(path)
            hint = f"write ${{NAME}} with letters, digits and _; {LITERAL}"
            faults.add(Code.BAD_REFERENCE, tree, path, "the reference to the environment is not well formed", hint)
            return value
        return REFERENCE.sub(lambda match: self.look_up(match[1]) if match[1] else "${", value)

    def look_up(self, name: str) -> str:
        """Return a secret, or a placeholder after noting by name only what is wrong with it."""
        secret = self.environ.get(name, "")
        if not secret:
            self.note(coded(MessageCode.SECRET_NOT_SET, name=name))
        elif secret != secret.strip() or not secret.isprintable():
            self.note(coded(MessageCode.SECRET_MALFORMED, name=name))
        else:
            return secret
        return _PLACEHOLDER

    def note(self, reason: str) -> None:
        """Remember why something is switched off, once."""
        if reason not in self.missing:
            self.missing.append(reason)

    def check(self, options: BaseModel, value: dict[str, Any], tree: Tree, path: Path_, faults: Faults) -> None:
        """Fault secrets that are written out and references in fields that are shown to people."""
        names = names_of(type(options))
        spelled = {names.get(key, key): key for key in value}
        secret = {(*path, spelled.get(str(head), head), *rest) for head, *rest in _secret_paths(options, ())}
        for place in sorted(self.used - self.halves - secret, key=str):
            if place[: len(path)] == path:
                hint = f"secrets may stand in secret fields only, such as key or secret_headers; {LITERAL}"
                faults.add(Code.MISPLACED_SECRET, tree, place, f'"{_named(place)}" is shown to people', hint)
        for place in sorted(secret - self.used, key=str):
            if place in tree.lines or place in tree.origins:
                hint = "write ${NAME} and put the value into the environment"
                faults.add(Code.PLAIN_SECRET, tree, place, f'"{_named(place)}" holds a secret in plain text', hint)


def exposed(options: Options, environ: Mapping[str, str]) -> str:
    """Say which proxy could read a probe's secret, because its target is spoken to without TLS; empty for none."""
    url = options.address()
    held = (getattr(options, name) for name in type(options).model_fields if name not in _OF_THE_WAY)
    if not url.startswith("http://") or not any(secret for value in held for secret in secrets_of(value)):
        return ""
    way = options.way()
    if way is not None and way.proxy:
        return "" if way.proxy == DIRECT else "its secret can be read by its proxy, as the target is not asked over TLS"
    parts = urlsplit(url)
    try:
        proxy = from_environment(environ).for_target("http", parts.hostname or "", parts.port or 80)
    except WireError:
        return ""
    return f"its secret can be read by the environment's proxy; name {parts.hostname} in NO_PROXY" if proxy else ""


def _named(place: Path_) -> str:
    """Return the key that a place belongs to: a place in a list has only a number."""
    return next((part for part in reversed(place) if isinstance(part, str)), "")


def _secret_paths(value: Any, path: Path_) -> Iterator[Path_]:
    if isinstance(value, SecretStr):
        yield path
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secret_paths(getattr(value, name), (*path, name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _secret_paths(item, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _secret_paths(item, (*path, index))

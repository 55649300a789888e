"""What has to change in ``probes.yaml`` so that its probes get the thresholds that were tried.

Without a service the named policies change; with one, only what its probes use, under a name of their own if somebody
else uses the same. Whatever is planned is read again as the file would be, and counts only if every probe has exactly
the policy that it should have: then nobody else's thresholds moved either.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.config.adopt.splice import NoPlaceError, Path_, Splices
from monitor.config.faults import ConfigError
from monitor.config.load import Config, load
from monitor.config.models import PolicyEntry, policy_of
from monitor.config.yamltree import LONGEST_BYTES, Tree, parse
from monitor.core.catalogue import Policy, service_of
from monitor.core.checks.former import FORMER
from monitor.plain_files import opened

DEFAULT = "default"
BOM = b"\xef\xbb\xbf"


class AdoptError(Exception):
    """The change cannot be written; the text says why and what to do."""


@dataclass(frozen=True)
class Wish:
    """What was tried: thresholds by their names in the file, over a named policy or each probe's own."""

    changes: Mapping[str, Any]
    policy: str = ""
    service: str = ""

    def of(self, config: Config) -> dict[str, Policy]:
        """Return the policy that each probe of a configuration should have."""
        entry, named = PolicyEntry.model_validate(dict(self.changes)), config.policies.get(self.policy)
        found = {}
        for probe in config.catalogue.probes:
            concerned = not self.service or service_of(probe.component) == self.service
            base = named if named is not None and not probe.control else probe.policy  # no control names a policy
            found[probe.id] = policy_of(entry, base) if concerned else probe.policy
        return found


@dataclass(frozen=True)
class Adoption:
    """A file as it is, and as it would be."""

    path: Path
    before: bytes
    after: bytes
    policies: Mapping[str, Policy]
    """What each probe has after it."""

    @property
    def is_nothing(self) -> bool:
        """Say whether the file says so already."""
        return self.before == self.after


def planned(path: Path, config: Config, wish: Wish, environ: Mapping[str, str]) -> Adoption:
    """Return the change of a file that ``config`` was read from. Raises :class:`AdoptError`."""
    before = _bytes(path)
    wanted = wish.of(config)
    if {probe.id: probe.policy for probe in config.catalogue.probes} == wanted:
        return Adoption(path, before, before, wanted)
    head = BOM if before.startswith(BOM) else b""
    text = before.decode("utf-8-sig")
    try:
        ids = [service.id for service in config.catalogue.services]
        after = head + _spliced(text, path, ids, wish).encode("utf-8")
    except NoPlaceError as error:
        raise AdoptError(f"{path} has no place for it at {error}: {_by_hand(wish)}") from None
    if _policies(path, after, environ) != wanted:
        raise AdoptError(f"in {path} that would change other probes too, or not all of these: {_by_hand(wish)}")
    return Adoption(path, before, after, wanted)


def _by_hand(wish: Wish) -> str:
    words = ", ".join(f"{name}: {value}" for name, value in wish.changes.items()) or f"policy: {wish.policy}"
    return f"write {words} by hand, and see chatwatch check --expand"


def _bytes(path: Path) -> bytes:
    try:
        with opened(path) as file:
            return file.read(LONGEST_BYTES + 1)
    except OSError as error:
        raise AdoptError(f"cannot read {path}: {error.strerror}") from None


def _policies(path: Path, data: bytes, environ: Mapping[str, str]) -> dict[str, Policy] | None:
    """Return each probe's policy as the changed file says; None if it could not be loaded."""
    with tempfile.TemporaryDirectory(prefix="chatwatch-") as folder:
        copy = Path(folder, path.name)
        copy.write_bytes(data)
        try:
            config = load(copy, environ)
        except ConfigError:
            return None
    return {probe.id: probe.policy for probe in config.catalogue.probes}


def _spliced(text: str, path: Path, ids: Sequence[str], wish: Wish) -> str:
    tree = parse(text.encode("utf-8"), Tree(str(path)))
    document: Mapping[str, Any] = tree.value
    policies = document.get("policies") or {}
    rows = [("services", place) for place in range(len(document.get("services") or ()))]
    chosen = [
        row for row, name in zip(rows, ids, strict=False) if wish.service in ("", name)
    ]  # after them come controls
    splices = Splices(text)
    if wish.policy:
        for name, value in wish.changes.items():
            splices.set(("policies", wish.policy), name, value)
        for place in chosen:
            _name(splices, document, place, wish.policy)
    elif wish.service:
        users = Counter(name for row in rows for _, name in _naming(document, row))
        for place in chosen:
            _own_names(splices, document, users, place, wish)
    else:
        names = {*wish.changes, *(name.removesuffix("_s") for name in FORMER)}
        touched = [name for name, given in policies.items() if name != DEFAULT and names & given.keys()]
        _set(splices, dict.fromkeys((DEFAULT, *touched), wish.changes), policies)
    return splices.result()


def _set(splices: Splices, news: Mapping[str, Mapping[str, Any]], policies: Mapping[str, Any]) -> None:
    """Give policies of the file thresholds: those that it has first, new ones in one piece."""
    absent = {name: given for name, given in news.items() if not policies.get(name)}
    for name, given in news.items():
        if name not in absent:
            for key, value in given.items():
                splices.set(("policies", name), key, value)
    if not policies and absent:
        splices.set((), "policies", absent)
        return
    for name, given in absent.items():
        splices.set(("policies",), name, given)


def _name(splices: Splices, document: Mapping[str, Any], place: Path_, policy: str) -> None:
    """Let a service and all its parts use a policy."""
    splices.set(place, "policy", policy)
    for path, name in _naming(document, place):
        if path != place and name != policy:
            splices.set(path, "policy", policy)


def _own_names(
    splices: Splices, document: Mapping[str, Any], users: Mapping[str, int], place: Path_, wish: Wish
) -> None:
    """Change the policies that a service uses, each under a name of its own where others use it as well."""
    policies = document.get("policies") or {}
    inside = dict(_naming(document, place))
    within = Counter(inside.values())
    inside.setdefault(place, DEFAULT)
    news: dict[str, Mapping[str, Any]] = {}
    for old in dict.fromkeys(inside.values()):
        if old != DEFAULT and users[old] == within[old]:
            news[old] = wish.changes
            continue
        own = wish.service if old == DEFAULT else f"{wish.service}-{old}"[:63]
        while own in policies or own in news:
            own = f"{own[:60]}-2"
        given = policies.get(old) if old != DEFAULT else None
        news[own] = {**(given or {}), **wish.changes}
        for path in [path for path, name in inside.items() if name == old]:
            splices.set(path, "policy", own)
    _set(splices, news, policies)


def _naming(document: Mapping[str, Any], place: Path_) -> Iterator[tuple[Path_, str]]:
    """Yield (place, policy) of a service and its parts, where they name one."""
    row = document[str(place[0])][place[1]]
    if row.get("policy"):
        yield place, row["policy"]
    for kind in ("components", "probes"):
        for index, part in enumerate(row.get(kind) or []):
            if isinstance(part, dict) and part.get("policy"):
                yield (*place, kind, index), part["policy"]


def write(adoption: Adoption) -> None:
    """Put the change into the file's place, whole or not at all, with the rights it had. Raises :class:`AdoptError`."""
    path = adoption.path.resolve()
    if _bytes(path) != adoption.before:
        raise AdoptError(f"{adoption.path} has changed meanwhile, so nothing was written: run the backtest again")
    part = None
    try:
        if not os.access(path, os.W_OK):
            raise PermissionError(13, "Permission denied")
        rights = path.stat()
        handle, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(adoption.after)
            file.flush()
            if (os.geteuid(), os.getegid()) != (rights.st_uid, rights.st_gid):
                os.fchown(file.fileno(), rights.st_uid, rights.st_gid)
            os.fchmod(file.fileno(), rights.st_mode & 0o7777)
            os.fsync(file.fileno())
        if _bytes(path) != adoption.before:
            raise AdoptError(f"{adoption.path} has changed meanwhile, so nothing was written: run the backtest again")
        Path(part).replace(path)
        part = None
    except OSError as error:
        raise AdoptError(f"cannot write {adoption.path}: {error.strerror}") from None
    finally:
        if part is not None:
            Path(part).unlink(missing_ok=True)

"""What has to change in ``probes.yaml`` so that its probes get the thresholds that were tried.

Without a service the named policies change; with one, only what its probes use, under a name of their own if somebody
else uses the same. Whatever is planned is read again as the file would be, and counts only if every probe has exactly
the policy that it should have: then nobody else's thresholds moved either.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from monitor.config.adopt.edits import spliced
from monitor.config.adopt.splice import NoPlaceError
from monitor.config.adopt.wish import AdoptError, Adoption, Wish
from monitor.config.adopt.writing import bytes_of
from monitor.config.faults import ConfigError
from monitor.config.load import Config, load
from monitor.core.catalogue import Policy

BOM = b"\xef\xbb\xbf"


def planned(path: Path, config: Config, wish: Wish, environ: Mapping[str, str]) -> Adoption:
    """Return the change of a file that ``config`` was read from. Raises :class:`AdoptError`."""
    before = bytes_of(path)
    wanted = wish.of(config)
    if {probe.id: probe.policy for probe in config.catalogue.probes} == wanted:
        return Adoption(path, before, before, wanted)
    head = BOM if before.startswith(BOM) else b""
    text = before.decode("utf-8-sig")
    try:
        ids = [service.id for service in config.catalogue.services]
        after = head + spliced(text, path, ids, wish).encode("utf-8")
    except NoPlaceError as error:
        raise AdoptError(f"{path} has no place for it at {error}: {_by_hand(wish)}") from None
    if _policies(path, after, environ) != wanted:
        raise AdoptError(f"in {path} that would change other probes too, or not all of these: {_by_hand(wish)}")
    return Adoption(path, before, after, wanted)


def _by_hand(wish: Wish) -> str:
    words = ", ".join(f"{name}: {value}" for name, value in wish.changes.items()) or f"policy: {wish.policy}"
    return f"write {words} by hand, and see chatwatch check --expand"


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

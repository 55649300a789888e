"""The whole file, top down: document → policies → services → components → probes, then what refers to them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from monitor.channels import KINDS as CHANNEL_KINDS
from monitor.channels.base import address_fault
from monitor.config import discovered
from monitor.config.build import Builder
from monitor.config.faults import Code, ConfigError, Fault, Faults, did_you_mean
from monitor.config.models import Document, KeepEntry, Listen, RouteEntry
from monitor.config.networks import network_fault
from monitor.config.planned import planned
from monitor.config.secrets import Secrets
from monitor.config.settled import Channel, Keeping, Settings, Settled
from monitor.config.take import rest_of, take
from monitor.config.yamltree import Path_, Tree, read
from monitor.core.catalogue import Catalogue, Policy, Route, share_out
from monitor.probes.base import Options as ProbeOptions
from monitor.probes.base import secrets_of

_FLAWS = {
    "unreadable": Code.UNREADABLE,
    "utf8": Code.NOT_UTF8,
    "syntax": Code.SYNTAX,
    "bomb": Code.BOMB,
    "tag": Code.TAG,
    "duplicate": Code.DUPLICATE_KEY,
}


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that ``probes.yaml`` says."""

    catalogue: Catalogue
    looks: Mapping[str, ProbeOptions]
    """Probe id → options of its kind; only probes that run."""
    channels: Mapping[str, Channel] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    unverified: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Service → facts of its preset that nobody has verified: (field, source and date)."""
    policies: Mapping[str, Policy] = field(default_factory=dict)
    """The named thresholds, ``default`` among them."""
    sources: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Service → where every field of its preset is from: (field, source and date)."""
    hints: tuple[str, ...] = ()
    """What is read although it is written otherwise today, with its place."""
    lists: Mapping[str, tuple[str, ProbeOptions]] = field(default_factory=dict)
    """Service whose list of models is to be read → kind and options to ask it by."""

    def settled(self) -> Settled:
        """Return what the recorder works by."""
        holding = (*self.looks.values(), *(channel.options for channel in self.channels.values()))
        secrets = dict.fromkeys(secret for options in holding for secret in secrets_of(options))
        reporting = ((probe.id, self.looks.get(probe.id)) for probe in self.catalogue.probes if probe.reports_in)
        tokens = {name: getattr(options, "token", None) for name, options in reporting}
        shown = {name: token.get_secret_value() for name, token in tokens.items() if token}
        return Settled(self.catalogue, self.settings, self.channels, tuple(secrets), shown)


def load(path: Path, environ: Mapping[str, str], location: str | None = None) -> Config:
    """Read ``path``; secrets come from ``environ``. Raises :class:`ConfigError` with every fault of the file."""
    tree = read(path)
    faults = Faults()
    _note_flaws(tree, faults)
    if tree.value is None:
        if not tree.flaws:
            faults.add(
                Code.NOTHING_TO_WATCH, tree, (), "the file is empty", "begin with the probes.yaml that comes along"
            )
        raise ConfigError(faults.found)
    document = take(Document, tree.value, tree, (), faults) or _rest(tree.value)
    builder = Builder(tree, faults, environ, document.locations, known_lists=discovered.read(discovered.place_of(path)))
    builder.policies(document.policies)
    builder.services(document.services)
    builder.controls(document.controls)
    builder.finish()
    channels = _channels(document.channels, tree, faults, environ)
    services = {service.id for service in builder.service_list}
    routes = _routes(document.routes, tree, faults, set(document.channels), services, builder.faulty)
    settings = _settings(document, tree, faults, location)
    work = planned(document.maintenance, tree, faults, services, builder)
    if faults.found:
        raise ConfigError(faults.found)
    parts = tuple(builder.service_list), tuple(builder.component_list), share_out(builder.probe_list)
    catalogue = Catalogue(*parts, routes, planned=work)
    known = _versioned(catalogue, builder.looks)
    facts = dict(builder.unverified), dict(builder.named), dict(builder.sources), tuple(builder.hints)
    return Config(known, dict(builder.looks), channels, settings, *facts, lists=dict(builder.lists))


def _note_flaws(tree: Tree, faults: Faults) -> None:
    for flaw in tree.flaws:
        faults.found.append(Fault(tree.file, flaw.line, _FLAWS[flaw.kind].value, flaw.message, flaw.hint))


def _rest(value: Any) -> Document:
    """Return what can still be checked of a faulty top level."""
    sound: dict[str, Any] = {}
    if isinstance(value, dict):
        for key, kind in {
            "services": list,
            "controls": list,
            "routes": list,
            "maintenance": list,
            "policies": dict,
            "channels": dict,
        }.items():
            if isinstance(value.get(key), kind):
                sound[key] = value[key]
        names = value.get("locations")
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            sound["locations"] = tuple(names)
    return Document.model_construct(**sound)


def _channels(entries: Mapping[str, Any], tree: Tree, faults: Faults, environ: Mapping[str, str]) -> dict[str, Channel]:
    found: dict[str, Channel] = {}
    for name, entry in entries.items():
        path: Path_ = ("channels", name)
        kind = entry.get("kind") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(kind, str):
            faults.add(Code.MISSING_KEY, tree, path, f'channel "{name}" needs a kind', did_you_mean("", CHANNEL_KINDS))
        elif kind not in CHANNEL_KINDS:
            hint = did_you_mean(kind, CHANNEL_KINDS)
            faults.add(Code.UNKNOWN_CHANNEL_KIND, tree, (*path, "kind"), f'unknown channel kind "{kind}"', hint)
        else:
            given = {key: value for key, value in entry.items() if key != "kind"}
            secrets = Secrets(environ)
            filled = secrets.fill(given, tree, path, faults)
            options = take(CHANNEL_KINDS[kind].options, filled, tree, path, faults)
            if options is not None:
                secrets.check(options, given, tree, path, faults)
            off = "; ".join(secrets.missing)
            if options is not None and not off and (why := address_fault(options)):
                faults.add(Code.VALUE, tree, (*path, "url"), f'"url" of channel "{name}" cannot be used', why)
            found[name] = Channel(name, kind, None if off else options, off)
    return found


def _routes(
    entries: list[Any], tree: Tree, faults: Faults, channels: set[str], services: set[str], unread: set[str]
) -> tuple[Route, ...]:
    found: dict[str, Route] = {}
    for index, value in enumerate(entries):
        path: Path_ = ("routes", index)
        entry = take(RouteEntry, value, tree, path, faults)
        entry = entry or rest_of(RouteEntry, value, {"id": f"unread-{index}", "channels": []})
        if entry is None:
            continue
        for key, words, known in (("channels", entry.channels, channels), ("services", entry.services, services)):
            for place, word in enumerate(words):
                if word not in known | unread:
                    message = f'route "{entry.id}" names an unknown {key[:-1]} "{word}"'
                    faults.add(Code.UNKNOWN_NAME, tree, (*path, key, place), message, did_you_mean(word, known))
        if entry.id in found:
            faults.add(Code.DUPLICATE_ID, tree, (*path, "id"), f'route "{entry.id}" stands here twice')
        found[entry.id] = Route(entry.id, entry.channels, entry.services, entry.severities, entry.escalate_after)
    return tuple(found.values())


def _settings(document: Document, tree: Tree, faults: Faults, location: str | None) -> Settings:
    listen = take(Listen, document.listen, tree, ("listen",), faults) or Listen()
    kept = take(KeepEntry, document.keep, tree, ("keep",), faults) or KeepEntry()
    doors = listen.model_dump()
    for door, address in doors.items():
        other = next(name for name in doors if doors[name] == address)
        if other != door and not address.endswith(":0"):
            faults.add(Code.VALUE, tree, ("listen", door), f'"{door}" and "{other}" cannot both listen at {address}')
    if not document.locations:
        faults.add(Code.VALUE, tree, ("locations",), "at least one location is needed", "write locations: [local]")
    here = location or next(iter(document.locations), "local")
    if here not in document.locations:
        hint = did_you_mean(here, document.locations)
        faults.add(Code.UNKNOWN_LOCATION, tree, ("locations",), f'location "{here}" is not listed here', hint)
    for index, network in enumerate(document.allow_networks):
        if why := network_fault(network):
            faults.add(Code.VALUE, tree, ("allow_networks", index), f'"{network[:60]}" {why[0]}', why[1])
    if document.ca_file is not None and not Path(document.ca_file).is_file():
        faults.add(Code.VALUE, tree, ("ca_file",), "the file with certificate authorities does not exist")
    return Settings(
        file=tree.file,
        location=here,
        locations=document.locations,
        label=document.label,
        allow_networks=document.allow_networks,
        ca_file=document.ca_file,
        keep=Keeping(kept.looks, kept.evidence, kept.incidents, kept.audit),
        **doors,
    )


def _versioned(catalogue: Catalogue, looks: Mapping[str, ProbeOptions]) -> Catalogue:
    """Stamp the catalogue with a hash of all that it says; secrets count as stars."""
    digest = hashlib.sha256(repr(catalogue).encode())
    for probe, options in sorted(looks.items()):
        digest.update(f"{probe}={options!r}".encode())
    return replace(catalogue, version=digest.hexdigest()[:16])

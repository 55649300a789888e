"""Services, components and probes of a document and of the presets that it names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from monitor.config.discovered import Listed
from monitor.config.faults import Code, Faults, did_you_mean
from monitor.config.models import (
    ComponentEntry,
    ControlEntry,
    PolicyEntry,
    PresetRow,
    ProbeEntry,
    ServiceEntry,
    former_of,
    policy_of,
)
from monitor.config.presets import expand
from monitor.config.secrets import Secrets, exposed
from monitor.config.take import M, names_of, rest_of, take
from monitor.config.yamltree import Path_, Tree
from monitor.core.catalogue import Component, Policy, Probe, Service, service_of
from monitor.core.checks.former import hints
from monitor.core.components.soundness import policy_faults
from monitor.core.model.states import Health
from monitor.probes import KINDS
from monitor.probes.base import Options

MOST_PROBES = 20_000
OURSELVES = Service("chatwatch", "Chatwatch's own network", public=False)
CONTROLS = Component("chatwatch/controls", "chatwatch", "Control targets", public=False)
SCHEME = re.compile(r"^(?:bearer|token|apikey|api-key)\s+", re.IGNORECASE)
"""What stands before a key in a header, in any case."""
KEY_HEADERS = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key"})
"""Headers in which vendors take their keys."""
_WORST = {"degraded": Health.DEGRADED, "partial": Health.PARTIAL, "major": Health.MAJOR}
_OVERRIDES = ("id", "name", "url", "status_page", "public", "policy")


@dataclass(frozen=True, slots=True)
class Scope:
    """Where probes of a service are read: the document, its service, and the policy that they inherit."""

    tree: Tree
    service: str
    policy: str | None


@dataclass(slots=True)
class Builder:
    """Collects what is watched, in the order of the file, and every fault on the way."""

    tree: Tree
    faults: Faults
    environ: Mapping[str, str]
    locations: tuple[str, ...]
    named: dict[str, Policy] = field(default_factory=lambda: {"default": Policy()})
    service_list: list[Service] = field(default_factory=list)
    component_list: list[Component] = field(default_factory=list)
    probe_list: list[Probe] = field(default_factory=list)
    key_names: dict[str, str] = field(default_factory=dict, repr=False)
    """Key → a name for it; never shown, and gone with the builder."""
    looks: dict[str, Options] = field(default_factory=dict)
    seen: dict[str, tuple[str, int]] = field(default_factory=dict)
    depends: list[tuple[str, Tree, Path_]] = field(default_factory=list)
    own_policy: dict[str, str] = field(default_factory=dict)
    """Component → the policy that it names."""
    unverified: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Service → facts of its preset that nobody has verified: (field, source and date)."""
    sources: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Service → all facts of its preset."""
    known_lists: Mapping[str, Listed] = field(default_factory=dict)
    """Service → the models that it told, for rows that want these."""
    lists: dict[str, tuple[str, Options]] = field(default_factory=dict)
    """Service whose list of models is to be read → kind and options to ask it by."""
    hints: list[str] = field(default_factory=list)
    """What is read although it is written otherwise today."""
    faulty: set[str] = field(default_factory=set)
    """Components, and services with all of theirs, that could not be read: a reference to them is no fault."""

    def policies(self, entries: Mapping[str, Any]) -> None:
        """Read the named thresholds; ``default`` first, because the others start from it."""
        for name in sorted(entries, key=lambda name: name != "default"):
            path: Path_ = ("policies", name)
            entry = take(PolicyEntry, entries[name], self.tree, path, self.faults)
            whole = entry is not None
            if entry is None:
                entry = rest_of(PolicyEntry, entries[name], {}) or PolicyEntry()
                given = set(entries[name]) if isinstance(entries[name], dict) else set()
                whole = given & names_of(PolicyEntry).keys() <= entry.model_fields_set
            policy = policy_of(entry, self.named["default"])
            self.named[name] = policy
            file, line = self.tree.place(path)
            self.hints += [f'{file}:{line}: policy "{name}": {hint}' for hint in hints(former_of(entry))]
            for message in (
                policy_faults(policy) if whole else ()
            ):  # a threshold that was itself refused contradicts nothing
                self.faults.add(Code.POLICY, self.tree, path, f'policy "{name}": {message}')

    def services(self, entries: list[Any]) -> None:
        """Read the services, written out or from presets."""
        for index, value in enumerate(entries):
            path: Path_ = ("services", index)
            if isinstance(value, dict) and "preset" in value:
                self.preset(value, path)
                continue
            entry = take(ServiceEntry, value, self.tree, path, self.faults)
            entry = entry or rest_of(ServiceEntry, value, {"id": f"unread-{index}", "name": "-"})
            if entry is None:
                continue
            self.service(entry, self.tree, path)
            if "id" not in entry.model_fields_set:
                self.service_list.pop()
                self.faulty.add(str(value.get("id")))

    def service(self, entry: ServiceEntry, tree: Tree, path: Path_) -> None:
        """Add a service with its components and probes."""
        self.unique("service", entry.id, tree, (*path, "id"))
        self.service_list.append(Service(entry.id, entry.name, entry.url, entry.status_page, entry.public))
        self.thresholds(entry.policy, tree, path)
        self.parts(entry.components, entry.probes, Scope(tree, entry.id, entry.policy), path)

    def preset(self, value: dict[str, Any], path: Path_) -> None:
        """Expand a preset with the row's differences."""
        expanded = expand(value, self.tree, path, self.faults, self.known_lists)
        if expanded is None:
            self.beside(value, path)
            return
        row, tree = expanded.row, expanded.tree
        changes = {key: getattr(row, key) for key in _OVERRIDES if getattr(row, key) is not None}
        for key in changes:
            tree.origins["service", key] = self.tree.place((*path, key))
        tree.origins["service", "id"] = self.tree.place((*path, "id"))
        entry = take(ServiceEntry, tree.value["service"] | changes, tree, ("service",), self.faults)
        if entry is None:
            return
        body, known = (
            tree.value,
            {str(part.get("id")) for part in tree.value["components"] + tree.value["probes"] if part is not None},
        )
        known |= {*expanded.former}
        for index, name in enumerate(row.without):
            if name not in known:
                message = f'"without" names "{name}", which preset "{row.preset}" does not have'
                self.faults.add(
                    Code.UNKNOWN_NAME, self.tree, (*path, "without", index), message, did_you_mean(name, known)
                )
        self.service(entry, tree, ("service",))
        scope = Scope(tree, entry.id, entry.policy)
        probes = [
            None
            if probe is None
            or {probe.get("id"), probe.get("component")} & {*row.without}
            or self.lacks(probe, expanded.parameters)
            else probe
            for probe in body["probes"]
        ]
        components = [
            None if part.get("id") in row.without else _without(part, row.without) for part in body["components"]
        ]
        for kept, facts in ((self.unverified, expanded.unverified), (self.sources, expanded.sources)):
            kept[entry.id] = tuple(fact for fact in facts if not _leaves_out(fact[0], probes, components, body))
        self.parts(components, probes, scope, ())
        self.parts(row.components, row.probes, Scope(self.tree, entry.id, entry.policy), path)
        if expanded.lister is not None:
            self.lister(expanded.lister, scope, path)
            if not self.known_lists.get(entry.id):
                file, line = self.tree.place((*path, "models"))
                self.hints.append(f'{file}:{line}: no models of "{entry.id}" are known yet: the worker reads its list')

    def lister(self, probe: dict[str, Any], scope: Scope, path: Path_) -> None:
        """Note by which options a service's list of models is read; one without its key is read by nobody."""
        entry = take(ProbeEntry, probe, scope.tree, path, self.faults)
        if entry is not None:
            options, missing = self.options(entry, scope, path)
            if options is not None and not missing:
                self.lists[scope.service] = (entry.kind, options)

    def beside(self, value: dict[str, Any], path: Path_) -> None:
        """Check what a row adds to a preset that could not be expanded."""
        row = rest_of(PresetRow, {key: value[key] for key in PresetRow.model_fields if key in value}, {"preset": ""})
        if row is not None:
            service = row.id or row.preset
            self.faulty.add(service)
            self.parts(row.components, row.probes, Scope(self.tree, service, row.policy), path)

    @staticmethod
    def lacks(probe: dict[str, Any], parameters: Mapping[str, Any]) -> bool:
        """Say whether a parameter that the probe cannot do without is null."""
        return any(parameters.get(name) is None for name in probe.get("needs", ()))

    def parts(self, components: list[Any], probes: list[Any], scope: Scope, path: Path_) -> None:
        """Add components and probes; None marks one that was left out, so that the lines stay right."""
        for index, value in enumerate(components):
            if value is not None:
                self.component(value, scope, (*path, "components", index))
        for index, value in enumerate(probes):
            place = (*path, "probes", index)
            entry = None if value is None else self.taken(ProbeEntry, value, scope, place)
            if entry is not None:
                self.probe(entry, scope, place)

    def component(self, value: Any, scope: Scope, path: Path_) -> None:
        """Add a component."""
        entry = take(ComponentEntry, value, scope.tree, path, self.faults)
        entry = entry or rest_of(ComponentEntry, value, {"name": "-"})
        if entry is None:
            name = value.get("id") if isinstance(value, dict) else None
            self.faulty.add(f"{scope.service}/{name}")
            return
        full = f"{scope.service}/{entry.id}"
        self.unique("component", full, scope.tree, (*path, "id"))
        depends = tuple(name if "/" in name else f"{scope.service}/{name}" for name in entry.depends_on)
        self.depends += [(name, scope.tree, (*path, "depends_on", place)) for place, name in enumerate(depends)]
        part = Component(full, scope.service, entry.name, entry.kind, entry.public, depends, entry.names)
        self.component_list.append(part)
        if entry.policy:
            self.thresholds(entry.policy, scope.tree, path)
            self.own_policy[full] = entry.policy

    def controls(self, entries: list[Any]) -> None:
        """Add the targets that only tell whether we are online ourselves."""
        if not entries:
            return
        self.service_list.append(OURSELVES)
        self.component_list.append(CONTROLS)
        scope = Scope(self.tree, OURSELVES.id, None)
        for index, value in enumerate(entries):
            path: Path_ = ("controls", index)
            entry = self.taken(ControlEntry, value, scope, path)
            if entry is not None:
                read = entry.model_fields_set | {"component"}
                whole = ProbeEntry.model_construct(_fields_set=read, **{**entry.__dict__, "component": "controls"})
                self.probe(whole, scope, path, control=True)

    def taken(self, model: type[M], value: Any, scope: Scope, path: Path_) -> M | None:
        """Return a probe's entry; what can still be read of a faulty one is checked all the same."""
        entry = take(model, value, scope.tree, path, self.faults)
        entry = entry or rest_of(model, value, {"id": "unread", "component": "", "kind": ""})
        if isinstance(entry, ControlEntry) and {"interval", "timeout"} & {*value} <= entry.model_fields_set:
            self.check_times(entry, scope.tree, path)
        return entry

    def probe(self, entry: ProbeEntry, scope: Scope, path: Path_, *, control: bool = False) -> None:
        """Add a probe: what every probe has, then the options of its kind."""
        tree, full = scope.tree, f"{scope.service}-{entry.id}"
        component = f"{scope.service}/{entry.component}"
        if "id" in entry.model_fields_set:
            self.unique("probe", full, tree, (*path, "id"))
        if "component" in entry.model_fields_set:
            self.depends.append((component, tree, (*path, "component")))
        locations = self.places(entry, tree, path)
        own = entry.policy or self.own_policy.get(component)
        policy = self.thresholds(own or scope.policy, tree, path)
        options, missing = self.options(entry, scope, (*path, "options"))
        if options is None:
            return
        kind, disabled = KINDS[entry.kind], entry.disabled or missing
        self.probe_list.append(
            Probe(
                id=full,
                component=component,
                kind=entry.kind,
                interval_s=int(entry.interval),
                timeout_s=entry.timeout,
                locations=locations,
                policy=policy,
                witness=kind.is_witness if entry.witness is None else entry.witness,
                control=control,
                impact_when_down=_WORST[entry.worst],
                disabled=disabled,
                target=options.target(),
                model=getattr(options, "model", "") if kind.asks_model else "",
                budget_tokens_day=getattr(options, "budget_tokens_day", None),
                budget_usd_day=getattr(options, "budget_usd_day", None),
                key=self.key_name(options),
                reach=kind.reach_of(options),
                speaks_http=kind.speaks_http,
                reports_in=kind.take_report is not None,
                asks_model=kind.asks_model,
                tells_registration=kind.tells_registration,
                proves=kind.proves(options),
            )
        )
        if not disabled:
            self.looks[full] = options

    def key_name(self, options: Options) -> str:
        """Return a name that tells which probes share a key, and nothing else of it; empty without a key."""
        held = getattr(options, "key", None)
        if not isinstance(held, SecretStr):  # a look at a list of models names its key in a header
            headers: Mapping[str, SecretStr] = getattr(options, "secret_headers", None) or {}
            held = min(headers.items(), key=lambda item: item[0].lower() not in KEY_HEADERS, default=("", None))[1]
        key = SCHEME.sub("", held.get_secret_value().strip()) if held is not None else ""
        return self.key_names.setdefault(key, f"key {len(self.key_names) + 1}") if key else ""

    def options(self, entry: ProbeEntry, scope: Scope, path: Path_) -> tuple[Options | None, str]:
        """Return the options of a probe's kind, and which secrets are missing."""
        if "kind" not in entry.model_fields_set:
            return None, ""
        if entry.kind not in KINDS:
            hint = did_you_mean(entry.kind, KINDS)
            message = f'unknown probe kind "{entry.kind}"'
            self.faults.add(Code.UNKNOWN_KIND, scope.tree, (*path[:-1], "kind"), message, hint)
            return None, ""
        given, kind = dict(entry.options), KINDS[entry.kind]
        for key in kind.names_components:
            if isinstance(named := given.get(key), dict):
                given[key] = {theirs: f"{scope.service}/{slug}" for theirs, slug in named.items()}
                self.depends += [(full, scope.tree, (*path, key)) for full in given[key].values()]
        secrets = Secrets(self.environ)
        filled = secrets.fill(given, scope.tree, path, self.faults)
        options = take(kind.options, filled, scope.tree, path, self.faults)
        if options is not None:
            secrets.check(options, given, scope.tree, path, self.faults)
            if hint := exposed(options, self.environ):
                file, line = scope.tree.place(path)
                self.hints.append(f'{file}:{line}: probe "{entry.id}": {hint}')
        return options, "; ".join(secrets.missing)

    def check_times(self, entry: ControlEntry, tree: Tree, path: Path_) -> None:
        """Fault a look that may outlast its interval, and intervals off the grid of whole seconds."""
        if entry.interval != int(entry.interval):
            self.faults.add(Code.INTERVAL, tree, (*path, "interval"), "the interval must be whole seconds")
        if entry.interval < entry.timeout:
            message = f"the interval ({entry.interval:g} s) is shorter than the timeout ({entry.timeout:g} s)"
            place = (*path, "interval") if (*path, "interval") in tree.lines else (*path, "timeout")
            self.faults.add(Code.INTERVAL, tree, place, message, "lengthen the interval or shorten the timeout")

    def places(self, entry: ProbeEntry, tree: Tree, path: Path_) -> tuple[str, ...]:
        """Return where the probe looks from."""
        for index, name in enumerate(entry.locations or ()):
            if name not in self.locations:
                hint = did_you_mean(name, self.locations)
                message = f'unknown location "{name}"'
                self.faults.add(Code.UNKNOWN_LOCATION, tree, (*path, "locations", index), message, hint)
        return entry.locations or self.locations

    def thresholds(self, name: str | None, tree: Tree, path: Path_) -> Policy:
        """Return a policy by name."""
        if name is not None and name not in self.named:
            hint = did_you_mean(name, self.named)
            self.faults.add(Code.UNKNOWN_NAME, tree, (*path, "policy"), f'unknown policy "{name}"', hint)
        return self.named.get(name or "default", self.named["default"])

    def unique(self, what: str, name: str, tree: Tree, path: Path_) -> None:
        """Fault an id that was there before."""
        here = tree.place(path)
        first = self.seen.setdefault(f"{what} {name}", here)
        if first != here:
            hint = f"the first is at {first[0]}:{first[1]}"
            self.faults.add(Code.DUPLICATE_ID, tree, path, f'{what} "{name}" stands here twice', hint)

    def finish(self) -> None:
        """Check what refers to other parts, and that there is something to do."""
        known = {component.id for component in self.component_list}
        for name, tree, path in self.depends:
            if name not in known and not {name, service_of(name)} & self.faulty:
                hint = did_you_mean(name, known)
                self.faults.add(Code.UNKNOWN_NAME, tree, path, f'unknown component "{name}"', hint)
        if len(self.probe_list) > MOST_PROBES:
            message = f"{len(self.probe_list)} probes are more than {MOST_PROBES}"
            self.faults.add(Code.TOO_MANY, self.tree, ("services",), message, "run several instances")
        if not self.faults.found and not any(not probe.control for probe in self.probe_list):
            self.faults.add(Code.NOTHING_TO_WATCH, self.tree, ("services",), "no probe is named")


def _without(part: dict[str, Any], left_out: tuple[str, ...]) -> dict[str, Any]:
    """Return a component that no longer needs what the row leaves out."""
    needed = [name for name in part.get("depends_on", ()) if name not in left_out]
    return part | {"depends_on": needed} if "depends_on" in part else part


def _leaves_out(name: str, probes: list[Any], components: list[Any], body: Mapping[str, Any]) -> bool:
    """Say whether a field of a preset belongs to a probe or component that the row does without."""
    kind, _, rest = name.partition(".")
    kept = {"probes": (probes, body["probes"]), "components": (components, body["components"])}.get(kind)
    if kept is None:
        return False
    place = rest.partition(".")[0]
    left, whole = ({part.get("id") for part in parts if part is not None} for parts in kept)
    return place in whole - left

"""The shapes that ``probes.yaml`` may have: one flat, strict model a level."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, create_model

from monitor.config.discovered import DISCOVER
from monitor.config.settled import DAY_S, FOR_EVER, Keeping, Settings
from monitor.core.catalogue import ComponentKind, Policy, Publishing
from monitor.core.checks.former import FORMER, modern
from monitor.core.model.alerting import Severity
from monitor.core.scenario.durations import seconds
from monitor.probes.base import Seconds, host_of
from monitor.text.lexicon import Language

HIGHEST_PORT = 65535
FOREVER = "forever"
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f-\x9f\u202a-\u202e]+$")]


def _linked(text: str) -> str:
    if text and not host_of(text):
        raise ValueError("no browser could open it: a host, and a port from 1 to 65535 if any")
    return text


def _listened(address: str) -> str:
    if int(address.rpartition(":")[2]) > HIGHEST_PORT:
        raise ValueError(f"there is no port above {HIGHEST_PORT}")
    return address


Link = Annotated[str, StringConstraints(max_length=500, pattern=r"^(https?://[^\s\"'<>]+)?$"), AfterValidator(_linked)]
Address = Annotated[
    str,
    StringConstraints(pattern=r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$"),
    AfterValidator(_listened),
]
Positive = Annotated[Seconds, Field(gt=0)]


class Entry(BaseModel):
    """Base of every level: frozen, no unknown keys, no values in error messages."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Listen(Entry):
    """Where the programs listen, as ``host:port``."""

    metrics: Address = Settings().metrics
    web: Address = Settings().web
    live: Address = Settings().live
    console: Address = Settings().console


def _kept(least_days: int) -> Any:
    """Return the type of a time that something is kept for: a duration of so many days at least, or ``forever``."""

    def read(value: Any) -> float:
        if value == FOREVER:
            return FOR_EVER
        found = seconds(value)
        if found < least_days * DAY_S:
            raise ValueError(f"at least {least_days}d, or {FOREVER}: pages and figures read that far back")
        return found

    return Annotated[float, BeforeValidator(read)]


class KeepEntry(Entry):
    """How long what was recorded is kept."""

    looks: _kept(2) = Keeping().looks_s  # type: ignore[valid-type]  # made for this field
    evidence: _kept(1) = Keeping().evidence_s  # type: ignore[valid-type]  # the same
    incidents: _kept(100) = Keeping().incidents_s  # type: ignore[valid-type]  # the same
    audit: _kept(30) = Keeping().audit_s  # type: ignore[valid-type]  # the same


class Document(Entry):
    """The top of the file. Lists and mappings below it are checked level by level."""

    locations: tuple[Slug, ...] = ("local",)
    label: Annotated[str, StringConstraints(max_length=200)] = ""
    allow_networks: tuple[str, ...] = ()
    ca_file: str | None = None
    listen: dict[str, Any] = {}
    keep: dict[str, Any] = {}
    policies: dict[Slug, Any] = {}
    services: list[Any] = []
    controls: list[Any] = []
    channels: dict[Slug, Any] = {}
    routes: list[Any] = []
    maintenance: list[Any] = []


class ServiceEntry(Entry):
    """A service written out."""

    id: Slug
    name: Name
    url: Link = ""
    status_page: Link = ""
    public: bool = True
    policy: str | None = None
    components: list[Any] = []
    probes: list[Any] = []


def _several(value: Any) -> Any:
    if value != DISCOVER and not isinstance(value, list):
        raise ValueError(f"a list of models, or the word {DISCOVER}")
    return value


class PresetRow(Entry):
    """A service taken from ``monitor/vendors``: the differences; what else stands there are its parameters."""

    preset: str
    id: Slug | None = None
    name: Name | None = None
    url: Link | None = None
    status_page: Link | None = None
    public: bool | None = None
    policy: str | None = None
    without: tuple[str, ...] = ()
    models: Annotated[list[Any] | str, BeforeValidator(_several)] = []
    """Several models in the place of one: names, or parameters with ``model`` among them; or whatever is listed."""
    components: list[Any] = []
    probes: list[Any] = []


class PresetFile(Entry):
    """A file of ``monitor/vendors``; the format is described there."""

    service: dict[str, Any]
    parameters: dict[str, Any] = {}
    components: list[Any] = []
    probes: list[Any] = []
    former: tuple[str, ...] = ()
    sources: dict[str, Any] = {}


class Parameter(Entry):
    """What a user may write beside ``preset:``."""

    default: Any = None
    required: bool = False
    example: Any = None
    help: str = ""


class _ComponentEntry(Entry):
    """A part of a service, but for its names in other languages."""

    id: Slug
    name: Name
    kind: ComponentKind = ComponentKind.OTHER
    public: bool = True
    depends_on: tuple[str, ...] = ()
    policy: str | None = None

    @property
    def names(self) -> dict[str, str]:
        """Code of a language → the name in it, where one is given."""
        return {code: name for code, key in NAME_IN.items() if (name := getattr(self, key))}


NAME_IN = {language.value: f"name_{language}" for language in Language if language is not Language.EN}
"""Code of a language → the key of a component's name in it; ``name`` is the English one."""
_OTHER_NAMES: dict[str, Any] = {key: (Annotated[str, StringConstraints(max_length=80)], "") for key in NAME_IN.values()}

ComponentEntry = create_model("ComponentEntry", __base__=_ComponentEntry, **_OTHER_NAMES)
"""A part of a service."""


class ControlEntry(Entry):
    """What every probe has; the options of its kind are checked by the kind."""

    id: Slug
    kind: str
    interval: Annotated[Seconds, Field(ge=1, le=86_400)] = 60.0
    timeout: Annotated[Seconds, Field(gt=0, le=3_600)] = 10.0
    locations: tuple[str, ...] | None = None
    options: dict[str, Any] = {}


class ProbeEntry(ControlEntry):
    """A probe of a component."""

    component: str
    policy: str | None = None
    worst: Literal["degraded", "partial", "major"] = "major"
    witness: bool | None = None
    needs: tuple[str, ...] = ()
    disabled: Annotated[str, StringConstraints(max_length=200)] = ""


class RouteEntry(Entry):
    """Who is told about what."""

    id: Slug
    channels: tuple[str, ...]
    services: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = (Severity.PAGE, Severity.TICKET)
    escalate_after: Seconds = 0.0


class MaintenanceEntry(Entry):
    """Planned work that the file knows of: single, or repeated by the clock of a time zone."""

    id: Slug
    service: Slug
    components: tuple[str, ...] = ()
    title: Name
    text: Annotated[str, StringConstraints(max_length=500)] = ""
    starts: str
    lasts: Positive
    repeat: str = ""
    time_zone: str = "UTC"
    until: str = ""


def _policy_fields() -> dict[str, Any]:
    """Mirror :class:`Policy`: a duration loses its ``_s``, counts and ratios keep their names; all optional."""
    types = {field.name: str(field.type) for field in dataclasses.fields(Policy)} | dict(FORMER)
    return {name.removesuffix("_s"): (_kind_of(name, type_) | None, None) for name, type_ in types.items()}


def _kind_of(name: str, type_: str) -> Any:
    if name.endswith("_ratio"):
        return Annotated[float, Field(gt=0, le=1)]
    if name.endswith("_s"):
        return Positive
    kinds = {"int": Annotated[int, Field(ge=1, le=1000)], "bool": bool, "Publishing": Publishing}
    return kinds.get(type_, Annotated[float, Field(ge=0)])


PolicyEntry: type[Entry] = create_model("PolicyEntry", __base__=Entry, **_policy_fields())
"""Thresholds by name; what is left out is inherited."""


def policy_of(entry: Entry, base: Policy) -> Policy:
    """Return ``base`` with what the entry sets; today's names go before former ones."""
    names = {field.name.removesuffix("_s"): field.name for field in dataclasses.fields(Policy)}
    given = {names[name]: value for name, value in entry.model_dump(exclude_none=True).items() if name in names}
    return dataclasses.replace(base, **(modern(former_of(entry)) | given))


def former_of(entry: Entry) -> dict[str, Any]:
    """Return the thresholds of the rules before the sequential test that an entry sets."""
    given = entry.model_dump(exclude_none=True)
    return {name: given[name.removesuffix("_s")] for name in FORMER if name.removesuffix("_s") in given}

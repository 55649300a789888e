"""What is watched, how often and by which rules: the part of ``probes.yaml`` that the rules need.

Options of a probe kind (URLs, headers, secrets) are not here; only the prober ever sees those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from monitor.core.maintenance import Maintenance
from monitor.core.model.alerting import Severity
from monitor.core.model.depth import Reach
from monitor.core.model.states import Health
from monitor.core.schedule import slot


def service_of(component: str) -> str:
    """Return the service that a component's id begins with, as ``deepseek`` of ``deepseek/api``."""
    return component.partition("/")[0]


class ComponentKind(StrEnum):
    """What a component is to a visitor; decides which of the product's questions it answers."""

    WEB = "web"
    API = "api"
    REGISTRATION = "registration"
    LOGIN = "login"
    OTHER = "other"


class Proof(StrEnum):
    """How much of a component a good look of a probe has seen at work."""

    NAME = "name"
    """The name resolves."""
    CONNECTION = "connection"
    """Somebody takes connections, with a good certificate."""
    EDGE = "edge"
    """The front door answers: a page, a status, a sign-in nobody used."""
    WORK = "work"
    """The thing itself: a question was answered, somebody signed in, a source said who may sign up."""

    @property
    def depth(self) -> int:
        """Higher has seen more."""
        return {"name": 0, "connection": 1, "edge": 2, "work": 3}[self.value]


class Publishing(StrEnum):
    """Whether an incident of some impact goes public by itself."""

    AUTOMATIC = "automatic"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Policy:
    """The thresholds of the rules. Every field is printed on the method page with its unit."""

    false_pages_per_year: float = 0.5
    """Pages a year that are tolerated at one component while the service works and 1 % of all looks fail by chance."""
    shortest_outage_s: float = 35.0
    """An outage shorter than this pages nobody; a longer one is found this much later."""
    failure_ratio: float = 0.10
    """Share of failing looks from which on it counts as trouble; twice as much is found quickly."""
    early_looks: bool = True
    """While something is suspected look again within seconds, else on the next tick only."""
    quorum_locations: int = 1
    """Fewest locations that must agree before a component is down (``components.health.quorum``)."""
    stale_after_intervals: float = 3.0
    """Without evidence for so many intervals a probe is unknown."""
    recovery_window_s: float = 120.0
    """An incident is monitored this long with good evidence only, then resolved."""
    reopen_window_s: float = 1800.0
    """A relapse within this time of the resolution reopens the incident."""
    flap_start_percent: float = 30.0
    flap_stop_percent: float = 20.0
    throttled_after: int = 3
    """429s in a row without a sign of our own limit before they count as the service's failure."""
    max_loop_lag_s: float = 0.25
    """A sample taken while our loop was later than this never alerts."""
    slo_target_ratio: float = 0.99
    repeat_page_s: float = 3600.0
    """An unacknowledged page is repeated this often."""
    publish_minor: Publishing = Publishing.AUTOMATIC
    publish_major: Publishing = Publishing.AUTOMATIC
    publish_critical: Publishing = Publishing.AUTOMATIC
    review_limit_s: float = 900.0
    """An incident that waits for a person's review is published by itself after this time."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe as the rules know it."""

    id: str
    component: str
    """Id of the component it speaks for."""
    kind: str
    """How it looks: a word for people. What the rules must know of a kind stands below."""
    interval_s: int
    timeout_s: float
    locations: tuple[str, ...] = ("local",)
    policy: Policy = field(default_factory=Policy)
    witness: bool = False
    """True for the vendor's own page: shown beside our verdict, never part of it."""
    control: bool = False
    """True for a target that is only there to tell whether *we* are online."""
    impact_when_down: Health = Health.MAJOR
    """The worst this probe alone can make of its component."""
    disabled: str = ""
    """Why it does not run, as ``"secret DEEPSEEK_API_KEY is not set"``; empty when it runs."""
    target: str = ""
    """Host shown to people and in metrics; never a secret, never a full URL."""
    model: str = ""
    """Model asked by a chat probe."""
    budget_tokens_day: int | None = None
    """What a chat probe may use in a UTC day, at each location; None without limit."""
    budget_usd_day: float | None = None
    key: str = ""
    """Which of our keys it uses: a name that tells keys apart and says nothing else; empty if that is not known."""
    reach: Reach = Reach.HTTP
    """How far its good look gets: what it proves of our own side."""
    speaks_http: bool = False
    reports_in: bool = False
    """True if a job reports to the worker instead of being asked."""
    asks_model: bool = False
    """True if it asks a model, which costs tokens."""
    tells_registration: bool = False
    """True if it tells who can sign up."""
    sharing: int = 1
    """How many probes of its component may page: they share the false pages that are tolerated (:func:`share_out`)."""
    proves: Proof = Proof.EDGE
    """What a good look of it has seen at work; see :func:`monitor.core.components.health.component_health`."""


@dataclass(frozen=True, slots=True)
class Component:
    """A part of a service that a visitor knows by name."""

    id: str
    """``service/slug``, as ``deepseek/registration``."""
    service: str
    name: str
    kind: ComponentKind = ComponentKind.OTHER
    public: bool = True
    depends_on: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    """Code of a language → the name in it, where it differs from :attr:`name`."""

    def name_in(self, language: str) -> str:
        """Return the name for who reads *language*."""
        return self.names.get(language) or self.name


@dataclass(frozen=True, slots=True)
class Service:
    """An AI chat service."""

    id: str
    name: str
    url: str = ""
    status_page: str = ""
    public: bool = True


@dataclass(frozen=True, slots=True)
class Route:
    """Who is told about what."""

    id: str
    channels: tuple[str, ...]
    services: tuple[str, ...] = ()
    """Empty means all."""
    severities: tuple[Severity, ...] = (Severity.PAGE, Severity.TICKET)
    escalate_after_s: float = 0.0
    """0 tells at once; otherwise only if nobody acknowledged for so long."""


@dataclass(frozen=True, slots=True)
class Planned:
    """Maintenance that is part of the configuration."""

    window: Maintenance
    title: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that is watched. Ids are unique and stable; the order is the order of the page."""

    services: tuple[Service, ...] = ()
    components: tuple[Component, ...] = ()
    probes: tuple[Probe, ...] = ()
    routes: tuple[Route, ...] = ()
    version: str = ""
    """Hash of the configuration that it came from."""
    planned: tuple[Planned, ...] = ()


@dataclass(frozen=True)
class Index:
    """A catalogue with its parts by id."""

    catalogue: Catalogue = field(default_factory=Catalogue)
    services: Mapping[str, Service] = field(default_factory=dict)
    components: Mapping[str, Component] = field(default_factory=dict)
    probes: Mapping[str, Probe] = field(default_factory=dict)
    probes_of: Mapping[str, tuple[Probe, ...]] = field(default_factory=dict)
    """Component id → its probes, in order."""
    policies: Mapping[str, Policy] = field(default_factory=dict)
    """Service id → the policy of its incidents and alerts: that of its first probe that is no witness."""

    def service_of(self, probe: Probe) -> str:
        """Return the service a probe speaks for."""
        component = self.components.get(probe.component)
        return component.service if component else service_of(probe.component)

    def policy(self, service: str) -> Policy:
        """Return the policy of a service's incidents and alerts; the default where nothing looks at it."""
        return self.policies.get(service) or Policy()


def make_index(catalogue: Catalogue) -> Index:
    """Return the catalogue by id."""
    probes_of: dict[str, tuple[Probe, ...]] = {}
    for probe in catalogue.probes:
        probes_of[probe.component] = (*probes_of.get(probe.component, ()), probe)
    index = Index(
        catalogue,
        {service.id: service for service in catalogue.services},
        {component.id: component for component in catalogue.components},
        {probe.id: probe for probe in catalogue.probes},
        probes_of,
    )
    policies: dict[str, Policy] = {}
    for probe in catalogue.probes:
        if not probe.witness:
            policies.setdefault(index.service_of(probe), probe.policy)
    return replace(index, policies=policies)


def share_out(probes: Iterable[Probe]) -> tuple[Probe, ...]:
    """Return probes with the number of those that share the false pages which are tolerated at their component.

    Two that see the same work find its outages sooner than one; without this they would page falsely twice as often.
    """
    listed = tuple(probes)
    paging = Counter(probe.component for probe in listed if _may_page(probe))
    return tuple(
        replace(probe, sharing=max(1, paging[probe.component])) if _may_page(probe) else probe for probe in listed
    )


def _may_page(probe: Probe) -> bool:
    silent = probe.witness or probe.control or probe.disabled
    return not silent and probe.impact_when_down.severity >= Health.PARTIAL.severity


def series_in_order(catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Yield (probe id, location) of everything that is looked at, by location and then by place on the grid.

    What is due together lies together in the database, so that one batch of results touches few pages.
    """
    by_slot = sorted(catalogue.probes, key=lambda probe: (probe.interval_s, slot(probe.id, probe.interval_s)))
    for location in sorted({location for probe in catalogue.probes for location in probe.locations}):
        yield from ((probe.id, location) for probe in by_slot if location in probe.locations)

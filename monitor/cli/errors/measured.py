"""What our own looks say now of the service that a text is about, and what the vendor's page says beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from monitor.cli.errors.speakers import Speaker
from monitor.core.catalogue import ComponentKind, Proof
from monitor.core.model.reasons import OF_A_CLOCK, Outcome, Reason
from monitor.core.model.states import Health
from monitor.probes.page import is_other_site

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.store.reads.views import ComponentView, ProbeView, ServiceView


@dataclass(frozen=True, slots=True)
class Measured:
    """The component that answers such requests, as it is now."""

    component: ComponentView
    our_key: bool | None
    """Does it answer our key? None where no question is asked with one, or nothing can be said."""
    page: Health | None
    """What the vendor's page says of it; None where none is read."""
    page_failed: bool = False
    """The vendor's page is read and could not be."""
    incident: str = ""
    """Id of the open incident."""

    @property
    def works(self) -> bool:
        """Our looks find it in order, now."""
        return self.component.health is Health.OPERATIONAL

    def as_json(self) -> dict[str, Any]:
        """Return the field ``measured``."""
        part = self.component
        return {
            "component": part.id,
            "state": part.state,
            "reason": part.reason.value,
            "since": _stamp(part.since),
            "seen_at": _stamp(part.observed_at),
            "answers_our_key": self.our_key,
            "vendor_page": None if self.page is None else self.page.value,
            "incident": self.incident or None,
        }


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")


def measured(engine: Engine, said_by: Speaker, now: datetime) -> Measured | None:
    """Return what is measured of whoever spoke; None where it is not watched. Raises ``StoreError``."""
    from monitor.store.reads.alerting import probes
    from monitor.store.reads.page import snapshot

    host = said_by.host or said_by.usual_host
    if not host and not said_by.vendor:
        return None
    looks = [look for look in probes(engine) if not look.probe.witness and not look.probe.control]
    shown = snapshot(engine, now, public=False, history=False)
    service = _service(shown.services, looks, host, said_by)
    part = None if service is None else _part(service, looks, host)
    if service is None or part is None:
        return None
    said = service.upstream.reading if service.upstream else None
    incident = next((one.id for one in shown.open_incidents if part.id in one.components), "")
    return Measured(
        part,
        _answers(part, looks),
        None if said is None else said.mapped.get(part.id, said.indicator),
        service.upstream is not None and service.upstream.failed_since is not None,
        incident,
    )


def _service(
    services: tuple[ServiceView, ...], looks: list[ProbeView], host: str, said_by: Speaker
) -> ServiceView | None:
    """Find the service by the host that its probes ask, by their site, or by the vendor's name."""
    by_host = {look.probe.component.partition("/")[0] for look in looks if look.probe.target == host}
    by_site = {
        look.probe.component.partition("/")[0]
        for look in looks
        if host and look.probe.target and not is_other_site(f"//{look.probe.target}", f"//{host}", ())
    }
    named = {service.id for service in services if said_by.vendor and said_by.vendor.lower() in service.name.lower()}
    for wanted in (by_host, by_site, set() if said_by.host else named):
        if found := next((service for service in services if service.id in wanted), None):
            return found
    return None


def _part(service: ServiceView, looks: list[ProbeView], host: str) -> ComponentView | None:
    """Choose the component that answers such requests: one whose model is asked, any that is asked there, the API."""
    judged = {part.id: part for part in service.judged}
    at_host = [look.probe for look in looks if look.probe.component in judged and look.probe.target == host]
    asking = [look.probe for look in looks if look.probe.component in judged and look.probe.asks_model]
    for probe in (*(one for one in at_host if one.asks_model), *asking, *at_host):
        return judged[probe.component]
    return next((part for part in judged.values() if part.kind is ComponentKind.API), None)


def _answers(part: ComponentView, looks: list[ProbeView]) -> bool | None:
    """Say whether the newest looks that ask a model with a key were answered, or refused."""
    asked = [
        look.result
        for look in looks
        if look.probe.component == part.id and look.probe.asks_model and look.probe.proves is Proof.WORK and look.result
    ]
    if part.health is not Health.UNKNOWN and any(one.outcome in (Outcome.OK, Outcome.SLOW) for one in asked):
        return True
    return False if any(one.reason in (Reason.AUTH, Reason.AUTH_BROKEN) for one in asked) else None


def joined(reason: Reason, now: Measured | None) -> Reason:
    """Return the reason after what is measured: the rules' own way of telling a refused key and a broken network.

    A key that is refused while the vendor refuses keys that worked is the vendor's. A connection that fails while ours
    to the same place works is the asker's, as a failing look is ours while independent targets answer; so is a clock.
    """
    if now is None:
        return reason
    if reason is Reason.AUTH and now.component.reason is Reason.AUTH_BROKEN and not now.works:
        return Reason.AUTH_BROKEN
    if now.works and reason.is_network_class:
        return Reason.NETWORK
    return Reason.CLOCK if now.works and reason in OF_A_CLOCK else reason

"""Google Cloud: ``incidents.json``, by its ``incidents.schema.json``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.upstream.parts import COMPONENTS, ROWS, Look, impact_of, need, worst
from monitor.probes.upstream.platform import Endpoints, Platform, is_document
from monitor.text.cleaner import as_map, as_rows, clean

LONG_BODY_BYTES = 6 * 2**20
"""The list of incidents goes back for years. Decoding JSON holds up the loop, so no other page may be as long."""


def endpoints(url: str) -> Endpoints:
    """Return where the incidents are."""
    main = url if is_document(url) else f"{url.rstrip('/')}/incidents.json"
    return Endpoints(main, body_bytes=LONG_BODY_BYTES)


def read(document: Any, look: Look) -> UpstreamReading:
    """Read ``incidents.json``; what is watched are the ids (or titles) of products, none means all.

    The file lists no products, only those in trouble: one that is never mentioned is operational, and a retired id
    cannot be told from a healthy one. An open incident that names no product may be about any of them.
    """
    products = look.watched
    rows = as_rows(need(document, list, "list of incidents"), 500)
    wanted = {product.casefold(): product for product in products}
    states = dict.fromkeys(products, Health.OPERATIONAL)
    found, trouble = [], []
    if not all(isinstance(row, dict) for row in document):
        look.warn(WarningCode.UPSTREAM_SHAPE_CHANGED)
        states = dict.fromkeys(products, Health.UNKNOWN)
    for row in rows:
        named = [key for key in _products(row) if key]
        touched = [wanted[key] for key in named if key in wanted]
        if products and not touched:
            if not _names_all(row) and not look.has_ended(row.get("end")):
                trouble.append(Health.UNKNOWN)
                states.update({product: worst((health, Health.UNKNOWN)) for product, health in states.items()})
            continue
        latest = as_map(row.get("most_recent_update"))
        health = look.health(latest.get("status"))
        is_over = look.has_ended(row.get("end"))
        if not is_over:
            trouble.append(health)
            states.update({product: worst((states[product], health)) for product in touched})
        found.append(_incident(row, touched, is_over, health, look))
    components = [(product, product, health) for product, health in states.items()]
    return look.reading(worst(trouble) if trouble else Health.OPERATIONAL, components, found)


def _names_all(row: dict[str, Any]) -> bool:
    """Tell whether an incident names its products, each by id and title."""
    listed = row.get("affected_products")
    found = as_rows(listed, COMPONENTS)
    is_whole = isinstance(listed, list) and len(found) == len(listed[:COMPONENTS])
    return bool(found) and is_whole and all(clean(one.get(key), 100) for one in found for key in ("id", "title"))


def _products(row: dict[str, Any]) -> Iterator[str]:
    for product in as_rows(row.get("affected_products"), COMPONENTS):
        yield from (clean(product.get(key), 100).casefold() for key in ("id", "title"))


def _incident(
    row: dict[str, Any], touched: list[str], is_over: bool, health: Health, look: Look
) -> UpstreamIncident | None:
    severity = {"low": Impact.MINOR, "medium": Impact.MAJOR, "high": Impact.CRITICAL}
    said = [look.update(update.get("when"), None, update.get("text")) for update in as_rows(row.get("updates"), ROWS)]
    uri = clean(row.get("uri"), 200)
    return look.incident(
        id=row.get("id"),
        name=row.get("external_desc") or row.get("service_name"),
        status=IncidentStatus.RESOLVED if is_over else IncidentStatus.INVESTIGATING,
        impact=severity.get(clean(row.get("severity"), 20).lower(), impact_of(health)),
        started=(row.get("begin"), row.get("created")),
        updated=row.get("modified"),
        resolved=row.get("end"),
        url=f"{look.page_url.rstrip('/')}/{uri.lstrip('/')}" if uri else "",
        updates=said,
        components=touched,
    )


KIND = Platform("google_cloud", endpoints, read, lists_components=False)

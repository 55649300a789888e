"""How a platform of status pages declares itself: where its pages keep their data, and how that is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from monitor.core.model.upstream import UpstreamIncident, UpstreamReading
from monitor.probes.upstream.parts import Look, Part

BODY_BYTES = 2 * 2**20


class Endpoints(NamedTuple):
    """Where a page's data is. ``history`` also has what is resolved; ``parts`` has components kept apart.

    In the addresses of the past ``{since}`` and ``{now}`` stand for Unix seconds.
    """

    main: str
    history: str = ""
    parts: str = ""
    impacts: str = ""
    """What ``history`` does not tell of the ends of incidents."""
    body_bytes: int = BODY_BYTES
    """Longest answer of ``main``."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What a platform is and needs. All that others know of it stands here."""

    name: str
    """The word in ``probes.yaml``, and the name of its file."""
    endpoints: Callable[[str], Endpoints]
    """The page's address → the addresses to ask."""
    read: Callable[[Any, Look], UpstreamReading]
    """Reads the JSON of ``main``, or its bytes if ``is_markup``; raises nothing but ``UnreadableError``."""
    history: Callable[[Any, Look], list[UpstreamIncident | None]] | None = None
    """Reads the incidents in the JSON of ``Endpoints.history``, with that of ``Endpoints.impacts`` under ``impacts``;
    never raises."""
    parts: Callable[[Any, Look], list[Part]] | None = None
    """Reads the components in the JSON of ``Endpoints.parts``; never raises."""
    is_markup: bool = False
    """Markup is read by Python, at some microseconds a byte, and always in a thread."""
    lists_components: bool = True
    """False where a page names only what is in trouble: then nothing vanishes from it, and nothing is new."""
    imports: tuple[str, ...] = ()
    """Modules that reading uses and that are imported only where such a page is read."""


def is_document(url: str) -> bool:
    """Tell whether an address is that of JSON itself, which is asked as it stands."""
    return urlsplit(url).path.endswith(".json")

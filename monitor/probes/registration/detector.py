"""What every registration detector shares: how it declares itself, and what one answer comes to.

A detector reads one answer of a product's own, public configuration, or a page, and says what it tells of signing up.
An answer that could not be read gives its reason and no reading: a failed read is never "closed".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, MethodReading, Registration, Source
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.answers import is_html, parse_json, robot_wall
from monitor.probes.base import Context
from monitor.probes.registration.phrases import EXCERPT_CHARS
from monitor.probes.registration.sign_up_page import cannot_tell
from monitor.text.cleaner import as_map
from monitor.wire import Answer, text_of

OPEN, RESTRICTED, CLOSED = Registration.OPEN, Registration.RESTRICTED, Registration.CLOSED


class Reading(NamedTuple):
    """What one answer says. ``readings`` is empty unless ``reason`` is OK, and may be empty even then."""

    readings: tuple[MethodReading, ...] = ()
    warnings: tuple[WarningCode, ...] = ()
    reason: Reason = Reason.OK
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Extra:
    """What single detectors need besides the answer."""

    path: str = ""
    """The option of the same name."""
    mapping: Mapping[str, MethodReading] | None = None
    """The option of the same name, with the readings that its values stand for."""
    more: bool | None = None
    """What the detector's second question found (``ask_more``); ``None`` if it was not asked or not answered."""
    elsewhere: str = ""
    """The undeclared site that a redirect led to."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer, as its detector reads it."""

    document: Any
    """The JSON of any shape; for a detector of pages the page's text."""
    status: int = 200
    extra: Extra = Extra()

    @property
    def fields(self) -> dict[str, Any]:
        """Return the document where it is an object, else an empty one."""
        return as_map(self.document)


def _nothing(heard: Heard) -> Reading:  # noqa: ARG001  # a detector with a look of its own reads nothing here
    return Reading()


def _no_query(ctx: Context) -> dict[str, str]:  # noqa: ARG001  # the hook's
    return {}


@dataclass(frozen=True, slots=True)
class Detector:
    """What a detector is and needs. All that others know of it stands here."""

    name: str
    """The word in ``probes.yaml``, and the name of its file."""
    read: Callable[[Heard], Reading] = _nothing
    """Pure, and never raises, whatever the shape of the document."""
    path: str = ""
    """What is asked for below the product's address, with the query if there is one."""
    query: Callable[[Context], dict[str, str]] = _no_query
    """Further parameters, which those in the address replace."""
    content: bytes | None = None
    """JSON that is sent by POST; by default it asks with GET."""
    redirects: int = 0
    is_page: bool = False
    """It reads a web page, not JSON."""
    statuses: tuple[int, ...] = ()
    """Refusals by which its protocol says something, besides 200."""
    ask_more: Callable[[Answer, Context], Awaitable[bool | None]] | None = None
    """A second question, once the first is answered."""
    announces: bool = False
    """It reads announcements: one that is taken down takes back what it said."""
    needs: tuple[str, ...] = ()
    """Options that have to be given."""
    look: Callable[[Any, Context], Awaitable[Observation]] | None = None
    """Looks in a way of its own: gets the options, and none of the above but ``needs`` counts."""


def detect(
    detector: Detector, status: int, headers: Mapping[str, str], body: bytes, url: str, extra: Extra | None = None
) -> Reading:
    """Read one answer with one detector; never raises. ``url`` is shown as the source.

    The state of signing up is only told by a source that was read: whatever stood in its place is *unreadable*.
    """
    refused = _refusal(status, headers, body)
    if refused and (refused.reason is Reason.BLOCKED or status not in detector.statuses):
        return refused
    if detector.is_page:
        document: Any = text_of(headers, body)
    else:
        try:
            document = parse_json(body)
        except ValueError:
            page = "a web page" if is_html(headers, body) else "no JSON"
            moved = (WarningCode.REGISTRATION_SOURCE_MOVED,) if status == 200 else ()
            return unread(f"{page} where JSON is due", *moved)
    extra = extra or Extra()
    found = detector.read(Heard(document, status, extra))
    if detector.is_page and (untold := cannot_tell(headers, body, url, extra.elsewhere, found.readings)):
        warnings = (WarningCode.REGISTRATION_SOURCE_MOVED,) if extra.elsewhere else found.warnings
        return unread(untold[1], *warnings, reason=untold[0])
    return found._replace(readings=tuple(replace(reading, url=url) for reading in found.readings))


def _refusal(status: int, headers: Mapping[str, str], body: bytes) -> Reading | None:
    """Return the reading of an answer that says nothing of registration because it failed, or ``None``."""
    if wall := robot_wall(status, headers, body):
        return unread(f"turned away by {wall}", reason=Reason.BLOCKED)
    if status in (502, 503, 504, 529) or 500 <= status <= 599:
        reason = Reason.OVERLOADED if status in (503, 529) else Reason.SERVER_ERROR
        return unread(f"HTTP {status}", reason=reason)
    if 300 <= status <= 399 or status in (404, 410):
        return unread(f"HTTP {status}: not at this address", WarningCode.REGISTRATION_SOURCE_MOVED)
    if status == 202:
        return unread("HTTP 202: a page in between", reason=Reason.BLOCKED)
    return None if status == 200 else unread(f"HTTP {status}")


def unread(detail: str, *warnings: WarningCode, reason: Reason = Reason.UNREADABLE) -> Reading:
    """Return "we could not tell", with its reason."""
    return Reading((), warnings, reason, detail)


def missing(field: str) -> Reading:
    """Return "we could not tell", because a field is not there or not of its type."""
    return unread(f"no readable {field} in the answer", WarningCode.REGISTRATION_FIELD_MISSING)


def flag_of_another_type(fields: Mapping[str, Any], *names: str) -> str:
    """Return the first of some flags that is there and is no boolean: unread is never open, and never closed."""
    return next((name for name in names if name in fields and not isinstance(fields[name], bool)), "")


def says(excerpt: str, *readings: MethodReading, warnings: tuple[WarningCode, ...] = ()) -> Reading:
    """Return readings with the words or fields that they come from."""
    return Reading(tuple(replace(reading, excerpt=excerpt[:EXCERPT_CHARS]) for reading in readings), warnings)


def config(method: Method, state: Registration, **details: Any) -> MethodReading:
    """Return what a configuration says of one method; ``details`` are further fields of ``MethodReading``."""
    return MethodReading(method, state, Source.CONFIG_ENDPOINT, **details)


def sso_or_closed(excerpt: str, *, sso: bool) -> Reading:
    """Without sign-up by form, single sign-on may still create accounts; whether it does is not exposed."""
    if sso:
        by_form = config(Method.EMAIL, CLOSED)
        return says(excerpt, config(Method.ANY, RESTRICTED), config(Method.SSO, RESTRICTED), by_form)
    return says(excerpt, config(Method.ANY, CLOSED))

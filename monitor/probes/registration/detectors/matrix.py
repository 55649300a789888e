"""Matrix: the client-server API's registration endpoint, whose refusals list the ways to sign up.

Its protocol asks with an empty POST that starts no registration; choosing this detector is consent to it.
"""

from __future__ import annotations

from monitor.core.model.registration import Method, MethodReading, Source
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.base import Context
from monitor.probes.registration.detector import (
    CLOSED,
    OPEN,
    RESTRICTED,
    Detector,
    Heard,
    Reading,
    missing,
    says,
    unread,
)
from monitor.text.cleaner import clean
from monitor.wire import Answer, WireError

_FLOWS, _STAGES = 50, 20
_TOKENS = frozenset(
    {
        "m.login.registration_token",
        "org.matrix.msc3231.login.registration_token",  # Synapse until 1.53
        "org.matrix.msc3231.registration_token",
    }
)
"""A token of the operator's: an invitation."""
_SERVICES = frozenset({"m.login.application_service", "uk.half-shot.msc2778.login.application_service"})
"""For bridges and bots, and for nobody in person."""
_DELEGATES = (
    "v1/auth_metadata",
    "unstable/org.matrix.msc2965/auth_metadata",
    "unstable/org.matrix.msc2965/auth_issuer",
)
"""Where a server names its OAuth server: by the specification, and as Synapse did before it."""
_FREE = frozenset({"m.login.dummy", "m.login.recaptcha", "m.login.terms", "m.login.email.identity", "m.login.msisdn"})
"""What anybody can do. A stage that is not named here may be an approval or anything else, so it is never "open"."""


def read(heard: Heard) -> Reading:
    """Return what the answer says."""
    document = heard.fields
    if heard.status == 403:
        excerpt = f"HTTP 403 {clean(document.get('errcode'), 60)}"
        if document.get("errcode") not in ("M_FORBIDDEN", "M_UNKNOWN"):
            return unread(excerpt)
        if heard.extra.more is not False:
            return unread(f"{excerpt}; sign-up may be delegated to an OAuth server", WarningCode.REGISTRATION_DELEGATED)
        return says(excerpt, MethodReading(Method.ANY, CLOSED, Source.PROTOCOL))
    flows = document.get("flows")
    if heard.status != 401 or not isinstance(flows, list) or not flows:
        return missing("flows")
    if len(flows) > _FLOWS:
        return unread(f"more than {_FLOWS} flows")
    stages = [_stages(flow) for flow in flows]
    excerpt = "stages: " + clean(" | ".join(", ".join(sorted(flow)) or "none" for flow in stages), 260)
    personal = [flow for flow in stages if not flow & _SERVICES]
    if not personal:
        return unread(f"{excerpt}; only for application services", WarningCode.REGISTRATION_DELEGATED)
    free = [flow for flow in personal if flow and flow <= _FREE]
    if free:
        wanted = {"m.login.email.identity": Method.EMAIL, "m.login.msisdn": Method.PHONE}
        methods = [method for stage, method in wanted.items() if any(stage in flow for flow in free)]
        return says(excerpt, *(MethodReading(method, OPEN, Source.PROTOCOL) for method in (Method.ANY, *methods)))
    if all(flow & _TOKENS for flow in personal):
        return says(excerpt, MethodReading(Method.ANY, RESTRICTED, Source.PROTOCOL, invite_required=True))
    return unread(f"{excerpt}; an unknown stage may stand for anything")


def _stages(flow: object) -> frozenset[str]:
    """Return what one flow asks for; a flow of another shape, or with something that is no text, says nothing."""
    stages = flow.get("stages") if isinstance(flow, dict) else None
    if not isinstance(stages, list) or len(stages) > _STAGES or not all(isinstance(stage, str) for stage in stages):
        return frozenset()
    return frozenset(stages)


async def is_delegated(answer: Answer, ctx: Context) -> bool | None:
    """Tell whether a server that refuses to register announces an OAuth server where one may sign up."""
    if answer.status != 403:
        return None
    root = answer.url.split("/_matrix/", 1)[0]
    for path in _DELEGATES:
        try:
            told = await ctx.wire.fetch("GET", f"{root}/_matrix/client/{path}", limits=ctx.limits())
        except WireError:
            return None
        if told.status != 404:
            return True if told.status == 200 else None
    return False


KIND = Detector(
    "matrix",
    read,
    path="/_matrix/client/v3/register",
    content=b"{}",
    statuses=(401, 403),
    ask_more=is_delegated,
)

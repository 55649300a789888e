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
from monitor.text.cleaner import as_rows, clean
from monitor.wire import Answer, WireError


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
    flows = as_rows(document.get("flows"), 50)
    stages = [{str(stage) for stage in flow["stages"][:20]} for flow in flows if isinstance(flow.get("stages"), list)]
    if heard.status != 401 or not stages:
        return missing("flows")
    excerpt = "stages: " + clean(" | ".join(", ".join(sorted(flow)) for flow in stages), 260)
    if all("m.login.application_service" in flow for flow in stages):
        return unread(f"{excerpt}; only for application services", WarningCode.REGISTRATION_DELEGATED)
    if all("m.login.registration_token" in flow for flow in stages):
        return says(excerpt, MethodReading(Method.ANY, RESTRICTED, Source.PROTOCOL, invite_required=True))
    wanted = {"m.login.email.identity": Method.EMAIL, "m.login.msisdn": Method.PHONE}
    methods = [method for stage, method in wanted.items() if any(stage in flow for flow in stages)]
    return says(excerpt, *(MethodReading(method, OPEN, Source.PROTOCOL) for method in (Method.ANY, *methods)))


async def is_delegated(answer: Answer, ctx: Context) -> bool | None:
    """Tell whether a server that refuses to register announces an OAuth server where one may sign up."""
    if answer.status != 403:
        return None
    root = answer.url.split("/_matrix/", 1)[0]
    try:
        told = await ctx.wire.fetch("GET", f"{root}/_matrix/client/v1/auth_metadata", limits=ctx.limits())
    except WireError:
        return None
    return {200: True, 404: False}.get(told.status)


KIND = Detector(
    "matrix",
    read,
    path="/_matrix/client/v3/register",
    content=b"{}",
    statuses=(401, 403),
    ask_more=is_delegated,
)

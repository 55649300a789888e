import pytest

from monitor.core.events import Cause, Incident
from monitor.core.model import Impact, IncidentStatus, UpstreamIncident, UpstreamUpdate
from monitor.core.witness import concerns

from .making import T0

OUTAGE, REGISTRATION = (
    Incident("i", "deepseek", cause, IncidentStatus.INVESTIGATING, Impact.MAJOR, T0, T0, (f"deepseek/{part}",))
    for cause, part in ((Cause.OUTAGE, "api"), (Cause.REGISTRATION, "registration"))
)


def said(name: str, body: str = "", ours: tuple[str, ...] = ()) -> UpstreamIncident:
    update = UpstreamUpdate(T0, IncidentStatus.INVESTIGATING, body)
    return UpstreamIncident("u", name, None, Impact.MINOR, T0, updates=(update,), ours=ours)


@pytest.mark.parametrize(
    ("item", "outage", "registration"),
    [
        (said("DeepSeek Web/API Service Not Available"), True, False),
        (said("Elevated errors"), True, False),
        (said("Sign-up is restricted"), False, True),
        (said("DeepSeek 注册受限"), False, True),
        (said("Registration and log-in are slow"), True, True),
        (said("Large-scale attacks on the API", "Registration may be busy. Existing users can log in."), True, True),
        (said("Sign-up is restricted", ours=("deepseek/api",)), True, False),
        (said("Elevated errors", ours=("deepseek/registration",)), False, True),
        (said("Elevated errors", ours=("deepseek/api", "deepseek/registration")), True, True),
        (said("Elevated errors", ours=("deepseek/web",)), False, False),
    ],
)
def test_the_vendors_words_are_quoted_where_they_concern_the_component(
    item: UpstreamIncident, outage: bool, registration: bool
) -> None:
    assert (concerns(item, OUTAGE), concerns(item, REGISTRATION)) == (outage, registration)

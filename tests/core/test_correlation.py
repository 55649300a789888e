from monitor.core.correlation import related, together
from monitor.core.events import Cause, Incident
from monitor.core.model import Impact, IncidentStatus

from .making import at


def incident(service: str, start_s: float) -> Incident:
    begins = at(start_s)
    return Incident(
        f"{service}-{start_s}", service, Cause.OUTAGE, IncidentStatus.INVESTIGATING, Impact.MAJOR, begins, begins, ()
    )


def test_incidents_of_several_services_that_begin_within_minutes_belong_together() -> None:
    a, b, c, late = (
        incident("deepseek", 0),
        incident("openai", 200),
        incident("anthropic", 450),
        incident("mistral", 9000),
    )
    assert together([late, c, a, b]) == [(a, b, c)]
    assert related(b, [a, c, late]) == (a, c)
    assert related(late, [a, b, c]) == ()


def test_two_incidents_of_one_service_are_no_correlation() -> None:
    assert together([incident("deepseek", 0), incident("deepseek", 10)]) == []
    assert together([]) == []

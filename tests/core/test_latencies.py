from monitor.core.components.latencies import response_s
from monitor.core.model.observations import Observation, Phases, Result
from monitor.core.model.reasons import Reason

from .making import at, look


def test_our_own_overhead_and_failures_are_no_latency() -> None:
    phases = Phases(dns_s=0.1, wait_s=1.0, overhead_s=9.0)
    slow = Result(look(0, Reason.OK).run, at(0), 12.0, Observation(Reason.OK, phases=phases))
    assert response_s(slow) == 1.1
    assert response_s(look(0, Reason.OK)) == 0.5
    assert response_s(look(0, Reason.TIMEOUT_TOTAL)) is None
    bare = Result(look(0, Reason.OK).run, at(0), 2.0, Observation(Reason.OK, phases=Phases()))
    assert response_s(bare) == 2.0

"""Isolation of faults: what raises while a batch is judged costs its own look or service, never everybody's results.

The batch is tried as a whole first, so that nothing is paid for while all is well. If it fails, each service is
rehearsed alone and rolled back. A single look that is at fault becomes UNKNOWN, ``probe.internal``; a service that
fails whatever its looks say is left out, and the batch is recorded without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Engine

from monitor.core.catalogue import service_of as named_in
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.observations import Observation, Result
from monitor.core.model.reasons import Reason
from monitor.logs import Event, Room
from monitor.store.catalogues import load_index
from monitor.store.connection.engine import is_away, reading

log = Room("flow")

MOST_BAD_LOOKS = 3
"""Of one service in one batch; where more are at fault, it is not the looks."""
WORDS = 200


@dataclass(frozen=True, slots=True)
class Unjudged:
    """What was rolled back of a service, in the order of judgement, and why."""

    results: tuple[Result, ...]
    error: str
    """Kind and text of the exception; it may hold what strangers sent."""


Attempt = Callable[[Sequence[Result]], None]
"""Judges results; raises what judging them raises."""


def separated(
    rehearse: Attempt, results: Sequence[Result], service_of: Callable[[Result], str]
) -> tuple[list[Result], dict[str, Unjudged]]:
    """Return what can be recorded together, and what cannot, by service. Raises when the database is away."""
    by_service: dict[str, list[Result]] = {}
    for result in results:
        by_service.setdefault(service_of(result), []).append(result)
    good: dict[int, Result] = {}
    bad: dict[str, Unjudged] = {}
    for service, some in by_service.items():
        mended, error = _mended(rehearse, some)
        if error is None:
            good |= {id(before): after for before, after in zip(some, mended, strict=True)}
        else:
            bad[service] = Unjudged(tuple(some), words(error))
    return [good[id(result)] for result in results if id(result) in good], bad


def one_by_one(
    attempt: Attempt, results: Sequence[Result], service_of: Callable[[Result], str]
) -> Mapping[str, Unjudged]:
    """Record service by service, for what fails only together; returns what could not be."""
    by_service: dict[str, list[Result]] = {}
    for result in results:
        by_service.setdefault(service_of(result), []).append(result)
    failed = {service: _error(attempt, some) for service, some in by_service.items()}
    return {service: Unjudged(tuple(by_service[service]), words(error)) for service, error in failed.items() if error}


def words(error: Exception) -> str:
    """Return an exception's kind and first line; what a database says without the statement and its values."""
    cause = getattr(error, "orig", None) or error
    first = str(cause).strip().partition("\n")[0]
    return f"{type(cause).__name__}: {first}"[:WORDS] if first else type(cause).__name__


def services(engine: Engine) -> Callable[[Result], str]:
    """Return what tells a result's service; of a probe that the catalogue does not hold, an empty one."""
    with reading(engine) as connection:
        index = load_index(connection)

    def service_of(result: Result) -> str:
        probe = index.probes.get(result.run.probe)
        component = index.components.get(probe.component) if probe else None
        return component.service if component else named_in(probe.component) if probe else ""

    return service_of


def _mended(rehearse: Attempt, results: Sequence[Result]) -> tuple[list[Result], Exception | None]:
    """Return the results with single bad looks replaced, and the error if that does not help."""
    mended, replaced = list(results), set[int]()
    while (error := _error(rehearse, mended)) is not None:
        at = _first_bad(rehearse, mended)
        if at in replaced or len(replaced) >= MOST_BAD_LOOKS:
            return list(results), error
        replaced.add(at)
        mended[at] = _internal(mended[at], error)
    for at in replaced:
        text, probe = "Check of %s could not be judged; recorded as unknown", results[at].run.probe
        log.error(Event.JUDGEMENT_FAILED, text, probe, probe=probe)
    return mended, None


def _first_bad(rehearse: Attempt, results: Sequence[Result]) -> int:
    """Return the place of the look with which the results begin to fail."""
    good, bad = 0, len(results)
    while bad - good > 1:
        middle = (good + bad) // 2
        if _error(rehearse, results[:middle]) is None:
            good = middle
        else:
            bad = middle
    return bad - 1


def _error(attempt: Attempt, results: Sequence[Result]) -> Exception | None:
    try:
        attempt(results)
    except Exception as error:
        if is_away(error):
            raise
        return error
    return None


def _internal(result: Result, error: Exception) -> Result:
    detail = coded(MessageCode.LOOK_NOT_JUDGED, error=type(error).__name__)
    return replace(result, observation=Observation(Reason.INTERNAL, detail))

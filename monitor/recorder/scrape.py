"""The worker's HTTP side for Prometheus, for service managers and for jobs that report in.

It reads memory only, never the database. ``/heartbeat`` is described where the kind is. ``/probe`` is
no open relay: it shows the newest look of a configured probe and never makes a request of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta

import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from monitor import clock
from monitor.core.catalogue import Probe, service_of
from monitor.recorder.metrics import Kept, OneProbe, Seen
from monitor.runtime.listening import Listener
from monitor.runtime.messages import JobReport
from monitor.runtime.visitors import prepare
from monitor.text.lexicon import lexicon
from monitor.text.messages import worded

READY_LIMIT = timedelta(seconds=30)
BEATS_A_MINUTE = 30
"""Reports of one job."""
WRONG_TOKENS_A_MINUTE = 30
BEAT_BYTES = 4096
BEAT_TIMEOUT_S = 5.0
ALERTS_BYTES = 512 * 1024
BODY_BYTES = 2 * ALERTS_BYTES
"""Beyond this a connection is cut; up to there a request is read, and told that it is too long."""


class Bucket:
    """Lets ``per_minute`` through in the long run, and as many at once."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = self._left = float(per_minute)
        self._at_s = clock.monotonic()

    def take(self) -> bool:
        """Say whether one more may pass."""
        now_s = clock.monotonic()
        self._left = min(self._per_minute, self._left + (now_s - self._at_s) * self._per_minute / 60)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Beats:
    """Takes reports of jobs; ``tokens`` gives those in force by probe, ``hand_over`` takes what goes to the prober."""

    def __init__(self, tokens: Callable[[], Mapping[str, str]], hand_over: Callable[[JobReport], None]):
        self._tokens = tokens
        self._hand_over = hand_over
        self._wrong = Bucket(WRONG_TOKENS_A_MINUTE)
        self._rates: dict[str, Bucket] = {}

    async def answer(self, request: Request) -> Response:
        """Take one report, or say why not; an unknown probe looks like a wrong token."""
        probe = request.path_params["probe"]
        if not _is_shown(request, self._tokens().get(probe, "")):
            return PlainTextResponse("Wrong token\n", 401 if self._wrong.take() else 429)
        if not self._rates.setdefault(probe, Bucket(BEATS_A_MINUTE)).take():
            return PlainTextResponse("Too many reports\n", 429, {"retry-after": "10"})
        try:
            failed, text = _report(await _small_body(request))
        except (TimeoutError, ClientDisconnect):
            return PlainTextResponse("The report did not arrive in time\n", 408)
        except ValueError as error:
            return PlainTextResponse(f"{error}\n", 400)
        self._hand_over(JobReport(probe, clock.now(), failed, text))
        return PlainTextResponse("Taken\n", 202)


def _is_shown(request: Request, token: str) -> bool:
    """Compare in constant time, also when there is no such probe; an empty token lets nobody in."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    same = secrets.compare_digest(shown.strip().encode(), token.encode())
    return same and bool(token) and scheme.lower() == "bearer"


class TooLargeError(ValueError):
    """A body is larger than its limit."""


async def _small_body(request: Request, most: int = BEAT_BYTES) -> bytes:
    body = b""
    async with asyncio.timeout(BEAT_TIMEOUT_S):
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                raise TooLargeError(f"A report has at most {most} bytes")
    return body


def _report(body: bytes) -> tuple[bool, str]:
    """Return whether the job says that it failed, and what else it says."""
    text = body.decode(errors="replace").strip()
    if not text.startswith("{"):
        return False, text
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError('Write {"failed": true, "text": "why"}, plain text, or nothing') from None
    failed, words = document.get("failed", False), document.get("text", "")
    if not isinstance(failed, bool) or not isinstance(words, str):
        raise ValueError('"failed" is true or false, and "text" is text')
    return failed, words


class AlertIntake:
    """Takes Alertmanager's webhook; ``take_in`` stores a message and raises ``ValueError`` when it is none."""

    def __init__(self, token: str, take_in: Callable[[object], Awaitable[str]], away: tuple[type[Exception], ...]):
        self._token = token
        self._take_in = take_in
        self._away = away
        self._wrong = Bucket(WRONG_TOKENS_A_MINUTE)

    async def answer(self, request: Request) -> Response:
        """Take one message; whoever sends it tries again after a 5xx and never after a 4xx."""
        if not _is_shown(request, self._token):
            return PlainTextResponse("Wrong token\n", 401 if self._wrong.take() else 429)
        try:
            body = await _small_body(request, ALERTS_BYTES)
            told = await self._take_in(json.loads(body))
        except (TimeoutError, ClientDisconnect):
            return PlainTextResponse("The message did not arrive in time\n", 408)
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
            return PlainTextResponse("The message is no JSON\n", 400)
        except TooLargeError as error:
            return PlainTextResponse(f"{error}\n", 413)
        except ValueError as error:
            return PlainTextResponse(f"{error}\n", 400)
        except self._away:
            return PlainTextResponse("The database takes nothing now\n", 503)
        return PlainTextResponse(f"{told}\n")


def application(
    seen: Seen, registry: CollectorRegistry, beats: Beats | None = None, intake: AlertIntake | None = None
) -> Starlette:
    """Return the routes over what the recorder knows; ``beats`` takes reports of jobs, ``intake`` others' alerts."""

    async def metrics(request: Request) -> Response:
        return _exposition(registry, request)

    async def probe(request: Request) -> Response:
        target = request.query_params.get("target", "")
        if not target:
            return PlainTextResponse("Target parameter is missing\n", 400)
        found = next((probe for probe in seen.catalogue.probes if probe.id == target), None)
        if found is None:
            return PlainTextResponse("Unknown target: it must be the id of a configured probe\n", 400)
        single = CollectorRegistry()
        single.register(OneProbe(seen, found))
        return _exposition(single, request)

    async def discovery(request: Request) -> Response:
        host = request.url.netloc
        return JSONResponse([_target(seen, probe.id, probe.component, host) for probe in _running(seen)])

    async def healthy(_: Request) -> Response:
        return PlainTextResponse("Chatwatch is healthy.\n")

    async def ready(_: Request) -> Response:
        why = not_ready(seen)
        return PlainTextResponse(f"{why or 'Chatwatch is ready.'}\n", 503 if why else 200)

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/probe", probe),
            Route("/sd", discovery),
            Route("/-/healthy", healthy),
            Route("/-/ready", ready),
            *([Route("/heartbeat/{probe}", beats.answer, methods=["POST"])] if beats else []),
            *([Route("/api/v2/alerts/webhook", intake.answer, methods=["POST"])] if intake else []),
        ]
    )


def not_ready(seen: Seen) -> str:
    """Say what keeps the worker from doing its work now, or ``""``."""
    nowhere = seen.kept is Kept.NOWHERE
    if seen.store_fault is not None:
        todo = worded(seen.store_todo, lexicon())
        kept = "the disk takes no results either, they wait in memory" if nowhere else "results are kept on disk"
        return f"The database cannot be used ({seen.store_fault}); {kept}. To do: {todo}."
    if nowhere:
        return (
            "Neither the database nor the disk takes results; they wait in memory. Make room on the disk, or give the "
            "right to write there back."
        )
    limit = seen.now() - READY_LIMIT
    if seen.prober_heard_at is None or seen.prober_heard_at < limit:
        return "The prober does not report."
    if seen.kept is Kept.DISK or seen.stored_at is None or seen.stored_at < limit:
        return "The database takes nothing; results are kept on disk."
    return ""


def _exposition(registry: CollectorRegistry, request: Request) -> Response:
    encoder, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encoder(registry), media_type=None, headers={"content-type": content_type})


def _running(seen: Seen) -> list[Probe]:
    return [probe for probe in seen.catalogue.probes if not probe.disabled and seen.location in probe.locations]


def _target(seen: Seen, probe: str, component: str, host: str) -> dict[str, object]:
    """Return one entry of Prometheus' HTTP service discovery."""
    labels = {
        "__param_target": probe,
        "__metrics_path__": "/probe",
        "instance": probe,
        "service": service_of(component),
        "component": component,
        "location": seen.location,
    }
    return {"targets": [host], "labels": labels}


class Server(uvicorn.Server):
    """uvicorn inside a program that handles its own signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


async def serve(app: Starlette, listener: Listener, stopping: asyncio.Event) -> None:
    """Serve at a bound socket, which is closed afterwards, until ``stopping`` is set."""
    with listener:
        config = uvicorn.Config(
            app,
            log_config=None,  # its loggers propagate to ours
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
        )
        prepare(config, BODY_BYTES)
        server = Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await stopping.wait()
        server.should_exit = True
        await serving

"""The worker's HTTP side for Prometheus and for service managers. It reads memory only, never the database.

``/probe`` is no open relay: it shows the newest look of a configured probe and never makes a request of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import timedelta

import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from monitor.core.catalogue import Probe
from monitor.metrics import OneProbe, Seen

READY_LIMIT = timedelta(seconds=30)


def application(seen: Seen, registry: CollectorRegistry) -> Starlette:
    """Return the routes over what the recorder knows."""

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
        ]
    )


def not_ready(seen: Seen) -> str:
    """Say what keeps the worker from doing its work now, or ``""``."""
    limit = seen.now() - READY_LIMIT
    if seen.prober_heard_at is None or seen.prober_heard_at < limit:
        return "The prober does not report."
    if seen.stored_at is None or seen.stored_at < limit:
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
        "service": component.partition("/")[0],
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


async def serve(app: Starlette, host: str, port: int, stopping: asyncio.Event) -> None:
    """Serve until ``stopping`` is set. Raises ``OSError`` when the address is taken."""
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=2)
        server = Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await stopping.wait()
        server.should_exit = True
        await serving

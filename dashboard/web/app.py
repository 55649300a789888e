"""The public page as ready bytes: Starlette and uvicorn, no database and no rendering within a request.

One background task reads the database every few seconds and renders everything. If the database or the worker dies,
the last good reading stays, in memory and on disk, and grows visibly old.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import click
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard.data import ADDRESS, Reader, Reading, aged, database_url, last_good_path, load, marked, nothing, save
from dashboard.starting import NOTHING, Secured, telling
from dashboard.web import api, feeds
from dashboard.web.render import pages, security_policy
from dashboard.words import spoken
from monitor import __version__, clock
from monitor.logs import Event, Fields, Room, log_options, set_up, shown_database
from monitor.plain_files import private_from_now
from monitor.runtime.listening import must_be_free
from monitor.runtime.visitors import prepare
from monitor.text.lexicon import Language

EVERY_S = 5.0
SAVE_EVERY_S = 30.0
VARY = "Accept-Encoding, Accept-Language"
PATIENCE = timedelta(seconds=30)
"""How long a database that was never read yet may be missing before that is logged."""
Source = Callable[[datetime], Reading]

log = Room("web")


class Answer(NamedTuple):
    """A finished answer, plain and compressed."""

    body: bytes
    packed: bytes
    content_type: str
    etag: str


class Site:
    """Everything that is served, replaced as a whole at each rendering."""

    def __init__(self, source: Source, url: str, last_good: Path | None, database: str = "") -> None:
        self.source = source
        self.database = database
        self.url = url.rstrip("/")
        self.last_good = last_good
        self.answers: dict[str, Answer] = {}
        self.reading: Reading | None = None
        self.failing_since: datetime | None = None
        self._shown: Reading | None = None
        self._saved_at = -SAVE_EVERY_S
        self._told = False

    def start(self, now: datetime) -> None:
        """Show what the last run knew, or that nothing is known; then try the database once."""
        self.reading = load(self.last_good) if self.last_good else None
        self.render(aged(self.reading or nothing(now), now))
        self.refresh(now)

    def refresh(self, now: datetime) -> None:
        """Read once and render; a failed read keeps the last good one, older by the time that passed."""
        try:
            self.reading = self.source(now)
            self.failing_since, self._told = None, False
        except Exception as error:  # the last good page is served even while the database fails
            self.failing_since = self.failing_since or now
            # There are no tables before the worker's first start; log it only once that has lasted.
            if not self._told and (self.reading is not None or now - self.failing_since >= PATIENCE):
                why = type(error).__name__
                text = "Database cannot be read; showing the last reading: %s"
                log.warning(Event.DATABASE_AWAY, text, why, error=why)
                self._told = True
        else:
            self.keep()
        try:
            reading = self.reading or nothing(now)
            self.render(aged(marked(reading, self.database) if self.database else reading, now))
        except Exception:  # a snapshot that cannot be rendered must not end the loop; the page turns stale meanwhile
            log.exception(Event.PAGE_FAILED, "Rendering failed; the last pages stay")

    def keep(self) -> None:
        """Write the reading to disk, not more often than needed; a full disk is no reason to stop serving."""
        due = clock.monotonic() - self._saved_at >= SAVE_EVERY_S
        if self.last_good is None or self.reading is None or not due:
            return
        with suppress(OSError):
            save(self.reading, self.last_good)
            self._saved_at = clock.monotonic()

    def render(self, reading: Reading) -> None:
        """Render every page and document, unless only the seconds differ."""
        at = reading.snapshot.taken_at.replace(second=0, microsecond=0)
        shown = Reading(replace(reading.snapshot, taken_at=at), reading.catalogue)
        if shown == self._shown:
            return
        drawn = pages(reading.snapshot, reading.catalogue)
        answers = {path: answer(body, "text/html; charset=utf-8") for path, body in drawn.items()}
        for path, body in api.documents(reading.snapshot, self.url).items():
            answers[path] = answer(body, "application/json; charset=utf-8")
        for path, (content_type, body) in feeds.documents(reading.snapshot, self.url).items():
            answers[path] = answer(body, content_type)
        self.answers, self._shown = answers, shown

    def health(self, now: datetime) -> bytes:
        """Return what ``/healthz`` says: that pages are served, and how old their data is."""
        as_of = self.reading.snapshot.as_of if self.reading else None
        body = {
            "serving": bool(self.answers),
            "data_age_s": None if as_of is None else round((now - as_of).total_seconds(), 1),
            "database_failing_since": api.stamp(self.failing_since),
        }
        return json.dumps(body).encode()

    async def keep_fresh(self) -> None:
        """Refresh for ever, in a thread, so that no visitor waits for a rendering."""
        while True:
            await asyncio.sleep(EVERY_S)
            await asyncio.to_thread(self.refresh, clock.now())


def answer(body: bytes, content_type: str) -> Answer:
    """Return a body with its tag and its compressed form."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    return Answer(body, gzip.compress(body, 6, mtime=0), content_type, etag)


def path_of(request: Request) -> str:
    """Return the path that is meant: ``?lang=zh`` is another way to say ``/zh/``."""
    path = request.url.path
    homes = {home for language in Language for home in (language.home, language.home.rstrip("/"))}
    path = f"{path.rstrip('/')}/" if path in homes else path.rstrip("/") or "/"
    wanted = request.query_params.get("lang", "")
    if wanted in list(Language):
        bare = path if path == Language.EN.home else path.removeprefix(language_of(path).prefix) or "/"
        path = Language(wanted).prefix + bare if bare not in ("/", Language.EN.home) else Language(wanted).home
    return path


def language_of(path: str) -> Language:
    """Return the language that a path is in: its first part, English where that is none."""
    found = spoken(path.lstrip("/").partition("/")[0])
    return found if found and path.startswith(f"{found.prefix}/") else Language.EN


def preferred(accepted: str) -> Language:
    """Return which of our languages an Accept-Language header ranks first (RFC 9110, 12.5.4); English by default."""
    found: list[tuple[float, Language]] = []
    for item in accepted.lower().replace(" ", "").split(","):
        tag, _, weight = item.partition(";q=")
        with suppress(ValueError):
            if language := spoken(tag):
                found.append((float(weight or 1), language))
    return max((pair for pair in found if pair[0] > 0), key=lambda pair: pair[0], default=(0.0, Language.EN))[1]


def elsewhere(path: str) -> Response:
    """Return the way from ``/`` to the browser's language, for caches to keep apart."""
    return Response(status_code=302, headers={"Location": path, "Vary": VARY, "Cache-Control": "public, max-age=300"})


def respond(found: Answer, request: Request, status: int = 200) -> Response:
    """Return an answer as the visitor can take it: 304, compressed or plain."""
    headers = {
        "ETag": found.etag,
        "Cache-Control": "public, max-age=5, stale-while-revalidate=30, stale-if-error=86400",
        "Vary": VARY if request.url.path == "/" else "Accept-Encoding",
        "Content-Security-Policy": security_policy(),
    }
    if not found.content_type.startswith("text/html"):
        headers["Access-Control-Allow-Origin"] = "*"
        headers["Content-Security-Policy"] = f"{NOTHING}; style-src 'unsafe-inline'"
    tags = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if status == 200 and (found.etag in tags or "*" in tags):
        return Response(status_code=304, headers=headers)
    body = found.body
    if "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = found.packed, "gzip"
    return Response(body, status, headers, found.content_type)


def application(site: Site) -> Starlette:
    """Return the ASGI application over ``site``."""

    async def page(request: Request) -> Response:
        path = path_of(request)
        language = preferred(request.headers.get("accept-language", ""))
        if path == "/" and language is not Language.EN:
            return elsewhere(language.home)
        found = site.answers.get(path)
        if found is not None and not path.endswith("/404"):
            return respond(found, request)
        missing = site.answers[f"{language_of(path).prefix}/404"]
        return respond(missing, request, 404)

    async def health(_: Request) -> Response:
        return Response(site.health(clock.now()), 200 if site.answers else 503, media_type="application/json")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(site.start, clock.now())
        task = asyncio.create_task(site.keep_fresh())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    routes = [Route("/healthz", health), Route("/{path:path}", page)]
    return Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(Secured, policy=NOTHING)])


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8500, show_default=True, help="Port to listen on.")
@click.option("--url", default="", envvar=ADDRESS, help="The page's public address, for feeds and JSON.")
@log_options
def main(host: str, port: int, url: str) -> None:
    """Serve the public status page."""
    private_from_now()
    set_up("web")
    address, database = f"http://{host}:{port}/", shown_database(database_url())
    fields: Fields = {"version": __version__, "status_page": address, "database": database}
    must_be_free(log, "web", host, port)
    site = Site(
        Reader(database_url()).read, url or f"http://{host}:{port}", last_good_path(database_url()), database_url()
    )
    config = uvicorn.Config(
        application(site),
        host=host,
        port=port,
        log_config=None,  # its loggers propagate to ours
        log_level="warning",
        access_log=False,
    )

    def tell() -> None:
        log.info(Event.STARTED, "Status page %s started at %s", __version__, address, **fields)

    prepare(config)
    server = telling(tell)(config)
    server.run()
    if not server.started:
        sys.exit(1)


if __name__ == "__main__":
    main()

"""The simulated vendor: several AI chat services behind one port, each with its own state.

A service lives under ``/<name>/`` and the nameless one at the root. Everything that the product asks of a real vendor
is answered; everything that can go wrong with one can be set, from Python with :meth:`Vendor.set` or over
``POST /_control``.
"""

from __future__ import annotations

import asyncio
import math
import random
import ssl
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import ValidationError

from monitor import clock
from monitor.simulator import chat, errors, pages
from monitor.simulator.answer import Ask
from monitor.simulator.errors import Dialect
from monitor.simulator.line import HEAD_BYTES, HTML, BadRequestError, Line, Request
from monitor.simulator.misbehave import BELOW
from monitor.simulator.state import Announcement, Fault, State, Trouble
from monitor.simulator.upstream import Page


class Make(NamedTuple):
    """What distinguishes one simulated service from another."""

    title: str
    dialect: Dialect
    models: tuple[str, ...]


MAKES = {
    "": Make("Simulated", "openai", ("sim-chat", "sim-reasoner")),
    "deepseek": Make("DeepSeek", "deepseek", ("deepseek-flash", "deepseek-v4-pro")),
    "chatgpt": Make("ChatGPT", "openai", ("gpt-simulated",)),
    "claude": Make("Claude", "anthropic", ("claude-simulated",)),
}


class Service:
    """One simulated service: its make, its state, its own status page and its dice."""

    def __init__(self, name: str, make: Make, seed: int) -> None:
        self.name = name
        self.make = make
        self.state = State()
        self.page = Page(name, make.title, clock.now())
        self.counts: Counter[str] = Counter()
        self.dice = random.Random(f"{seed}/{name}")  # noqa: S311 - repeatable dice, nothing secret

    def set(self, changes: dict[str, Any]) -> None:
        """Change the state; raises pydantic's ``ValidationError`` and changes nothing if any word is wrong."""
        self.state = State.model_validate(dict(self.state) | changes)

    def trouble(self, endpoint: str) -> Trouble:
        """Roll whether a request to the endpoint is struck, and by what."""
        general = self.state.everything if endpoint != "status" else Trouble()
        number = self.counts[endpoint]
        for trouble in (general, getattr(self.state, endpoint)):
            hit = trouble.fault is not Fault.NONE and number % trouble.every == 0
            if hit and self.dice.random() < trouble.share:
                return trouble
        return Trouble()

    def around(self, median_s: float) -> float:
        """Draw from a log-normal distribution around the median."""
        return median_s * math.exp(self.dice.gauss(0.0, self.state.spread))

    @property
    def models(self) -> tuple[str, ...]:
        """Models on the list."""
        return tuple(name for name in self.state.served or self.make.models if name not in self.state.retired)


class Call(NamedTuple):
    """A request on its way to an endpoint."""

    service: Service
    request: Request
    line: Line
    trouble: Trouble
    base: str


async def _chat(call: Call, dialect: Dialect) -> None:
    ask, state = Ask.of(call.request.json()), call.service.state
    refusal = _refusal(call, dialect, ask.model)
    if refusal is not None:
        await _refuse(call, dialect, refusal)
        return
    ask = replace(ask, model=state.rerouted.get(ask.model, ask.model))
    await chat.reply(call.line, ask, state, call.trouble, dialect, call.service.around(state.ttft_s))


def _refusal(call: Call, dialect: Dialect, model: str) -> Fault | None:
    """Why the request is not even tried: a simulated error, the key, the money, the model."""
    state = call.service.state
    if call.trouble.fault in errors.TABLES[dialect]:
        return call.trouble.fault
    if not _let_in(call, dialect):
        return Fault.AUTH
    if state.balance_amount <= 0:
        return Fault.PAYMENT
    if model in state.retired:
        return Fault.MODEL_GONE
    if model in state.dead:
        return Fault.OVERLOADED
    return None if model and call.request.method == "POST" else Fault.BAD_REQUEST


def _let_in(call: Call, dialect: Dialect) -> bool:
    headers, key = call.request.headers, call.service.state.key
    bearer = headers.get("authorization", "").removeprefix("Bearer ").strip()
    # One model list serves both dialects: a request that names Anthropic's version may carry Anthropic's key header.
    own_header = dialect == "anthropic" or "anthropic-version" in headers
    given = headers.get("x-api-key", "") or bearer if own_header else bearer
    return given == key if key else bool(given)


async def _refuse(call: Call, dialect: Dialect, fault: Fault) -> None:
    error = errors.TABLES[dialect][fault]
    await call.line.send_json(error.status, errors.body(dialect, error), error.headers)


async def _openai_chat(call: Call) -> None:
    make = call.service.make
    await _chat(call, "openai" if make.dialect == "anthropic" else make.dialect)


async def _anthropic_chat(call: Call) -> None:
    if "anthropic-version" not in call.request.headers:
        await _refuse(call, "anthropic", Fault.BAD_REQUEST)
        return
    await _chat(call, "anthropic")


def _with_key(value: Callable[[Service], object]) -> Callable[[Call], Awaitable[None]]:
    async def answer(call: Call) -> None:
        dialect = call.service.make.dialect
        if call.trouble.fault in errors.TABLES[dialect]:
            await _refuse(call, dialect, call.trouble.fault)
        elif not _let_in(call, dialect):
            await _refuse(call, dialect, Fault.AUTH)
        else:
            await call.line.send_json(200, value(call.service))

    return answer


async def _web(call: Call) -> None:
    await call.line.send(200, pages.web_app(call.service.make.title).encode(), HTML)


async def _sign_up(call: Call) -> None:
    chinese = call.request.prefers_chinese()
    page = pages.sign_up(call.service.make.title, call.service.state.registration, chinese=chinese)
    await call.line.send(200, page.encode(), HTML)


async def _open_webui(call: Call) -> None:
    await call.line.send_json(200, pages.open_webui(call.service.make.title, call.service.state.registration))


async def _client_settings(call: Call) -> None:
    scope = call.request.query.get("scope", "")
    await call.line.send_json(200, pages.client_settings(call.service.state.registration, scope))


async def _sign_in(call: Call) -> None:
    if call.request.method != "POST":
        await call.line.send_json(405, {"detail": "Method Not Allowed"}, {"Allow": "POST"})
        return
    status, body = pages.sign_in(call.service.state.account, call.request.json())
    await call.line.send_json(status, body)


async def _status_page(call: Call) -> None:
    await call.line.send(200, call.service.page.html().encode(), HTML)


async def _incident_io(call: Call) -> None:
    page, whole = call.service.page, call.request.path.endswith("/incidents")
    await call.line.send_json(200, page.incident_io_incidents() if whole else page.incident_io(call.base))


async def _health(call: Call) -> None:
    await call.line.send_json(200, {"status": True})


Handler = Callable[[Call], Awaitable[None]]
ROUTES: dict[str, tuple[str, Handler]] = {
    "/": ("web", _web),
    "/health": ("web", _health),
    "/sign_up": ("signup", _sign_up),
    "/sign_in": ("login", _web),
    "/api/config": ("config", _open_webui),
    "/api/v0/client/settings": ("config", _client_settings),
    "/api/v1/auths/signin": ("login", _sign_in),
    "/chat/completions": ("chat", _openai_chat),
    "/v1/chat/completions": ("chat", _openai_chat),
    "/v1/messages": ("chat", _anthropic_chat),
    "/models": ("models", _with_key(lambda service: pages.model_list(service.models))),
    "/v1/models": ("models", _with_key(lambda service: pages.model_list(service.models))),
    "/user/balance": ("balance", _with_key(lambda service: pages.user_balance(service.state.balance_amount))),
    "/status": ("status", _status_page),
    "/incident-io/proxy/status.simulated": ("status", _incident_io),
    "/incident-io/proxy/status.simulated/incidents": ("status", _incident_io),
}
STATUSPAGE = "/status/api/v2/"


class Vendor:
    """The server. ``url`` is its address without a trailing slash."""

    def __init__(self, *, seed: int = 1) -> None:
        self.services = {name: Service(name, make, seed) for name, make in MAKES.items()}
        self.seen: deque[Request] = deque(maxlen=1000)
        """The newest requests, for tests that ask what reached the vendor."""
        self.inbox: deque[dict[str, Any]] = deque(maxlen=1000)
        """What was posted to ``/_inbox``: a webhook receiver for notices, beside the vendor."""
        self.url = ""
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self._tls: ssl.SSLContext | None = None
        self._port = 0

    def set(self, service: str = "", **changes: Any) -> None:
        """Change the state of one service (``"*"``: of all); the words are the fields of :class:`State`."""
        for one in self.services.values() if service == "*" else (self.services[service],):
            one.set(changes)

    def announce(self, service: str = "", **words: Any) -> None:
        """Write on the vendor's own status page; the words are the fields of :class:`Announcement`."""
        self.services[service].page.announce(Announcement.model_validate(words), clock.now())

    async def listen(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Start to accept connections on loopback; also again after :meth:`refuse`."""
        self._tls = tls or self._tls
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", port or self._port, limit=HEAD_BYTES, ssl=self._tls
        )
        self._port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    async def refuse(self) -> None:
        """Stop to accept: new connections are refused and open ones cut, until :meth:`listen`."""
        if self._server is not None:
            self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        line = Line(reader, writer)
        try:
            while line.open and (request := await line.read()) is not None:
                await self._answer(request, line)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client disconnected or the server is closing: no answer is due
        except BadRequestError as error:
            await line.send_json(400, {"error": {"message": str(error)}})
        finally:
            self._talks.discard(task)
            line.close()

    async def _answer(self, request: Request, line: Line) -> None:
        if request.path == "/_control":
            await self._control(request, line)
            return
        if request.path == "/_inbox":
            self.inbox.append(request.json())
            await line.send_json(202, {})
            return
        self.seen.append(request)
        name, path = self._service(request.path)
        service = self.services[name]
        endpoint, handler = self._route(service, path)
        service.counts[endpoint or "elsewhere"] += 1
        if handler is None:
            await line.send_json(404, {"detail": "Not Found"})
            return
        trouble = service.trouble(endpoint)
        await asyncio.sleep(service.around(service.state.latency_s))
        if trouble.fault is Fault.SLOW:
            await asyncio.sleep(trouble.seconds)
        if trouble.fault is Fault.REDIRECT_LOOP:
            trouble = Trouble(fault=Fault.REDIRECT, to=self.url + request.path)
        if misbehave := BELOW.get(trouble.fault):
            await misbehave(line, trouble)
        else:
            await handler(Call(service, request, line, trouble, f"{self.url}/{name}".rstrip("/")))

    def _service(self, path: str) -> tuple[str, str]:
        first, _, rest = path.lstrip("/").partition("/")
        name, path = (first, "/" + rest) if first in self.services else ("", path)
        return name, path.rstrip("/") or "/"

    def _route(self, service: Service, path: str) -> tuple[str, Handler | None]:
        if not path.startswith(STATUSPAGE):
            return ROUTES.get(path, ("", None))

        async def answer(call: Call) -> None:
            document = service.page.statuspage(path.removeprefix(STATUSPAGE), call.base)
            await call.line.send_json(404 if document is None else 200, document or {"error": "not found"})

        return "status", answer

    async def _control(self, request: Request, line: Line) -> None:
        """GET: states and counts. POST: ``{"service": "", "set": {…}, "announce": {…}}``."""
        wish = request.json()
        name = wish.get("service", "")
        if request.method == "POST":
            if name != "*" and name not in self.services:
                await line.send_json(404, {"error": f"no such service; there are {', '.join(self.services)}"})
                return
            if unknown := wish.keys() - {"service", "set", "announce"}:
                told = ", ".join(sorted(unknown))
                await line.send_json(422, {"error": f"unknown: {told}; there are service, set and announce"})
                return
            try:
                self.set(name, **wish.get("set", {}))
                if "announce" in wish:
                    self.announce(name, **wish["announce"])
            except (ValidationError, TypeError) as error:
                await line.send_json(422, {"error": str(error)})
                return
        states = {one.name: one.state.model_dump(mode="json") for one in self.services.values()}
        counts = {one.name: dict(one.counts) for one in self.services.values()}
        await line.send_json(200, {"services": states, "requests": counts})

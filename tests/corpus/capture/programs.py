"""Servers that applications bring along: Python's, Node's and PHP's, each with one small application."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.corpus.capture.running import MissingServerError, Server, Wish, free_port, http, output, program, running
from tests.corpus.capture.site import site

ROOT = Path(__file__).parent.parent.parent.parent
BIN = ROOT / ".venv-corpus" / "bin"
PYTHON = BIN / "python"
OWN = Path(sys.executable)

CHUNKS = r"""
EVENTS = [
    'data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n',
    'data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}\n\n',
    'data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    'data: [DONE]\n\n',
]
"""
WSGI = (
    CHUNKS
    + r"""
def app(environ, start):
    path = environ["PATH_INFO"]
    if path == "/boom":
        raise RuntimeError("no database")
    if path == "/half":
        def half():
            yield b"<html>half"
            raise RuntimeError("died")
        start("200 OK", [("Content-Type", "text/html"), ("Content-Length", "500")])
        return half()
    if path.endswith("/chat/completions"):
        start("200 OK", [("Content-Type", "text/event-stream")])
        return (event.encode() for event in EVENTS)
    if path == "/":
        start("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [b"<!doctype html><title>Example Chat</title><h1>Example Chat</h1>"]
    start("404 Not Found", [("Content-Type", "application/json")])
    return [b'{"detail":"Not Found"}']
"""
)
ASGI = (
    CHUNKS
    + r"""
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no")
    path = scope["path"]
    async def begin(status, kind, *more):
        headers = [(b"content-type", kind), *more]
        await send({"type": "http.response.start", "status": status, "headers": headers})
    async def say(body, more=False):
        await send({"type": "http.response.body", "body": body, "more_body": more})
    if path == "/boom":
        raise RuntimeError("no database")
    if path == "/half":
        await begin(200, b"text/html", (b"content-length", b"500"))
        await say(b"<html>half", True)
        raise RuntimeError("died")
    if path.endswith("/chat/completions"):
        await begin(200, b"text/event-stream")
        for event in EVENTS:
            await say(event.encode(), True)
        await say(b"")
    elif path == "/":
        await begin(200, b"text/html; charset=utf-8")
        await say(b"<!doctype html><title>Example Chat</title><h1>Example Chat</h1>")
    else:
        await begin(404, b"application/json")
        await say(b'{"detail":"Not Found"}')
"""
)
FLASK = (
    CHUNKS
    + r"""
from flask import Flask, Response, jsonify
app = Flask(__name__)
@app.get("/")
def page():
    return "<!doctype html><title>Example Chat</title><h1>Example Chat</h1>"
@app.get("/boom")
def boom():
    raise RuntimeError("no database")
@app.post("/chat/completions")
def generator():
    return Response(event for event in EVENTS)  # Flask's own type: text/html
@app.post("/typed/chat/completions")
def typed():
    return Response((event for event in EVENTS), mimetype="text/event-stream")
@app.get("/half")
def half():
    def pieces():
        yield "<html>half"
        raise RuntimeError("died")
    return Response(pieces())
"""
)
AIOHTTP = (
    CHUNKS
    + r"""
import sys
from aiohttp import web
async def page(request):
    return web.Response(text="<!doctype html><title>Example Chat</title><h1>Example Chat</h1>", content_type="text/html")
async def boom(request):
    raise RuntimeError("no database")
async def chat(request):
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    for event in EVENTS:
        await answer.write(event.encode())
    return answer
async def half(request):
    answer = web.StreamResponse(headers={"Content-Type": "text/html"})
    await answer.prepare(request)
    await answer.write(b"<html>half")
    raise RuntimeError("died")
app = web.Application()
app.add_routes([web.get("/", page), web.get("/boom", boom), web.get("/half", half), web.post("/chat/completions", chat)])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""
)
TORNADO = (
    CHUNKS
    + r"""
import asyncio, sys
import tornado.web
class Page(tornado.web.RequestHandler):
    def get(self):
        self.write("<!doctype html><title>Example Chat</title><h1>Example Chat</h1>")
class Boom(tornado.web.RequestHandler):
    def get(self):
        raise RuntimeError("no database")
class Half(tornado.web.RequestHandler):
    async def get(self):
        self.write("<html>half")
        await self.flush()
        raise RuntimeError("died")
class Chat(tornado.web.RequestHandler):
    async def post(self):
        for event in EVENTS:  # Tornado's own type: text/html
            self.write(event)
            await self.flush()
async def main():
    routes = [("/", Page), ("/boom", Boom), ("/half", Half), ("/chat/completions", Chat)]
    tornado.web.Application(routes).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()
asyncio.run(main())
"""
)
NODE = r"""
const events = [
  'data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}\n\n',
  'data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
  'data: [DONE]\n\n'];
require("http").createServer((request, response) => {
  if (request.url === "/half") { response.writeHead(200, {"Content-Length": 500}); response.write("<html>half"); setTimeout(() => response.destroy(), 200); return; }
  if (request.url.endsWith("/chat/completions")) { for (const one of events) response.write(one); response.end(); return; }
  if (request.url === "/") { response.end("<!doctype html><title>Example Chat</title><h1>Example Chat</h1>"); return; }
  response.statusCode = 404; response.end("Cannot GET");
}).listen(Number(process.argv[2]), "127.0.0.1");
"""
PHP = r"""<?php
if ($_SERVER["REQUEST_URI"] === "/boom") { throw new RuntimeException("no database"); }
if (str_ends_with($_SERVER["REQUEST_URI"], "/chat/completions")) {
  foreach (['{"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}', '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}', '[DONE]'] as $one) { echo "data: $one\n\n"; flush(); }
  return true;
}
if ($_SERVER["REQUEST_URI"] !== "/") { return false; }
echo "<!doctype html><title>Example Chat</title><h1>Example Chat</h1>";
"""

Start = Callable[[Path], AbstractContextManager[dict[str, int]]]


def python(text: str, *command: str, needs: Path = PYTHON) -> Start:
    """Return what starts a Python server over an application; PORT in the command is its port."""

    @contextmanager
    def start(folder: Path) -> Iterator[dict[str, int]]:
        if not needs.exists():
            raise MissingServerError(f"{needs.name} is not there: make corpus")
        (folder / "example.py").write_text(text)
        port = free_port()
        with running([part.replace("PORT", str(port)) for part in command], port, cwd=folder):
            yield {"main": port}

    return start


def pip(name: str, of: Path = PYTHON) -> Callable[[], str]:
    """Return what tells the version of a Python package."""
    ask = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    return lambda: f"{output(str(of), '-c', ask, name).splitlines()[-1]} (PyPI)"


@contextmanager
def simple_http(folder: Path) -> Iterator[dict[str, int]]:
    """Run Python's own file server."""
    port, root = free_port(), site(folder)
    with running([str(OWN), "-m", "http.server", str(port), "--bind", "127.0.0.1"], port, cwd=root):
        yield {"main": port}


@contextmanager
def node(folder: Path) -> Iterator[dict[str, int]]:
    """Run Node's own server."""
    port = free_port()
    (folder / "server.js").write_text(NODE)
    with running([program("node"), "server.js", str(port)], port, cwd=folder):
        yield {"main": port}


@contextmanager
def php(folder: Path) -> Iterator[dict[str, int]]:
    """Run PHP's own server."""
    port = free_port()
    (folder / "index.php").write_text(PHP)
    command = [program("php"), "-d", "display_errors=1", "-d", "html_errors=0", "-S", f"127.0.0.1:{port}", "index.php"]
    with running(command, port, cwd=folder):
        yield {"main": port}


ASKED = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'
JSON = "Content-Type: application/json"
USUAL = (
    Wish("page", http("GET", "/")),
    Wish("missing", http("GET", "/missing")),
    Wish("boom", http("GET", "/boom")),
    Wish("half", http("GET", "/half")),
    Wish("chat", http("POST", "/chat/completions", JSON, body=ASKED), "chat"),
)
REQUESTS = (Wish("no-such-request", b"NONSENSE\r\n\r\n"), Wish("long-address", http("GET", "/" + "a" * 70000)))
CALM = tuple(one for one in USUAL if one.id != "boom")
LOCKED = "tests/corpus/requirements.lock (make corpus)"
SERVERS = (
    Server("uvicorn", "pyproject.toml", pip("uvicorn", OWN), python(ASGI, str(OWN), "-m", "uvicorn", "example:app", "--port", "PORT", needs=OWN), (*USUAL, *REQUESTS)),
    Server("hypercorn", LOCKED, pip("hypercorn"), python(ASGI, str(BIN / "hypercorn"), "example:app", "--bind", "127.0.0.1:PORT"), USUAL),
    Server("daphne", LOCKED, pip("daphne"), python(ASGI, str(BIN / "daphne"), "-p", "PORT", "example:app"), USUAL),
    Server("granian", LOCKED, pip("granian"), python(ASGI, str(BIN / "granian"), "--interface", "asgi", "--port", "PORT", "example:app"), USUAL),
    Server("gunicorn", LOCKED, pip("gunicorn"), python(WSGI, str(BIN / "gunicorn"), "-b", "127.0.0.1:PORT", "example:app"), (*USUAL, *REQUESTS)),
    Server("waitress", LOCKED, pip("waitress"), python(WSGI, str(BIN / "waitress-serve"), "--listen=127.0.0.1:PORT", "example:app"), USUAL),
    Server("werkzeug", LOCKED, pip("werkzeug"), python(FLASK, str(BIN / "flask"), "--app", "example", "run", "--port", "PORT"), (*USUAL, Wish("chat-typed", http("POST", "/typed/chat/completions", JSON, body=ASKED), "chat"))),
    Server("aiohttp", LOCKED, pip("aiohttp"), python(AIOHTTP, str(PYTHON), "example.py", "PORT"), (*USUAL, *REQUESTS)),
    Server("tornado", LOCKED, pip("tornado"), python(TORNADO, str(PYTHON), "example.py", "PORT"), USUAL),
    Server("http.server", "Python", lambda: f"Python {sys.version.split()[0]}", simple_http, (
        Wish("page", http("GET", "/")), Wish("missing", http("GET", "/missing")), Wish("folder", http("GET", "/docs")),
        Wish("post", http("POST", "/", body=b"{}")), Wish("no-such-request", b"NONSENSE\r\n\r\n"),
        Wish("chat-at-a-site", http("POST", "/chat/completions", body=b"{}"), "chat"),
    )),
    Server("node", "Node.js", lambda: output("node", "-v"), node, (*CALM, *REQUESTS)),
    Server("php", "Debian: php-cli", lambda: output("php", "-r", "echo PHP_VERSION;"), php, (*(one for one in USUAL if one.id != "half"),)),
)  # fmt: skip

"""A hostile server that gives back whatever it was sent, in every way an answer has, and a hunt for what leaked."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import re
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import quote, quote_plus, unquote

from tests.edges.hostile import serve

SHOWN = 10
"""So many letters of a secret's core in a row are a leak."""


class Echo:
    """The server. ``asked`` counts the requests of each way to answer, which is the first part of the path."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.heard = ""
        self.port = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = re.search(r"(?i)content-length: *(\d+)", head)
        body = (await reader.readexactly(int(length[1]) if length else 0)).decode("latin-1")
        path = head.split(" ")[1]
        secrets = [value for name, value in re.findall(r"(?m)^([^:\r\n]+): ?([^\r\n]*)", head) if _is_secret(name)]
        self.heard += "\n".join([path, *secrets, body])
        for name, value in re.findall(r'"(email|password)": ("(?:[^"\\]|\\.)*")', body):
            secrets += [json.loads(value)] * bool(name)
        way = path.split("/")[1]
        writer.write(WAYS[way](self, secrets or [path], head, body))
        await writer.drain()
        self.asked[way] += 1


def _is_secret(name: str) -> bool:
    return name.lower() in ("authorization", "x-api-key", "cookie", "x-secret", "x-hook")


def _answer(status: int, body: str, kind: str = "application/json", **headers: str) -> bytes:
    data = body.encode("utf-8", "surrogatepass")
    lines = [f"HTTP/1.1 {status} said", f"Content-Type: {kind}", f"Content-Length: {len(data)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + data


def _error(status: int, *words: str) -> bytes:
    said = " | ".join(words)
    error = {"message": f"Incorrect API key provided: {said}.", "type": words[0], "code": words[-1]}
    return _answer(status, json.dumps({"error": error, "detail": said}))


def _json(_: Echo, secrets: list[str], head: str, body: str) -> bytes:
    return _error(401, *secrets, head, body)


def _twice(_: Echo, secrets: list[str], head: str, body: str) -> bytes:
    return _error(400, *(json.dumps(json.dumps(secret)) for secret in secrets), json.dumps(json.dumps(body)))


def _page(_: Echo, secrets: list[str], head: str, body: str) -> bytes:
    rows = "".join(f"<p title='{html.escape(secret)}'>{html.escape(secret)}</p>" for secret in secrets)
    return _answer(500, f"<html><body>{rows}<pre>{html.escape(head + body)}</pre></body></html>", "text/html")


def _elsewhere(echo: Echo, secrets: list[str], head: str, body: str) -> bytes:
    safe = quote(secrets[0], safe="")
    place = f"http://{secrets[0]}@127.0.0.1:{echo.port}/json/{safe}?key={quote_plus(secrets[0])}#{safe}"
    return _answer(302, "", Location=place, Set_Cookie=f"k={safe}", Via=safe, Server=secrets[0])


def _headers(_: Echo, secrets: list[str], head: str, body: str) -> bytes:
    return _answer(
        503, "busy", "text/plain", Server=secrets[0], Via=quote(secrets[0]), X_Request_Id=_packed(secrets[0]),
        WWW_Authenticate=secrets[0], Set_Cookie=f"a={secrets[0]}", X_RateLimit_Remaining=secrets[0], Date=secrets[0],
        Retry_After=secrets[0],
    )  # fmt: skip


def _packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _base64(_: Echo, secrets: list[str], head: str, body: str) -> bytes:
    return _error(500, *(_packed(f"{before}:{secret}") for secret in secrets for before in ("a", "al", "ali")))


def _numbers(_: Echo, secrets: list[str], head: str, body: str) -> bytes:
    return _error(500, *(secret.encode().hex() for secret in secrets), *map(quote_plus, secrets))


def _hidden(_: Echo, secrets: list[str], head: str, body: str) -> bytes:
    return _error(503, *(mark.join(secret) for secret in secrets for mark in "\u200b\xad\u2060\ue000\u202e"))


def _cut(_: Echo, secrets: list[str], head: str, body: str) -> bytes:
    return _error(
        403, *(f'"{secret[:-3]}" and {secret[: len(secret) // 2 + 4]}… or {secret[:26]}' for secret in secrets)
    )


def _long(_: Echo, secrets: list[str], head: str, body: str) -> bytes:
    return _error(500, *("x" * pad + secret for pad in (8150, 30, 200, 440, 480) for secret in secrets))


def _stream(*events: object) -> bytes:
    data = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return _answer(200, data + "data: [DONE]\n\n", "text/event-stream")


def _event(_: Echo, secrets: list[str], head: str, body: str) -> bytes:
    return _stream({"error": {"message": secrets[0], "type": secrets[0], "code": secrets[0]}})


def _model(_: Echo, secrets: list[str], head: str, body: str) -> bytes:
    choice = {"delta": {"content": secrets[0]}, "finish_reason": secrets[0]}
    return _stream({"model": secrets[0], "system_fingerprint": _packed(secrets[0]), "choices": [choice]})


def _reason(_: Echo, secrets: list[str], head: str, body: str) -> bytes:
    return f"HTTP/1.1 500 {secrets[0]}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")


def _garbage(_: Echo, secrets: list[str], head: str, body: str) -> bytes:
    return f"{secrets[0]}\r\n{secrets[0]}: {secrets[0]}\r\n\r\n".encode("latin-1")


def _chunk(_: Echo, secrets: list[str], head: str, body: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{secrets[0]}\r\n{secrets[0]}".encode("latin-1")


WAYS: dict[str, Callable[[Echo, list[str], str, str], bytes]] = {
    "json": _json, "twice": _twice, "page": _page, "elsewhere": _elsewhere, "headers": _headers, "base64": _base64,
    "numbers": _numbers, "hidden": _hidden, "cut": _cut, "long": _long, "event": _event, "model": _model,
    "reason": _reason, "garbage": _garbage, "chunk": _chunk,
}  # fmt: skip


@asynccontextmanager
async def echo() -> AsyncIterator[Echo]:
    """Serve on a free port of loopback."""
    server = Echo()
    async with serve(server) as server.port:
        yield server


@asynccontextmanager
async def mail_server(heard: list[str]) -> AsyncIterator[int]:
    """An SMTP server that refuses every log-in by repeating it."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail\r\n")
        while line := (await reader.readline()).decode("latin-1").strip():
            heard.append(line)
            verb = line.split(" ")[0].upper()
            answer = {"EHLO": "250-mail\r\n250 AUTH PLAIN LOGIN", "AUTH": f"535 5.7.8 {line}", "QUIT": "221 bye"}
            writer.write(answer.get(verb, f"535 5.7.8 {line}").encode("latin-1") + b"\r\n")
            await writer.drain()

    async with serve(behave) as port:
        yield port


# --- the hunt ---------------------------------------------------------------------------------------------------------


def leaks(blob: bytes | str, secrets: dict[str, str]) -> list[str]:
    """Return the names of the secrets of which a reader can find so much as a piece, however it is spelled."""
    text = blob if isinstance(blob, str) else blob.decode("utf-8", "replace")
    texts = _readings(text)
    found = []
    for name, secret in secrets.items():
        if any(form in reading for form in _pieces(secret) for reading in texts):
            found.append(name)
    return found


def _readings(text: str) -> list[str]:
    """Return a text as different readers understand it."""
    bare = "".join(c for c in text if c < "\x7f" or unicodedata.category(c) not in ("Cf", "Co", "Cn", "So"))
    unescaped = re.sub(r"\\+u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), bare)
    unescaped = re.sub(r"\\+(.)", r"\1", unescaped)
    shown = "".join(c for c in unescaped if unicodedata.category(c) not in ("Cf", "Co", "Cn"))
    return [text, bare, shown, html.unescape(shown), unquote(shown), unquote(unquote(shown)), shown[::-1]]


def _pieces(secret: str) -> set[str]:
    core = max(re.findall(r"[A-Za-z0-9]+", secret), key=len)
    assert len(core) >= 2 * SHOWN, "a canary needs a core of its own"
    middle = len(core) // 2 - SHOWN // 2
    plain = {core[:SHOWN], core[-SHOWN:], core[middle : middle + SHOWN]}
    packed = {base64.b64encode(bytes(pad) + core.encode())[4:20].decode() for pad in range(3)}
    return plain | packed | {piece.encode().hex() for piece in plain}

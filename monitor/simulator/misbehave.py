"""Faults below the product: what a broken server, a hostile one or a middlebox does to any request.

Bounded on purpose: nothing here sends more than ``size_mb`` or runs on after the client has gone.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from html import escape

from monitor.simulator.line import HTML, Line, head
from monitor.simulator.state import Fault, Trouble

ENDLESS_CHUNKS = 4096


async def _reset(line: Line, _trouble: Trouble) -> None:
    line.reset()


async def _close(line: Line, _trouble: Trouble) -> None:
    line.close()


async def _hang(line: Line, _trouble: Trouble) -> None:
    await line.gone()
    line.close()


async def _status(line: Line, trouble: Trouble) -> None:
    page = f"<html><head><title>{trouble.status}</title></head><body><h1>{trouble.status}</h1></body></html>"
    await line.send(trouble.status, page.encode(), HTML, {"Server": "nginx"})


async def _challenge(line: Line, _trouble: Trouble) -> None:
    page = "<html><head><title>Just a moment...</title></head><body>Verify you are human</body></html>"
    await line.send(403, page.encode(), HTML, {"cf-mitigated": "challenge"})


async def _html(line: Line, _trouble: Trouble) -> None:
    await line.send(200, b"<html><head><title>Welcome</title></head><body>Please log in</body></html>", HTML)


async def _notice(line: Line, trouble: Trouble) -> None:
    said = escape(trouble.text)
    title, body = (f"<title>{said[:60]}</title>", f"<h1>{said}</h1>") if said else ("", '<div id="root"></div>')
    await line.send(200, f"<html><head>{title}</head><body>{body}</body></html>".encode(), HTML)


async def _empty(line: Line, _trouble: Trouble) -> None:
    await line.send(200, b"")


async def _garbage(line: Line, _trouble: Trouble) -> None:
    await line.raw(b"SSH-2.0-OpenSSH_9.2\r\n\x00\xff\r\n\r\n")
    line.close()


async def _bad_json(line: Line, _trouble: Trouble) -> None:
    await line.send(200, b'{"choices": [{"message": ')


async def _error_body(line: Line, _trouble: Trouble) -> None:
    await line.send_json(200, {"error": {"message": "upstream connect error", "type": "server_error", "code": None}})


async def _short_body(line: Line, _trouble: Trouble) -> None:
    await line.raw(head(200, {"Content-Type": "application/json", "Content-Length": "100"}) + b'{"a')
    line.close()


async def _two_lengths(line: Line, _trouble: Trouble) -> None:
    await line.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\n{}")
    line.close()


async def _reset_midway(line: Line, _trouble: Trouble) -> None:
    await line.start(200, "application/json")
    await line.chunk(b'{"object": ')
    await asyncio.sleep(0.02)
    line.reset()


async def _drip(line: Line, trouble: Trouble) -> None:
    for byte in head(200, {"Content-Type": "application/json", "Content-Length": "2"}) + b"{}":
        await line.raw(bytes([byte]))
        await asyncio.sleep(trouble.seconds)


async def _endless(line: Line, _trouble: Trouble) -> None:
    await line.start(200, "text/event-stream")
    for _ in range(ENDLESS_CHUNKS):
        await line.chunk(b": " + b"x" * 16_000 + b"\n\n")
    line.reset()


async def _gzip_bomb(line: Line, trouble: Trouble) -> None:
    bomb = gzip.compress(bytes(trouble.size_mb * 2**20), mtime=0)
    await line.send(200, bomb, "application/json", {"Content-Encoding": "gzip"})


async def _bad_gzip(line: Line, _trouble: Trouble) -> None:
    await line.send(200, b"\x1f\x8b\x08\x00 this is no deflate stream", headers={"Content-Encoding": "gzip"})


async def _huge_header(line: Line, trouble: Trouble) -> None:
    await line.raw(b"HTTP/1.1 200 OK\r\nX-Long: ")
    for _ in range(trouble.size_mb * 16):
        await line.raw(b"x" * 65_536)
    await line.raw(b"\r\nContent-Length: 2\r\n\r\n{}")


async def _many_headers(line: Line, _trouble: Trouble) -> None:
    await line.raw(head(200, {f"X-{number}": "y" for number in range(20_000)} | {"Content-Length": "2"}) + b"{}")


async def _interim(line: Line, trouble: Trouble) -> None:
    for _ in range(30):
        await line.raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n")
        await asyncio.sleep(trouble.seconds)
    await line.send(200, b"{}")


async def _redirect(line: Line, trouble: Trouble) -> None:
    await line.send(302, b"", headers={"Location": trouble.to or "http://169.254.169.254/latest/meta-data/"})


BELOW: dict[Fault, Callable[[Line, Trouble], Awaitable[None]]] = {
    Fault.RESET: _reset,
    Fault.CLOSE: _close,
    Fault.HANG: _hang,
    Fault.STATUS: _status,
    Fault.CHALLENGE: _challenge,
    Fault.HTML: _html,
    Fault.NOTICE: _notice,
    Fault.EMPTY: _empty,
    Fault.GARBAGE: _garbage,
    Fault.BAD_JSON: _bad_json,
    Fault.ERROR_BODY: _error_body,
    Fault.SHORT_BODY: _short_body,
    Fault.TWO_LENGTHS: _two_lengths,
    Fault.RESET_MIDWAY: _reset_midway,
    Fault.DRIP: _drip,
    Fault.ENDLESS: _endless,
    Fault.GZIP_BOMB: _gzip_bomb,
    Fault.BAD_GZIP: _bad_gzip,
    Fault.HUGE_HEADER: _huge_header,
    Fault.MANY_HEADERS: _many_headers,
    Fault.INTERIM: _interim,
    Fault.REDIRECT: _redirect,
}
"""Faults that answer by themselves; REDIRECT_LOOP needs the request's own address and is the vendor's."""

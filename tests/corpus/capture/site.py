"""The site that every web server serves, its upstreams in trouble, and what is asked of it."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.corpus.capture.running import HOST, Wish, free_port, http

PAGE = (
    '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Example Chat</title>\n'
    '<meta name="application-name" content="Example Chat"></head>\n'
    '<body><main id="app"><h1>Example Chat</h1><p>Ask anything — 你好.</p></main></body>\n</html>\n'
)


def site(folder: Path) -> Path:
    """Write the site."""
    root = folder / "site"
    for name in ("docs", "private"):
        (root / name).mkdir(parents=True)
    (root / "index.html").write_text(PAGE, encoding="utf-8")
    (root / "docs" / "index.html").write_text(PAGE, encoding="utf-8")
    (root / "latin1.html").write_bytes("<!doctype html><title>Café</title><h1>Café ouvert</h1>".encode("latin-1"))
    (root / "health.json").write_text('{"status":"ok","models":3}\n')
    (root / "empty.txt").write_bytes(b"")
    (root / "private" / "x.txt").write_text("secret\n")
    for path in (folder, root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return root


@contextmanager
def troubled() -> Iterator[dict[str, int]]:
    """Serve as upstreams in trouble: one closes at once, one never answers, one breaks off, nobody is on the last."""
    kinds = {"closes": b"", "hangs": b"", "breaks": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<html>half"}
    ports, sockets, over = {"nobody": free_port()}, [], threading.Event()
    for kind, said in kinds.items():
        server = socket.create_server(("127.0.0.1", 0))
        sockets.append(server)
        ports[kind] = server.getsockname()[1]
        threading.Thread(target=_serve, args=(server, kind, said, over), daemon=True).start()
    try:
        yield ports
    finally:
        over.set()
        for server in sockets:
            server.close()


def _serve(server: socket.socket, kind: str, said: bytes, over: threading.Event) -> None:
    with suppress(OSError):
        while not over.is_set():
            sock, _ = server.accept()
            with sock, suppress(OSError):
                if kind != "closes":
                    sock.recv(65536)
                sock.sendall(said)
                if kind == "hangs":
                    over.wait(8)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate of the site and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *(
                [
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                    "-nodes",
                    "-days",
                    "30",
                ]
            ),
            "-subj",
            f"/CN={HOST}",
            "-addext",
            f"subjectAltName=DNS:{HOST}",
            "-keyout",
            str(key),
            "-out",
            str(cert),
        ],
        check=True,
        capture_output=True,
    )
    (folder / "both.pem").write_bytes(cert.read_bytes() + key.read_bytes())
    return cert, key


LONG = "/" + "a" * 9000
OWN_SITE = {"sites": [HOST]}
"""The site's own name, which the replay does not have."""
COMMON = (
    Wish("page", http("GET", "/")),
    Wish("page-zipped", http("GET", "/", "Accept-Encoding: gzip")),
    Wish("page-of-http-1.0", http("GET", "/", version="HTTP/1.0")),
    Wish("data", http("GET", "/health.json")),
    Wish("empty", http("GET", "/empty.txt")),
    Wish("latin1", http("GET", "/latin1.html")),
    Wish("missing", http("GET", "/missing")),
    Wish("part", http("GET", "/", "Range: bytes=0-99")),
    Wish("no-such-request", b"NONSENSE\r\n\r\n"),
    Wish("no-host", b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"),
    Wish("long-address", http("GET", LONG)),
    Wish("long-header", http("GET", "/", "X-Long: " + "a" * 40000)),
)
PROXIED = (
    Wish("nobody-behind", http("GET", "/nobody/")),
    Wish("hangs-behind", http("GET", "/hangs/")),
    Wish("closes-behind", http("GET", "/closes/")),
    Wish("breaks-behind", http("GET", "/breaks/")),
)
GUARDED = (
    Wish("moved", http("GET", "/old"), options=OWN_SITE),
    Wish("folder", http("GET", "/docs"), options=OWN_SITE),
    Wish("forbidden", http("GET", "/private/x.txt")),
    Wish("needs-a-key", http("GET", "/key/")),
    Wish("maintenance", http("GET", "/maintenance")),
)
METHODS = (
    Wish("post", http("POST", "/", body=b"{}")),
    Wish("chat-at-a-site", http("POST", "/chat/completions", body=b"{}"), "chat"),
)

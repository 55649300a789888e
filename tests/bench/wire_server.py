"""A server that knows the truth: it notes when each request reached its kernel and when the answer left.

``GET /DELAY_MS/ID`` answers after the delay; ``GET /truth`` returns ``{ID: {wait, tls}}``: seconds from a request (a
client hello) to its answer. One thread, epoll, kernel receive stamps of its own (nothing is shared with the code under
test); plain, over TLS, and over TLS in HTTP/2.
"""

from __future__ import annotations

import heapq
import json
import select
import socket
import ssl
import struct
import sys
import time
from contextlib import suppress

import h2.config
import h2.connection
import h2.events

SO_TIMESTAMPNS = 35
BODY = b'{"status": "ok", "padding": "' + b"x" * 110 + b'"}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
ANSWER = HEAD % len(BODY) + BODY


class Client:
    """One connection."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        self.sock = sock
        self.heard = b""
        self.received_ns = self.asked_ns = 0
        self.h2: h2.connection.H2Connection | None = None
        self.stream = 0
        self.tls_s = 0.0
        self.name = ""
        self.tls: ssl.SSLObject | None = None
        self.shaken = context is None
        if context is not None:
            self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)


def _context(pem: str, *alpn: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.num_tickets = 0
    context.set_alpn_protocols(list(alpn))
    return context


class Server:
    """Plain and TLS listeners on loopback."""

    def __init__(self, pem: str) -> None:
        self.poll = select.epoll()
        self.listeners: dict[int, tuple[socket.socket, ssl.SSLContext | None]] = {}
        self.clients: dict[int, Client] = {}
        self.due: list[tuple[int, int, Client]] = []
        self.truth: dict[str, dict[str, float]] = {}
        self.ports = [self._listen(None), self._listen(_context(pem)), self._listen(_context(pem, "h2"))]

    def _listen(self, context: ssl.SSLContext | None) -> int:
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.listeners[listener.fileno()] = (listener, context)
        self.poll.register(listener, select.EPOLLIN)
        return int(listener.getsockname()[1])

    def run(self) -> None:
        """Serve until killed."""
        while True:
            wait_s = max(0.0, (self.due[0][0] - time.monotonic_ns()) / 1e9) if self.due else 1.0
            for number, _ in self.poll.poll(wait_s):
                if number in self.listeners:
                    self._accept(*self.listeners[number])
                elif number in self.clients:
                    self._read(self.clients[number])
            while self.due and self.due[0][0] <= time.monotonic_ns():
                self._answer(heapq.heappop(self.due)[2])

    def _accept(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        for _ in range(64):
            try:
                sock, _ = listener.accept()
            except BlockingIOError:
                return
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = self.clients[sock.fileno()] = Client(sock, context)
            self.poll.register(sock, select.EPOLLIN)
            self._read(client)

    def _read(self, client: Client) -> None:
        try:
            data, extras, _, _ = client.sock.recvmsg(65536, socket.CMSG_SPACE(16))
        except BlockingIOError:
            return
        except OSError:
            data, extras = b"", []
        if not data:
            self._close(client)
            return
        offset_ns = time.time_ns() - time.monotonic_ns()
        for _, kind, body in extras:
            if kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack_from("qq", body)
                client.received_ns = seconds * 1_000_000_000 + nanoseconds - offset_ns
        if client.tls is None:
            client.heard += data
        elif not self._decrypt(client, data):
            return
        if client.h2 is not None:
            self._asked_h2(client)
        elif b"\r\n\r\n" in client.heard:
            self._asked(client, client.heard.split(b" ", 2)[1].decode("ascii"))

    def _decrypt(self, client: Client, data: bytes) -> bool:
        assert client.tls is not None
        client.incoming.write(data)
        try:
            if not client.shaken:
                client.tls.do_handshake()
                client.shaken = True
                if client.tls.selected_alpn_protocol() == "h2":
                    client.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
                    client.h2.initiate_connection()
            while data := client.tls.read(65536):  # a record at a time
                client.heard += data
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self._close(client)
            return False
        if client.outgoing.pending:
            client.tls_s += (time.monotonic_ns() - client.received_ns) / 1e9
            with suppress(OSError):
                client.sock.send(client.outgoing.read())
        return True

    def _asked_h2(self, client: Client) -> None:
        assert client.h2 is not None
        heard, client.heard = client.heard, b""
        for event in client.h2.receive_data(heard):
            if isinstance(event, h2.events.RequestReceived):
                assert event.stream_id is not None
                assert event.headers is not None
                client.stream = event.stream_id
                path = next(value for name, value in event.headers if name == b":path")
                self._asked(client, path.decode("ascii"))
        self._flush_h2(client)

    def _flush_h2(self, client: Client) -> int:
        assert client.h2 is not None
        assert client.tls is not None
        if data := client.h2.data_to_send():
            client.tls.write(data)
            data = client.outgoing.read()
        sent_ns = time.monotonic_ns()
        with suppress(OSError):
            client.sock.sendall(data)
        return sent_ns

    def _asked(self, client: Client, path: str) -> None:
        client.asked_ns = client.received_ns
        delay_ms, _, client.name = path.strip("/").partition("/")
        if delay_ms == "truth":
            body = json.dumps(self.truth).encode()
            self.truth = {}
            client.sock.setblocking(True)
            self._send(client, HEAD % len(body) + body)
        elif delay_ms and client.name:
            heapq.heappush(self.due, (client.asked_ns + int(delay_ms) * 1_000_000, client.sock.fileno(), client))
        else:
            self._send(client, ANSWER)

    def _answer(self, client: Client) -> None:
        sent_ns = self._send(client, ANSWER)
        self.truth[client.name] = {"wait": (sent_ns - client.asked_ns) / 1e9, "tls": client.tls_s}

    def _send(self, client: Client, data: bytes) -> int:
        """Send an answer; return the moment before."""
        if client.h2 is not None:  # the client hangs up: a close with its acknowledgements unread would be a reset
            client.h2.send_headers(client.stream, [(":status", "200"), ("content-type", "application/json")])
            client.h2.send_data(client.stream, BODY, end_stream=True)
            return self._flush_h2(client)
        if client.tls is not None:
            client.tls.write(data)
            data = client.outgoing.read()
        sent_ns = time.monotonic_ns()
        with suppress(OSError):
            client.sock.sendall(data)
        self._close(client)
        return sent_ns

    def _close(self, client: Client) -> None:
        number = client.sock.fileno()
        if number >= 0:
            self.clients.pop(number, None)
            client.sock.close()


if __name__ == "__main__":
    server = Server(sys.argv[1])
    print(*server.ports, flush=True)
    server.run()

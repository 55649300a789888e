"""A mail server on loopback that answers as told and keeps what it heard."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

USUAL = {
    "": b"220 ready",
    "EHLO": b"250-mail\r\n250 AUTH PLAIN LOGIN",
    "DATA": b"354 go",
    "STARTTLS": b"220 go",
    "AUTH": b"235 in",
    "QUIT": b"221 bye",
}
PATIENCE_S = 120.0


@dataclass
class MailServer:
    """``answers`` maps a verb to its answer, or to those of its first, second, … use; ``""`` is the greeting."""

    answers: Mapping[str, bytes | Sequence[bytes]] = field(default_factory=dict)
    context: ssl.SSLContext | None = None
    """For STARTTLS."""
    connections: int = 0
    heard: list[str] = field(default_factory=list)
    encrypted_from: int | None = None
    """The number of lines that were heard in clear."""
    mails: list[bytes] = field(default_factory=list)

    def talk(self, line: socket.socket) -> None:
        """Speak with one client until it leaves."""
        used: dict[str, int] = {}
        line.sendall(self._answer("", used))
        lines = line.makefile("rb")
        while said := lines.readline().decode().rstrip("\r\n"):
            self.heard.append(said)
            verb = said.partition(" ")[0].partition(":")[0].upper()
            answer = self._answer(verb, used)
            line.sendall(answer)
            if verb == "DATA" and answer.startswith(b"354"):
                mail = b""
                while not mail.endswith(b"\r\n.\r\n"):
                    mail += lines.readline()
                self.mails.append(mail)
                line.sendall(self._answer("END", used))
            if verb == "STARTTLS" and answer.startswith(b"220") and self.context is not None:
                line = self.context.wrap_socket(line, server_side=True)
                lines = line.makefile("rb")
                self.encrypted_from = len(self.heard)
            if verb == "QUIT":
                break
        line.close()

    def _answer(self, verb: str, used: dict[str, int]) -> bytes:
        said = self.answers.get(verb, USUAL.get(verb, b"250 ok"))
        if not isinstance(said, bytes):
            turn = used[verb] = used.get(verb, -1) + 1
            said = said[min(turn, len(said) - 1)]
        return said + b"\r\n" if said else b""


@contextmanager
def serving(server: MailServer, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve on a free port of loopback, which is yielded; *tls* for a server that is encrypted from the first byte."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=_accept, args=(server, listener, tls))
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread up
            accepting.join()


def _accept(server: MailServer, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
    while True:
        try:
            line, _ = listener.accept()
        except OSError:
            return
        server.connections += 1
        with line, suppress(OSError):  # a client that leaves is what some tests are about
            line.settimeout(PATIENCE_S)
            server.talk(tls.wrap_socket(line, server_side=True) if tls is not None else line)

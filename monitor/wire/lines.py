"""A stream of bytes cut into lines, at a cost that does not grow with the length of the line at hand."""

from __future__ import annotations


class LineSplitter:
    """Cuts at LF, CRLF and CR, as server-sent events demand, wherever the pieces happen to be cut."""

    def __init__(self) -> None:
        self.held = 0
        """Bytes of the line that has not ended yet."""
        self._parts: list[bytes] = []
        self._after_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes and return the lines that ended in them, without their ends."""
        if self._after_cr and data.startswith(b"\n"):  # the second half of a CRLF whose first half ended a line
            data = data[1:]
            self._after_cr = False
        if not data:
            return []
        self._after_cr = data.endswith(b"\r")
        *ended, rest = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        if ended:
            ended[0] = b"".join((*self._parts, ended[0]))
            self._parts.clear()
            self.held = 0
        if rest:
            self._parts.append(rest)
            self.held += len(rest)
        return ended

    def end(self) -> list[bytes]:
        """Return the line that the stream's end cut off, if any."""
        return [b"".join(self._parts)] if self._parts else []

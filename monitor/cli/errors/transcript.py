"""An HTTP answer as ``curl -i``, ``curl -v`` or a packet log shows it: the last one, after redirects and tunnels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_STATUS_LINE = re.compile(r"(?mi)^(<?)[ \t]{0,4}HTTP/[0-9](?:\.[0-9])?[ \t]+([1-5][0-9]{2})(?![0-9])([^\n]{0,200})$")
_TUNNEL = re.compile(r"(?i)connection established|tunnel")
_HEADER = re.compile(r"^<?[ \t]{0,4}([A-Za-z0-9!#$%&'*+.^_`|~-]{1,80}):[ \t]*([^\n]{0,4000})$")
_NOTE = re.compile(r"^(?:\*[ \t]|[<>](?:[ \t]|$)|[{}] \[|curl: \()")
_METER = re.compile(r"^[ \t]*(?:% Total|Dload|\d{1,3}[ \t]+\d[\d.kMG]*[ \t]+\d{1,3}[ \t]).*$")
_MOST_HEADERS = 200


class Transcript(NamedTuple):
    """One answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: str
    rest: str
    """What stands around it: the command, curl's own notes."""


def transcript(text: str) -> Transcript | None:
    """Return the last answer in a text; None where no status line begins a line."""
    found = [one for one in _STATUS_LINE.finditer(text) if not (one[2] == "200" and _TUNNEL.search(one[3]))]
    # An interim answer (100, 103) says nothing.
    found = [one for one in found if not one[2].startswith("1")]
    if not found:
        return None
    line = found[-1]
    is_noted = line[1] == "<"
    lines = text[line.end() + 1 :].split("\n")
    headers, at = _headers(lines)
    kept = [row for row in lines[at:] if not ((is_noted and _NOTE.match(row)) or _METER.match(row))]
    notes = [row for row in lines[at:] if row.startswith(("curl: (", "* "))]
    body = "\n".join(row for row in kept if not row.startswith("curl: (")).strip("\n")
    return Transcript(int(line[2]), headers, _bare(body), text[: line.start()] + "\n" + "\n".join(notes))


def _headers(lines: list[str]) -> tuple[dict[str, str], int]:
    """Return the headers, and the number of the line on which the body begins."""
    headers: dict[str, str] = {}
    for number, row in enumerate(lines[:_MOST_HEADERS]):
        if row.startswith(("* ", "{ [", "} [")):
            continue
        header = _HEADER.match(row)
        if header is None:
            return headers, number + (row.strip() in ("", "<"))
        headers[header[1].lower()] = header[2].strip()
    return headers, min(len(lines), _MOST_HEADERS)


def _bare(body: str) -> str:
    """Take off the fence of a code block, which whoever pasted it left behind."""
    return re.sub(r"\n?```[ \t]*\n?$", "", body)

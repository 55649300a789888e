"""A small order to book a table: is a tool called with the right arguments, is a schema of JSON held.

Who builds agents needs both, and both break while chat goes on: a parser of tool calls, a grammar of the server. Like
every canary it is a soft signal.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from monitor.probes.answers import parse_json
from monitor.probes.chat.answer.canary import Verdict
from monitor.probes.chat.answer.reply import Reply

_NAMES = ("Almeida", "Becker", "Castillo", "Dubois", "Eriksen", "Haddad", "Jansen", "Kowalski", "Lindqvist", "Okafor")


class Form(NamedTuple):
    """What an answer is to have the form of: a tool's arguments, or a document."""

    name: str
    description: str
    schema: dict[str, Any]


TABLE = Form(
    "book_table",
    "Book a table in the restaurant.",
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "Family name of the guest."},
            "guests": {"type": "integer", "description": "Number of people."},
            "time": {"type": "string", "description": "Time of the evening, as HH:MM in 24 hours."},
        },
        "required": ["name", "guests", "time"],
        "additionalProperties": False,
    },
)


class Booking(NamedTuple):
    """An order and the booking that fulfils it."""

    name: str
    guests: int
    time: str
    by_tool: bool
    """It is to be done by a call of the tool, not to be written as a document."""

    @property
    def question(self) -> str:
        """The order in words."""
        how = f"Call the tool {TABLE.name}." if self.by_tool else "Reply with the booking as JSON only."
        return f"Book a table for {self.guests} people at {self.time} in the name of {self.name}. {how}"

    @property
    def asked(self) -> str:
        """What was asked for, for people."""
        return "a tool call" if self.by_tool else "JSON of a schema"

    def verdict(self, reply: Reply, *, cut: bool) -> Verdict:
        """Judge the answer: exactly one call of the tool, or one document, with these values and no others."""
        if self._held(reply):
            return Verdict.RIGHT
        return Verdict.NONE if cut else Verdict.WRONG

    def _held(self, reply: Reply) -> bool:
        if not self.by_tool:
            return self._is_told(reply.text)
        calls = list(reply.calls.values())
        return len(calls) == 1 and calls[0].name == TABLE.name and self._is_told(calls[0].arguments)

    def _is_told(self, text: str) -> bool:
        try:
            told = parse_json(text)
        except ValueError:
            return False
        if not isinstance(told, dict) or told.keys() != {"name", "guests", "time"}:
            return False
        name, guests = told["name"], told["guests"]
        is_number = isinstance(guests, int) and not isinstance(guests, bool)
        is_name = isinstance(name, str) and name.strip().casefold() == self.name.casefold()
        return is_name and is_number and guests == self.guests and told["time"] == self.time


def order(rng: random.Random, *, by_tool: bool) -> Booking:
    """Make an order that no cache can know."""
    time = f"{rng.randint(17, 21)}:{rng.choice(('00', '15', '30', '45'))}"
    return Booking(rng.choice(_NAMES), rng.randint(2, 9), time, by_tool)

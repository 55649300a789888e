"""The operator's log: one line an event on the standard error, as text or as JSON.

A room says what happened by :class:`Room`, naming a member of :class:`Event`; a program calls :func:`set_up` once.
What never belongs here: a line for each look, a secret, a stranger's text that is not cleaned.
"""

from monitor.logs.events import Event, Fields
from monitor.logs.handler import set_up
from monitor.logs.hiding import hide, shown_database
from monitor.logs.options import log_options
from monitor.logs.room import Room

__all__ = ["Event", "Fields", "Room", "hide", "log_options", "set_up", "shown_database"]

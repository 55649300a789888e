"""A room's way into the log: every line names its event, and mypy holds its fields to the closed set."""

from __future__ import annotations

import logging
import sys
from typing import Unpack

from monitor.logs.events import Event, Fields
from monitor.logs.form import PREFIX


class Room:
    """Logs under ``chatwatch.NAME``. Messages have their arguments apart, as in :mod:`logging`."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"{PREFIX}{name}")

    def debug(self, event: Event, message: str, *arguments: object, **fields: Unpack[Fields]) -> None:
        """Tell what only somebody who looks for a fault wants to read."""
        self._log(logging.DEBUG, event, message, arguments, fields)

    def info(self, event: Event, message: str, *arguments: object, **fields: Unpack[Fields]) -> None:
        """Tell what happened."""
        self._log(logging.INFO, event, message, arguments, fields)

    def warning(self, event: Event, message: str, *arguments: object, **fields: Unpack[Fields]) -> None:
        """Tell what somebody should know of."""
        self._log(logging.WARNING, event, message, arguments, fields)

    def error(
        self,
        event: Event,
        message: str,
        *arguments: object,
        exc_info: BaseException | None = None,
        **fields: Unpack[Fields],
    ) -> None:
        """Tell what somebody must mend; ``exc_info`` adds the traceback of an error."""
        self._log(logging.ERROR, event, message, arguments, fields, exc_info)

    def exception(self, event: Event, message: str, *arguments: object, **fields: Unpack[Fields]) -> None:
        """Tell of the error that is being handled, with its traceback: a fault of ours."""
        self._log(logging.ERROR, event, message, arguments, fields, sys.exception())

    def _log(
        self,
        level: int,
        event: Event,
        message: str,
        arguments: tuple[object, ...],
        fields: Fields,
        exc_info: BaseException | None = None,
    ) -> None:
        if self._logger.isEnabledFor(level):
            extra = {"event": event, "fields": fields}
            self._logger.log(level, message, *arguments, exc_info=exc_info, extra=extra, stacklevel=3)

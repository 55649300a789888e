"""Where lines go: the standard error, redacted, limited, in one form for our rooms and every library."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType

from monitor import clock
from monitor.logs.events import Event
from monitor.logs.form import PREFIX, as_json, as_text, entry, event_of
from monitor.logs.hiding import HIDDEN, hide, of_environment
from monitor.logs.limit import WINDOW_S, Limiter
from monitor.logs.options import Form, chosen

CHATTY = ("httpx", "httpcore", "apscheduler")
"""Libraries whose warnings would hold addresses or tracebacks: only their errors are told."""


class Handler(logging.Handler):
    """Writes to whatever the standard error is at that moment; each line is one write, since processes share it."""

    def __init__(self, program: str, form: Form, limiter: Limiter) -> None:
        super().__init__()
        self._program, self._form, self._limiter = program, form, limiter
        self._timer: threading.Timer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record, or count it when its event was printed too often."""
        event = event_of(record)
        if event == Event.LIBRARY and record.levelno < logging.WARNING:
            return  # a library that chose its own level
        try:
            self._tell_of(self._limiter.over(clock.monotonic()))
            key = record.name if event == Event.LIBRARY else event
            if self._limiter.admits(key, clock.monotonic()):
                self._print(record)
            else:
                self._wait()
        except Exception:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the name is logging's
        """Give the line up: the standard error is where this would be told."""

    def close(self) -> None:
        """Tell what was counted and not told yet."""
        with self._alone():
            if self._timer is not None:
                self._timer.cancel()
            self._tell_of(self._limiter.rest())
        super().close()

    def _wait(self) -> None:
        """Let the count be told even if nothing follows."""
        if self._timer is None:
            self._timer = threading.Timer(WINDOW_S, self._wake)
            self._timer.daemon = True
            self._timer.start()

    def _wake(self) -> None:
        with self._alone():
            self._timer = None
            self._tell_of(self._limiter.over(clock.monotonic()))
            if self._limiter.holds:
                self._wait()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other threads out; a standard error that is closed already is no news to anybody."""
        self.acquire()
        try:
            with suppress(OSError, ValueError):
                yield
        finally:
            self.release()

    def _tell_of(self, held: Mapping[str, int]) -> None:
        for key, count in held.items():
            text = "Suppressed %d more lines of %s within %.0f s"
            record = logging.LogRecord("chatwatch.logs", logging.WARNING, "", 0, text, (count, key, WINDOW_S), None)
            record.event, record.fields = Event.SUPPRESSED, {"of": key, "count": count}
            self._print(record)

    def _print(self, record: logging.LogRecord) -> None:
        found = entry(record, self._program, HIDDEN)
        sys.stderr.write((as_json(found) if self._form is Form.JSON else as_text(found)) + "\n")
        sys.stderr.flush()


def set_up(program: str, environ: Mapping[str, str] = os.environ, mute: Iterable[str] = ()) -> Handler:
    """Let this process log as the environment says (:mod:`monitor.logs.options`); a later call replaces an earlier.

    Of rooms that are ``mute`` only errors are told. What would end the process, or only a thread of it, is a line of
    the log as well.
    """
    level, form = chosen(environ)
    hide(of_environment(environ))
    root, handler = logging.getLogger(), Handler(program, form, Limiter())
    for old in [item for item in root.handlers if isinstance(item, Handler)]:
        root.removeHandler(old)
        old.close()
    handler.setLevel(level)  # also for libraries that set levels of their own
    root.addHandler(handler)
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("chatwatch").setLevel(level)
    for name in (*CHATTY, *(f"{PREFIX}{room}" for room in mute)):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)
    sys.excepthook = _crashed
    threading.excepthook = _thread_crashed
    return handler


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    extra = {"event": Event.CRASHED, "fields": {"error": kind.__name__}}
    logging.getLogger("chatwatch.logs").error("Program failed", exc_info=error, extra=extra)


def _thread_crashed(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is not None and not issubclass(found.exc_type, SystemExit):
        _crashed(found.exc_type, found.exc_value, found.exc_traceback)

"""Streamlit started with the operator's log: its lines get our form, our limits and our redaction.

``python -m dashboard.launch live run SCRIPT …``: the door's name, then what follows ``streamlit`` on a command line.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import uvicorn
from uvicorn.config import LOGGING_CONFIG

from dashboard.data import database_url
from dashboard.starting import Secured, streamlit_policy, telling
from monitor import __version__
from monitor.logs import Event, Fields, Room, set_up, shown_database
from monitor.plain_files import private_from_now
from monitor.runtime.listening import must_be_free
from monitor.runtime.visitors import prepare


def hand_over(logger: logging.Logger) -> None:
    """Let a logger of Streamlit's write by the root's handler: each comes with one of its own."""
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.propagate = True


STRANGERS = ("Error deserializing back message", "Invalid UTF-8 sequence received from client")
"""How lines begin that Streamlit and uvicorn log of a frame that makes no sense."""


def without_trace(record: logging.LogRecord) -> bool:
    """Let a line pass, without its traceback if it is about a stranger's frame: that is no fault of the program's."""
    if str(record.msg).startswith(STRANGERS):
        record.exc_info = record.exc_text = None
    return True


def main() -> None:
    """Set up the log, then be ``streamlit``."""
    door, *arguments = sys.argv[1:]
    private_from_now()
    set_up(door)
    log = Room(door)
    import streamlit
    from streamlit import logger as theirs

    first_page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text("utf-8")

    # Streamlit calls this for every logger that it makes, and for all of them once its options are read.
    vars(theirs)["setup_formatter"] = hand_over
    theirs.update_formatter()
    for logger in ("streamlit.web.server.starlette.starlette_websocket", "uvicorn.error"):
        logging.getLogger(logger).addFilter(without_trace)
    LOGGING_CONFIG["loggers"].clear()  # uvicorn, which Streamlit runs on, must not set up handlers of its own either
    from streamlit.web.cli import main as run

    options = dict(item.removeprefix("--").split("=", 1) for item in arguments if item.startswith("--"))
    host, port = options["server.address"], int(options["server.port"])
    must_be_free(log, door, host, port)
    address = f"http://{host}:{port}/"
    fields: Fields = {"version": __version__, "database": shown_database(database_url())}
    if door == "console":
        fields["console"] = address
    else:
        fields["live_page"] = address
    name = "Console" if door == "console" else "Live page"

    def tell() -> None:
        log.info(Event.STARTED, "%s %s started at %s", name, __version__, address, **fields)

    def begin(config: uvicorn.Config) -> None:
        prepare(config, websockets=True)
        config.load()  # what is served may be a name until now
        config.loaded_app = Secured(config.loaded_app, streamlit_policy(first_page))

    vars(uvicorn)["Server"] = telling(tell, begin)  # Streamlit takes it from there when it begins to serve
    run(args=arguments, prog_name="streamlit")


if __name__ == "__main__":
    main()

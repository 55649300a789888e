"""Streamlit started with the operator's log: its lines get our form, our limits and our redaction.

``python -m dashboard.launch live run SCRIPT …``: the door's name, then what follows ``streamlit`` on a command line.
"""

from __future__ import annotations

import logging
import sys

import uvicorn
from uvicorn.config import LOGGING_CONFIG

from dashboard.data import database_url
from dashboard.starting import telling
from monitor import __version__
from monitor.logs import Event, Fields, Room, set_up, shown_database
from monitor.runtime.listening import must_be_free


def hand_over(logger: logging.Logger) -> None:
    """Let a logger of Streamlit's write by the root's handler: each comes with one of its own."""
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.propagate = True


def main() -> None:
    """Set up the log, then be ``streamlit``."""
    door, *arguments = sys.argv[1:]
    set_up(door)
    log = Room(door)
    from streamlit import logger as theirs

    # Streamlit calls this for every logger that it makes, and for all of them once its options are read.
    vars(theirs)["setup_formatter"] = hand_over
    theirs.update_formatter()
    LOGGING_CONFIG["loggers"].clear()  # uvicorn, which Streamlit runs on, must not set up handlers of its own either
    from streamlit.web.cli import main as streamlit

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

    vars(uvicorn)["Server"] = telling(tell)  # Streamlit takes it from there when it begins to serve
    streamlit(args=arguments, prog_name="streamlit")


if __name__ == "__main__":
    main()

"""The recorder's process. In a file of its own: it imports nothing that reads ``probes.yaml`` or looks."""

from __future__ import annotations

import sys

import click

from monitor.logs import set_up
from monitor.runtime.programs import database_url


@click.command(hidden=True)
@click.argument("descriptor", type=int)
def recorder(descriptor: int) -> None:
    """Be the recorder of a worker; the supervisor starts this."""
    from monitor.recorder.process import main

    set_up("recorder")
    sys.exit(main(descriptor, database_url()))

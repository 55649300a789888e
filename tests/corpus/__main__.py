"""The corpus: ``python -m tests.corpus capture [SERVER …]``, ``replay``, ``accept``, ``dialects``, ``table``."""

from __future__ import annotations

import argparse
import sys


def run() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    capture = commands.add_parser("capture", help="start the real servers and store what they answer")
    capture.add_argument("server", nargs="*", help="these only")
    commands.add_parser("replay", help="look at every stored answer and print what is not as expected")
    commands.add_parser("accept", help="write what every look tells now as what is expected; read the difference")
    commands.add_parser("dialects", help="hold requests and shapes of further dialects against the vendors' libraries")
    table = commands.add_parser(
        "table", help="ask everybody and write docs/corpus.md; fails at an unexplained difference"
    )
    table.add_argument("--check", action="store_true", help="write nothing")
    chosen = parser.parse_args()
    if chosen.command == "capture":
        from tests.corpus.capture.capturing import capture as run_capture

        return run_capture(chosen.server)
    if chosen.command == "replay":
        from tests.corpus.replaying import report

        return report()
    if chosen.command == "accept":
        from tests.corpus.replaying import accept

        return accept()
    if chosen.command == "dialects":
        from tests.corpus.dialects import report as compare

        return compare()
    from tests.corpus.table import make

    return make(write=not chosen.check)


if __name__ == "__main__":
    sys.exit(run())

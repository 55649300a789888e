"""Run benchmarks: ``python -m tests.bench [NAME …] [--quick] [--json] [--only PART …]``.

A benchmark is a module here with ``main(quick)``; one whose ``main`` takes ``as_json`` as well can print rows, and one
that takes ``only`` can play some of its parts.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
from pathlib import Path


def names() -> list[str]:
    """Return the modules that have a ``main``, without importing them."""
    folder = Path(__file__).parent
    found = sorted(module.name for module in pkgutil.iter_modules([str(folder)]) if not module.name.startswith("_"))
    return [name for name in found if "\ndef main(quick: bool" in (folder / f"{name}.py").read_text()]


def run() -> None:
    """Run the named benchmarks, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"one of {', '.join(names())}; all without a name")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and shorter runs")
    parser.add_argument("--json", action="store_true", help="print rows as JSON, where a benchmark can")
    parser.add_argument(
        "--only", action="append", default=[], metavar="PART", help="play this part, where a benchmark can"
    )
    chosen = parser.parse_args()
    unknown = set(chosen.name) - set(names())
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    for name in chosen.name or names():
        main = importlib.import_module(f"tests.bench.{name}").main
        takes = inspect.signature(main).parameters
        if chosen.json and "as_json" not in takes:
            parser.error(f"{name} prints no JSON")
        if chosen.only and "only" not in takes:
            parser.error(f"{name} has no parts to choose from")
        more = ({"as_json": True} if chosen.json else {}) | ({"only": chosen.only} if chosen.only else {})
        main(chosen.quick, **more)


if __name__ == "__main__":
    run()

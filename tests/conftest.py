"""Property tests draw the same cases on every machine; `pytest --hypothesis-profile search` draws new ones.

They take the time they need: a busy machine is no failure.
"""

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
"""Hundreds of processes start here: each would compile the whole program again, at three times the cost."""

BUSY = [HealthCheck.too_slow]

LONGEST_FIRST = (
    "judgement/test_same.py",
    "doors/test_foreign_server.py",
    "scenarios/test_same_in_the_database.py",
    "doors/test_log.py",
    "doors/test_worker.py",
    "doors/test_demo.py",
    "doors/test_browser.py",
    "edges/test_full_disk.py",
    "edges/test_own_side.py",
    "judgement/test_calm.py",
    "edges/test_refused_keys.py",
    "judgement/test_fuzz.py",
    "judgement/test_outputs_agree.py",
)
"""Several processes take the files in turn: a long one that comes last has them all wait for it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the order within each stays."""
    here = Path(__file__).parent
    rank = {here / name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


settings.register_profile("search", deadline=None, suppress_health_check=BUSY)
settings.register_profile("chatwatch", settings.get_profile("search"), derandomize=True)
settings.load_profile("chatwatch")


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Take back what a command that ran in this process did to the log."""
    loggers = [logging.getLogger(), logging.getLogger("chatwatch")]
    levels = [logger.level for logger in loggers]
    handlers = list(loggers[0].handlers)
    variables = {name: os.environ.get(name) for name in ("CHATWATCH_LOG_LEVEL", "CHATWATCH_LOG_FORMAT")}
    yield
    for name, value in variables.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    for handler in [item for item in loggers[0].handlers if item not in handlers]:
        if type(handler).__module__ == "monitor.logs.handler":
            loggers[0].removeHandler(handler)
            handler.close()
    for name, room in logging.getLogger().manager.loggerDict.items():
        if name.startswith("chatwatch.") and isinstance(room, logging.Logger):
            room.setLevel(logging.NOTSET)
            room.filters.clear()
            room.disabled = False

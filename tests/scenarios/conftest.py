"""Fixtures of the scenarios: one engine over all of them, each with an empty database where the last one lay."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.judgement.database import fast
from tests.judgement.empty import Fresh, sqlite_files


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    """What makes an empty, migrated SQLite file."""
    with sqlite_files(tmp_path_factory.mktemp("scenarios")) as made:
        yield made


@pytest.fixture
def engine(fresh: Fresh) -> Iterator[Engine]:
    """An engine over an empty, migrated SQLite file."""
    made = fast(fresh())
    yield made
    made.dispose()

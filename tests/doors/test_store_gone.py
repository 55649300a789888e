"""What the doors show while the worker's database must not be used: that it is so, and whoever can act what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import serve
from dashboard.data import Reader, last_good_path
from dashboard.web.app import Site
from monitor import clock, flow
from monitor.core.model.message_codes import MessageCode, coded
from monitor.runtime.trouble import Trouble, TroubleFile
from monitor.store.connection.engine import open_engine
from monitor.store.proof import Fault
from tests.doors import seeded
from tests.doors.test_console import at_the_door, signed_in
from tests.doors.test_live import drawn, environment
from tests.edges.test_store_lost import empty, vanish

TODO = coded(MessageCode.RESTORE_RESCUED, file="/data/chatwatch.db.rescued-1")


def noted(folder: Path, now: datetime, fault: Fault = Fault.VANISHED) -> TroubleFile:
    """Leave the note of a worker that found its database unusable."""
    directory = folder / "spool" / "local"
    directory.mkdir(parents=True, exist_ok=True)
    file = TroubleFile(directory)
    file.keep(Trouble("a", fault, TODO, now))
    return file


def front(site: Site) -> str:
    return site.answers["/"].body.decode()


@pytest.mark.parametrize("harm", [vanish, empty, lambda file: None], ids=["gone", "cut", "as it was"])
def test_the_public_page_says_at_once_that_it_cannot_show_and_recovers(
    harm: Callable[[Path], None], tmp_path: Path
) -> None:
    now = clock.now()
    url = seeded.database(tmp_path, now, trouble=True)
    reader = Reader(url)
    site = Site(reader.read, "http://127.0.0.1", last_good_path(url), url)
    site.start(now)
    assert "database cannot be used" not in front(site)
    file = noted(tmp_path, now + timedelta(seconds=1))
    harm(tmp_path / "chatwatch.db")
    site.refresh(now + timedelta(seconds=2))
    page, chinese = front(site), site.answers["/zh/"].body.decode()
    assert "Our own database cannot be used." in page
    assert "我们自己的数据库无法使用" in chinese
    assert "We cannot tell: our data stopped" in page
    assert "rescued" not in page, "what to do is nobody's business but the operator's"
    file.keep(None)
    site.refresh(now + timedelta(seconds=3))
    assert "database cannot be used" not in front(site)
    reader.close()


def test_a_note_that_was_left_behind_is_outlived_by_the_next_report(tmp_path: Path) -> None:
    now = clock.now()
    url = seeded.database(tmp_path, now, trouble=False)
    noted(tmp_path, now + timedelta(seconds=1))
    engine = open_engine(url)
    flow.check_in(engine, "w1", "local", now + timedelta(seconds=2))
    engine.dispose()
    reader = Reader(url)
    site = Site(reader.read, "http://127.0.0.1", None, url)
    site.start(now + timedelta(seconds=3))
    assert "database cannot be used" not in front(site)
    reader.close()


def test_a_page_that_knows_nothing_yet_says_it_too(tmp_path: Path) -> None:
    now, url = clock.now(), f"sqlite:///{tmp_path / 'chatwatch.db'}"
    noted(tmp_path, now, Fault.MISSING)
    site = Site(Reader(url).read, "http://127.0.0.1", None, url)
    site.start(now)
    assert "Our own database cannot be used." in front(site)


def test_the_live_page_says_it(tmp_path: Path) -> None:
    now = clock.now()
    url = seeded.database(tmp_path, now, trouble=False)
    noted(tmp_path, now + timedelta(seconds=1))
    with environment(url):
        page = AppTest.from_file(str(Path(serve.__file__).parent / "live" / "app.py"), default_timeout=120).run()
        assert "Our own database cannot be used." in drawn(page)


def test_the_console_says_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    now = clock.now()
    url = seeded.database(tmp_path, now, trouble=False)
    with environment(url):
        page = signed_in()
        assert not page.error
        noted(tmp_path, now + timedelta(seconds=1), Fault.READ_ONLY)
        (error,) = page.run().error
    assert error.value.startswith("Our database cannot be used: it is read-only · ")
    assert "To do: run chatwatch restore /data/chatwatch.db.rescued-1 --force" in error.value


def test_a_console_without_its_database_says_what_to_do_and_makes_no_empty_one(tmp_path: Path) -> None:
    now = clock.now()
    url = seeded.database(tmp_path, now, trouble=False)
    vanish(tmp_path / "chatwatch.db")
    with environment(url):
        page = at_the_door()
        assert "The database cannot be opened." in drawn(page)
        assert [code.value for code in page.code] == ["chatwatch migrate"]
        noted(tmp_path, now)
        page = at_the_door()
        assert "The database cannot be opened." in drawn(page)
        assert not page.code, "that would begin an empty database"
        assert "chatwatch restore" in page.error[0].value
        assert not page.exception
    assert not (tmp_path / "chatwatch.db").exists()


def test_a_signed_in_page_whose_database_goes_says_so_and_shows_no_traceback(tmp_path: Path) -> None:
    now = clock.now()
    url = seeded.database(tmp_path, now, trouble=False)
    with environment(url):
        page = signed_in()
        vanish(tmp_path / "chatwatch.db")
        noted(tmp_path, now + timedelta(seconds=1))
        page = page.run()
        assert not page.exception
        assert "The database cannot be opened." in drawn(page)
        assert "the file is gone" in page.error[0].value

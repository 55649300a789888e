"""The doors in a real browser: what is visible, what is asked for, what a screen reader meets."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from dashboard import serve
from dashboard.console import tickets
from dashboard.data import Reading
from dashboard.web.app import Site, application
from monitor import clock
from monitor.flow import accounts
from monitor.store import reads
from monitor.store.reads.views import Snapshot
from tests.doors import sample, seeded
from tests.doors.hostile import hostile
from tests.doors.serving import served

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PAGES = ("/", "/zh/", "/history", "/method", "/incidents/outage-0127")

pytestmark = [pytest.mark.browser]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is missing: on Debian run apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, fetched by npm for this run alone."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is missing: on Debian run apt-get install npm")
    folder = tmp_path_factory.mktemp("axe")
    done = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), "axe-core@4"],
        capture_output=True,
        timeout=120,
        check=False,
    )
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if done.returncode or not script.exists():
        pytest.skip("axe-core could not be fetched: npm needs its package registry")
    return script.read_text("utf-8") + ";0"


@contextmanager
def site(snapshot: Snapshot) -> Iterator[str]:
    """Serve a snapshot as if it were read just now."""

    def source(now: datetime) -> Reading:
        seen = replace(snapshot, taken_at=now, as_of=now - timedelta(seconds=4)) if not snapshot.stale else snapshot
        return Reading(seen, sample.catalogue())

    with served(application(Site(source, "http://127.0.0.1", None))) as client:
        yield str(client.base_url).rstrip("/")


@contextmanager
def door(name: str, url: str) -> Iterator[str]:
    """Start a Streamlit door as the supervisor does, wait until it answers, stop it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {**os.environ, "CHATWATCH_DATABASE": url}
    with subprocess.Popen(
        serve.arguments(name, "127.0.0.1", port), env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/_stcore/health", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(120)


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    import threading

    pause, deadline = threading.Event(), clock.monotonic() + 120
    while clock.monotonic() < deadline:
        assert process.poll() is None, "the door closed at once"
        try:
            if httpx.get(address, timeout=60, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        pause.wait(0.2)
    raise AssertionError("the door did not open within two minutes")


@contextmanager
def visit(browser: Any, **settings: Any) -> Iterator[tuple[Any, list[str], list[str]]]:
    """Open a page that notes every request and every complaint of the console."""
    context = browser.new_context(timezone_id="Asia/Tokyo", **settings)
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield page, asked, complaints
    finally:
        context.close()


def serious(page: Any, axe: str) -> list[str]:
    """What axe-core finds serious or critical."""
    page.evaluate(axe)
    found = page.evaluate("axe.run()")["violations"]
    return [
        f"{rule['id']}: {rule['nodes'][0]['html'][:160]}" for rule in found if rule["impact"] in ("serious", "critical")
    ]


def test_the_page_is_whole_and_asks_nobody_else(browser: Any) -> None:
    with site(sample.january()) as url, visit(browser) as (page, asked, complaints):
        page.goto(f"{url}/", wait_until="networkidle")
        assert page.locator(".cells i").count() == 12 * 90
        assert "limited to phone numbers from China (+86)" in page.locator("h1").inner_text()
        assert "ago" in page.locator(".asof").inner_text()
        assert {address for address in asked if not address.startswith(url)} == set()
        assert complaints == []
        # 15:30 UTC is half past midnight in Tokyo; UTC stands in the tooltip.
        first = page.locator(".timeline time").first
        assert first.inner_text() == "28 Jan, 00:30"
        assert first.get_attribute("title") == "2025-01-27 15:30:20 UTC"


def test_the_page_says_everything_without_script(browser: Any) -> None:
    with site(sample.january()) as url, visit(browser, java_script_enabled=False) as (page, _, _):
        page.goto(f"{url}/")
        assert page.locator("h1").is_visible()
        page.locator(".evidence summary").first.click()
        assert page.locator(".evidence blockquote").first.is_visible()
        assert page.locator(".timeline time").first.inner_text() == "27 Jan, 15:30"


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_no_page_scrolls_sideways(browser: Any, width: int) -> None:
    with site(hostile()) as url, visit(browser, viewport={"width": width, "height": 900}) as (page, _, _):
        for path in ("/", "/zh/", "/history", "/method", "/incidents/hostile"):
            page.goto(url + path)
            over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert over <= 0, path


def test_hostile_text_runs_nothing_and_loads_nothing(browser: Any) -> None:
    with site(hostile()) as url, visit(browser) as (page, asked, complaints):
        dialogs: list[str] = []

        def refuse(dialog: Any) -> None:
            dialogs.append(dialog.message)
            dialog.dismiss()

        page.on("dialog", refuse)
        for path in ("/", "/incidents/hostile", "/incidents/hostile-1"):
            page.goto(url + path)
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            page.wait_for_timeout(300)
        assert dialogs == []
        assert complaints == []
        assert {address for address in asked if not address.startswith(url)} == set()


def test_the_history_is_grouped_by_the_months_of_the_reader(browser: Any) -> None:
    """Half past five in the afternoon of a last day of January in London is the first of February in Tokyo."""
    whole = sample.january()
    late = datetime.fromisoformat("2025-01-31T17:30:00+00:00")
    first, *rest = whole.past_incidents
    moved = replace(first, started_at=late, resolved_at=late + timedelta(hours=1))
    with site(replace(whole, past_incidents=(moved, *rest))) as url, visit(browser) as (page, _, complaints):
        page.goto(f"{url}/history", wait_until="load")
        headed = page.eval_on_selector_all(
            "section.month", "all => all.map(one => [one.querySelector('h2').innerText, one.innerText])"
        )
    assert not complaints
    assert headed[0][0] == "February 2025"
    assert "1 Feb, 02:30" in headed[0][1]
    assert [name for name, _ in headed[1:]] == ["January 2025"]
    assert "1 Feb" not in headed[1][1]


def test_the_theme_can_be_chosen_and_is_kept(browser: Any) -> None:
    with site(sample.calm()) as url, visit(browser, color_scheme="light") as (page, _, _):
        page.goto(f"{url}/")
        background = "getComputedStyle(document.documentElement).backgroundColor"
        assert page.evaluate(background) == "rgb(255, 255, 255)"
        page.locator("button.theme").click()
        page.locator("button.theme").click()
        assert page.evaluate(background) == "rgb(15, 19, 26)"
        page.reload()
        assert page.evaluate(background) == "rgb(15, 19, 26)"


def test_an_open_figure_stays_open_when_the_page_refreshes_itself(browser: Any) -> None:
    with site(sample.january()) as url, visit(browser) as (page, asked, _):
        page.goto(f"{url}/")
        page.locator("#deepseek-api-figures summary").click()
        page.evaluate("document.querySelector('h1').textContent = 'old'")
        page.evaluate("dispatchEvent(new Event('visibilitychange'))")
        page.locator("h1", has_not_text="old").wait_for()
        assert page.locator("#deepseek-api-figures .panel").is_visible()
        assert len(asked) >= 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["january", "calm", "stale", "empty"])
def test_no_serious_barrier_on_the_public_pages(browser: Any, axe: str, scheme: str, name: str) -> None:
    found = []
    with site(getattr(sample, name)()) as url, visit(browser, color_scheme=scheme) as (page, _, _):
        for path in PAGES if name == "january" else ("/",):
            page.goto(url + path)
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            page.wait_for_timeout(300)
            found += [f"{path} {barrier}" for barrier in serious(page, axe)]
    assert found == []


def test_the_interactive_page_draws_its_bars_and_a_chart(browser: Any, axe: str, tmp_path: Path) -> None:
    url = seeded.database(tmp_path, clock.now(), trouble=True)
    with door("live", url) as address:
        for scheme in ("light", "dark"):
            with visit(browser, color_scheme=scheme) as (page, asked, _):
                page.goto(address)
                page.locator(".cells i").first.wait_for(timeout=120_000)
                assert page.locator(".cells i").count() == 12 * 90
                assert "Asia/Tokyo" in page.locator(".age").first.inner_text()
                assert str(page.locator("time").first.get_attribute("title")).endswith(" UTC")
                assert serious(page, axe) == []
                page.goto(f"{address}/charts")
                page.locator(".js-plotly-plot").first.wait_for(timeout=120_000)
                assert serious(page, axe) == []
                assert {httpx.URL(one).host for one in asked if one.startswith("http")} == {"127.0.0.1"}


def kept(page: Any, count: int) -> list[dict[str, Any]]:
    """Return the browser's session cookies, once there are so many."""
    for _ in range(1200):
        found = [cookie for cookie in page.context.cookies() if cookie["name"] == tickets.COOKIE]
        if len(found) == count:
            return found
        page.wait_for_timeout(100)
    raise AssertionError(f"not {count} session cookies within two minutes")


def test_a_session_survives_a_reload_and_ends_with_sign_out(browser: Any, axe: str, tmp_path: Path) -> None:
    url = seeded.database(tmp_path, clock.now(), trouble=True)
    with door("console", url) as address, visit(browser, color_scheme="light") as (page, _, _):
        page.goto(address)
        page.get_by_label("User").fill(seeded.NAME, timeout=120_000)
        assert serious(page, axe) == []
        page.get_by_label("Password", exact=True).fill(seeded.PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_text("DeepSeek API is down").wait_for(timeout=120_000)
        assert serious(page, axe) == []
        [session] = kept(page, 1)
        assert session["httpOnly"]
        assert session["sameSite"] == "Strict"
        assert session["value"] not in page.evaluate("document.cookie")
        page.reload()
        page.get_by_text("DeepSeek API is down").wait_for(timeout=120_000)
        page.get_by_role("button", name="Acknowledge").first.wait_for(timeout=120_000)
        assert "Times in Asia/Tokyo" in page.locator("body").inner_text()
        page.wait_for_timeout(500)
        page.keyboard.press("a")
        page.get_by_text(f"{seeded.NAME} has it").first.wait_for(timeout=120_000)
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("User").wait_for(timeout=120_000)
        assert kept(page, 0) == []
        page.reload()
        page.get_by_label("User").wait_for(timeout=120_000)
        assert page.get_by_text("DeepSeek API is down").count() == 0


def hiding(page: Any, address: str) -> Any:
    """Sign in where nothing is redrawn by itself, and return the button that hides an incident."""
    page.goto(f"{address}/incidents")
    page.get_by_label("User").fill(seeded.NAME, timeout=120_000)
    page.get_by_label("Password", exact=True).fill(seeded.PASSWORD)
    page.keyboard.press("Enter")
    button = page.get_by_role("button", name="Hide from the public")
    button.wait_for(timeout=120_000)
    return button


def test_a_page_that_stayed_open_acts_for_nobody(browser: Any, tmp_path: Path) -> None:
    url = seeded.database(tmp_path, clock.now(), trouble=True)
    engine = seeded.opened(url)
    accounts.set_password(engine, "bob", seeded.PASSWORD, clock.now())
    with door("console", url) as address, visit(browser) as (page, _, _), visit(browser) as (other, _, _):
        button = hiding(page, address)
        [cookie] = kept(page, 1)
        other.context.add_cookies([cookie])
        other.goto(address)
        other.get_by_role("button", name="Sign out").click(timeout=120_000)
        other.get_by_label("User").wait_for(timeout=120_000)
        button.click(timeout=120_000)
        page.get_by_text("Nothing was changed: your session is over").wait_for(timeout=120_000)

        button = hiding(page, address)
        accounts.set_role(engine, seeded.NAME, accounts.Role.VIEWER, clock.now(), "admin")
        button.click(timeout=120_000)
        page.get_by_text("Nothing was changed: your role may look").wait_for(timeout=120_000)
        accounts.set_role(engine, seeded.NAME, accounts.Role.RESPONDER, clock.now(), "admin")

        page.reload()
        button = page.get_by_role("button", name="Hide from the public")
        button.wait_for(timeout=120_000)
        accounts.disable_account(engine, seeded.NAME, clock.now(), "admin")
        button.click(timeout=120_000)
        page.get_by_text("Nothing was changed: your session is over").wait_for(timeout=120_000)
    assert all(item.public for item in reads.incidents(engine, public=False))
    assert "HideIncident" not in {line.action for line in reads.audit(engine)}
    engine.dispose()

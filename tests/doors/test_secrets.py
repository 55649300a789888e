"""No secret appears in log, metric, page, database, spool or error, whatever the other side sends back."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy.exc import DBAPIError

from monitor import clock
from monitor.cli import chatwatch
from monitor.config.faults import ConfigError
from monitor.config.load import Config, load
from monitor.runtime.away import database_refused
from monitor.store.connection.engine import StoreError, open_engine
from monitor.store.upgrade import migrate
from monitor.text.lexicon import lexicon
from monitor.text.messages import worded
from tests.doors.echoing import WAYS, Echo, echo, leaks, mail_server
from tests.doors.running import ROOT, _get, free_port

SECRETS = {
    "OPENAI_KEY": "Qo7/\"h'\\%+&<9>=~OpenAiCanary0123456789abcdefXyZ",
    "ANTHROPIC_KEY": "sk-ant-AnthropicCanary5566778899aabbccZz",
    "HEADER": "HeaderCanary11aa22bb33cc44dd55ee66",
    "COOKIE": "CookieCanaryAa00Bb11Cc22Dd33Ee44",
    "PAIR": "PairCanary%2Fx9y8z7w6v5u4t3s2r1q0Pp",
    "EMAIL": "LoginCanaryName77665544332211@example.org",
    "PASSWORD": "p\"w \\ 100% <b>SignInPhrase998877665544aaBB</b> ' &",
    "HOOK_TOKEN": "HookCanaryToken0a1b2c3d4e5f6a7b8c9d",
    "HOOK_HEADER": "HookCanaryHeaderZz99Yy88Xx77Ww66Vv55",
    "HOOK_SIGNING": "HookCanarySigning1234abcd5678efgh90",
    "SLACK_TOKEN": "SlackCanaryToken00T11B22X33Y44Z55W66",
    "MAIL_PASSWORD": 'm"MailCanaryPassword1029384756Qq%',
    "MANAGER_TOKEN": "ManagerCanaryToken5647382910Mm00Nn",
    "DATABASE_PASSWORD": "DatabaseCanaryPw5544332211FfEeDd%25",
    "CONSOLE_PASSWORD": "ConsoleCanaryPassphrase00998877Rr",
}
STREAMED = ("event", "model")


def environ(base: str, database: str) -> dict[str, str]:
    pair = base64.b64encode(f"alice:{SECRETS['PAIR']}".encode()).decode()
    own = {name: SECRETS[name] for name in SECRETS if name not in ("DATABASE_PASSWORD", "CONSOLE_PASSWORD")}
    own |= {"BASIC": pair, "HOOK": f"{base}/json/{SECRETS['HOOK_TOKEN']}?t={SECRETS['HOOK_TOKEN']}"}
    own |= {"SLACK": f"{base}/elsewhere/{SECRETS['SLACK_TOKEN']}", "CHATWATCH_DATABASE": database}
    return {**os.environ, **own, "PYTHONPATH": str(ROOT), "CHATWATCH_CONFIG": "probes.yaml"}


def probe(name: str, component: str, kind: str, **options: object) -> dict[str, object]:
    times = {"interval": "2s", "timeout": "2s"}
    return {"id": name, "component": component, "kind": kind, **times, "options": options}


def configuration(base: str, mail: int, metrics: int) -> str:
    """JSON is YAML: a service for each way in which a secret is sent, a probe for each in which it comes back."""
    hidden = {"Authorization": "Basic ${BASIC}", "X-Secret": "Token ${HEADER}", "Cookie": "a=${COOKIE}; b=1"}
    kinds: dict[str, Callable[[str], dict[str, object]]] = {
        "openai": lambda way: probe(
            way, "part", "chat", base_url=f"{base}/{way}", model="m", key="${OPENAI_KEY}", models_every=None
        ),
        "anthropic": lambda way: probe(
            way, "part", "chat", base_url=f"{base}/{way}", model="m", key="${ANTHROPIC_KEY}", dialect="anthropic"
        ),
        "http": lambda way: probe(
            way, "part", "http", url=f"{base}/{way}", secret_headers=hidden, redirects=3, json_path={"error.type": "x"}
        ),
        "login": lambda way: probe(
            way, "part", "login", url=f"{base}/{way}", product="json", expect="token", email="${EMAIL}",
            password="${PASSWORD}",
        ),
    }  # fmt: skip
    services = [
        {
            "id": name,
            "name": name,
            "components": [{"id": "part", "name": "Part", "kind": "api"}],
            "probes": [make(way) for way in WAYS if name != "login" or way not in STREAMED],
        }
        for name, make in kinds.items()
    ]
    channels = {
        "hook": {
            "kind": "webhook",
            "url": "${HOOK}",
            "signing_secret": "${HOOK_SIGNING}",
            "headers": {"X-Hook": "${HOOK_HEADER}"},
        },
        "chat": {"kind": "slack", "url": "${SLACK}"},
        "manager": {"kind": "alertmanager", "url": f"{base}/page", "token": "${MANAGER_TOKEN}"},
        "mail": {
            "kind": "email", "host": "127.0.0.1", "port": mail, "security": "none", "username": "bot",
            "password": "${MAIL_PASSWORD}", "sender": "a@example.org", "to": ["b@example.org"],
        },
    }  # fmt: skip
    route = {"id": "all", "channels": list(channels), "severities": ["page", "ticket", "info"]}
    listen = {"metrics": f"127.0.0.1:{metrics}"}
    whole = {"allow_networks": ["127.0.0.0/8"], "listen": listen, "services": services, "channels": channels}
    return json.dumps(whole | {"routes": [route]}, indent=1)


def config_of(home: Path, base: str = "http://127.0.0.1:9") -> Config:
    (home / "probes.yaml").write_text(configuration(base, 25, 8503))
    return load(home / "probes.yaml", environ(base, ""))


@asynccontextmanager
async def program(home: Path, settings: dict[str, str], *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run one of our programs; what it says goes into a file of its own."""
    with (home / f"{words[0]}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *words, stdout=log, stderr=log, env=settings, cwd=home
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


def said(home: Path) -> str:
    return "\n".join(log.read_text()[-3000:] for log in home.glob("*.log"))


def copy_of_running(home: Path) -> None:
    for file in home.glob("test.db*"):
        (home / f"copy-{file.name}").write_bytes(file.read_bytes())


async def until(ready: Callable[[], Awaitable[bool]], home: Path, limit_s: float = 120.0) -> None:
    end_s = clock.monotonic() + limit_s
    while not await ready():
        assert clock.monotonic() < end_s, f"nothing came of it\n{said(home)}"
        await asyncio.sleep(0.3)


async def page(port: int, path: str) -> str:
    return (await asyncio.to_thread(_get, f"http://127.0.0.1:{port}{path}"))[1]


async def fetched(port: int) -> dict[str, str]:
    """Return every public document by path."""
    paths = ["/", "/zh/", "/history", "/method", "/feed.atom", "/feed.rss", "/calendar.ics", "/api/v1/services.json"]
    paths += [f"/api/v2/{name}.json" for name in ("summary", "status", "components", "incidents")]
    incidents = json.loads(await page(port, "/api/v2/incidents.json"))["incidents"]
    services = json.loads(await page(port, "/api/v1/services.json"))["services"]
    paths += [f"/incidents/{row['id']}" for row in incidents] + [f"/badge/{row['id']}.svg" for row in services]
    return {path: await page(port, path) for path in paths}


def files_with_leaks(home: Path) -> dict[str, list[str]]:
    found = {
        str(file.relative_to(home)): leaks(file.read_bytes(), SECRETS) for file in home.rglob("*") if file.is_file()
    }
    return {name: names for name, names in found.items() if names}


async def everything_shown(home: Path, settings: dict[str, str], metrics: int, server: Echo) -> dict[str, str]:
    """Wait until everything failed and was told of; return what programs show meanwhile."""

    async def failed() -> bool:
        text = await page(metrics, "/metrics")
        told = all(f'chatwatch_notices_total{{channel="{name}"' in text for name in ("hook", "chat", "manager", "mail"))
        return told and all(server.asked[way] >= 3 for way in WAYS)

    async def serving() -> bool:
        return '"incident_updates"' in await page(web, "/api/v2/incidents.json")

    web = free_port()
    async with program(home, settings, "dashboard.web.app", "--port", str(web)):
        await until(failed, home)
        await until(serving, home)
        probes = [f"/probe?target={name}-{way}" for name in ("openai", "http", "login") for way in ("json", "headers")]
        shown = {path: await page(metrics, path) for path in ("/metrics", "/sd", "/-/ready", *probes)}
        shown |= await fetched(web)
        copy_of_running(home)
        return shown


@pytest.mark.slow
def test_nothing_that_was_sent_comes_back_into_logs_metrics_pages_or_database(tmp_path: Path) -> None:
    async def play() -> tuple[dict[str, str], Echo, list[str]]:
        heard: list[str] = []
        async with echo() as server, mail_server(heard) as mail, AsyncExitStack() as stack:
            base, metrics = f"http://127.0.0.1:{server.port}", free_port()
            (tmp_path / "probes.yaml").write_text(configuration(base, mail, metrics))
            settings = environ(base, f"sqlite:///{tmp_path / 'test.db'}")
            added = await asyncio.to_thread(add_account, tmp_path, settings)
            worker = await stack.enter_async_context(program(tmp_path, settings, "monitor", "worker"))
            shown = await everything_shown(tmp_path, settings, metrics, server)
            worker.send_signal(signal.SIGHUP)
            (tmp_path / "probes.yaml").write_text('{"services": [')
            return shown | {"user add": added}, server, heard

    shown, server, heard = asyncio.run(play())
    assert {name: found for name, text in shown.items() if (found := leaks(text, SECRETS))} == {}
    assert files_with_leaks(tmp_path) == {}
    sent = [name for name in SECRETS if name not in ("CONSOLE_PASSWORD", "DATABASE_PASSWORD", "HOOK_SIGNING")]
    assert set(sent) - set(leaks(server.heard + decoded(heard), SECRETS)) == set(), "a secret that was never sent"
    assert evidence_kept(tmp_path / "test.db") > 20, "the hunt needs something to search"


def add_account(home: Path, settings: dict[str, str]) -> str:
    words = [sys.executable, "-m", "monitor", "user", "add", "alice", "--stdin"]
    done = subprocess.run(
        words, input=SECRETS["CONSOLE_PASSWORD"], env=settings, cwd=home, capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


def decoded(heard: list[str]) -> str:
    """Return what the mail server heard, its AUTH lines decoded."""
    words = [word for line in heard for word in line.split() if len(word) % 4 == 0]
    return "\n".join(base64.b64decode(word).decode("latin-1") for word in words if word.isascii() and len(word) > 16)


def evidence_kept(database: Path) -> int:
    connection = sqlite3.connect(database)
    try:
        return sum(b"[redacted]" in str(row).encode() for row in connection.iterdump())
    finally:
        connection.close()


@pytest.mark.slow
def test_nothing_comes_back_into_the_spool_or_the_log_while_the_database_is_away(tmp_path: Path) -> None:
    async def play() -> None:
        async with echo() as server:
            base, metrics = f"http://127.0.0.1:{server.port}", free_port()
            (tmp_path / "probes.yaml").write_text(configuration(base, free_port(), metrics))
            settings = environ(base, unreachable())

            async def spooled() -> bool:
                return sum(file.stat().st_size for file in (tmp_path / "var").rglob("*.*")) > 20_000

            async with program(tmp_path, settings, "monitor", "worker"):
                await until(spooled, tmp_path)

    asyncio.run(play())
    assert "Database away" in (tmp_path / "monitor.log").read_text()
    spool = b"".join(file.read_bytes() for file in (tmp_path / "var").rglob("*") if file.is_file())
    assert b"[redacted]" in spool
    assert files_with_leaks(tmp_path) == {}


def unreachable() -> str:
    return f"postgresql://chatwatch:{SECRETS['DATABASE_PASSWORD']}@127.0.0.1:{free_port()}/chatwatch"


@pytest.mark.slow
def test_one_look_from_the_command_line_shows_no_secret(tmp_path: Path) -> None:
    def ask(base: str, words: list[str]) -> str:
        settings = environ(base, "sqlite:///none.db") | {"CHATWATCH_CONFIG": str(tmp_path / "probes.yaml")}
        done = CliRunner().invoke(chatwatch, ["probe", *words], env=settings)
        assert done.exit_code in (0, 2, 3), done.output
        return done.output

    async def play() -> dict[str, str]:
        async with echo() as server:
            base = f"http://127.0.0.1:{server.port}"
            names = config_of(tmp_path, base).looks
            calls = [[name, form] for name in names for form in ("--explain", "--json")]
            return {" ".join(words): await asyncio.to_thread(ask, base, words) for words in calls}

    shown = asyncio.run(play())
    assert {name: found for name, text in shown.items() if (found := leaks(text, SECRETS))} == {}
    assert "[redacted]" in shown["openai-json --explain"]


def test_a_configuration_shows_no_secret_however_it_is_printed(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    options = [*config.looks.values(), *(channel.options for channel in config.channels.values())]
    dumped = [option.model_dump_json() for option in options if option]
    for text in (repr(config), str(config), f"{config.catalogue}", *map(repr, options), *map(str, options), *dumped):
        assert leaks(text, SECRETS) == []


FAULTY = """\
services:
  - id: a
    name: A
    components: [{id: part, name: Part, kind: api}]
    probes:
      - {id: p, component: part, kind: chat, interval: 1m, options: {base_url: "https://u:SECRET@a.example", model: m}}
      - {id: q, component: part, kind: chat, interval: 1m, options: {base_url: "https://a.example", key: SECRET}}
      - {id: r, component: part, kind: http, interval: 1m, options: {url: "https://a.example", secret_headers: SECRET}}
      - {id: s, component: part, kind: http, interval: 1m,
         options: {url: "https://a.example", headers: {authorization: SECRET}, regex: "(SECRET"}}
      - {id: t, component: part, kind: login, interval: 1m, options: {url: a, product: json, email: SECRET}}
      - {id: u, component: part, kind: chat, interval: 1m, options: {base_url: "https://a.io", key: "${OPENAI_KEY"}}
      - {id: v, component: part, kind: http, interval: 1m, options: {url: "https://a.example/${OPENAI_KEY}"}}
channels:
  mail: {kind: email, host: a, password: SECRET, sender: SECRET, to: SECRET}
  hook: {kind: webhook, url: SECRET, signing_secret: "whsec_SECRET!", headers: SECRET}
"""


@pytest.mark.parametrize("wrong", ["{text}", "{text}: [", "key: !{text} x", "key: *{text}", "key: &{text}", "- {text}"])
def test_check_names_a_secret_that_is_written_out_by_its_place_only(tmp_path: Path, wrong: str) -> None:
    secret = SECRETS["HEADER"]
    file = tmp_path / "probes.yaml"
    texts = [FAULTY.replace("SECRET", secret), FAULTY.replace("SECRET", f"'{secret}'"), wrong.format(text=secret)]
    for text in [
        *texts,
        FAULTY.replace("key: SECRET", f"key: !{secret}"),
        FAULTY.replace("key: SECRET", f"key: *{secret}"),
    ]:
        file.write_text(text)
        for form in ([], ["--json"]):
            done = CliRunner().invoke(chatwatch, ["check", "--config", str(file), *form], env={"OPENAI_KEY": secret})
            assert done.exit_code == 1
            assert leaks(done.output, SECRETS) == [], done.output
        with pytest.raises(ConfigError) as caught:
            load(file, {"OPENAI_KEY": secret})
        shown = "".join(traceback.format_exception(caught.value))
        assert leaks(shown + repr(caught.value.faults), SECRETS) == []


@pytest.mark.parametrize("value", ["{}\n", " {}", "{}\x00", "{}\nsecond line", "\x1b{}"])
def test_a_secret_that_cannot_be_sent_is_named_and_not_shown(tmp_path: Path, value: str) -> None:
    (tmp_path / "probes.yaml").write_text(configuration("http://127.0.0.1:9", 25, 8503))
    given = environ("http://127.0.0.1:9", "") | {"OPENAI_KEY": value.format(SECRETS["OPENAI_KEY"])}
    config = load(tmp_path / "probes.yaml", given)
    off = [item.disabled for item in config.catalogue.probes if item.disabled]
    assert len(off) == len(WAYS)
    assert all("OPENAI_KEY begins or ends" in worded(why, lexicon()) for why in off)
    assert leaks(repr(config), SECRETS) == []


@pytest.mark.parametrize("words", [["doctor"], ["migrate"], ["user", "list"], ["incident", "list"], ["rebuild"]])
def test_a_database_out_of_reach_is_named_without_its_password(tmp_path: Path, words: list[str]) -> None:
    config_of(tmp_path)
    url = unreachable()
    settings = environ("http://127.0.0.1:9", url) | {"CHATWATCH_CONFIG": str(tmp_path / "probes.yaml")}
    done = CliRunner().invoke(chatwatch, words, env=settings)
    assert done.exit_code != 0
    if isinstance(done.exception, DBAPIError):
        line = database_refused(done.exception, url)
        assert line.startswith(f"the database {url.replace(':' + SECRETS['DATABASE_PASSWORD'], '')} cannot be used: ")
        assert line.endswith("Connection refused; start it, or correct CHATWATCH_DATABASE")
    shown = "".join(traceback.format_exception(done.exception)) if done.exception else ""
    assert leaks(done.output + shown, SECRETS) == []


@pytest.mark.parametrize("url", ["postgresql://a:{}@[::1", "mysql://a:{}@b/c", "{}", "postgresql://a:{}@b:x/c"])
def test_a_faulty_database_address_is_not_repeated(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        migrate(open_engine(url.format(SECRETS["DATABASE_PASSWORD"])))
    assert leaks("".join(traceback.format_exception(caught.value)), SECRETS) == []


def test_the_hunter_finds_what_is_there() -> None:
    secret = SECRETS["PASSWORD"]
    for text in (secret, json.dumps(json.dumps(secret)), secret[4:40], secret.encode().hex(), "\u200b".join(secret)):
        assert leaks(f"x{text}y", SECRETS) == ["PASSWORD"]
    for before in ("", "a", "ab"):
        assert leaks(base64.b64encode((before + secret).encode()), SECRETS) == ["PASSWORD"]

"""The operator's log: its two forms, its limits, and what gets into no line."""

from __future__ import annotations

import json
import logging
import os
import re
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import assume, given
from hypothesis import strategies as st

from monitor.core.model.incident_events import EventKind
from monitor.flow.telling import code_of, timed
from monitor.logs import Event, Room, hide, shown_database
from monitor.logs.form import as_json, as_text, entry
from monitor.logs.handler import Handler
from monitor.logs.hiding import Hidden, of_environment
from monitor.logs.limit import Limiter
from monitor.logs.options import FORM, LEVEL, Form
from monitor.logs.soon import with_log
from monitor.recorder.contact import Contact
from tests.edges import driven

ROOT = Path(__file__).parents[2]
SECRETS = st.text(string.ascii_letters + string.digits + "-_./+=:@&%'\"\\<>", min_size=8, max_size=40)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
room = Room("trial")


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    found = logging.getLogger("chatwatch.trial")
    found.propagate = False
    found.setLevel(logging.DEBUG)
    yield found
    found.propagate = True
    found.setLevel(logging.NOTSET)


@pytest.fixture
def handler(logger: logging.Logger, request: pytest.FixtureRequest) -> Iterator[Handler]:
    made = Handler("recorder", getattr(request, "param", Form.JSON), Limiter(most=3, window_s=60.0))
    logger.addHandler(made)
    yield made
    logger.removeHandler(made)
    made.close()


def record(text: str, value: str, error: BaseException | None = None) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    made = logging.LogRecord("chatwatch.trial", logging.WARNING, "", 0, "%s", (text,), info)
    made.event, made.fields = Event.DELIVERY_RETRIED, {"error": value}
    return made


@given(secret=SECRETS, before=st.text(), after=st.text(), hole=st.text(max_size=3))
def test_whatever_a_stranger_says_a_line_stays_one_line_without_controls_and_without_our_secret(
    secret: str, before: str, after: str, hole: str
) -> None:
    ours = entry(record("", "", ValueError()), "recorder", Hidden())
    assume(secret not in as_text(ours) + as_json(ours))  # a secret spelled like a word of ours, "delivery" say
    hidden = Hidden()
    hidden.add([secret])
    torn = secret[:4] + hole + secret[4:]
    for text in (before + secret + after, before + torn + after):
        found = entry(record(text, text, ValueError(text)), "recorder", hidden)
        line, *below = as_text(found).split("\n")
        assert not CONTROLS.search("".join([line, *below]))
        assert all(item.startswith("  | ") for item in below)
        parsed = json.loads(as_json(found))
        assert "\n" not in as_json(found)
        said = [str(value) for name, value in parsed.items() if name not in ("time", "traceback")]
        said += [line, *below, *parsed["traceback"].split("\n")]
        assert [words for words in said if secret in words.replace("[redacted]", "\0")] == []


def test_a_line_of_json_has_its_fields_and_no_empty_ones(handler: Handler, capsys: pytest.CaptureFixture[str]) -> None:
    room.warning(Event.INCIDENT_OPENED, "%s: incident opened", "sim", service="sim", incident="i-1", component="")
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert TIME.fullmatch(found.pop("time"))
    assert found == {
        "level": "warning",
        "program": "recorder",
        "room": "trial",
        "event": "incident_opened",
        "message": "sim: incident opened",
        "service": "sim",
        "incident": "i-1",
    }


@pytest.mark.parametrize("handler", [Form.TEXT], indirect=True)
def test_a_line_of_text_begins_with_its_time_and_ends_with_its_fields(
    handler: Handler, capsys: pytest.CaptureFixture[str]
) -> None:
    room.info(Event.DATABASE_BACK, "Database back after %.0f s", 4.0, seconds=4.04, error="timed out, twice")
    (line,) = capsys.readouterr().err.splitlines()
    time, _, rest = line.partition(" ")
    assert TIME.fullmatch(time)
    assert rest == (
        'INFO    recorder/trial Database back after 4 s  event=database_back seconds=4.04 error="timed out, twice"'
    )


def test_of_one_event_so_many_lines_are_printed_and_the_rest_is_counted(
    handler: Handler, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(10):
        room.warning(Event.DELIVERY_RETRIED, "number %d", number)
    room.info(Event.DELIVERY_SENT, "another event has its own limit")
    handler.close()
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [found["event"] for found in events] == [*["delivery_retried"] * 3, "delivery_sent", "suppressed"]
    assert (events[-1]["of"], events[-1]["count"]) == ("delivery_retried", 7)


def test_the_count_is_told_once_when_its_minute_is_over() -> None:
    limiter = Limiter(most=2, window_s=60.0)
    assert [limiter.admits("a", now_s) for now_s in (0.0, 1.0, 2.0, 59.0)] == [True, True, False, False]
    assert limiter.over(59.9) == {}
    assert limiter.holds
    assert limiter.over(60.0) == {"a": 2}
    assert limiter.over(60.0) == {}
    assert limiter.admits("a", 60.0)


@given(times=st.lists(st.floats(0, 500), min_size=1, max_size=80), most=st.integers(1, 5))
def test_every_line_is_printed_or_counted(times: list[float], most: int) -> None:
    limiter = Limiter(most, 60.0)
    printed = told = 0
    for now_s in sorted(times):
        told += sum(limiter.over(now_s).values())
        printed += limiter.admits("a", now_s)
    assert printed + told + sum(limiter.rest().values()) == len(times)


def test_the_secrets_that_every_program_has_in_its_environment_are_known() -> None:
    environ = {
        "CHATWATCH_WEBHOOK_TOKEN": "hook-token-1",
        "CHATWATCH_DATABASE": "postgresql://me:p%40ss-word@db.example/chatwatch?sslpassword=other-one&sslmode=require",
    }
    assert {"hook-token-1", "p%40ss-word", "p@ss-word", "other-one"} == set(of_environment(environ))
    assert shown_database(environ["CHATWATCH_DATABASE"]) == "postgresql://me@db.example/chatwatch"
    assert shown_database("sqlite:////var/lib/chatwatch.db") == "sqlite:////var/lib/chatwatch.db"


def test_the_passwords_of_proxies_are_hidden_in_every_spelling() -> None:
    environ = {
        "HTTPS_PROXY": "http://user:s3cret%40one@p.example:1",
        "all_proxy": "user:s3cret-two@p",
        "no_proxy": "a:b",
    }
    assert set(of_environment(environ)) - {""} == {"s3cret%40one", "s3cret@one", "s3cret-two"}


PROGRAM = """
import logging, threading, warnings
from monitor.logs import set_up
set_up("trial")
logging.getLogger("uvicorn.error").warning("a library's %s", "line")
logging.getLogger("broken").warning("%d", "no number")
warnings.warn("old", stacklevel=1)
thread = threading.Thread(target=lambda: 1 / 0)
thread.start(); thread.join()
raise OSError("sk-live-1234567890\\n{\\"forged\\": true}")
"""


def test_libraries_warnings_and_whatever_ends_a_program_are_lines_of_the_same_form() -> None:
    environ = {"PYTHONPATH": str(ROOT), "CHATWATCH_LOG_FORMAT": "json", "PATH": "", "LC_ALL": "C"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environ, capture_output=True, text=True, check=False)
    found = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(item["room"], item["event"]) for item in found] == [
        ("uvicorn.error", "library"),
        ("broken", "library"),
        ("py.warnings", "library"),
        ("logs", "crashed"),
        ("logs", "crashed"),
    ]
    assert "sk-live" not in done.stderr
    assert found[-1]["error"] == "OSError"


def test_a_slow_transaction_is_told_with_its_time_and_a_quick_one_is_not(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        for seconds in (0.9, 1.6):
            with timed("sweep"):
                driven.pass_time(seconds)

    driven.run(play())
    assert caplog.messages == ["Slow transaction: sweep took 1.6 s"]


def test_an_absent_database_is_told_once_and_is_back_when_all_that_failed_has_worked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "chatwatch.recorder")

    async def play() -> None:
        contact = Contact()
        for task in ("sweep", "record", "sweep"):
            contact.answered(task)
            contact.failed(task, "OperationalError")
            driven.pass_time(5.0)
        contact.answered("record")
        contact.answered("roll_up")
        contact.answered("sweep")
        contact.answered("sweep")

    driven.run(play())
    assert caplog.messages == [
        "Database away (sweep): OperationalError",
        "Database back after 15 s",
    ]


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_kind_of_incident_event_has_its_code(kind: EventKind) -> None:
    assert code_of(kind).value.startswith("incident_")


@pytest.mark.parametrize("handler", [Form.JSON, Form.TEXT], indirect=True)
def test_a_line_names_one_component_or_lists_several(
    handler: Handler, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    room.info(Event.INCIDENT_RESOLVED, "Over", component="", components=("shop/api", "shop/web"))
    line = capsys.readouterr().err
    if line.startswith("{"):
        found = json.loads(line)
        assert found["components"] == ["shop/api", "shop/web"]
        assert "component" not in found
    else:
        assert line.endswith("event=incident_resolved components=shop/api,shop/web\n")


def test_every_event_has_a_code_of_its_own_in_small_letters() -> None:
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", event) for event in Event)
    assert [event.name.lower() for event in Event] == [event.value for event in Event]


def test_a_webhooks_address_is_hidden_and_other_addresses_are_not(
    handler: Handler, capsys: pytest.CaptureFixture[str]
) -> None:
    hide(["https://hooks.example/services/T01/B02/canary"])
    room.info(Event.STARTED, "POST https://hooks.example/services/T01/B02/canary; see https://status.example/")
    assert (
        json.loads(capsys.readouterr().err)["message"]
        == "POST https://hooks.example[redacted]; see https://status.example/"
    )


@click.group()
def trial() -> None:
    """A command with commands."""


@trial.command()
@click.argument("name")
def say(name: str) -> None:
    """Log two lines and print one."""
    room.info(Event.STARTED, "Hello %s", name)
    room.warning(Event.STOPPED, "Goodbye %s", name)
    click.echo(name)


with_log(trial, "trial")


@pytest.mark.parametrize(
    ("options", "environ", "told"),
    [
        ([], {}, ["warning"]),
        (["--log-level", "info"], {}, ["info", "warning"]),
        (["--log-level", "error"], {LEVEL: "debug"}, []),
        ([], {LEVEL: "debug"}, ["info", "warning"]),
    ],
)
def test_a_command_that_ends_soon_logs_as_its_options_say(
    options: list[str], environ: dict[str, str], told: list[str]
) -> None:
    done = CliRunner().invoke(trial, ["say", "you", "--log-format", "json", *options], env=environ)
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["level"] for line in lines] == told
    assert all(line["program"] == "trial" for line in lines)
    assert done.stdout == "you\n"
    assert {LEVEL, FORM}.isdisjoint(os.environ), "what it starts is not told"

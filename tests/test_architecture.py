"""The floors and habits of the house, run as tests."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("monitor/**/*.py"), *ROOT.glob("dashboard/**/*.py")])
CLOCK = re.compile(
    r"datetime\.(now|utcnow|today)\(|date\.today\(|\btime\.(time|time_ns|sleep|monotonic|monotonic_ns|perf_counter)\("
)
BIN = Path(sys.executable).parent
SOCKETS = {
    "monitor/cli/doctor.py": {"socket.socket"},
    "monitor/demo/program.py": {"socket.socket"},
    "monitor/runtime/frames.py": {"asyncio.open_connection", "socket.socket"},
    "monitor/runtime/listening.py": {"socket.socket"},
}
"""What is banned outside the wire, and who may use which part of it all the same."""
CONNECTING = {
    "connect_ex", "create_connection", "create_datagram_endpoint", "create_unix_connection", "open_connection",
    "sock_connect", "sock_sendto",
}  # fmt: skip
"""Methods of loops and sockets that reach out: ruff bans what has a name of its own, and these have none."""
OTHER_CLOCKS = {
    "monitor/clock.py",  # the reader of time itself
}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_every_import_goes_down_the_floors() -> None:
    done = subprocess.run([BIN / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_new_room_is_held_to_the_contracts_by_itself(tmp_path: Path) -> None:
    for name in ("monitor", "dashboard"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    wrong = (
        ("monitor/probes/smoke.py", "monitor.probes", "http"),
        ("monitor/probes/box/part.py", "monitor.probes", "heartbeat"),
        ("monitor/probes/tcp.py", "monitor.probes", "quiet"),
        ("monitor/probes/quiet.py", "monitor.probes.chat", "options"),
        ("monitor/probes/registration/detectors/json.py", "monitor.probes", "login"),
        ("monitor/probes/registration/detectors/slate.py", "monitor.probes.registration.detectors", "json"),
        ("monitor/probes/upstream/platforms/feed.py", "monitor.probes.upstream.platforms", "flashduty"),
        ("monitor/channels/sms.py", "monitor.channels", "slack"),
        ("monitor/channels/webhook.py", "monitor.channels", "sms"),
        ("monitor/channels/pigeon.py", "", "httpx"),
        ("monitor/probes/raven.py", "", "socket"),
        ("monitor/attic.py", "", "smtplib"),
        ("dashboard/window.py", "dashboard.console", "act"),
    )
    for file, package, name in wrong:
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        with path.open("a", encoding="utf-8") as source:
            source.write(f"\nfrom {package} import {name}\n" if package else f"\nimport {name}\n")
    tool = [str(BIN / "lint-imports"), "--no-cache"]
    said = subprocess.run(tool, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    lines = [f"{file[:-3].replace('/', '.')} -> {package}.{name}".replace("> .", "> ") for file, package, name in wrong]
    unfolded = " ".join(said.split())
    assert [line for line in lines if line not in unfolded] == [], said


def undeclared(folder: Path, *arguments: str) -> str:
    """Return what deptry says of imports in a folder; empty when all is well."""
    tool = [str(BIN / "deptry"), "--no-ansi", *arguments]
    done = subprocess.run(tool, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def test_every_import_is_declared_and_every_declared_library_imported() -> None:
    assert undeclared(ROOT, "monitor", "dashboard") == ""
    assert undeclared(ROOT, "tests", "--ignore", "DEP002,DEP004") == ""


def test_an_import_that_only_comes_along_with_another_or_serves_the_tests_is_found(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "monitor").mkdir()
    (tmp_path / "monitor" / "scratch.py").write_text(
        "import idna\nimport pytest\nimport nowhere_at_all\nimport psycopg\n"
    )
    said = undeclared(tmp_path, "monitor", "--ignore", "DEP002")
    assert re.findall(r"scratch.py:(\d):\d+: (DEP\d+)", said) == [("1", "DEP003"), ("2", "DEP004"), ("3", "DEP001")]


def test_the_rules_import_the_standard_library_alone() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in SOURCES
        if path.is_relative_to(ROOT / "monitor" / "core")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
        if not name.startswith("monitor.core") and name.partition(".")[0] not in sys.stdlib_module_names
    ]
    assert not found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_clock_reads_the_time(path: Path) -> None:
    if str(path.relative_to(ROOT)) in OTHER_CLOCKS:
        return
    found = [line for line in path.read_text(encoding="utf-8").splitlines() if CLOCK.search(line)]
    assert not found


def test_no_room_and_no_function_grows_without_a_limit() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in SOURCES
        if "migrations" not in path.parts and (lines := path.read_text(encoding="utf-8").count("\n")) > 500
    ]
    long += [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for path in SOURCES
        if "migrations" not in path.parts
        for node in functions(path)
        if node.end_lineno is not None and node.end_lineno - node.lineno + 1 > 60
    ]
    assert not long


def test_no_test_replaces_a_real_part() -> None:
    words = ("unittest" + ".mock", "Magic" + "Mock", "monkeypatch" + ".setattr", "mock" + ".patch")
    found = [
        str(path.relative_to(ROOT))
        for path in ROOT.glob("tests/**/*.py")
        if any(word in path.read_text(encoding="utf-8") for word in words)
    ]
    assert not found


def banned(*arguments: str, source: str | None = None) -> set[tuple[str, int, str]]:
    """Return file, line and name of each banned API that ruff finds."""
    command = [str(BIN / "ruff"), "check", "--no-cache", "--select", "TID251", "--output-format", "json", *arguments]
    done = subprocess.run(command, cwd=ROOT, input=source, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    names = [re.match("`([^`]+)`", one["message"]) for one in found]
    return {
        (str(Path(one["filename"]).relative_to(ROOT)), one["location"]["row"], name[1])
        for one, name in zip(found, names, strict=True)
        if name
    }


def test_nothing_outside_the_wire_opens_a_connection_but_who_is_named_with_its_reason() -> None:
    found = banned("--config", "lint.per-file-ignores={}", "monitor", "dashboard")
    assert any(file.startswith("monitor/wire/") for file, _, _ in found), "the wire itself would be found"
    users: dict[str, set[str]] = {}
    for file, _, name in found:
        if not file.startswith("monitor/wire/"):
            users.setdefault(file, set()).add(name)
    assert users == SOCKETS
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    excepted = {file for file, rules in ruff["per-file-ignores"].items() if "TID251" in rules}
    assert excepted == {"tests/**", "monitor/wire/**", *SOCKETS}


@pytest.mark.parametrize("place", ["monitor/probes/scratch.py", "monitor/channels/scratch.py", "dashboard/scratch.py"])
def test_every_way_out_is_banned_in_whatever_words_it_is_imported(place: str) -> None:
    lines = (
        "import urllib.request",
        "from urllib import request",
        "import http.client as web",
        "import smtplib",
        "from socket import create_connection",
        "import socket; socket.create_connection(('example.org', 80))",
        "import socket as s; s.socket().connect(('example.org', 80))",
        "import socket; socket.getaddrinfo('example.org', 80)",
        "import asyncio; asyncio.open_connection('example.org', 80)",
        "from asyncio.streams import open_connection",
        "from _socket import socket",
        "from multiprocessing.managers import BaseManager",
        "from prometheus_client import push_to_gateway",
        "from prometheus_client.exposition import pushadd_to_gateway",
        "import ssl; ssl.get_server_certificate(('example.org', 443))",
        "import ftplib",
        "from xmlrpc import client",
        "import dns.asyncquery",
        "from dns import resolver",
        "import httpx",
        "from httpcore import AsyncConnectionPool",
        "import requests",
        "import urllib3",
        "from logging.handlers import SMTPHandler",
    )
    found = banned("--stdin-filename", place, source="\n".join(lines) + "\n")
    assert [line for row, line in enumerate(lines, 1) if row not in {row for _, row, _ in found}] == []


def test_no_method_that_reaches_out_is_called_outside_the_wire() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.attr}"
        for path in SOURCES
        if "wire" not in path.parts and str(path.relative_to(ROOT)) not in SOCKETS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in CONNECTING
    ]
    assert not found


IMPORTERS = {
    "monitor/cli/__init__.py",  # a command's file, when it is used
    "monitor/kinds.py",  # what declares itself in a folder of equals
    "monitor/prober/process.py",  # loads what kinds name under `imports`, and uvloop
}
"""Who may import by a name that is text; ruff bans what is imported by a statement."""


def imported_round(node: ast.AST, path: str) -> list[str]:
    """Return what an import statement brings that imports by text, or reads an address under another name."""
    match node:
        case ast.Import(names=named):
            tools = [one.name for one in named if one.name.partition(".")[0] in ("importlib", "runpy")]
            renamed = [one.name for one in named if one.name == "feedparser" and one.asname]
            return renamed + tools * (path not in IMPORTERS)
        case ast.ImportFrom(module=str(module), names=named):
            if module.partition(".")[0] in ("importlib", "runpy", "pkgutil", "feedparser"):
                return [one.name for one in named if (module, one.name) != ("importlib", "resources")]
    return []


def called_round(node: ast.AST, banned_names: set[str]) -> list[str]:
    """Return what an expression imports by text, or reads from what may be an address."""
    match node:
        case ast.Name(id="__import__" | "exec" | "eval" as name):
            return [name]
        case ast.Attribute(attr="resolve_name" | "find_spec" | "spec_from_file_location" as name):
            return [name]
        case ast.Call(func=ast.Attribute(value=ast.Name(id="feedparser")), args=args):
            in_memory = bool(args) and ast.unparse(args[0]).startswith("io.BytesIO(")
            return [] if in_memory else ["feedparser"]
        case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]):
            return [name] if name in banned_names else []
        case ast.Subscript(value=ast.Attribute(attr="modules"), slice=ast.Constant(value=str(name))):
            return [name] if name in banned_names else []
    return []


def ways_round(source: str, path: str) -> list[str]:
    """Return what goes round the ban by name: imports by text, and readers that fetch an address by themselves."""
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    names = {*ruff["flake8-tidy-imports"]["banned-api"], "socket"}
    nodes = list(ast.walk(ast.parse(source)))
    return [what for node in nodes for what in [*imported_round(node, path), *called_round(node, names)]]


def test_no_name_in_text_and_no_reader_goes_round_the_ban() -> None:
    found = {
        name: ways
        for path in SOURCES
        if "wire" not in path.parts
        if (ways := ways_round(path.read_text(encoding="utf-8"), name := str(path.relative_to(ROOT))))
    }
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        'import importlib; importlib.import_module("smtplib")',
        'from importlib import import_module as fetch; fetch("smtplib")',
        '__import__("smtplib")',
        'import runpy; runpy.run_module("smtplib")',
        'import pkgutil; pkgutil.resolve_name("smtplib:SMTP")',
        "from pkgutil import resolve_name",
        'import sys; sys.modules["smtplib"].SMTP("example.org")',
        'exec("import smtplib")',
        'import feedparser; feedparser.parse("https://example.org/feed")',
        "import feedparser; feedparser.parse(body)",
        "import feedparser as fp; fp.parse(url)",
        "from feedparser import parse",
    ],
)
def test_each_way_round_the_ban_is_found(line: str) -> None:
    assert ways_round(line, "monitor/probes/scratch.py")


@pytest.mark.parametrize("path", sorted(IMPORTERS))
def test_who_may_import_by_text_may_not_import_what_is_banned(path: str) -> None:
    assert ways_round('import importlib\nimportlib.import_module("smtplib")', path) == ["smtplib"]
    assert ways_round('import importlib\nimportlib.import_module("uvloop")', path) == []


def test_no_test_measures_time_or_memory() -> None:
    words = re.compile(r"perf_counter|process_time|thread_time|tracemalloc|getrusage|VmRSS|VmHWM|mark\.alone")
    found = [
        str(path.relative_to(ROOT))
        for path in ROOT.glob("tests/**/*.py")
        if "bench" not in path.parts and path != Path(__file__) and words.search(path.read_text(encoding="utf-8"))
    ]
    assert not found, "what is measured belongs into tests/bench, as a ratio"


OF_EQUALS = {
    "dashboard/language",
    "monitor/channels",
    "monitor/probes/registration/detectors",
    "monitor/probes/upstream/platforms",
    "monitor/store/migrations",
    "monitor/store/migrations/versions",
    "monitor/vendors",
}
"""Folders whose files are one of a kind each: as many as there are kinds."""


def test_a_folder_holds_four_to_twelve_files_or_is_one_of_equals() -> None:
    wrong = []
    for folder in sorted({path.parent for room in ("monitor", "dashboard") for path in ROOT.glob(f"{room}/**/*.*")}):
        name = str(folder.relative_to(ROOT))
        held = [path for path in folder.iterdir() if path.is_file() and path.name != "__init__.py"]
        rooms = [path for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"]
        if "__pycache__" in name or name in OF_EQUALS or "scenarios" in name:
            continue
        if len(held) > 12 or (len(held) < 4 and not rooms):
            wrong.append(f"{name}: {len(held)} files")
    assert wrong == []

"""What others say of the stored answers: curl, Chromium, blackbox_exporter and the vendors' own libraries."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from tests.corpus.keeping import Kept
from tests.corpus.replaying import TIMEOUT_S, Stage

LIBRARIES = Path(__file__).parent.parent.parent / ".venv-corpus" / "bin" / "python"
AT_ONCE = 6


@dataclass(frozen=True)
class Said:
    """What somebody said of an answer."""

    served: bool
    words: str


Answers = dict[str, Said]
"""Answer → what was said of it; nothing for what does not apply."""


async def curl(answers: list[Kept], stage: Stage) -> Answers:
    """Ask curl: served is a whole answer with a status below 400."""
    program = shutil.which("curl")
    assert program is not None, "curl is not installed"

    async def ask(one: Kept) -> Said:
        method = ["-X", "POST", "-d", "{}"] if one.kind in ("chat", "anthropic") else []
        command = [
            program,
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "--compressed",
            "--http1.1",
            "--noproxy",
            "*",
        ]
        command += ["--max-time", str(TIMEOUT_S), "--cacert", str(stage.ca_file), *method, stage.url(one)]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        out, _ = await process.communicate()
        status = int(out or b"0")
        return Said(
            process.returncode == 0 and 200 <= status < 400, f"{status or ''} exit {process.returncode}".strip()
        )

    return await _each(answers, ("http", "chat", "anthropic", "registration", "tls"), ask)


async def _each(answers: list[Kept], kinds: tuple[str, ...], ask: Callable[[Kept], Awaitable[Said]]) -> Answers:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one_of(one: Kept) -> tuple[str, Said]:
        async with gate:
            return one.name, await ask(one)

    return dict(await asyncio.gather(*(one_of(one) for one in answers if one.kind in kinds)))


async def chromium(answers: list[Kept], stage: Stage) -> Answers:
    """Ask Chromium: served is a page that it shows, with a status below 400."""
    from playwright.async_api import Error, async_playwright

    program = shutil.which("chromium")
    assert program is not None, "chromium is not installed"
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        context = await browser.new_context(ignore_https_errors=False)

        async def ask(one: Kept) -> Said:
            page = await context.new_page()
            statuses: list[int] = []
            page.on("response", lambda response: statuses.append(response.status))
            trouble = ""
            try:
                await page.goto(stage.url(one), timeout=TIMEOUT_S * 1000)
            except Error as error:
                found = re.search(r"net::(\w+)|Timeout|Download", str(error))
                trouble = found[0] if found else type(error).__name__
            finally:
                await page.close()
            status = statuses[0] if statuses else 0
            whole = (
                not trouble or 300 <= status < 400 or (status == 204 and "ABORTED" in trouble) or trouble == "Download"
            )
            return Said(whole and 200 <= status < 400, f"{status or ''} {trouble.removeprefix('net::')}".strip())

        told = await _each(answers, ("http", "tls"), ask)
        await browser.close()
    return {name: said for name, said in told.items() if not name.startswith("tls-certificates/")}


def _modules(answers: list[Kept], stage: Stage) -> dict[str, Any]:
    tls = {"ca_file": str(stage.ca_file)}
    plain = {"preferred_ip_protocol": "ip4", "follow_redirects": False, "tls_config": tls}
    body = {"method": "POST", "body": "{}", "headers": {"Content-Type": "application/json"}}
    modules: dict[str, Any] = {
        "http": {"prober": "http", "timeout": f"{TIMEOUT_S:.0f}s", "http": plain},
        "chat": {"prober": "http", "timeout": f"{TIMEOUT_S:.0f}s", "http": plain | body},
        "tls": {
            "prober": "tcp",
            "timeout": f"{TIMEOUT_S:.0f}s",
            "tcp": {"preferred_ip_protocol": "ip4", "tls": True, "tls_config": tls},
        },
    }
    for one in answers:
        if one.kind == "dns":
            asked = {"query_name": one.options["name"], "query_type": one.options.get("record", "A")}
            modules[_word(one)] = {"prober": "dns", "timeout": "5s", "dns": {"preferred_ip_protocol": "ip4", **asked}}
    return modules


def _word(one: Kept) -> str:
    return re.sub(r"\W", "_", one.name)


@asynccontextmanager
async def _exporter(config: Path) -> AsyncIterator[int]:
    program = shutil.which("prometheus-blackbox-exporter")
    assert program is not None, "prometheus-blackbox-exporter is not installed"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    process = await asyncio.create_subprocess_exec(
        program, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}",
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(100):
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.1)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def blackbox(answers: list[Kept], stage: Stage) -> Answers:
    """Ask blackbox_exporter: served is ``probe_success 1`` with its usual rules, redirects not followed."""
    config = stage.ca_file.with_name("blackbox.yml")
    config.write_text(yaml.safe_dump({"modules": _modules(answers, stage)}))

    async with _exporter(config) as port:

        async def ask(one: Kept) -> Said:
            module = {"dns": _word(one), "tls": "tls", "anthropic": "chat", "registration": "chat"}.get(
                one.kind, one.kind
            )
            target = f"127.0.0.1:{stage.dns}" if one.kind == "dns" else stage.url(one)
            target = f"localhost:{stage.tls[one.name]}" if one.kind == "tls" else target
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            path = f"/probe?module={module}&target={quote(target, safe='')}"
            writer.write(f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
            text = (await reader.read()).decode()
            writer.close()
            status = re.search(r"^probe_http_status_code (\d+)", text, re.MULTILINE)
            good = "\nprobe_success 1" in text
            return Said(good, f"{status[1] if status else ''} {'success' if good else 'failure'}".strip())

        return await _each(answers, ("http", "chat", "anthropic", "dns", "tls", "registration"), ask)


ASKING = r"""
import json, sys
import anthropic, openai
for line in sys.stdin:
    name, kind, url, stream = json.loads(line)
    text = ""
    try:
        if kind == "anthropic":
            client = anthropic.Anthropic(api_key="sk-test", base_url=url, max_retries=0, timeout=8)
            asked = dict(model="m", max_tokens=16, messages=[{"role": "user", "content": "hi"}])
            if stream:
                with client.messages.stream(**asked) as events:
                    text = "".join(block.text for block in events.get_final_message().content if block.type == "text")
            else:
                text = "".join(block.text for block in client.messages.create(**asked).content if block.type == "text")
        else:
            client = openai.OpenAI(api_key="sk-test", base_url=url, max_retries=0, timeout=8)
            asked = dict(model="m", messages=[{"role": "user", "content": "hi"}])
            if stream:
                for chunk in client.chat.completions.create(stream=True, **asked):
                    text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
            else:
                text = client.chat.completions.create(**asked).choices[0].message.content
        print(json.dumps([name, bool(text), "an answer" if text else "no text"]), flush=True)
    except Exception as error:
        print(json.dumps([name, False, type(error).__name__]), flush=True)
"""


async def libraries(answers: list[Kept], stage: Stage) -> Answers:
    """Ask the vendors' own libraries: served is an answer with a word in it."""
    assert LIBRARIES.exists(), "make corpus"
    lines = [
        json.dumps([one.name, one.kind, stage.url(one), one.options.get("stream", True)])
        for one in answers
        if one.kind in ("chat", "anthropic")
    ]
    process = await asyncio.create_subprocess_exec(
        str(LIBRARIES), "-c", ASKING, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    out, _ = await process.communicate("\n".join(lines).encode())
    assert process.returncode == 0
    return {name: Said(served, words) for name, served, words in map(json.loads, out.splitlines())}


async def versions() -> dict[str, str]:
    """Return who was asked, with versions."""

    def told(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.search(r"\d+\.\d+[\d.]*", done.stdout + done.stderr)
        return found[0] if found else "?"

    ask = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    return {
        "curl": told("curl", "--version"),
        "Chromium": told("chromium", "--version"),
        "blackbox_exporter": told("prometheus-blackbox-exporter", "--version"),
        "openai": told(str(LIBRARIES), "-c", ask, "openai"),
        "anthropic": told(str(LIBRARIES), "-c", ask, "anthropic"),
    }


ORACLES: dict[str, Callable[[list[Kept], Stage], Awaitable[Answers]]] = {
    "curl": curl,
    "Chromium": chromium,
    "blackbox_exporter": blackbox,
    "library": libraries,
}

"""Gateways, model servers and chat products: LiteLLM, Portkey, GuideLLM's vLLM-compatible server, Synapse, Open WebUI."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from tests.corpus.capture.programs import ASGI, ASKED, JSON, LOCKED, OWN, PYTHON, ROOT, pip
from tests.corpus.capture.running import (
    HOST,
    MissingServerError,
    Server,
    Wish,
    free_port,
    http,
    output,
    program,
    running,
)
from tests.corpus.capture.site import troubled

KEY = "Authorization: Bearer sk-corpus-1234"
LITELLM = ROOT / ".venv-litellm" / "bin"
FOREIGN = Path(os.environ.get("CORPUS_PROGRAMS", ROOT / ".corpus-programs"))
"""Where what needs gigabytes is installed by hand: ``guidellm/bin``, ``webui/bin``, ``node_modules``."""


def asked(model: str, *, stream: bool = True, content: str = "Say hello.", **more: Any) -> bytes:
    """Return the body of a question."""
    import json

    messages = [{"role": "user", "content": content}]
    usage = {"stream_options": {"include_usage": True}} if stream else {}
    return json.dumps(
        {"model": model, "stream": stream, "messages": messages, "max_tokens": 16, **usage, **more}
    ).encode()


def question(name: str, model: str, *headers: str, kind: str = "chat", path: str = "", **more: Any) -> Wish:
    """Return the wish for an answer to a question."""
    where = path or ("/v1/messages" if kind == "anthropic" else "/v1/chat/completions")
    options = {} if more.get("stream", True) else {"stream": False}
    body = asked(model, **more)
    if kind == "anthropic":
        body = body.replace(b', "stream_options": {"include_usage": true}', b"")
    return Wish(name, http("POST", where, JSON, *headers, body=body), kind, options)


PROXY = """
model_list:
  - {{model_name: mock, litellm_params: {{model: openai/mock, api_key: none, mock_response: "Hello from afar."}}}}
  - {{model_name: down, litellm_params: {{model: openai/down, api_key: none, api_base: "http://127.0.0.1:{nobody}/v1"}}}}
  - {{model_name: closes, litellm_params: {{model: openai/closes, api_key: none, api_base: "http://127.0.0.1:{closes}/v1"}}}}
  - {{model_name: hangs, litellm_params: {{model: openai/hangs, api_key: none, api_base: "http://127.0.0.1:{hangs}/v1", timeout: 1}}}}
  - {{model_name: limited, litellm_params: {{model: openai/mock, api_key: none, mock_response: "litellm.RateLimitError"}}}}
  - {{model_name: broken, litellm_params: {{model: openai/mock, api_key: none, mock_response: "litellm.InternalServerError"}}}}
  - {{model_name: long, litellm_params: {{model: openai/mock, api_key: none, mock_response: "litellm.ContextWindowExceededError"}}}}
  - {{model_name: rare, litellm_params: {{model: openai/mock, api_key: none, mock_response: "Hi", rpm: 1}}}}
  - {{model_name: dear, litellm_params: {{model: openai/gpt-4o, api_key: none, mock_response: "Hi", max_budget: 0.0000000001, budget_duration: 1d}}}}
router_settings: {{num_retries: 0, enable_pre_call_checks: true}}
litellm_settings: {{num_retries: 0, telemetry: false}}
general_settings: {{master_key: sk-corpus-1234}}
"""


@contextmanager
def litellm(folder: Path) -> Iterator[dict[str, int]]:
    """Run LiteLLM's proxy over mocked and troubled models."""
    if not (LITELLM / "litellm").exists():
        raise MissingServerError("LiteLLM's proxy is not there: make litellm")
    with troubled() as behind:
        ports = {"main": free_port()}
        (folder / "config.yaml").write_text(PROXY.format(**behind))
        command = [
            str(LITELLM / "litellm"),
            "--config",
            "config.yaml",
            "--port",
            str(ports["main"]),
            "--host",
            "127.0.0.1",
        ]
        env = {"HOME": str(folder), "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
        with running(command, ports["main"], cwd=folder, env=env, wait_s=180):
            yield {**ports, **behind}


@contextmanager
def portkey(folder: Path) -> Iterator[dict[str, int]]:
    """Run Portkey's gateway in front of an upstream that answers and of others in trouble."""
    start = FOREIGN / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    if not start.exists():
        raise MissingServerError("npm install @portkey-ai/gateway in CORPUS_PROGRAMS")
    (folder / "example.py").write_text(ASGI)
    with troubled() as behind:
        ports = {"main": free_port(), "upstream": PORTKEY_UPSTREAM}
        upstream = [str(OWN), "-m", "uvicorn", "example:app", "--port", str(ports["upstream"])]
        command = [program("node"), str(start), f"--port={ports['main']}", "--headless"]
        with running(upstream, ports["upstream"], cwd=folder), running(command, ports["main"], cwd=folder):
            yield {**ports, **behind}


PORTKEY_UPSTREAM = 18931
"""Named in the requests, so it cannot be any free port."""
TO_OPENAI = ("x-portkey-provider: openai", KEY)


@contextmanager
def guidellm(folder: Path) -> Iterator[dict[str, int]]:
    """Run GuideLLM's server that answers as vLLM does."""
    tool = FOREIGN / "guidellm" / "bin" / "guidellm"
    if not tool.exists():
        raise MissingServerError("pip install guidellm in CORPUS_PROGRAMS/guidellm")
    port = free_port()
    command = [str(tool), "mock-server", "--host", "127.0.0.1", "--port", str(port), "--output-tokens", "8"]
    command += ["--itl-ms", "5", "--ttft-ms", "20"]
    with running(command, port, cwd=folder, wait_s=240, env={"HOME": str(folder), "HF_HUB_OFFLINE": "1"}):
        yield {"main": port}


def synapse(*settings: str) -> Any:
    """Return what runs Synapse with further settings."""

    @contextmanager
    def start(folder: Path) -> Iterator[dict[str, int]]:
        if not PYTHON.exists():
            raise MissingServerError("make corpus")
        port = free_port()
        config = folder / "homeserver.yaml"
        made = output(
            str(PYTHON), "-m", "synapse.app.homeserver", "--server-name", HOST, "--config-path", str(config),
            "--data-directory", str(folder), "--generate-config", "--report-stats=no", cwd=folder,
        )  # fmt: skip
        if not config.exists():
            raise MissingServerError(made[-500:])
        text = config.read_text().replace("port: 8008", f"port: {port}")
        config.write_text(
            text + "\nsuppress_key_server_warning: true\ntrusted_key_servers: []\n" + "\n".join(settings) + "\n"
        )
        command = [str(PYTHON), "-m", "synapse.app.homeserver", "--config-path", str(config)]
        with running(command, port, cwd=folder):
            yield {"main": port}

    return start


REGISTER = http("POST", "/_matrix/client/v3/register", JSON, body=b"{}")
MATRIX = {"detector": "matrix"}


def registers(name: str, request: bytes = REGISTER) -> Wish:
    """Return the wish for what a Matrix server says of registration."""
    return Wish(name, request, "registration", MATRIX)


@contextmanager
def open_webui(folder: Path) -> Iterator[dict[str, int]]:
    """Run Open WebUI."""
    tool = FOREIGN / "webui" / "bin" / "open-webui"
    if not tool.exists():
        raise MissingServerError("pip install open-webui in CORPUS_PROGRAMS/webui")
    port = free_port()
    env = {"DATA_DIR": str(folder), "HOME": str(folder), "HF_HUB_OFFLINE": "1", "OFFLINE_MODE": "true"}
    env |= {"ENABLE_OLLAMA_API": "false", "RAG_EMBEDDING_ENGINE": "openai", "WEBUI_SECRET_KEY": "corpus"}
    with running(
        [str(tool), "serve", "--host", "127.0.0.1", "--port", str(port)], port, cwd=folder, env=env, wait_s=400
    ):
        yield {"main": port}


def version_of(name: str, of: str) -> Any:
    """Return what tells the version of a package in an environment of CORPUS_PROGRAMS."""
    return pip(name, FOREIGN / of / "bin" / "python")


def _portkey_version() -> str:
    import json

    path = FOREIGN / "node_modules" / "@portkey-ai" / "gateway" / "package.json"
    return f"{json.loads(path.read_text())['version']} (npm)" if path.exists() else ""


Start = AbstractContextManager[dict[str, int]]
SERVERS = (
    Server("litellm", "tests/edges/litellm/requirements.lock (make litellm)", pip("litellm", LITELLM / "python"), litellm, (
        question("stream", "mock", KEY), question("whole", "mock", KEY, stream=False),
        question("messages-stream", "mock", KEY, kind="anthropic"), question("messages", "mock", KEY, kind="anthropic", stream=False),
        question("no-key", "mock"), question("wrong-key", "mock", "Authorization: Bearer sk-wrong"),
        question("malformed-key", "mock", "Authorization: Bearer wrong"),
        question("no-such-model", "gpt-unknown", KEY), question("messages-no-such-model", "gpt-unknown", KEY, kind="anthropic"),
        question("upstream-down", "down", KEY), question("upstream-closes", "closes", KEY), question("upstream-hangs", "hangs", KEY),
        question("upstream-limited", "limited", KEY), question("upstream-broken", "broken", KEY), question("too-long", "long", KEY),
        question("rare-once", "rare", KEY), question("rare-twice", "rare", KEY),
        question("dear-once", "dear", KEY), question("dear-twice", "dear", KEY),
        question("cooled-down", "down", KEY),
        Wish("no-body", http("POST", "/v1/chat/completions", JSON, KEY, body=b"{"), "chat"),
        Wish("no-such-path", http("POST", "/v2/chat/completions", JSON, KEY, body=ASKED), "chat"),
        Wish("alive", http("GET", "/health/liveliness")), Wish("models-without-key", http("GET", "/v1/models")),
    ), idle_s=8),
    Server("portkey", "npm: @portkey-ai/gateway 1.15.2", _portkey_version, portkey, (
        question("stream", "m", *TO_OPENAI, f"x-portkey-custom-host: http://127.0.0.1:{PORTKEY_UPSTREAM}"),
        question("no-provider", "m", KEY), question("wrong-provider", "m", KEY, "x-portkey-provider: nobody"),
        question("upstream-down", "m", *TO_OPENAI, "x-portkey-custom-host: http://127.0.0.1:9"),
        question("upstream-missing", "m", *TO_OPENAI, f"x-portkey-custom-host: http://127.0.0.1:{PORTKEY_UPSTREAM}/none", path="/v1/completions"),
        Wish("page", http("GET", "/")), Wish("no-such-path", http("GET", "/missing")),
    ), idle_s=8),
    Server("guidellm", "PyPI: guidellm, in CORPUS_PROGRAMS/guidellm", version_of("guidellm", "guidellm"), guidellm, (
        question("stream", "m"), question("whole", "m", stream=False),
        Wish("no-body", http("POST", "/v1/chat/completions", JSON, body=b"{"), "chat"),
        Wish("no-such-path", http("POST", "/chat/completions", JSON, body=ASKED), "chat"),
        Wish("alive", http("GET", "/health")), Wish("models", http("GET", "/v1/models")),
    ), idle_s=8),
    Server("synapse", LOCKED, pip("matrix-synapse"), synapse("enable_registration: true", "enable_registration_without_verification: true"), (
        registers("open"), Wish("versions", http("GET", "/_matrix/client/versions")), Wish("log-in", http("GET", "/_matrix/client/v3/login")),
        Wish("page", http("GET", "/_matrix/static/")), Wish("no-such-path", http("GET", "/_matrix/client/v3/none")),
        Wish("needs-a-token", http("GET", "/_matrix/client/v3/account/whoami")),
        registers("no-json", http("POST", "/_matrix/client/v3/register", JSON, body=b"{")),
    )),
    Server("synapse-by-token", LOCKED, pip("matrix-synapse"), synapse("enable_registration: true", "registration_requires_token: true"), (registers("token"),)),
    Server("synapse-closed", LOCKED, pip("matrix-synapse"), synapse("enable_registration: false"), (registers("closed"),)),
    Server("open_webui", "PyPI: open-webui, in CORPUS_PROGRAMS/webui", version_of("open-webui", "webui"), open_webui, (
        Wish("config", http("GET", "/api/config"), "registration", {"detector": "open_webui"}), Wish("alive", http("GET", "/health")),
        Wish("page", http("GET", "/")), Wish("version", http("GET", "/api/version")),
        question("chat-no-key", "m", path="/api/chat/completions"), question("chat-wrong-key", "m", "Authorization: Bearer sk-wrong", path="/api/chat/completions"),
        Wish("no-such-path", http("GET", "/api/none")), Wish("models", http("GET", "/api/models")),
    ), idle_s=8),
)  # fmt: skip

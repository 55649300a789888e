"""What the vendors' own libraries send and read in the dialects beside chat completions and Messages, and what we do.

``python -m tests.corpus dialects``: every shape that the tests call recorded goes to the library as well; the library's
requests are held against ours, path by path, key by key.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from monitor.probes.chat.answer.booking import TABLE
from monitor.probes.chat.ask import Place, Wish
from monitor.probes.chat.options import DIALECTS
from tests.corpus.oracles import LIBRARIES
from tests.edges import test_chat_bookings as bookings
from tests.edges import test_chat_dialects as dialects
from tests.edges import test_chat_embeddings as embeddings
from tests.edges.chat_shapes import OPENAI
from tests.edges.probing import STREAM

KEY = "sk-test"
BOOKED = json.dumps({"name": "Novak", "guests": 4, "time": "18:30"})
NOT_READ = {
    "responses/a failure without a word",  # the library reads a field of what is not there
    "responses/an error event with an error inside",  # raised, which is how the library tells it
}
"""Shapes of gateways and of trouble at which the library raises, while we name the trouble."""
OTHER_HEADER = {"anthropic": "authorization"}
"""Dialects whose library puts the key elsewhere: Anthropic's as a bearer; its documents name ``x-api-key``."""
CLIENT = r"""
import json, sys
import anthropic, openai
base, shapes, tool = sys.argv[1], json.loads(sys.stdin.read()), json.loads(sys.argv[2])
usual = dict(api_key="sk-test", max_retries=0, timeout=8)
ours = openai.OpenAI(base_url=base + "/v1", **usual)
azure = openai.AzureOpenAI(azure_endpoint=base, api_version="2024-10-21", **usual)
claude = anthropic.Anthropic(base_url=base, **usual)
function = {"name": tool["name"], "description": tool["description"], "parameters": tool["schema"]}
said = [{"role": "user", "content": "hi"}]
def responses(more, stream):
    asked = dict(model="m", input="hi", store=False, max_output_tokens=64, **more)
    asked["tools"] = [{"type": "function"} | function]
    if not stream:
        whole = ours.responses.create(**asked)
    else:
        whole = None
        for event in ours.responses.create(stream=True, **asked):
            if event.type in ("response.completed", "response.incomplete", "response.failed"):
                whole = event.response
            if event.type == "error":
                return "error"
        if whole is None:
            return "cut"
    calls = [item.arguments for item in whole.output if item.type == "function_call"]
    return "error" if whole.status == "failed" else calls[0] if calls else whole.output_text
def completions(client, more, stream):
    asked = dict(model="m", messages=said, max_tokens=64, tools=[{"type": "function", "function": function}], **more)
    if not stream:
        return client.chat.completions.create(**asked).choices[0].message.tool_calls[0].function.arguments
    text = ""
    for chunk in client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **asked):
        for choice in chunk.choices[:1]:
            calls = choice.delta.tool_calls or []
            text += choice.delta.content or "".join(call.function.arguments or "" for call in calls)
    return text
def messages(more, stream):
    asked = dict(model="m", messages=said, max_tokens=64, **more)
    asked["tools"] = [{"name": tool["name"], "description": tool["description"], "input_schema": tool["schema"]}]
    if stream:
        with claude.messages.stream(**asked) as events:
            whole = events.get_final_message()
    else:
        whole = claude.messages.create(**asked)
    return json.dumps([block.input for block in whole.content if block.type == "tool_use"][0])
for name, stream in shapes:
    more, kind = {"extra_headers": {"x-shape": name}}, name.partition("/")[0]
    try:
        if kind == "responses":
            told = responses(more, stream)
        elif kind == "embeddings":
            found = ours.embeddings.create(model="m", input=["a", "b", "c"], **more).data
            told = json.dumps([list(one.embedding) for one in found])
        elif kind == "anthropic":
            told = messages(more, stream)
        else:
            told = completions(azure if kind == "azure" else ours, more, stream)
    except Exception as error:
        told = "! " + type(error).__name__
    print(json.dumps([name, told]), flush=True)
"""


@dataclass
class Stage:
    """A server of recorded shapes that keeps what it was asked."""

    shapes: dict[str, bytes]
    asked: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=dict)

    @contextmanager
    def open(self) -> Iterator[str]:
        """Serve on loopback; yield the address."""
        stage = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                """Say nothing."""

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                name = self.headers["x-shape"]
                stage.asked[name] = (self.path, {key.lower(): value for key, value in self.headers.items()}, body)
                self.wfile.write(stage.shapes[name])

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()


def shapes() -> dict[str, bytes]:
    """Return dialect/name → a whole recorded answer."""
    found = {f"responses/{name}": answer for name, (_, answer) in dialects.RESPONSES.items()}
    found |= {
        "azure/a stream": STREAM + b"".join(OPENAI.answer()),
        "embeddings/lists of numbers": embeddings.answered([0.5, 0.25], [1.0, 0.0], [0.0, 1.0]),
        "embeddings/base64": embeddings.answered(*map(embeddings.packed, ([0.5, 0.25], [1.0, 0.0], [0.0, 1.0]))),
    }
    calls = {f"{dialect}/{name}": say(BOOKED) for name, (dialect, _, say) in bookings.CALLS.items()}
    return found | calls


def ours(dialect: str, base: str, *, stream: bool) -> tuple[str, str, set[str]]:
    """Return path, key header and the body's fields of our own request."""
    protocol = DIALECTS[dialect]
    root = base if dialect in ("azure", "anthropic") else f"{base}/v1"
    asked = protocol.request(Wish("m", ("hi",), stream, "max_tokens", 64, tool=TABLE))
    (header,) = protocol.key_headers(KEY)
    return protocol.url(Place(root, "m", "2024-10-21")).removeprefix(base), header.lower(), set(asked)


def differences() -> list[str]:
    """Return where the libraries and we ask otherwise, and good shapes that they do not read."""
    stage, found = Stage(shapes()), []
    streamed = {name: b"event-stream" in answer[:200] for name, answer in stage.shapes.items()}
    with stage.open() as base:
        command = [str(LIBRARIES), "-c", CLIENT, base, json.dumps(TABLE._asdict())]
        done = subprocess.run(
            command, input=json.dumps(list(streamed.items())), capture_output=True, text=True, check=True, timeout=120
        )
        told = dict(json.loads(line) for line in done.stdout.splitlines())
        for name, (path, headers, body) in stage.asked.items():
            our_path, our_header, our_fields = ours(name.partition("/")[0], base, stream=streamed[name])
            fields = set(body) - {"encoding_format"}  # the library asks for base64, which is its own way of packing
            dialect = name.partition("/")[0]
            has_key = OTHER_HEADER.get(dialect, our_header) in headers
            if path != our_path or not has_key or fields | {"stream"} != our_fields | {"stream"}:
                found.append(f"{name}: they ask {path} {sorted(fields)}, we ask {our_path} {sorted(our_fields)}")
    good = {f"responses/{name}" for name, (reason, _) in dialects.RESPONSES.items() if reason == "ok"}
    good |= {name for name in stage.shapes if not name.startswith("responses/")}
    found += [f"{name}: {told.get(name)}" for name in sorted(good - NOT_READ) if told.get(name, "!").startswith("!")]
    wanted = {f"{dialect}/{name}" for name, (dialect, _, _) in bookings.CALLS.items()}
    found += [
        f"{name}: {told[name]}"
        for name in sorted(wanted & told.keys())
        if not told[name].startswith("!") and json.loads(told[name]) != json.loads(BOOKED)
    ]
    return found


def report() -> int:
    """Print the differences; 1 if there are any."""
    assert LIBRARIES.exists(), "make corpus"
    found = differences()
    print("\n".join(found) or f"{len(shapes())} shapes: the libraries ask and read as we do")
    return int(bool(found))

"""The clock of a stream: time to first token and to first answer against a server that tells the truth.

The server runs in a process of its own, notes when the request was whole and when it sent the first token and the first
word of the answer, and tells both in the last chunk. Every shape of stream is asked over the real wire.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from statistics import median, quantiles
from typing import Any

from monitor.core.model.reasons import Reason
from tests.edges.probing import KEY, context, look_once, whole_request

WAIT_S = 0.03
SHAPES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "plain": ("text/event-stream", [{"content": "Hello"}, {"content": " there"}]),
    "reasoning first": ("text/event-stream", [{"reasoning_content": "hm"}, {"content": "Hello"}]),
    "thoughts in the text": ("text/event-stream", [{"content": "<think>hm"}, {"content": "</think>Hello"}]),
    "as application/json": ("application/json", [{"content": "Hello"}, {"content": " there"}]),
    "without a type": ("", [{"reasoning": "hm"}, {"content": "Hello"}]),
}
P50_MS = 1.0
"""The most that the median may be off."""


async def server() -> None:
    """Serve the shapes by name; print the port."""
    now = asyncio.get_running_loop().time

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request, _ = await whole_request(reader)
        asked_s = now()
        kind, deltas = SHAPES[list(SHAPES)[int(request.split(b"/")[1].split(b"/")[0])]]
        typed = f"content-type: {kind}\r\n" if kind else ""
        writer.write(f"HTTP/1.1 200 OK\r\n{typed}connection: close\r\n\r\n: wait\n\n".encode())
        sent: list[float] = []
        for delta in deltas:
            await asyncio.sleep(WAIT_S)
            sent.append(now() - asked_s)
            writer.write(event(delta))
            await writer.drain()
        writer.write(event({}, finish="stop", truth=json.dumps(sent)) + b"data: [DONE]\n\n")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


def event(delta: dict[str, Any], finish: str | None = None, truth: str = "") -> bytes:
    """Return a chunk."""
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return b"data: " + json.dumps({"model": "m", "system_fingerprint": truth, "choices": choices}).encode() + b"\n\n"


async def errors(port: int, number: int, looks: int) -> tuple[list[float], list[float]]:
    """Return by how many milliseconds the first token and the first answer were off, in every look."""
    first, answer = [], []
    for _ in range(looks):
        url = f"http://127.0.0.1:{port}/{number}"
        seen = await look_once("chat", context(), base_url=url, model="m", key=KEY, canary=False)
        assert seen.reason is Reason.OK, seen
        assert seen.chat is not None
        assert seen.chat.ttft_s is not None
        assert seen.chat.first_answer_s is not None
        sent = json.loads(seen.chat.system_fingerprint)
        is_thought = seen.chat.first_answer_s > seen.chat.ttft_s
        first.append(abs(seen.chat.ttft_s - sent[0]) * 1000)
        answer.append(abs(seen.chat.first_answer_s - sent[is_thought]) * 1000)
    return first, answer


def main(quick: bool) -> None:
    """Ask every shape and print how far off the clock was."""
    looks = 60 if quick else 300
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.stream_clock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    print(f"Stream clock: {looks} looks each; off by ms at p50 / p95 (bound {P50_MS:g} ms at p50)")
    try:
        for number, name in enumerate(SHAPES):
            first, answer = asyncio.run(errors(port, number, looks))
            told = [f"{median(one):.2f} / {quantiles(one, n=20)[-1]:.2f}" for one in (first, answer)]
            good = max(median(first), median(answer)) <= P50_MS
            print(f"  {name:22} first token {told[0]}, first answer {told[1]}{'' if good else '  OVER'}")
    finally:
        process.communicate("")


if __name__ == "__main__":
    asyncio.run(server())

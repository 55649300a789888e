"""How the simulated vendor answers a chat request: one walk for both protocols, and every way it can break off."""

from __future__ import annotations

import asyncio
import json

from monitor.simulator import errors
from monitor.simulator.answer import Answer, Ask, prepare
from monitor.simulator.errors import ApiError, Dialect
from monitor.simulator.line import Line
from monitor.simulator.state import Fault, State, Trouble
from monitor.simulator.voices import Voice, voice_of

KEEP_ALIVE_S = 0.5


async def reply(line: Line, ask: Ask, state: State, trouble: Trouble, dialect: Dialect, ttft_s: float) -> None:
    """Answer a chat request that was let in, with whatever the trouble does to an answer."""
    voice = voice_of(ask, state, dialect)
    answer = prepare(ask, state, trouble.fault)
    headers = {"x-request-id": "req_simulated"}
    if dialect == "openai":
        headers |= {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59"}
    if ask.stream:
        await line.start(200, "text/event-stream; charset=utf-8", headers | {"Cache-Control": "no-cache"})
        await _stream(line, voice, answer, state, trouble, ttft_s, errors.TABLES[dialect])
    else:
        await _whole(line, voice, answer, state, trouble, ttft_s, headers)


async def _whole(
    line: Line, voice: Voice, answer: Answer, state: State, trouble: Trouble, ttft_s: float, headers: dict[str, str]
) -> None:
    if trouble.fault in (Fault.NO_TOKEN, Fault.STALL):
        await line.gone()
        return
    body = json.dumps(voice.whole(answer), ensure_ascii=False).encode()
    await line.start(200, "application/json", headers)
    if trouble.fault is Fault.QUEUED:
        await _wait(line, b"\n", trouble.seconds)
    await asyncio.sleep(ttft_s + state.chunk_gap_s * answer.tokens)
    if trouble.fault is Fault.CUT:
        await line.chunk(body[: len(body) // 2])
        line.close()
        return
    await line.chunk(body)
    await line.end()


async def _stream(
    line: Line,
    voice: Voice,
    answer: Answer,
    state: State,
    trouble: Trouble,
    ttft_s: float,
    table: dict[Fault, ApiError],
) -> None:
    fault = trouble.fault
    if fault is Fault.QUEUED:
        await _wait(line, voice.keep_alive(), trouble.seconds)
    if fault is Fault.MIDSTREAM_ERROR and trouble.after == 0:
        await line.chunk(voice.error(table[Fault.OVERLOADED]))
        line.close()
        return
    await line.chunk(voice.opening())
    if fault is Fault.NO_TOKEN:
        await line.gone()
        return
    await asyncio.sleep(ttft_s)
    pieces = [(voice.reasoning, text) for text in answer.reasoning] + [(voice.word, text) for text in answer.words]
    for number, (say, text) in enumerate(pieces):
        if number:
            await asyncio.sleep(state.chunk_gap_s)
        if number == trouble.after and await _strike(line, voice, answer, trouble, table):
            return
        await line.chunk(say(text))
    if trouble.after >= len(pieces) and await _strike(line, voice, answer, trouble, table):
        return
    await line.chunk(voice.closing(answer, answer.finish, done=fault is not Fault.NO_DONE))
    await line.end()


async def _wait(line: Line, sign: bytes, seconds: float) -> None:
    """Send a sign of life at once and then every half second, for ``seconds``."""
    until = asyncio.get_running_loop().time() + seconds
    while (left := until - asyncio.get_running_loop().time()) > 0:
        await line.chunk(sign)
        await asyncio.sleep(min(KEEP_ALIVE_S, left))


async def _strike(line: Line, voice: Voice, answer: Answer, trouble: Trouble, table: dict[Fault, ApiError]) -> bool:
    """Do what the fault does in mid-answer; true when that ends the answer."""
    match trouble.fault:
        case Fault.STALL:
            await line.gone()
        case Fault.CUT:
            line.close()
        case Fault.MIDSTREAM_ERROR:
            await line.chunk(voice.error(table[Fault.OVERLOADED]))
            line.close()
        case Fault.NO_RESOURCES:
            await line.chunk(voice.closing(answer, "insufficient_system_resource", done=True))
            await line.end()
        case Fault.TORN_UTF8:
            await line.chunk(b'data: {"choices":[{"delta":{"content":"\xe6\x9c"}}]}\n\n')
            return False
        case Fault.BIG_EVENT:
            await line.chunk(voice.word("x" * (trouble.size_mb * 2**20)))
            return False
        case Fault.BAD_EVENT:
            await line.chunk(b"data: {this is no JSON\n\n")
            return False
        case _:
            return False
    return True

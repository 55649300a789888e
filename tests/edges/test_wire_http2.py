"""HTTP/2 over the same guard, deadline and stamps."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from monitor.core.model.reasons import Reason
from monitor.wire import Answer, Limits, Wire, WireError
from tests.edges import driven
from tests.edges.hostile import LOOPBACK, Behave, Recorder, serve
from tests.edges.hostile_tls import Authority


def h2_server(parts: list[bytes], pause_s: float = 0.0, headers: int = 0, reset: bool = False) -> Behave:
    """Answer each request with 200 and *parts*, *pause_s* before each."""

    async def answer(talk: h2.connection.H2Connection, writer: asyncio.StreamWriter, stream: int) -> None:
        fields = [(":status", "200"), ("content-type", "text/plain")] + [(f"h{n}", "v" * 100) for n in range(headers)]
        talk.send_headers(stream, fields)
        writer.write(talk.data_to_send())
        for part in parts:
            await asyncio.sleep(pause_s)
            talk.send_data(stream, part)
            writer.write(talk.data_to_send())
            await writer.drain()
        talk.reset_stream(stream) if reset else talk.end_stream(stream)
        writer.write(talk.data_to_send())
        await writer.drain()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        talk.initiate_connection()
        writer.write(talk.data_to_send())
        while data := await reader.read(65536):
            for event in talk.receive_data(data):
                if isinstance(event, h2.events.StreamEnded):
                    await answer(talk, writer, event.stream_id)
            writer.write(talk.data_to_send())
            await writer.drain()

    return behave


def fetch(
    tmp_path: Path, behave: Behave, *, alpn: tuple[str, ...] = ("h2",), limits: Limits | None = None, key: str = "k"
) -> Answer:
    authority = Authority(tmp_path)

    async def main() -> Answer:
        async with serve(behave, authority.server(alpn=alpn)) as port:
            wire = Wire(allow_networks=LOOPBACK, ca_file=str(authority.ca_file))
            return await wire.fetch(
                "POST",
                f"https://127.0.0.1:{port}/ask",
                secret_headers={"x-api-key": key},
                content=b"question",
                limits=limits or Limits(deadline_s=3),
                http2=True,
            )

    return driven.run(main())


def test_http_2_is_spoken_and_timed(tmp_path: Path) -> None:
    answer = fetch(tmp_path, h2_server([b"one ", b"two"], pause_s=0.1))
    assert answer.http_version == "HTTP/2"
    assert (answer.status, answer.body) == (200, b"one two")
    assert answer.certificate is not None
    assert answer.headers["content-type"] == "text/plain"
    told = answer.phases
    assert told.tls_s
    assert told.request_s is not None
    assert told.wait_s is not None
    assert told.wait_s < 0.09, "the headers came at once"
    assert told.transfer_s is not None
    assert 0.18 < told.transfer_s < 0.4


def test_a_server_without_http_2_is_asked_over_http_1(tmp_path: Path) -> None:
    answer = fetch(tmp_path, Recorder(), alpn=("http/1.1",))
    assert answer.http_version == "HTTP/1.1"
    assert answer.body == b"recorded"
    assert answer.phases.wait_s is not None


@pytest.mark.parametrize(
    ("behave", "limits", "reason"),
    [
        (h2_server([b"a"], pause_s=5), Limits(deadline_s=0.5), Reason.TIMEOUT_TOTAL),
        (h2_server([b"a" * 16000] * 500), Limits(deadline_s=3, body_bytes=100_000), Reason.TOO_LARGE),
        (h2_server([b"a"], headers=900), Limits(deadline_s=2), Reason.PROTOCOL),
        (h2_server([b"a"], reset=True), Limits(deadline_s=2), Reason.PROTOCOL),
    ],
)
def test_the_caps_hold_over_http_2(tmp_path: Path, behave: Behave, limits: Limits, reason: Reason) -> None:
    with pytest.raises(WireError) as caught:
        fetch(tmp_path, behave, limits=limits)
    assert caught.value.reason is reason, caught.value.detail
    assert caught.value.phases is not None


def test_http_2_is_guarded_too() -> None:
    async def main() -> WireError:
        with pytest.raises(WireError) as caught:
            await Wire().fetch("GET", "https://127.0.0.1:9/", http2=True)
        return caught.value

    assert driven.run(main()).reason is Reason.ADDRESS


def test_a_flood_of_pings_is_too_large(tmp_path: Path) -> None:
    async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")  # settings
        while True:
            writer.write(b"\x00\x00\x08\x06\x01\x00\x00\x00\x00pingpong" * 4000)  # pings that want no answer
            await writer.drain()

    with pytest.raises(WireError) as caught:
        fetch(tmp_path, floods, limits=Limits(deadline_s=20, wire_bytes=500_000))
    assert caught.value.reason is Reason.TOO_LARGE


def test_no_log_at_any_level_holds_a_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answer = fetch(tmp_path, h2_server([b"fine"]), key="sk-canary-7777")
    assert answer.status == 200
    assert "sk-canary-7777" not in caplog.text
    assert "canary" not in repr(answer)


def test_a_flood_that_never_lets_us_wait_is_cut_at_the_deadline_all_the_same(tmp_path: Path) -> None:
    async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")  # settings
        writer.write(b"\x00\x00\x01\x01\x04\x00\x00\x00\x01\x88")  # :status 200
        while True:
            writer.write(b"\x00\x00\x00\x00\x00\x00\x00\x00\x01" * 2000)  # data frames with nothing in them
            await writer.drain()

    with pytest.raises(WireError) as caught:
        fetch(tmp_path, floods, limits=Limits(deadline_s=0.4, wire_bytes=2**30, events=2**30))
    assert caught.value.reason is Reason.TIMEOUT_TOTAL


HEADERS = b"\x00\x00\x01\x01\x04\x00\x00\x00\x01\x88"  # :status 200 of the first stream
CONTINUED = b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x88"  # the same without the flag END_HEADERS
FLOODS = {
    "pings that want an answer": (b"", b"\x00\x00\x08\x06\x00\x00\x00\x00\x00pingpong"),
    "settings": (b"", b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"),
    "settings acknowledged": (b"", b"\x00\x00\x00\x04\x01\x00\x00\x00\x00"),
    "window updates": (b"", b"\x00\x00\x04\x08\x00\x00\x00\x00\x01\x00\x00\x00\x01"),
    "priorities": (b"", b"\x00\x00\x05\x02\x00\x00\x00\x00\x01\x00\x00\x00\x00\x10"),
    "frames of no known type": (b"", b"\x00\x00\x00\xee\x00\x00\x00\x00\x00"),
    "empty data": (HEADERS, b"\x00\x00\x00\x00\x00\x00\x00\x00\x01"),
    "padding for data": (HEADERS, b"\x00\x00\x09\x00\x08\x00\x00\x00\x01\x08" + bytes(8)),
    "data of one byte": (HEADERS, b"\x00\x00\x01\x00\x00\x00\x00\x00\x01x"),
    "resets of one stream": (HEADERS, b"\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x00"),
    "continuations": (CONTINUED, b"\x00\x00\x00\x09\x00\x00\x00\x00\x01"),
    "trailers": (HEADERS, HEADERS),
    "pushes": (HEADERS, b"\x00\x00\x05\x05\x04\x00\x00\x00\x01\x00\x00\x00\x02\x88"),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_frames_is_cut_by_their_number_long_before_the_deadline(tmp_path: Path, name: str) -> None:
    opening, frame = FLOODS[name]
    sent = 0

    async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + opening)
        while sent < 400_000:
            writer.write(frame * 500)
            sent += 500
            await writer.drain()
        await asyncio.sleep(60)

    with pytest.raises(WireError) as caught:
        fetch(tmp_path, floods, limits=Limits(deadline_s=20, wire_bytes=2**30))
    assert caught.value.reason in (Reason.TOO_LARGE, Reason.PROTOCOL), caught.value.detail


def test_a_long_answer_in_small_frames_is_no_flood(tmp_path: Path) -> None:
    answer = fetch(tmp_path, h2_server([b"word "] * 3000))
    assert answer.body == b"word " * 3000

"""Hung, busy, loading and dead model servers are told apart by their own counters, for three engines."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.probes.chat.engine.counters import MOST_SERIES, Counters, read_instead, read_metrics
from monitor.probes.chat.engine.names import ENGINES
from monitor.text.lexicon import lexicon
from monitor.text.messages import told
from tests.edges import driven
from tests.edges.hostile import serve
from tests.edges.model_server import ModelServer
from tests.edges.probing import KEY, context, look_once

TRIO = ("vllm", "sglang", "llama_cpp")
LOOK_S = 1.2


async def asked(server: ModelServer, port: int = 0, **options: Any) -> Observation:
    usual = {"model": "m-1", "key": KEY, "canary": False, "engine": server.engine, "engine_hung_s": "300ms"}
    async with serve(server) as own:
        url = f"http://127.0.0.1:{port or own}/v1"
        return await look_once("chat", context(timeout_s=LOOK_S), base_url=url, **(usual | options))


def all_asked(*servers: ModelServer, **options: Any) -> list[Observation]:
    """Ask all servers at the same time."""

    async def main() -> list[Observation]:
        return list(await asyncio.gather(*(asked(server, **options) for server in servers)))

    return driven.run(main())


def said(seen: Observation, language: str = "en") -> str:
    return told(seen.detail, lexicon(language))


def reasons(seen: list[Observation]) -> list[Reason]:
    return [one.reason for one in seen]


def test_an_engine_with_requests_whose_counters_stand_still_is_hung() -> None:
    seen = all_asked(*(ModelServer(name, running=3, waiting=2, answers=False) for name in TRIO))
    assert reasons(seen) == [Reason.HUNG] * 3
    assert "hung: 3 running, 2 waiting, and its counters stood still for 1 s" in said(seen[0])
    assert "卡死：运行中 3，排队 2" in said(seen[1], "zh")
    assert seen[0].evidence is not None
    assert "vllm:num_requests_waiting 2" in seen[0].evidence.excerpt


def test_a_queue_that_grows_before_an_engine_that_stands_still_is_no_work() -> None:
    seen = all_asked(*(ModelServer(name, running=3, arrive_a_read=5, answers=False) for name in TRIO))
    assert reasons(seen) == [Reason.HUNG] * 3


def test_an_engine_that_works_while_requests_wait_is_busy() -> None:
    seen = all_asked(*(ModelServer(name, running=8, waiting=5, tokens_a_read=40, answers=False) for name in TRIO))
    assert reasons(seen) == [Reason.OVERLOADED] * 3
    assert "busy: 8 running, 5 waiting, KV cache 10 %" in said(seen[0])
    assert "KV cache ?" in said(seen[2]), "llama.cpp tells of no cache"


def test_an_engine_that_works_with_a_full_cache_is_busy_also_if_nothing_waits() -> None:
    seen = all_asked(ModelServer("vllm", running=8, cache=0.99, tokens_a_read=40, answers=False))
    assert reasons(seen) == [Reason.OVERLOADED]


def test_an_engine_that_says_that_it_loads_its_model_is_loading() -> None:
    seen = all_asked(ModelServer("llama_cpp", loading=True), ModelServer("sglang", loading=True))
    assert reasons(seen) == [Reason.LOADING] * 2
    assert "loading: it says that its model is not ready yet" in said(seen[0])
    assert "加载中" in said(seen[1], "zh")


def test_an_engine_that_died_behind_its_server_is_dead() -> None:
    seen = all_asked(ModelServer("vllm", status=500, health=503), ModelServer("vllm", answers=False, health=503))
    assert reasons(seen) == [Reason.ENGINE_DEAD] * 2
    assert "dead: /health says HTTP 503" in said(seen[0])
    assert "已死" in said(seen[0], "zh")


def test_what_a_front_server_says_is_not_the_engines_own_word() -> None:
    fronts = [ModelServer(name, status=500, health=code, front=True) for name in TRIO for code in (502, 503)]
    assert reasons(all_asked(*fronts)) == [Reason.SERVER_ERROR] * 6


def test_where_nothing_listens_it_is_dead_or_loading_and_the_reason_stays() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port
        seen = driven.run(asked(ModelServer("vllm"), held.getsockname()[1]))
    assert seen.reason is Reason.CONNECT
    assert "nothing listens there: the server is dead, or loads its model" in said(seen)


def test_a_server_that_takes_connections_and_answers_nothing_at_all_is_hung() -> None:
    seen = all_asked(
        ModelServer("vllm", answers=False, health=None, metrics="mute"),
        ModelServer("llama_cpp", answers=False, metrics="mute"),
    )
    assert reasons(seen) == [Reason.HUNG] * 2
    assert "not even /health" in said(seen[0])
    assert "its working loop does not tell its counters" in said(seen[1])


def test_an_idle_engine_and_a_question_without_an_answer_point_to_what_stands_between() -> None:
    seen = all_asked(ModelServer("vllm", answers=False))
    assert reasons(seen) == [Reason.TIMEOUT_HEADERS] or reasons(seen) == [Reason.TIMEOUT_TOTAL]
    assert "the question did not reach it" in said(seen[0])


def test_without_counters_the_outside_look_stands() -> None:
    plain = all_asked(ModelServer("vllm", answers=False), engine=None)
    for metrics in ("no", "key", "", "<html>no</html>"):
        server = ModelServer("vllm", running=3, answers=False, metrics=metrics, key="other")
        seen = all_asked(server)
        assert reasons(seen) == reasons(plain), metrics


def test_where_there_are_no_metrics_load_and_slots_tell() -> None:
    silent: dict[str, Any] = {"answers": False, "metrics": "no"}
    seen = all_asked(
        ModelServer("sglang", running=3, waiting=2, **silent),
        ModelServer("llama_cpp", running=4, **silent),
        ModelServer("sglang", instead="mute", **silent),
        ModelServer("llama_cpp", instead="mute", **silent),
    )
    assert reasons(seen) == [Reason.OVERLOADED, Reason.OVERLOADED, Reason.HUNG, Reason.HUNG]
    assert "busy: 4 running, ? waiting" in said(seen[1]), "all its slots are in use"
    plain = all_asked(ModelServer("llama_cpp", answers=False), engine=None)
    some = all_asked(ModelServer("llama_cpp", running=2, **silent), ModelServer("sglang", instead="no", **silent))
    assert reasons(some) == reasons(plain) * 2


def test_a_loop_that_is_late_once_is_not_hung() -> None:
    once = ModelServer("llama_cpp", running=1, answers=False, mute_until=1)
    last = ModelServer("llama_cpp", running=1, answers=False, mute_from=2)
    assert Reason.HUNG not in reasons(all_asked(once, last))


def test_counters_that_want_the_key_get_it_and_other_hosts_do_not() -> None:
    server, counting = (ModelServer("vllm", running=1, answers=False, metrics="key", key=KEY) for _ in range(2))
    assert reasons(all_asked(server)) == [Reason.HUNG]
    assert server.keys["/metrics"]

    async def main() -> Observation:
        async with serve(counting) as port:
            return await asked(ModelServer("vllm", answers=False), engine_url=f"http://127.0.0.1:{port}")

    driven.run(main())
    assert counting.keys == {"/metrics": False, "/health": False}


def test_reading_counters_asks_no_question_more() -> None:
    servers = [ModelServer(name, running=1, answers=False) for name in TRIO]
    all_asked(*servers)
    for server in servers:
        assert sum("completions" in path for path in server.asked) == 1
        assert server.asked.count("/metrics") == 2
    assert "/health" not in servers[1].asked, "SGLang's makes the model say a token"


def test_an_answer_that_came_stays_good_whatever_the_counters_say() -> None:
    assert reasons(all_asked(*(ModelServer(name, waiting=9, health=503) for name in TRIO))) == [Reason.OK] * 3


def test_a_late_answer_while_others_wait_was_queued() -> None:
    late = {"first_token_slow_s": "100ms"}
    seen = all_asked(*(ModelServer("vllm", waiting=n, answer_after_s=0.3) for n in (0, 4)), **late)
    assert reasons(seen) == [Reason.SLOW, Reason.QUEUED]
    assert "busy: 0 running, 4 waiting" in said(seen[1])


def test_a_refusal_while_requests_wait_is_a_busy_engine() -> None:
    seen = all_asked(*(ModelServer(name, status=500, running=8, waiting=3) for name in ("vllm", "llama_cpp")))
    assert reasons(seen) == [Reason.OVERLOADED] * 2


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"vllm:num_requests_running 3\nvllm:num_requests_waiting 4", (3, 4, None)),
        (b'vllm:num_requests_running{a="x} 9 "} 3\nvllm:num_requests_running{a="y"} 2\r\n', (5, None, None)),
        (b'vllm:gpu_cache_usage_perc{m="a"} 0.2\nvllm:gpu_cache_usage_perc{m="b"} 0.9\n', (None, None, 0.9)),
        (b"vllm:kv_cache_usage_perc 73\n", (None, None, 1.0)),
        (b"vllm_num_requests_waiting 7 1700000000000\n", (None, 7, None)),
        (b"vllm:num_requests_waiting NaN\nvllm:num_requests_running +Inf\n", (None, None, None)),
        (b"vllm:num_requests_waiting -1\nvllm:num_requests_running 1e300\n", (None, None, None)),
        (b"vllm:num_requests_waiting 1e\nvllm:num_requests_running 1..2\n", (None, None, None)),
        (
            b"sglang:num_queue_reqs 3\n# vllm:num_requests_waiting 3\nx vllm:num_requests_waiting 3\n",
            (None, None, None),
        ),
        (b"\xff\xfe\x00" * 1000, (None, None, None)),
        (b"vllm:num_requests_waiting{" + b"}" * 500_000, (None, None, None)),
        (b"vllm:num_requests_waiting 1\n" * (MOST_SERIES + 9), (None, MOST_SERIES, None)),
    ],
)
def test_metrics_are_read_as_they_are_published_and_nothing_else_counts(
    text: bytes, found: tuple[int | None, int | None, float | None]
) -> None:
    counters = read_metrics(ENGINES["vllm"], text)
    assert (counters.running, counters.waiting, counters.cache) == found


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"[[[[",
        b'[{"is_processing":1}]',
        b'{"num_reqs":true}',
        b'[{"num_reqs":-1}]',
        b"[1,2]",
        b"null",
    ],
)
def test_what_is_no_load_and_no_slot_tells_nothing(body: bytes) -> None:
    assert read_instead(ENGINES["sglang"], body) == read_instead(ENGINES["llama_cpp"], body) == Counters()


def test_what_people_asked_is_never_evidence() -> None:
    slots = b'[{"is_processing":true,"prompt":"a secret question","next_token":{"n_decoded":5}}]'
    assert "secret" not in str(read_instead(ENGINES["llama_cpp"], slots))

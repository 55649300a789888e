"""What a model server says of itself reaches page and JSON, in both languages."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.probes.chat.engine.counters import Counters
from monitor.probes.chat.engine.states import Engine, Reading, judge
from monitor.store.reads.views import Snapshot
from tests.doors.test_web import Elements, fresh, january_now, visitor

WORK = Counters(8, 5, 0.97, work=(1.0,))
STATES = {
    "hung": (
        Engine(Reading(0, counters=WORK), Reading(30, 200, counters=WORK), 10),
        "hung: 8 running, 5 waiting, and its counters stood still for 30 s",
        "卡死：运行中 8，排队 5，计数器已 30 秒没有变化",
    ),
    "busy": (
        Engine(Reading(0, counters=WORK), Reading(30, counters=replace(WORK, work=(9.0,))), 10),
        "busy: 8 running, 5 waiting, KV cache 97 %",
        "繁忙：运行中 8，排队 5，KV 缓存 97 %",
    ),
    "loading": (
        Engine(Reading(), Reading(1, 503, loading=True), 10),
        "loading: it says that its model is not ready yet",
        "加载中：服务器说模型尚未就绪",
    ),
    "dead": (
        Engine(Reading(), Reading(1, 503, dead=True), 10),
        "dead: /health says HTTP 503, the engine behind it is gone",
        "已死：/health 返回 HTTP 503，其后的引擎已不在",
    ),
}


@pytest.mark.parametrize("state", STATES)
def test_page_and_json_tell_the_four_states_apart(state: str) -> None:
    engine, english, chinese = STATES[state]
    reason, message = judge(Reason.TIMEOUT_HEADERS, engine)

    def make(now: datetime) -> Snapshot:
        snapshot = january_now(now)
        first, *others = snapshot.services
        part = replace(
            first.components[0], health=Health.MAJOR, reason=reason, detail=f"{message}; no answer", maintenance=False
        )
        changed = replace(first, health=Health.MAJOR, components=(part, *first.components[1:]))
        return replace(snapshot, services=(changed, *others))

    with visitor(fresh(make)) as client:
        assert f"({english}; no answer)" in " ".join(Elements(client.get("/").text).text)
        assert f"({chinese}; no answer)" in " ".join(Elements(client.get("/zh/").text).text)
        told = client.get("/api/v1/services.json").json()
    assert told["services"][0]["components"][0]["reason"] == str(reason)
    assert str(reason) in {"service.hung", "service.overloaded", "service.loading", "service.engine_dead"}

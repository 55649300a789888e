"""Each preset against an answer in its vendor's shape for each of its probes: a file a preset, all over one server."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import yaml

from monitor.config.load import Config, load
from monitor.config.presets import preset_names
from monitor.core.model.observations import Observation
from monitor.core.model.states import Health
from monitor.probes import KINDS
from monitor.probes.base import Context, look
from monitor.wire import Wire
from tests.edges import driven
from tests.edges.site import NOW, Page, Site, serve

ANSWERS = Path(__file__).parent / "vendors"
VENDORS = Path(load.__code__.co_filename).parents[1] / "vendors"
QUIET = {"new-api", "one-api", "open-webui", "librechat", "dify"}
"""Whose settings are read: what they say of sign-up is asserted by name below."""


class Always(dict[str, Page]):
    """One answer, whatever is asked for."""

    def get(self, _path: str, _default: Any = None) -> Page:
        return self["*"]


def answer(kept: dict[str, Any]) -> Page:
    """Return the page that a file describes; ``events`` are those of a stream."""
    headers, status = {"content-type": "application/json"} | kept.get("headers", {}), kept.get("status", 200)
    headers.pop("content-length", None)
    if "json" in kept:
        return Page(json.dumps(kept["json"], ensure_ascii=False).encode(), status, headers)
    if "utf16" in kept:
        return Page(json.dumps(kept["utf16"]).encode("utf-16"), status, headers)
    if "events" in kept:
        body = "\n\n".join(kept["events"]).replace("{answer}", "Hello") + "\n\n"
        return Page(body.encode(), status, {"content-type": "text/event-stream"})
    kind = next(name for name in ("html", "xml", "text") if name in kept)
    words = {"html": "text/html; charset=utf-8", "xml": "application/rss+xml", "text": "text/plain; charset=utf-8"}
    return Page(kept[kind].encode(), status, {**headers, "content-type": words[kind]})


def config_of(name: str, folder: Path) -> Config:
    """Return a preset with a key and the examples of whatever else it asks for."""
    parameters = yaml.safe_load((VENDORS / f"{name}.yaml").read_text(encoding="utf-8"))["parameters"]
    row = {"preset": name} | {key: one["example"] for key, one in parameters.items() if one.get("required")}
    row |= {key: "${KEY}" for key in parameters if key == "key"}
    row |= {"model": "m"} if "model" in parameters and parameters["model"].get("default", "m") is None else {}
    row |= {key: 1.0 for key in parameters if key.startswith("usd_") and parameters[key].get("default") is None}
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump({"services": [row], "allow_networks": ["127.0.0.0/8"]}), encoding="utf-8")
    return load(file, {"KEY": "sk-canary-0123456789"})


def moved(options: Any, site: str) -> Any:
    """Return a probe's options with the vendor's host replaced by ours."""
    found: dict[str, Any] = {"balance_url": None, "canary": False} if hasattr(options, "canary") else {}
    for field in ("url", "base_url"):
        if address := getattr(options, field, None):
            there, here = urlsplit(address), urlsplit(site)
            found[field] = urlunsplit((here.scheme, here.netloc, there.path, there.query, ""))
    return options.model_copy(update=found)


async def looks(site: Site, wire: Wire, config: Config, answers: dict[str, Any]) -> dict[str, Observation]:
    found = {}
    for probe in config.catalogue.probes:
        slug = probe.id.removeprefix(f"{config.catalogue.services[0].id}-")
        site.pages = Always({"*": answer(answers[slug])})
        ctx = Context(wire, "test", 3.0, 1, NOW, random.Random(1), {})
        found[slug] = await look(KINDS[probe.kind], moved(config.looks[probe.id], site.url), ctx)
    return found


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Observation]]:
    """What each probe of each preset makes of its vendor's answer."""
    folder = tmp_path_factory.mktemp("presets")

    async def story() -> dict[str, dict[str, Observation]]:
        wire, found = Wire(allow_networks=["127.0.0.0/8"]), {}
        async with serve({}) as site:
            for name in preset_names():
                kept = json.loads((ANSWERS / f"{name}.json").read_text(encoding="utf-8"))
                found[name] = await looks(site, wire, config_of(name, folder), kept["answers"])
        await wire.aclose()
        return found

    return driven.run(story())


def test_a_vendor_is_one_file_and_one_answer() -> None:
    assert sorted(path.stem for path in ANSWERS.glob("*.json")) == preset_names()


@pytest.mark.parametrize("name", preset_names())
def test_every_probe_of_a_preset_understands_its_vendor(seen: dict[str, Any], name: str) -> None:
    understood = {slug: str(found.reason) for slug, found in seen[name].items()}
    assert set(understood.values()) <= {"ok", "degraded.slow"}, {
        slug: (found.reason, found.detail, found.warnings) for slug, found in seen[name].items()
    }


@pytest.mark.parametrize("name", preset_names())
def test_the_vendors_page_maps_to_our_components_without_a_doubt(seen: dict[str, Any], name: str) -> None:
    expected = json.loads((ANSWERS / f"{name}.json").read_text(encoding="utf-8")).get("mapped", {})
    page = seen[name].get("vendor-page")
    mapped = {} if page is None else {ours: str(health) for ours, health in page.upstream.mapped.items()}
    assert mapped == expected
    for code in () if page is None else page.warnings:
        assert not str(code).startswith(
            ("upstream.component", "upstream.ambiguous", "upstream.unknown", "upstream.bad")
        )


def test_a_question_to_each_vendor_costs_what_its_preset_says(seen: dict[str, Any]) -> None:
    asked = {name: found["api-chat"] for name, found in seen.items() if "api-chat" in found}
    assert len(asked) >= 25
    for name, observation in asked.items():
        assert observation.chat.output_tokens, name


@pytest.mark.parametrize(
    ("name", "state"),
    [("new_api", "closed"), ("dify", "closed"), ("open_webui", "open"), ("librechat", "open"), ("moonshot", "")],
)
def test_what_is_read_of_registration_is_what_the_answer_says(seen: dict[str, Any], name: str, state: str) -> None:
    slug = "signup-notice" if name == "moonshot" else "signup-config"
    assert {str(one.state) for one in seen[name][slug].registration} == ({state} if state else set())


def test_an_incident_whose_title_is_about_log_in_is_about_log_in(seen: dict[str, Any]) -> None:
    (incident,) = seen["moonshot"]["vendor-page"].upstream.incidents
    assert incident.ours == ("moonshot/login",)
    assert seen["moonshot"]["vendor-page"].upstream.mapped["moonshot/login"] is Health.PARTIAL

"""A snapshot as finished pages: HTML bytes per path and language, complete without script and without any other host.

Pure: a snapshot and a catalogue go in, bytes come out. Everything is escaped by the templates; text from outside is
made plain before.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from typing import Any

from markupsafe import Markup

from dashboard import sentences, titles
from dashboard.method import method_page
from dashboard.scene import Scene, asset, by_month, environment, slug
from dashboard.words import others
from monitor.core.catalogue import Catalogue
from monitor.store.reads.views import Snapshot
from monitor.text.cleaner import plain
from monitor.text.lexicon import Language


def digest(text: str) -> str:
    """Return a Content-Security-Policy source that allows exactly this inline text."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def security_policy() -> str:
    """Return the pages' Content-Security-Policy: our own style and script, nothing from anywhere else."""
    return (
        f"default-src 'none'; style-src {digest(asset('style.css'))}; script-src {digest(asset('script.js'))}; "
        "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def page(scene: Scene, template: str, path: str, title: str, description: str, **more: Any) -> bytes:
    """Return one page as UTF-8; ``path`` is its place without the language's prefix."""
    context = scene.helpers() | {
        "title": plain(title, 160),
        "description": plain(description, 300),
        "others": [
            (other, name, other.home if path == "/" else other.prefix + path)
            for other, name in others(scene.words.language)
        ],
        "css": Markup(asset("style.css")),  # noqa: S704  our own file, its hash is in the policy
        "js": Markup(asset("script.js")),  # noqa: S704  the same
    }
    return environment().get_template(template).render(context | more).encode("utf-8", "replace")


def pages(snapshot: Snapshot, catalogue: Catalogue) -> dict[str, bytes]:
    """Return every page, path → bytes, in every language; ``/404`` is the answer for all other paths."""
    found: dict[str, bytes] = {}
    for language in Language:
        scene = Scene(snapshot, language)
        found |= {language.prefix + path: body for path, body in scene_pages(scene, catalogue)}
    return found | {Language.EN.home: found["/"]}


def scene_pages(scene: Scene, catalogue: Catalogue) -> Iterator[tuple[str, bytes]]:
    """Yield the pages of one language."""
    words, snapshot = scene.words, scene.snapshot
    lines = sentences.headline(snapshot, words)
    said = " ".join(line.text for line in lines)
    brand = f"Chatwatch · {words('title')}"
    yield "/", page(scene, "index.html", "/", words("page_title", headline=said), said, lines=lines)
    for incident in (*snapshot.open_incidents, *snapshot.past_incidents):
        path = f"/incidents/{slug(incident.id)}"
        title = titles.incident_title(incident, words, scene.names)
        yield path, page(scene, "incident.html", path, f"{title} · Chatwatch", title, incident=incident)
    months = by_month((*snapshot.open_incidents, *snapshot.past_incidents), words)
    yield "/history", page(scene, "history.html", "/history", f"{words('history')} · {brand}", said, months=months)
    method = method_page(words, catalogue)
    yield (
        "/method",
        page(scene, "method.html", "/method", f"{words('method')} · {brand}", words("method_intro"), **method),
    )
    yield "/404", page(scene, "notice.html", "/", words("not_found"), words("not_found_hint"))

"""What a web page is, read once and in bounded time: its marks, its words, whether it can show anything at all.

A mark is one trait that a deploy leaves alone, written ``kind:value``:

* ``title:chatgpt`` the title, or one whole part of it: ``ChatGPT | Home``, not ``ChatGPT Casino`` or ``chatgpt.com``
* ``id:root`` the id of one of the first elements, or of a script that carries the page's data
* ``element:app-root`` a custom element
* ``script:cdn.example`` a host that scripts come from; ``script:/_next`` their first folder on the page's own host
* ``meta:og:site_name=chatgpt``, ``meta:commit-id`` names of the product, and names (not values) of build ids

File names, hashes and values of build ids are no marks: they change with every deploy.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from monitor.text.cleaner import Tag, attributes, clean, scan
from monitor.text.trouble import READ_CHARS, wall_in

MARK_CHARS = 80
MOST_MARKS = 40
"""Of one page."""
MARK_KINDS = ("title", "id", "element", "script", "meta")
_MOST_TAGS = 4000
_NOTICE_CHARS = 800
_ROOTS = 8
"""Ids of so many of the first elements: a page's frame, not what it shows today."""
_FRAME = frozenset({"div", "main", "section", "body", "app"})
_SHOWS = frozenset(
    {"img", "svg", "canvas", "video", "iframe", "input", "textarea", "select", "object", "embed", "form"}
)
_TITLE = re.compile(r"(?i)<title(?:\s[^<>]{0,200})?>([^<]{0,300})")
_TITLE_PARTS = re.compile(r"\s[-–—:~/]\s|[|｜·•—_：，,:]|(?<=\S)[-–](?=\s)")
"""What divides a title in parts; a hyphen inside a word does not."""
_NAMES = frozenset({"application-name", "og:site_name", "apple-mobile-web-app-title", "generator"})
_BUILDS = re.compile(r"(?:commit|build|release|version|revision)(?:[-_](?:id|hash|sha|number))?")
_SECOND_LEVELS = frozenset({"ac", "co", "com", "edu", "gov", "gob", "go", "mil", "ne", "net", "nom", "or", "org"})
_SHARED_HOSTS = frozenset(
    {
        "amazonaws.com", "azurewebsites.net", "azurestaticapps.net", "cloudfront.net", "firebaseapp.com", "fly.dev",
        "github.io", "gitlab.io", "herokuapp.com", "hf.space", "netlify.app", "onrender.com", "pages.dev",
        "railway.app", "run.app", "streamlit.app", "surge.sh", "vercel.app", "web.app", "workers.dev",
    }
)  # fmt: skip
"""Domains below which every name belongs to somebody else; those that this field uses, of the public suffix list."""
_CHALLENGES = (
    ("Cloudflare", re.compile(r"_cf_chl_opt|<title>(?:Just a moment|Attention Required! \| Cloudflare)")),
    ("AWS WAF", re.compile(r"window\.gokuProps|window\.awsWafCookieDomainList")),
    ("Alibaba Cloud WAF", re.compile(r"acw_sc__v[23]|errors\.aliyun\.com")),
    ("DataDome", re.compile(r"geo\.captcha-delivery\.com/(?:captcha|interstitial)")),
    ("Imperva", re.compile(r"Incapsula incident ID|<title>Pardon Our Interruption")),
    ("Anubis", re.compile(r"id=\"anubis_challenge\"|<title>Making sure you(?:'|&#39;|&#x27;|’)re not a bot")),
    ("F5", re.compile(r"The requested URL was rejected\. Please consult with your administrator")),
    ("PerimeterX", re.compile(r"px-captcha")),
)
"""Only what a challenge alone has: the scripts of bot walls stand on many a good page."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page as far as it was read."""

    title: str = ""
    marks: tuple[str, ...] = ()
    words: str = ""
    """Title and visible text, the first ``READ_CHARS`` of it."""
    is_shell: bool = False
    """Nothing to show and nothing to run."""
    challenge: str = ""
    """Whose challenge it is, served with status 200."""
    asks_password: bool = False
    is_notice: bool = False
    """All that it says is short, and there is no field to write into: a notice, not something to work with."""

    def bears(self, mark: str) -> bool:
        """Say whether the page has a mark: a whole part of its title, a parent of a script's host, a meta's name."""
        kind, _, value = mark.partition(":")
        value = value.casefold()
        own = [held.partition(":")[2] for held in self.marks if held.startswith(f"{kind}:")]
        if kind == "title":
            title = " ".join(self.title.casefold().split())
            return value in (title, title[:MARK_CHARS], *(part.strip() for part in _TITLE_PARTS.split(title)))
        if kind == "script":
            return any(one == value or one.endswith(f".{value}") for one in own)
        return any(one == value or (kind == "meta" and one.startswith(f"{value}=")) for one in own)


def checked_mark(mark: str) -> str:
    """Return a declared mark; ``ValueError`` for what is none."""
    kind, _, value = mark.partition(":")
    if kind not in MARK_KINDS or not value.strip() or len(mark) > MARK_CHARS:
        raise ValueError(
            f'"{mark[:60]}" is no mark; write one of {", ".join(MARK_KINDS)}, as "title:ChatGPT" or "id:root"'
        )
    return f"{kind}:{value.strip()}"


def read_page(text: str, url: str) -> Page:
    """Read a page that came from ``url``. Bounded: half a megabyte of text, 4,000 tags, 40 marks."""
    found = _TITLE.search(text[:65536])
    title = clean(found[1], 200) if found else ""
    marks: dict[str, None] = {f"title:{title.casefold()[:MARK_CHARS]}": None} if title else {}
    words, chars, roots, runs, shows, password, writes = [title], len(title), 0, False, False, False, False
    for number, item in enumerate(scan(text)):
        if number > _MOST_TAGS:
            break
        if isinstance(item, str):
            if chars < READ_CHARS and (line := item.strip()):
                words.append(line[:READ_CHARS])
                chars += len(line)
            continue
        if item.closing:
            continue
        given = attributes(item) if item.attributes else {}
        runs, shows = runs or item.name == "script", shows or item.name in _SHOWS
        password = password or (item.name == "input" and given.get("type", "").lower() == "password")
        writes = writes or (item.name in ("input", "textarea") and given.get("type", "").lower() != "hidden")
        for mark in _marks_of(item, given, url, roots):
            if len(marks) < MOST_MARKS:
                marks[mark[: MARK_CHARS + 8]] = None
        roots += item.name in _FRAME and "id" in given
    seen = " ".join(words[1:]).strip()
    wall = next((name for name, mark in _CHALLENGES if mark.search(text[:65536])), "")
    refreshes = "http-equiv" in text[:65536].lower()
    shell = not (seen or runs or shows or refreshes)
    notice = len(seen) < _NOTICE_CHARS and not writes
    if not wall and notice and wall_in(f"{title} {seen}"):
        wall = "a check for robots"
    return Page(title, tuple(marks), f"{title}\n{seen}"[:READ_CHARS], shell, wall, password, notice)


def _marks_of(tag: Tag, given: Mapping[str, str], url: str, roots: int) -> Iterator[str]:
    if "-" in tag.name:
        yield f"element:{tag.name}"
    id_ = clean(given.get("id", ""), MARK_CHARS).casefold()
    if id_ and not _is_numbered(id_) and (tag.name == "script" or (tag.name in _FRAME and roots < _ROOTS)):
        yield f"id:{id_}"
    if tag.name == "script" and (source := given.get("src", "").strip()):
        yield f"script:{_source(source, url)}"
    if tag.name == "meta":
        name = (given.get("name") or given.get("property") or "").casefold()
        if name in _NAMES:
            yield f"meta:{name}={clean(given.get('content', ''), 50).casefold()}"
        elif _BUILDS.fullmatch(name):
            yield f"meta:{name}"


def _is_numbered(id_: str) -> bool:
    """Tell an id that a framework made up (``radix-:r1:``, ``ember402``) from one that people wrote."""
    return ":" in id_ or sum(letter.isdigit() for letter in id_) > 2


def _source(source: str, url: str) -> str:
    """Return where a script comes from: another host, or the first folder on the page's own."""
    try:
        parts = urlsplit(source)
        host, own = parts.hostname or "", urlsplit(url).hostname or ""
    except ValueError:
        return "?"
    if host and host != own:
        return host
    folder = parts.path.lstrip("/").split("/")[0] if "/" in parts.path.lstrip("/") else ""
    return f"/{'' if _is_numbered(folder) else folder.casefold()}"


def site_of(host: str) -> str:
    """Return the domain that somebody registered, as ``chatgpt.com`` of ``www.chatgpt.com``; an address is its own.

    A small part of the public suffix list: second levels as ``co.uk`` and ``com.cn``, and hosts that many share.
    """
    host = host.casefold().rstrip(".")
    name = host.rpartition(":")[0] if host.count(":") == 1 else host.strip("[]")
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        labels = name.split(".")
    two, three = ".".join(labels[-2:]), ".".join(labels[-3:])
    is_deep = (len(labels[-1]) == 2 and len(labels) > 2 and labels[-2] in _SECOND_LEVELS) or two in _SHARED_HOSTS
    return three if is_deep else two


def is_other_site(address: str, asked: str, declared: Iterable[str]) -> bool:
    """Say whether an address belongs to another registered domain than the one asked, and than those declared.

    An address without a host (a path) is on the site; one that cannot be read is not.
    """
    try:
        host = urlsplit(address).hostname
        own = urlsplit(asked).hostname or ""
    except ValueError:
        return True
    return bool(host) and site_of(host or "") not in {site_of(own), *map(site_of, declared)}

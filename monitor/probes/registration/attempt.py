"""Does sign-up work on a server of your own? A throwaway account is made and removed again, a bounded number a day.

Never at a vendor's: the addresses that are asked must lie in a network that the operator names under
``allow_networks``, on every connection, and hosts of hosted presets are refused when the file is read. No account is
made while an earlier one may be left behind. Names say whose they are (``chatwatch-…``), passwords are random and kept
nowhere, and nothing of an answer is kept but the account's id.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Annotated, Any, Self
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from monitor.core.doubt.independence import registrable
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, MethodReading, Registration, Source
from monitor.probes import base
from monitor.probes.answers import dig, parse_json, retry_after_s, robot_wall, steps
from monitor.probes.base import Context
from monitor.wire import Answer, WireError

FEWEST, MOST = 8, 144
"""Attempts a day: at fewest so many that a reading lasts until the next, at most one in ten minutes."""
DAY_S = 86_400.0
KEPT = 20
TELLING = 5
"""Attempts since the first failure from which on their share is told."""
_GONE = frozenset({200, 202, 204, 404, 410})
_HOLE = re.compile(r"\{(name|email|password|id)\}")
_ADDRESS = re.compile(r"https?://((?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,20})")
"""Of whatever stands in a preset: some give their address as a parameter's default or example only."""


class Request(BaseModel):
    """One request; ``{name}``, ``{email}``, ``{password}`` and, to remove, ``{id}`` are filled in."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    path: str = Field(min_length=1)
    verb: Annotated[str, AfterValidator(base.one_of(dict.fromkeys(("POST", "PUT", "DELETE", "PATCH"))))] = "POST"
    body: dict[str, str] = Field(default_factory=dict)
    """Sent as JSON; nothing is sent without it."""
    secret_headers: dict[str, SecretStr] = Field(default_factory=dict)

    @field_validator("path")
    @classmethod
    def _path(cls, value: str) -> str:
        if not value.startswith("/") or value.startswith("//"):
            raise ValueError("must be a path on the server, as /api/v1/users/{id}")
        return value

    @field_validator("secret_headers")
    @classmethod
    def _secret_headers(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        return base.checked_secret_headers(value)

    def needs(self, hole: str) -> bool:
        """Say whether a value is filled in somewhere."""
        return f"{{{hole}}}" in json.dumps([self.path, *self.body.values()])


class Attempt(BaseModel):
    """What the detector ``own_attempt`` needs beside the server's address."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    create: Request
    remove: Request
    expect: str = ""
    """Dotted path that the answer to a made account has; without it a status of 200 or 201 is success."""
    id: str = ""
    """Dotted path of the account's id in that answer, for ``{id}``."""
    way: Method = Method.ANY
    """The way to sign up that is tried."""
    email_domain: base.Host = "example.invalid"
    attempts_a_day: int = Field(24, ge=FEWEST, le=MOST)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not any(self.remove.needs(hole) for hole in ("id", "name", "email")):
            raise ValueError("remove must name the account by {id}, {name} or {email}")
        if self.remove.needs("password"):
            raise ValueError("remove cannot have {password}, which is kept nowhere; take a key of an administrator")
        if self.remove.needs("id") and not self.id:
            raise ValueError("remove has {id}: id must be the dotted path of it in the answer")
        steps(self.expect)
        steps(self.id)
        return self


def own_server(url: str) -> None:
    """Refuse an address of a vendor whose addresses a preset knows: ``ValueError``."""
    if registrable(base.host_of(url)) in vendors_hosts():
        raise ValueError("url is a vendor's: accounts are made on a server of your own only")


@cache
def vendors_hosts() -> frozenset[str]:
    """Return the registrable hosts of all vendors whose addresses a preset knows."""
    folder = resources.files("monitor") / "vendors"
    files = (file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(".yaml"))
    found = (host for text in files for host in _ADDRESS.findall(text))
    return frozenset(registrable(host) for host in found if not host.startswith("127."))


async def attempt(url: str, options: Attempt, ctx: Context) -> Observation:
    """Remove what is left, then try once. What tells nothing of sign-up is unknown and gives no reading."""
    memory = ctx.memory
    if left := memory.get("left"):
        if (kept := await _removed(url, options, left, ctx)) is not None:
            return kept
        memory.pop("left")
    now_s = ctx.now.timestamp()
    tried = [item for item in memory.get("tried", ()) if 0 <= now_s - item[0] < DAY_S]
    wait_s = DAY_S / options.attempts_a_day * 0.9 - (now_s - tried[-1][0]) if tried else 0.0
    if wait_s > 0:
        return Observation(Reason.UNREADABLE, f"the next attempt is due in {wait_s:.0f} s")
    account = _account(options)
    memory["left"] = {key: value for key, value in account.items() if key != "password"} | {"since": now_s}
    answer, failure = await _create(url, options, account, ctx)
    if answer is not None and (refusal := _refusal(answer, ctx)) is not None:
        memory.pop("left")  # it was refused, so that there is nothing to remove
        return refusal
    memory["tried"] = [*tried, [now_s, not failure]][-KEPT:]
    readings = _readings(options, memory)
    if answer is not None and failure and answer.status >= 500 and options.remove.needs("id"):
        kept = None  # it says that none was made
    else:
        kept = await _removed(url, options, memory["left"], ctx)
    if kept is not None:
        return _seen(replace(kept, registration=readings), answer)
    memory.pop("left")
    reason = Reason.OK if readings else Reason.UNREADABLE
    return _seen(Observation(reason, failure or "an account was made and removed", registration=readings), answer)


def _account(options: Attempt) -> dict[str, str]:
    name = f"chatwatch-{secrets.token_hex(6)}"
    return {"name": name, "email": f"{name}@{options.email_domain}", "password": f"Aa1!{secrets.token_urlsafe(24)}"}


async def _create(url: str, options: Attempt, account: dict[str, str], ctx: Context) -> tuple[Answer | None, str]:
    """Make an account; returns the answer and why it failed. An error before anything was sent passes."""
    try:
        answer = await _send(url, options.create, account, ctx)
    except WireError as error:
        if error.reason in (Reason.TIMEOUT_HEADERS, Reason.TIMEOUT_TOTAL, Reason.PROTOCOL):
            return None, error.detail or error.reason.value
        ctx.memory.pop("left")
        raise
    if answer.status not in (200, 201):
        return answer, f"HTTP {answer.status}"
    document = _document(answer)
    if options.id and (found := _at(document, options.id)):
        ctx.memory["left"]["id"] = found
    return answer, "" if not options.expect or _at(document, options.expect) else f"no {options.expect} in the answer"


def _refusal(answer: Answer, ctx: Context) -> Observation | None:
    """Return what an answer is that says nothing of whether sign-up works: ours, a limit, or a door that is shut."""
    status = answer.status
    if wall := robot_wall(status, answer.headers, answer.body):
        return _seen(Observation(Reason.BLOCKED, f"turned away by {wall}"), answer)
    if status == 429:
        wait_s = retry_after_s(answer.headers, ctx.now)
        return _seen(Observation(Reason.RATE_LIMIT, "HTTP 429", retry_after_s=wait_s), answer)
    if status == 403:
        return _seen(Observation(Reason.UNREADABLE, "HTTP 403: sign-up is not allowed; a detector says why"), answer)
    if 300 <= status <= 499:
        return _seen(Observation(Reason.CONFIG, f"HTTP {status}: the server takes no such request to sign up"), answer)
    return None


async def _removed(url: str, options: Attempt, left: dict[str, Any], ctx: Context) -> Observation | None:
    """Remove an account; ``None`` if it is gone, else what is left behind.

    One that may have been made, and whose id nobody told, cannot be removed: no other is made for a day, and the
    operator is told its name.
    """
    name = str(left.get("name", ""))[:100]
    if options.remove.needs("id") and not left.get("id"):
        if ctx.now.timestamp() - float(left.get("since", 0.0)) > DAY_S:
            return None
        return Observation(Reason.CONFIG, coded(MessageCode.ACCOUNT_LEFT, name=name, why="no id"))
    try:
        answer = await _send(url, options.remove, {key: str(value) for key, value in left.items()}, ctx)
    except WireError as error:
        return Observation(Reason.CONFIG, coded(MessageCode.ACCOUNT_LEFT, name=name, why=error.reason.value))
    if answer.status in _GONE:
        return None
    return Observation(Reason.CONFIG, coded(MessageCode.ACCOUNT_LEFT, name=name, why=f"HTTP {answer.status}"))


async def _send(url: str, request: Request, account: dict[str, str], ctx: Context) -> Answer:
    def filled(text: str, *, quoted: bool = False) -> str:
        return _HOLE.sub(
            lambda hole: quote(account.get(hole[1], ""), safe="") if quoted else account.get(hole[1], ""), text
        )

    body = json.dumps({key: filled(value) for key, value in request.body.items()}).encode() if request.body else b""
    parts = urlsplit(url.rstrip("/"))
    return await ctx.wire.fetch(
        request.verb,
        f"{parts.scheme}://{parts.netloc}{parts.path}{filled(request.path, quoted=True)}",
        headers={"accept": "application/json"} | ({"content-type": "application/json"} if body else {}),
        secret_headers=base.opened(request.secret_headers),
        content=body,
        limits=ctx.limits(own_only=True),
        redirects=0,
    )


def _readings(options: Attempt, memory: dict[str, Any]) -> tuple[MethodReading, ...]:
    """Return what the attempts of a day come to: failing from a failure until two in a row succeed.

    The very first failure alone says nothing; a share is told once there are enough attempts since the first failure.
    """
    worked = [bool(item[1]) for item in memory["tried"]]
    last_good = next((place for place in range(len(worked) - 1, 0, -1) if worked[place] and worked[place - 1]), None)
    since = worked[(last_good + 1) if last_good is not None else 0 :]
    if False not in since:
        return (MethodReading(options.way, Registration.OPEN, Source.ATTEMPT, excerpt="attempt: worked"),)
    if len(worked) == 1:
        return ()
    recent = since[since.index(False) :]
    failed = recent.count(False)
    share = round(failed / len(recent), 2) if len(recent) >= TELLING else None
    excerpt = f"attempts: {failed} of {len(recent)} failed"
    return (MethodReading(options.way, Registration.FAILING, Source.ATTEMPT, excerpt=excerpt, failed_ratio=share),)


def _document(answer: Answer) -> Any:
    try:
        return parse_json(answer.body)
    except ValueError:
        return None


def _at(document: Any, path: str) -> str:
    """Return the plain value at a path as text, empty if there is none."""
    try:
        value = dig(document, path)
    except KeyError:
        return ""
    return str(value)[:200] if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _seen(found: Observation, answer: Answer | None) -> Observation:
    if answer is None:
        return found
    return replace(
        found,
        http_status=answer.status,
        http_version=answer.http_version,
        address=answer.address,
        bytes_received=answer.wire_bytes,
        phases=answer.phases,
        certificate=answer.certificate,
    )

"""Objects in prose: JSON, Python's and JavaScript's way of printing one, each also inside a string of another."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from monitor.probes.answers import parse_json
from monitor.probes.chat.answer.reply import ApiError, api_error

_MOST_TRIES = 60
_MOST_CHARS = 64 * 1024
_MOST_LITERAL = 16 * 1024
_DEEPEST = 40
_INSIDE = 3
"""Errors within the text of errors: gateways hand on what they got."""
_STRING = re.compile(r"""'(?:\\.|[^'\\]){0,16000}'|"(?:\\.|[^"\\]){0,16000}\"""", re.DOTALL)
_KEY = re.compile(r"([{,]\s{0,200})([A-Za-z_$][\w$]{0,60})(\s{0,20}:)")
_NAMES = re.compile(r"\b(?:null|undefined|true|false)\b")
_OURS = {"null": "None", "undefined": "None", "true": "True", "false": "False"}
_FIELD = re.compile(
    r"""\\?["']?(?<![@\w])(message|msg|type|code|status)\\?["']?\s{0,4}[:=]\s{0,4}\\?(["'])((?:[^"'\\]|\\.|(?!\\?\2)["']){1,500}?)\\?\2"""
)


def documents(text: str) -> list[Any]:
    """Return every object in a text, in order; bounded in tries, length and depth."""
    return list(_found(text[:_MOST_CHARS] if len(text) <= _MOST_CHARS else text[-_MOST_CHARS:]))


def _found(text: str) -> Iterator[Any]:
    at, decoder = 0, json.JSONDecoder()
    for _ in range(_MOST_TRIES):
        at = _next(text, at)
        if at < 0:
            return
        try:
            document, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            span = _span(text, at)
            document, end = _literal(text[at:span]), span
        if isinstance(document, dict | list) and document:
            yield document
            at = end
        else:
            at += 1


def _next(text: str, at: int) -> int:
    """Return where the next object, or list of objects, may begin."""
    brace = text.find("{", at)
    if brace < 0:
        return -1
    listed = re.compile(r"\[\s{0,20}$").search(text, max(at, brace - 21), brace)
    return listed.start() if listed else brace


def _span(text: str, start: int) -> int:
    """Return where the brackets that open at *start* are closed again; *start* itself where they are not."""
    depth, at, end = 0, start, min(len(text), start + _MOST_LITERAL)
    while at < end:
        letter = text[at]
        if letter in "'\"" and (string := _STRING.match(text, at, end)):
            at = string.end()
            continue
        depth += (letter in "{[(") - (letter in "}])")
        at += 1
        if depth == 0:
            return at
        if depth > _DEEPEST:
            return start
    return start


def _literal(text: str) -> Any:
    """Read an object as Python or JavaScript prints it; None for anything else."""
    if not text:
        return None
    parts, at = [], 0
    for string in _STRING.finditer(text):
        parts += [_as_python(text[at : string.start()]), string[0]]
        at = string.end()
    try:
        return ast.literal_eval("".join([*parts, _as_python(text[at:])]))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _as_python(code: str) -> str:
    return _NAMES.sub(lambda name: _OURS[name[0]], _KEY.sub(r'\1"\2"\3', code))


def error_told(text: str, depth: int = _INSIDE) -> ApiError | None:
    """Return the error that a text tells in an object, the innermost and newest one; None where there is none."""
    best: ApiError | None = None
    for document in documents(text):
        if (error := _error_of(document, depth)) and (_weight(error) >= _weight(best)):
            best = error
    if best is None and depth and '\\"' in text:
        best = error_told(text.replace('\\"', '"').replace("\\n", "\n"), 0)
    return best


def _weight(error: ApiError | None) -> int:
    return -1 if error is None else bool(error.type or error.code) + bool(error.message)


def _error_of(document: Any, depth: int) -> ApiError | None:
    wrapped = (
        document.get("body") or document.get("response") or document.get("data") if isinstance(document, dict) else None
    )
    inner = _error_of(wrapped, depth - 1) if depth and isinstance(wrapped, dict) else None
    if isinstance(wrapped, str) and depth and "{" in wrapped:
        inner = error_told(wrapped, depth - 1)
    error = inner or api_error(document)
    if error is None or not depth or "{" not in error.message:
        return error
    return error_told(_whole_message(document) or error.message, depth - 1) or error


def _whole_message(document: Any) -> str:
    """Return the text of an error as long as it is: :func:`api_error` cuts it, and with it the object within it."""
    while isinstance(document, list) and len(document) == 1:
        document = document[0]
    for name in ("error", "message"):
        document = document.get(name, document) if isinstance(document, dict) else document
    return document if isinstance(document, str) else ""


def error_in_pieces(text: str) -> ApiError | None:
    """Return the error of an object that was cut off, by those of its fields that are whole."""
    found = {name: value for name, _, value in _FIELD.findall(text[-_MOST_CHARS:])}
    kind = found.get("type", "")
    kind = found.get("status", "") if kind in ("", "error") else kind
    message = (found.get("message") or found.get("msg") or "")[:500]
    code = found.get("code", "")[:100]
    return ApiError(message, kind[:100], code) if kind or code or message else None


def is_json(text: str) -> bool:
    """Say whether the whole text is one JSON document."""
    try:
        parse_json(text)
    except ValueError:
        return False
    return True


def headers_told(text: str) -> dict[str, str]:
    """Return the headers that a library printed along with its error, names in lower case."""
    for document in documents(text):
        for candidate in (document, document.get("headers") if isinstance(document, dict) else None):
            if isinstance(candidate, dict) and {"content-type", "date", "server"} & {
                str(key).lower() for key in candidate
            }:
                return {str(key).lower()[:80]: str(value)[:400] for key, value in candidate.items()}
    return {}

"""One level of a document → one model, with every fault in the file's own words and lines."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from monitor.config.faults import Code, Faults, did_you_mean
from monitor.config.yamltree import Path_, Tree
from monitor.probes.base import AS_WRITTEN

M = TypeVar("M", bound=BaseModel)


def names_of(model: type[BaseModel]) -> dict[str, str]:
    """Return key in the file → key that the model takes: a duration ``slow_s`` is written ``slow`` (or in full)."""
    names: dict[str, str] = {}
    for name, field in model.model_fields.items():
        key = field.alias or name
        names[key] = key
        if key.endswith("_s"):
            names.setdefault(key.removesuffix("_s"), key)
    return names


def take(model: type[M], value: Any, tree: Tree, path: Path_, faults: Faults) -> M | None:
    """Return the validated level, or None after noting all its faults."""
    if not isinstance(value, dict):
        faults.add(Code.WRONG_TYPE, tree, path, "must be a mapping of keys to values")
        return None
    names, known, written = names_of(model), {}, {}
    fields = {field.alias or name: name for name, field in model.model_fields.items()}
    sound = True
    for key, item in value.items():
        if key not in names:
            shown = {name for name, target in names.items() if not (target.endswith("_s") and name == target)}
            faults.add(Code.UNKNOWN_KEY, tree, (*path, key), f'unknown key "{key}"', did_you_mean(key, shown))
            sound = False
        elif names[key] in known:
            faults.add(Code.DUPLICATE_KEY, tree, (*path, key), f'"{key}" and "{names[key]}" are the same key')
            sound = False
        else:
            keeps = AS_WRITTEN in model.model_fields[fields[names[key]]].metadata
            known[names[key]] = tree.as_written(item, (*path, key)) if keeps else item
            written[names[key]] = key
    try:
        # JSON mode is strict about types and still takes a list for a tuple and a word for an enum.
        taken = model.model_validate_json(json.dumps(known), strict=True)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            _translate(problem, model, tree, path, written, faults)
        return None
    return taken if sound else None


def rest_of(model: type[M], value: Any, stand_ins: Mapping[str, Any]) -> M | None:
    """Return what can still be read of a level that :func:`take` refused, so that one run finds the faults below it.

    ``stand_ins`` takes the place of required keys that are missing or faulty; ``model_fields_set`` holds only what was
    really read. None when nothing can be made of it.
    """
    if not isinstance(value, dict):
        return None
    names = names_of(model)
    known = {names[key]: item for key, item in value.items() if key in names}
    try:
        model.model_validate_json(json.dumps(known), strict=True)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False, include_context=False):
            known.pop(str(problem["loc"][0]) if problem["loc"] else "", None)
    try:
        read = model.model_validate_json(json.dumps(dict(stand_ins) | known), strict=True)
    except ValidationError:
        return None
    return model.model_construct(_fields_set=set(known), **read.__dict__)


def _translate(
    problem: Any, model: type[BaseModel], tree: Tree, path: Path_, written: dict[str, str], faults: Faults
) -> None:
    loc: Path_ = problem["loc"]
    head = str(loc[0]) if loc else ""
    where = (*path, written.get(head, head), *loc[1:]) if loc else path
    shown = _shown(model, written.get(head, head), loc[1:])
    code, text, hint = _words(problem, shown)
    faults.add(code, tree, where, text, hint)


def _shown(model: type[BaseModel], head: str, rest: Path_) -> str:
    """Name the place without pydantic's own words for branches of a union."""
    parts = [head] + [str(part) for part in rest if isinstance(part, int) or re.fullmatch(r"[a-z0-9_]+", str(part))]
    return ".".join(part for part in parts if part) or model.__name__


def _words(problem: Any, key: str) -> tuple[Code, str, str]:
    kind, message = problem["type"], str(problem["msg"]).removeprefix("Value error, ")
    context = problem.get("ctx", {})
    if kind == "missing":
        return Code.MISSING_KEY, f'"{key}" is missing', ""
    if kind == "extra_forbidden":
        return Code.UNKNOWN_KEY, f'unknown key "{key}"', ""
    if "duration" in message:
        return Code.DURATION, f'"{key}" is not a duration', message
    if kind in ("enum", "literal_error"):
        return Code.VALUE, f'"{key}" is none of the words that are known', f"one of {context.get('expected', '')}"
    if message.startswith("one of "):
        return Code.VALUE, f'"{key}" is none of the words that are known', message
    if kind == "string_pattern_mismatch":
        return _pattern(key)
    if kind.endswith(("_type", "_parsing")) or kind in ("int_from_float", "model_attributes_type"):
        return Code.WRONG_TYPE, f'"{key}" has the wrong type', message.removeprefix("Input ").strip()
    return Code.VALUE, f'"{key}" cannot be used', message.removeprefix("Input ").strip()


def _pattern(key: str) -> tuple[Code, str, str]:
    last = key.rpartition(".")[2]
    if last in ("url", "status_page"):
        return Code.VALUE, f'"{key}" is not a web address', "it begins with http:// or https://"
    if last == "name":
        return Code.VALUE, f'"{key}" holds characters that cannot be shown', ""
    if key.startswith(("metrics", "web", "live", "console")):
        return Code.VALUE, f'"{key}" is not an address', "write host:port, as in 127.0.0.1:8503"
    return Code.BAD_ID, f'"{key}" is not a usable id', "small letters, digits, - and _, at most 63 of them"

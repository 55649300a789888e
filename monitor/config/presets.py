"""A vendor preset and a user's row → one document with the parameters filled in.

The format is described in ``monitor/vendors/README.md``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from monitor.config.discovered import DISCOVER, Listed
from monitor.config.faults import Code, Fault, Faults, did_you_mean
from monitor.config.models import Parameter, PresetFile, PresetRow
from monitor.config.take import take
from monitor.config.yamltree import Path_, Tree, read

_HOLE = re.compile(r"(?<!\$)\{([a-z][a-z0-9_]*)\}")
_ABSENT = object()
_ROW_KEYS = frozenset(PresetRow.model_fields)
MOST_MODELS = 50
"""Every model costs questions: more are a mistake, or a list that nobody has read."""
_MODEL = "{model}"
_PRICES = ("usd_per_million_input", "usd_per_million_output")
_NO_WORD = re.compile(r"[^a-z0-9]+")
Model = dict[str, Any]
"""Parameters that differ from the row's; ``model`` is always among them."""
Fill = Callable[[Any, Path_, Model], Any]
"""Fills the holes of a part of the preset, with a model's own values."""


def preset_names() -> list[str]:
    """Return the presets that come along."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def folder() -> Path:
    """Return where the presets are."""
    return Path(str(resources.files("monitor") / "vendors"))


@dataclass(frozen=True, slots=True)
class Expanded:
    """A preset with a row's values: ``tree.value`` has the keys service, components and probes."""

    row: PresetRow
    tree: Tree
    parameters: dict[str, Any]
    unverified: tuple[tuple[str, str], ...] = ()
    """Fields whose source is marked ``verified: false``, and that source with its date."""
    sources: tuple[tuple[str, str], ...] = ()
    """The same of every field, verified or not."""
    former: tuple[str, ...] = ()
    """Probes and components that the preset once had: a row may still leave them out."""
    lister: dict[str, Any] | None = None
    """A chat probe of no model, by whose options the list of models is read."""


def expand(
    value: dict[str, Any], tree: Tree, path: Path_, faults: Faults, lists: Mapping[str, Listed]
) -> Expanded | None:
    """Read the preset that a row names and fill in its parameters; None after noting what is wrong.

    ``lists`` are the models that services told, for rows that want these.
    """
    row = take(PresetRow, {key: item for key, item in value.items() if key in _ROW_KEYS}, tree, path, faults)
    if row is None:
        return None
    known = preset_names()
    if row.preset not in known:
        hint = did_you_mean(row.preset, known)
        faults.add(Code.UNKNOWN_PRESET, tree, (*path, "preset"), f'unknown preset "{row.preset}"', hint)
        return None
    source = read(folder() / f"{row.preset}.yaml", f"vendors/{row.preset}.yaml")
    faults.found += [Fault(source.file, flaw.line, Code.SYNTAX.value, flaw.message, flaw.hint) for flaw in source.flaws]
    file = take(PresetFile, source.value, source, (), faults)
    if file is None:
        return None
    given = {key: item for key, item in value.items() if key not in _ROW_KEYS}
    finds = row.models == DISCOVER
    names = lists.get(row.id or str(file.service.get("id")), Listed()).models if finds else ()
    entries = list(names) if isinstance(row.models, str) else row.models
    models = models_of(entries, _defaults(file), given, tree, path, faults) if row.models else []
    if models is None:
        return None
    first = {"model": DISCOVER} if finds and not entries else first_of(entries)
    parameters = _parameters(file, source, first | given, tree, path, faults)
    if parameters is None:
        return None
    filler = _Filler(parameters, {name: tree.place((*path, name)) for name in given}, source)
    raw = source.value
    source.value = {key: filler.fill(raw.get(key, []), (key,)) for key in ("service", "components", "probes")}
    lister = None
    if row.models:
        places = [tree.place((*path, "models", index)) for index in range(len(models))]
        asker = spread(source, raw, models, places, filler.fill_with)
        lister = asker if finds else None
    doubted = {name for name, fact in file.sources.items() if isinstance(fact, dict) and fact.get("verified") is False}
    told = tuple(_told(file))
    unverified = tuple(fact for fact in told if fact[0] in doubted)
    return Expanded(row, source, parameters, unverified, told, file.former, lister)


def _defaults(file: PresetFile) -> dict[str, Any]:
    return {name: raw.get("default") for name, raw in file.parameters.items() if isinstance(raw, dict)}


def _told(file: PresetFile) -> Iterator[tuple[str, str]]:
    for name, fact in file.sources.items():
        if isinstance(fact, dict):
            yield name, f"{fact.get('source', '')} ({fact.get('date', 'no date')})"


def _parameters(
    file: PresetFile, source: Tree, given: dict[str, Any], tree: Tree, path: Path_, faults: Faults
) -> dict[str, Any] | None:
    """Return the value of every parameter; None after noting unknown and missing ones."""
    before = len(faults.found)
    values: dict[str, Any] = {}
    for name, raw in file.parameters.items():
        parameter = take(Parameter, raw, source, ("parameters", name), faults)
        if parameter is None:
            continue
        values[name] = given.get(name, parameter.default)
        if parameter.required and values[name] is None:
            message = f'preset "{_preset_of(source)}" needs "{name}": {parameter.help}'
            hint = f"for instance {name}: {parameter.example}" if parameter.example is not None else ""
            faults.add(Code.MISSING_KEY, tree, path, message, hint)
        if isinstance(values[name], str) and "url" in name:
            values[name] = values[name].rstrip("/")
    for name in given.keys() - file.parameters.keys():
        hint = did_you_mean(name, {*file.parameters, *_ROW_KEYS})
        faults.add(Code.UNKNOWN_KEY, tree, (*path, name), f'unknown key "{name}"', hint)
    for name in given.keys() & file.parameters.keys():
        if isinstance(given[name], dict | list):
            faults.add(Code.WRONG_TYPE, tree, (*path, name), f'"{name}" must be one value')
    return values if len(faults.found) == before else None


def _preset_of(source: Tree) -> str:
    return Path(source.file).stem


@dataclass(frozen=True, slots=True)
class _Filler:
    parameters: dict[str, Any]
    places: dict[str, tuple[str, int]]
    """Where the user wrote a parameter, so that a fault in it is shown there."""
    tree: Tree

    def fill(self, value: Any, path: Path_) -> Any:
        if isinstance(value, dict):
            items = {key: self.fill(item, (*path, key)) for key, item in value.items()}
            return {key: item for key, item in items.items() if item is not _ABSENT}
        if isinstance(value, list):
            filled = [self.fill(item, (*path, index)) for index, item in enumerate(value)]
            return [item for item in filled if item is not _ABSENT]
        return self.text(value, path) if isinstance(value, str) else value

    def fill_with(self, value: Any, path: Path_, own: Mapping[str, Any]) -> Any:
        """Fill with other values of some parameters."""
        return _Filler(self.parameters | dict(own), {}, self.tree).fill(value, path)

    def text(self, text: str, path: Path_) -> Any:
        names = [name for name in _HOLE.findall(text) if name in self.parameters]
        for name in names:
            if name in self.places:
                self.tree.origins[path] = self.places[name]
        if len(names) == 1 and text == f"{{{names[0]}}}":
            value = self.parameters[names[0]]
            return _ABSENT if value is None else value
        return _HOLE.sub(lambda hole: str(self.parameters[hole[1]]) if hole[1] in self.parameters else hole[0], text)


# --- several models of one preset: a component and a chat probe each ---


def first_of(entries: list[Any]) -> dict[str, Any]:
    """Return the parameter ``model`` as the first of several names it: a preset may require one."""
    first = entries[0].get("model") if entries and isinstance(entries[0], dict) else next(iter(entries), None)
    return {"model": first} if isinstance(first, str) else {}


def models_of(
    entries: list[Any],
    defaults: Mapping[str, Any],
    given: Mapping[str, Any],
    tree: Tree,
    path: Path_,
    faults: Faults,
) -> list[Model] | None:
    """Return the models that a row names; None after noting what is wrong with them.

    ``defaults`` are the parameters of the preset with their defaults, ``given`` those of the row.
    """
    before, place = len(faults.found), (*path, "models")
    if "model" not in defaults:
        faults.add(Code.VALUE, tree, place, "this preset asks no model, so it cannot ask several")
        return None
    if "model" in given:
        faults.add(Code.VALUE, tree, place, 'write "model" or "models", not both')
    elif len(entries) > MOST_MODELS:
        faults.add(
            Code.TOO_MANY, tree, place, f"{len(entries)} models are more than {MOST_MODELS}", "name those that matter"
        )
    found: list[Model] = []
    for index, entry in enumerate(entries):
        model = {"model": entry} if isinstance(entry, str) else entry
        if not isinstance(model, dict) or not isinstance(model.get("model"), str) or not model["model"].strip():
            message = "a model must be its name, or a mapping with model: NAME"
            faults.add(Code.WRONG_TYPE, tree, (*place, index), message)
            continue
        for name in model.keys() - defaults.keys():
            hint = did_you_mean(name, defaults)
            faults.add(Code.UNKNOWN_KEY, tree, (*place, index, name), f'unknown key "{name}"', hint)
        # A preset knows the prices of its own model only.
        own = model["model"] == defaults.get("model")
        unpriced = {} if own else {name: 0 for name in _PRICES if name in defaults and name not in given}
        found.append(unpriced | model)
    return found if len(faults.found) == before else None


def spread(
    source: Tree, raw: Mapping[str, Any], models: list[Model], places: list[tuple[str, int]], fill: Fill
) -> dict[str, Any] | None:
    """Put a component and a probe for each model into a filled preset, in the place of the probes that ask one.

    ``raw`` is the preset before it was filled, ``places`` are where the user wrote the models. A model fails with the
    component of the preset that it is a part of. Returns the preset's own probe, which is no longer in it.
    """
    value, asks = source.value, [index for index, probe in enumerate(raw["probes"]) if _asks(probe)]
    kinds = {part["id"]: part for part in value["components"]}
    for model, place in zip(models, places, strict=True):
        for index in asks:
            probe = fill(raw["probes"][index], ("probes", index), model)
            base, slug = probe["component"], slug_of(model["model"])
            part = {"id": f"{base}-{slug}"[:63], "name": model["model"][:80], "kind": kinds[base]["kind"]}
            spots: tuple[Path_, Path_] = ("components", len(value["components"])), ("probes", len(value["probes"]))
            for spot in spots:
                source.origins[spot] = source.origins[*spot, "id"] = place
            value["components"].append(part | {"depends_on": [base]})
            value["probes"].append(probe | {"id": f"{probe['id']}-{slug}"[:63], "component": part["id"]})
    own = value["probes"][asks[0]] if asks else None
    for index in asks:  # last, because places in the file are told by the number in its list
        value["probes"][index] = None
    return own


def slug_of(model: str) -> str:
    """Return a model's name as a part of an id."""
    return _NO_WORD.sub("-", model.lower()).strip("-") or "model"


def _asks(probe: Any) -> bool:
    return bool(probe.get("kind") == "chat" and probe.get("options", {}).get("model") == _MODEL)

"""Several models of one preset: each gets a component and a chat probe of its own, in the place of the one that it has.

The preset's component stays for what all models share: its front door and the vendor's word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from monitor.config.faults import Code, Faults, did_you_mean
from monitor.config.yamltree import Path_, Tree

MOST = 50
"""Every model costs questions: more are a mistake, or a list that nobody has read."""
_HOLE = "{model}"
_PRICES = ("usd_per_million_input", "usd_per_million_output")
_NO_WORD = re.compile(r"[^a-z0-9]+")
Model = dict[str, Any]
"""Parameters that differ from the row's; ``model`` is always among them."""
Fill = Callable[[Any, Path_, Model], Any]
"""Fills the holes of a part of the preset, with a model's own values."""


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
    elif len(entries) > MOST:
        faults.add(Code.TOO_MANY, tree, place, f"{len(entries)} models are more than {MOST}", "name those that matter")
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
    return bool(probe.get("kind") == "chat" and probe.get("options", {}).get("model") == _HOLE)

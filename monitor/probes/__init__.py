"""Eyes: one file or folder a kind. ``KINDS`` maps the word in ``probes.yaml`` to the kind's own declaration.

The kind ``smoke`` is declared by ``KIND`` in ``monitor/probes/smoke.py``, or in ``monitor/probes/smoke/probe.py`` if it
needs more than one file. Nothing lists it anywhere else. A kind is imported when it is asked for, so that a prober
holds only those that its configuration names.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cached_property

from monitor.probes.base import Kind


class Kinds(Mapping[str, Kind]):
    """Name → kind. Reading one imports it; going through all of them imports all."""

    def __init__(self) -> None:
        self._known: dict[str, Kind | None] = {}

    @cached_property
    def _modules(self) -> dict[str, str]:
        """Name → the module that may declare a kind of that name."""
        found = ((module.name, f"{__name__}.{module.name}", module.ispkg) for module in pkgutil.iter_modules(__path__))
        return {name: f"{path}.probe" if is_folder else path for name, path, is_folder in found}

    def _find(self, name: str) -> Kind | None:
        if name not in self._known:
            kind = (
                getattr(importlib.import_module(self._modules[name]), "KIND", None) if name in self._modules else None
            )
            assert kind is None or kind.name == name, f"{self._modules[name]} declares a kind of another name"
            self._known[name] = kind
        return self._known[name]

    def __getitem__(self, name: str) -> Kind:
        kind = self._find(name)
        if kind is None:
            raise KeyError(name)
        return kind

    def __iter__(self) -> Iterator[str]:
        return (name for name in {**self._modules, **self._known} if self._find(name) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def add(self, kind: Kind) -> None:
        """Take a kind that has no file, as a bench's."""
        self._known[kind.name] = kind


KINDS = Kinds()

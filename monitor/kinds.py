"""Kinds that declare themselves: one file (or folder) each in a folder of equals, and listed nowhere.

The kind ``smoke`` is declared by ``KIND`` in ``smoke.py``, or in ``smoke/probe.py`` if it needs more than one file. A
file without ``KIND`` is what the others share. A kind is imported when it is asked for, so that a process holds only
those that its configuration names.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Protocol, TypeVar


class Named(Protocol):
    """What every kind has: the word for it in ``probes.yaml``, which is the name of its file or folder too."""

    @property
    def name(self) -> str:
        """Return the word."""


K = TypeVar("K", bound=Named)


class Kinds(Mapping[str, K]):
    """Name → kind, in the order of the names. Reading one imports it; going through all of them imports all."""

    def __init__(self, package: str, path: Iterable[str], kind: type[K]) -> None:
        """Look for kinds of the class ``kind`` in the modules of a package, whose name and ``__path__`` are given."""
        self._package, self._path, self._kind = package, path, kind
        self._known: dict[str, K | None] = {}

    @cached_property
    def _modules(self) -> dict[str, str]:
        """Name → the module that may declare a kind of that name."""
        found = ((module.name, module.ispkg) for module in pkgutil.iter_modules(self._path))
        return {name: f"{self._package}.{name}" + ".probe" * is_folder for name, is_folder in found}

    def _find(self, name: str) -> K | None:
        if name not in self._known:
            module = self._modules.get(name)
            found = getattr(importlib.import_module(module), "KIND", None) if module else None
            assert found is None or isinstance(found, self._kind), f"{module} declares no {self._kind.__name__}"
            assert found is None or found.name == name, f"{module} declares a kind of another name"
            self._known[name] = found
        return self._known[name]

    def __getitem__(self, name: str) -> K:
        kind = self._find(name)
        if kind is None:
            raise KeyError(name)
        return kind

    def __iter__(self) -> Iterator[str]:
        return (name for name in {**self._modules, **self._known} if self._find(name) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def add(self, kind: K) -> None:
        """Take a kind that has no file, as a bench's."""
        self._known[kind.name] = kind

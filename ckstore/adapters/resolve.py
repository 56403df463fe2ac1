"""Classes by name, found only in modules that are already imported: loading a state never imports or runs anything."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


def name_of(cls: type) -> str:
    """`module:qualname` of a class."""
    return f"{cls.__module__}:{cls.__qualname__}"


def resolve(name: str) -> Any:
    """What `module:qualname` names now, or None.

    WHY vars(): getattr on a module or class may run code (lazy modules, descriptors).
    """
    module_name, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module_name)
    if not isinstance(found, ModuleType):
        return None
    for part in qualname.split("."):
        if not isinstance(found, (ModuleType, type)):
            return None
        found = vars(found).get(part)
    return found


def is_resolvable(cls: type) -> bool:
    """Whether the name of `cls` leads back to it, so that a load in a process like this one finds it."""
    return resolve(name_of(cls)) is cls

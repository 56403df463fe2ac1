"""Names of everything a store holds: object kinds, their directories, object names, root keys.

Objects other than roots are named `<epoch>-<16 hex>-<seq>`: the root number their writer began at, 64 random bits drawn
at that begin, and a counter. A name is created without replacing and never used again.
"""

from __future__ import annotations

import re

ROOT, CATALOG, MANIFEST, CLOSURE, SEGMENT, PACK = 1, 2, 3, 4, 5, 6

DIRECTORY = dict(enumerate(("root", "catalog", "manifest", "closure", "segment", "pack"), start=ROOT))
LEASES = "lease"
TEMPORARIES = "tmp"

LAST_ROOT = 2**64 - 1
MAX_ROOT = 1 << 62
"""Greatest number a root may have: a stray file name can never use the numbers up."""

_OBJECT = re.compile(r"([0-9]{1,20})-([0-9a-f]{16})-([0-9]{1,9})")
_WRITER = re.compile(r"([0-9]{1,20})-([0-9a-f]{16})")
_ROOT_KEY = re.compile(r"[0-9]{20}")


def root_key(number: int) -> str:
    """File name of root `number`: 20 digits of 2^64-1-number, so that the newest root is first in a listing."""
    return f"{LAST_ROOT - number:020d}"


def root_number(key: str) -> int | None:
    """Number of the root whose file name is `key`; None if it is no root key."""
    number = LAST_ROOT - int(key) if _ROOT_KEY.fullmatch(key) else 0
    return number if 1 <= number <= MAX_ROOT else None


def writer_of(name: str) -> str | None:
    """The `<epoch>-<16 hex>` part of an object or temporary name; None if it is not one of ours."""
    match = _OBJECT.fullmatch(name)
    return f"{match[1]}-{match[2]}" if match else None


def epoch_of(writer: str) -> int | None:
    """The root number a writer (or lease) began at; None if `writer` is not such a name."""
    match = _WRITER.fullmatch(writer)
    return int(match[1]) if match else None


def is_object_name(name: str) -> bool:
    """Whether `name` may name a catalog page, manifest, closure, segment or pack."""
    return _OBJECT.fullmatch(name) is not None


def object_path(kind: int, name: str) -> str:
    """Path below the store of an object; raises ValueError for a name that is not an object name."""
    if not is_object_name(name):
        raise ValueError(f"not an object name: {name!r}")
    return f"{DIRECTORY[kind]}/{name}"


def root_path(number: int) -> str:
    """Path below the store of root `number`."""
    return f"{DIRECTORY[ROOT]}/{root_key(number)}"

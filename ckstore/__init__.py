"""ckstore: keeps every checkpoint of every training run, bit-exact, at the cost of what really changed."""

import sys
from importlib import import_module

if sys.platform == "win32" or sys.byteorder != "little":
    raise ImportError("ckstore runs on little-endian Linux and macOS; on Windows use it inside WSL")

from typing import TYPE_CHECKING, Any  # the refusal above must come first

from ckstore.errors import (
    CheckpointDeleted,
    CheckpointNotFound,
    CkError,
    ConflictError,
    CorruptError,
    DamageWarning,
    ForkedError,
    FormatError,
    IntegrityError,
    MissingObjectError,
    NotFoundError,
    RefMoved,
    RefNotFound,
    StorageError,
    StoreNotFound,
    UnsupportedError,
    UsageError,
    WriterExpired,
)

if TYPE_CHECKING:
    from ckstore.api import Checkpoint, Keep, Store, open, repair

__version__ = "0.1.0"

__all__ = [
    "Checkpoint",
    "CheckpointDeleted",
    "CheckpointNotFound",
    "CkError",
    "ConflictError",
    "CorruptError",
    "DamageWarning",
    "ForkedError",
    "FormatError",
    "IntegrityError",
    "Keep",
    "MissingObjectError",
    "NotFoundError",
    "RefMoved",
    "RefNotFound",
    "StorageError",
    "Store",
    "StoreNotFound",
    "UnsupportedError",
    "UsageError",
    "WriterExpired",
    "open",
    "repair",
]


def __getattr__(name: str) -> Any:
    """Load the engine at its first use: a script that only may save a checkpoint starts as fast as without."""
    if name not in ("Checkpoint", "Keep", "Store", "open", "repair"):
        raise AttributeError(f"module 'ckstore' has no attribute {name!r}")
    globals()[name] = getattr(import_module("ckstore.api"), name)
    return globals()[name]

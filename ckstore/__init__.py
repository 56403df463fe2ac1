"""ckstore: keeps every checkpoint of every training run, bit-exact, at the cost of what really changed."""

import sys

if sys.platform == "win32" or sys.byteorder != "little":
    raise ImportError("ckstore runs on little-endian Linux and macOS; on Windows use it inside WSL")

from ckstore.api import Checkpoint, Store, open  # the refusal above must come first
from ckstore.errors import (
    CheckpointDeleted,
    CheckpointNotFound,
    CkError,
    ConflictError,
    CorruptError,
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

__version__ = "0.1.0"

__all__ = [
    "Checkpoint",
    "CheckpointDeleted",
    "CheckpointNotFound",
    "CkError",
    "ConflictError",
    "CorruptError",
    "ForkedError",
    "FormatError",
    "IntegrityError",
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
]

"""ckstore: keeps every checkpoint of every training run, bit-exact, at the cost of what really changed."""

from ckstore.api import Checkpoint, Store, open
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

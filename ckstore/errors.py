"""Every error ckstore raises, grouped by what the caller should do about it.

CkError
├── UsageError (also ValueError)        fix the call
│   └── ForkedError                     the store was opened by another process: open it again
├── NotFoundError (also LookupError)    RefNotFound, CheckpointNotFound, StoreNotFound, CheckpointDeleted
├── ConflictError                       RefMoved, WriterExpired: retry
├── CorruptError                        FormatError (malformed), IntegrityError (hash), MissingObjectError
├── UnsupportedError                    newer format, unknown codec, missing feature: upgrade
└── StorageError (also OSError)         the disk said no; errno is kept

Every class has a stable `kind` string (append-only) and pickles with its attributes.
"""

from __future__ import annotations

from typing import Any


class CkError(Exception):
    """Base of all errors of ckstore.

    message: names the object, the cause and the next step. details: ids, paths and offsets, as attributes.
    """

    kind = "error"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        for name, value in details.items():
            setattr(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.details)


def _rebuild(cls: type[CkError], message: str, details: dict[str, Any]) -> CkError:
    return cls(message, **details)


class UsageError(CkError, ValueError):
    """The call is wrong: fix the arguments."""

    kind = "usage"


class ForkedError(UsageError):
    """An open store was used in a forked child: open it again there."""

    kind = "forked"


class NotFoundError(CkError, LookupError):
    """What was asked for is not there."""

    kind = "not_found"


class StoreNotFound(NotFoundError):
    """No store at this path."""

    kind = "store_not_found"


class RefNotFound(NotFoundError):
    """A reference names no checkpoint."""

    kind = "ref_not_found"


class CheckpointNotFound(NotFoundError):
    """No checkpoint with this id."""

    kind = "checkpoint_not_found"


class CheckpointDeleted(NotFoundError):
    """The checkpoint was deleted while it was being used."""

    kind = "checkpoint_deleted"


class ConflictError(CkError):
    """Somebody else changed the store, or a rule of the store forbids this now."""

    kind = "conflict"


class RefMoved(ConflictError):
    """A tag already names another checkpoint."""

    kind = "ref_moved"


class WriterExpired(ConflictError):
    """This writer was expired by a garbage collection; nothing was published, save again."""

    kind = "writer_expired"


class CorruptError(CkError):
    """Stored bytes are damaged: restore them from elsewhere."""

    kind = "corrupt"


class FormatError(CorruptError):
    """An object is malformed."""

    kind = "format"


class IntegrityError(CorruptError):
    """A hash or check does not match."""

    kind = "integrity"


class MissingObjectError(CorruptError):
    """An object that a live checkpoint needs is not in the store."""

    kind = "missing_object"


class UnsupportedError(CkError):
    """This build or this file system cannot do it."""

    kind = "unsupported"


class StorageError(CkError, OSError):
    """The operating system refused an operation; `errno` says why."""

    kind = "storage"

    def __init__(self, message: str, errno: int | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.errno = errno

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_storage, (type(self), self.message, self.errno, self.details)

    def __str__(self) -> str:
        return self.message


class DamageWarning(UserWarning):
    """A partial load left out what is damaged. `missing`: what is wrong, by the dotted path of each leaf left out."""

    def __init__(self, message: str, missing: dict[str, str]) -> None:
        super().__init__(message, missing)
        self.missing = missing

    def __str__(self) -> str:
        return str(self.args[0])


UNREADABLE = (CorruptError, StorageError)
"""What reading may raise. A save can do without much of what it reads, and takes that for absent then."""


def _rebuild_storage(cls: type[StorageError], message: str, errno: int | None, details: dict[str, Any]) -> CkError:
    return cls(message, errno, **details)

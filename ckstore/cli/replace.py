"""A file that appears whole or not at all: written beside its name, made durable, then renamed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ckstore.errors import ConflictError


@contextmanager
def replacing(file: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a temporary path to write; on success it becomes `file`, durable, on an error it is removed.

    Raises ConflictError if `file` exists, even if it appeared meanwhile, unless `overwrite`.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        yield temporary
        _sync(temporary)
        if overwrite:
            os.replace(temporary, file)
        else:
            _publish_new(temporary, file)
        _sync(file.parent)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def _publish_new(temporary: Path, file: Path) -> None:
    """Rename without replacing: by a hard link, or where there are none by reserving the name first."""
    try:
        try:
            os.link(temporary, file)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
                raise
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os.replace(temporary, file)
    except FileExistsError:
        raise ConflictError(f"{file} exists: give --overwrite to replace it") from None


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

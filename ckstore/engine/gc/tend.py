"""What a gc does before it condemns: rebase, repack, archive, so that more of the dead lies in packs that are dead."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import replace

from ckstore.engine.gc import archive, rebase, repack, support
from ckstore.engine.gc.upkeep import Progress, Tended, Upkeep
from ckstore.engine.reach import Object
from ckstore.engine.session import Session
from ckstore.errors import StorageError
from ckstore.store.writer import until_not_expired

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""What a full disk says."""


def tend(session: Session, dead: Mapping[Object, int], upkeep: Upkeep, progress: Progress, tended: Tended) -> None:
    """Move what is worth it. A disk without room for the copies stops this, never the gc: room is what it makes.

    dead: what has died since the last gc. tended: what was moved before; where that left more to be archived, nothing
    else is done now. Raises StorageError for anything else.
    """
    if not tended.archive_left:
        _compact(session, dead, upkeep, progress, tended)
    if upkeep.max_bytes != 0 and not tended.stopped:
        _with_room(lambda: archive.run(session, upkeep, progress, tended), tended)


def _compact(
    session: Session, dead: Mapping[Object, int], upkeep: Upkeep, progress: Progress, tended: Tended
) -> None:  # fmt: skip
    if upkeep.max_bytes != 0:
        _with_room(lambda: rebase.run(session, dead, upkeep, progress, tended), tended)
    if upkeep.max_bytes is not None:
        upkeep = replace(upkeep, max_bytes=max(0, upkeep.max_bytes - tended.rebased_bytes))
    if upkeep.max_bytes != 0 and not tended.stopped:
        _with_room(lambda: repack.run(session, upkeep, progress, tended), tended)
    limited = upkeep.max_bytes is not None or bool(tended.stopped)
    tended.partial = limited and (upkeep.everywhere or support.may_be_new(dead))


def _with_room(step: Callable[[], None], tended: Tended) -> None:
    try:
        until_not_expired(step)
    except StorageError as error:  # the writer has removed what it wrote, unless its root may have been published
        if error.errno not in NO_ROOM or error.details.get("outcome") == "unknown":
            raise
        tended.stopped = error.message

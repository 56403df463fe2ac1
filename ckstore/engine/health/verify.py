"""verify(): check what the newest root needs, at three depths; report every damage with the tensors it touches."""

from __future__ import annotations

from ckstore.engine.health.found import Found
from ckstore.engine.health.survey import survey
from ckstore.engine.reports import VerifyReport
from ckstore.engine.session import Session
from ckstore.errors import CkError, CorruptError, UsageError
from ckstore.store.repository import Repository

LEVELS = ("structure", "stored", "data")


def verify(session: Session, level: str = "stored") -> VerifyReport:
    """Check the store. Never raises for damage.

    Raises UnsupportedError where a newer version has written (that is no damage), StorageError.
    """
    if level not in LEVELS:
        raise UsageError(f"level is one of {', '.join(LEVELS)}, not {level!r}")
    session.repo.check_process()
    try:  # what `session` has cached says nothing of what is on disk: all is read afresh
        mine = Session(Repository(session.repo.fs, readonly=True))
    except CorruptError as error:
        return unopened(error, level)
    try:
        return survey(mine, mine.repo.root(), level).found.report(level)
    finally:
        mine.close()


def unopened(error: CkError, level: str) -> VerifyReport:
    """The report of a store that cannot be opened, as with a damaged newest root: nothing below it can be judged."""
    found = Found()
    found.add(str(error.details.get("object", "root")), str(error))
    return found.report(level)

"""Whether one checkpoint checks out: its manifest, its closure, and every frame it needs, as they are stored."""

from __future__ import annotations

from ckstore.engine import catalog
from ckstore.engine.decode import row_name
from ckstore.engine.parent import load_parent
from ckstore.engine.session import Session
from ckstore.errors import CkError, IntegrityError, MissingObjectError
from ckstore.format.closure import Row, pack_uses
from ckstore.format.records import Entry
from ckstore.store.repository import Repository


def problem(repo: Repository, entry: Entry) -> str | None:
    """What is damaged in a checkpoint; None: it checks out, as verify() at level "stored" would find it.

    What `repo` has cached says nothing of what is on disk: all is read afresh.
    Raises MissingObjectError if the newest root does not name what was missing any more.
    """
    session = Session(Repository(repo.fs, readonly=True))
    try:
        _check(session, entry)
    except MissingObjectError as error:
        if not _is_named(session.repo, entry):
            raise
        return str(error)
    except (CkError, OSError) as error:
        return str(error)
    finally:
        session.close()
    return None


def _is_named(repo: Repository, entry: Entry) -> bool:
    """Whether the newest root still names this manifest and closure of the checkpoint."""
    now = next((one for one in catalog.entries(repo, repo.root()) if one.id == entry.id), None)
    return now is not None and (now.manifest, now.closure) == (entry.manifest, entry.closure)


def _check(session: Session, entry: Entry) -> None:
    repo, rows = session.repo, load_parent(session.repo, entry).rows
    what = f"closure {entry.closure.name}"
    if repo.objects.closure(entry.closure).packs != pack_uses(rows):  # gc reads no more than this list
        raise IntegrityError(f"{what}: its list of packs is not that of its rows", object=what)

    def check(row: Row) -> None:
        frame = repo.packs.frame(row.pack.name, row.offset, row.frame_bytes)
        bases = [rows[base].chunk_id for base in row.bases]
        said = row.chunk_id, row.logical_bytes, bases
        if (frame.chunk_id, frame.logical_bytes, [base.chunk_id for base in frame.bases]) != said:
            raise IntegrityError(f"{row_name(row)}: is not the frame that {what} says", object=row_name(row))

    for _ in session.map(check, rows, lambda row: row.frame_bytes):
        pass

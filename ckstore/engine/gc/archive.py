"""Archive: frames of old checkpoints are encoded again, as hard as the codec can, where that makes a pack smaller.

Which checkpoints: all but the newest of each run, whose packs are read and based on the most. Which frames: all live
ones of the packs that these name, for every closure that names them. A pack moves as a whole or not at all: its frames
that became smaller by LEAST_SHARE in their new form, all others as they lie. So it is free at once, and packs take no
more than before, unless somebody saves meanwhile on top of what moves; a pack that would not get smaller by LEAST_SHARE
altogether stays. Closures may hold old pages of each other for a while, as after a repack.

How: codec/again.py, with bases that a frame has already and no others. So chains only get shorter, and nothing that is
based on the frame sees a difference. New frames are decoded and compared before they are published. As with repack,
nothing is condemned here, and new packs and closures are published by one root step.

BATCH_BYTES of packs make a step; the collector then frees the old packs before it begins the next. So a gc takes
little room and may be stopped at any time: what was published is done. In memory are, besides the frames under way,
those of one pack, and the keys of the frames of a batch.

A pack of which a sample gains nothing is not tried in full (recode.py).

What was tried is not tried again: the catalog entry of a checkpoint says in `extra` that all its frames were, with the
generation of the codec that tried. Nobody else reads that note, every writer carries it on, and a frame that a noted
checkpoint names is only copied, if its pack moves. It is lost with a catalog page that repair makes anew, and with the
checkpoint: then frames that others share with it are tried once more. The few frames that a rebase has encoded since
count as tried. A gc that was stopped tries again what the checkpoint that it was at has in packs that stay.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ckstore.engine.gc import uses
from ckstore.engine.gc.frames import Numbers
from ckstore.engine.gc.recode import Reader, recoded
from ckstore.engine.gc.relocate import Relocation
from ckstore.engine.gc.tried import Choice, choose, live_of, with_note
from ckstore.engine.gc.upkeep import Progress, Tended, Upkeep
from ckstore.engine.gc.uses import Uses
from ckstore.engine.session import Session

BATCH_BYTES = 1 << 30


class _Gain(NamedTuple):
    """What came of a batch."""

    n_frames: int
    """That are smaller now."""
    n_bytes: int


def run(session: Session, upkeep: Upkeep, progress: Progress, tended: Tended) -> None:
    """Try the next batch; tended.archive_left says whether there is another.

    Raises WriterExpired (begin again), CorruptError for the head of a closure, StorageError.
    """
    tended.archive_left = False
    if upkeep.archive is None:
        return
    repo = session.repo
    with repo.writer() as writer:
        found = uses.of_root(repo, writer.root)
        chosen = choose(found, upkeep.archive, tended.judged)
        batch, relocation = _batch(found, chosen, upkeep, tended), Relocation(session, writer)
        gain = _recode(session, found, chosen, batch, relocation, progress, tended)
        names, in_batch = found.packs.names, np.isin(np.arange(len(found.sizes)), batch)
        judged = tended.judged | {names[p] for p in batch.tolist()}
        notes = {
            entry.id: with_note
            for entry in chosen.entries
            if judged.issuperset(use.name for use in repo.objects.closure(entry.closure).packs)
        }
        _, n_bytes = relocation.publish(found.users(in_batch), notes)
    repo.packs.close_idle()
    tended.judged = judged | {ref.name for ref in relocation.packs}
    tended.archive_left = 0 < len(batch) < len(chosen.packs)
    tended.noted += len(notes)
    tended.archived += gain.n_frames
    tended.archived_bytes += n_bytes
    tended.saved_bytes += gain.n_bytes


def _batch(found: Uses, chosen: Choice, upkeep: Upkeep, tended: Tended) -> Numbers:
    """The first of the packs, as many as may be moved now."""
    total, limit = np.cumsum(found.sizes[chosen.packs]), BATCH_BYTES
    if upkeep.max_bytes is not None:
        limit = min(limit, upkeep.max_bytes - tended.rebased_bytes - tended.moved_bytes - tended.archived_bytes)
    elif len(total):
        limit = max(limit, int(total[0]))
    return chosen.packs[total <= limit]


def _recode(
    session: Session, found: Uses, chosen: Choice, batch: Numbers, relocation: Relocation, progress: Progress,
    tended: Tended,
) -> _Gain:  # fmt: skip
    """Put what is smaller into new packs."""
    n_new = saved = looked_at = 0
    live, reader = live_of(session.repo, found, batch), Reader(session.repo)
    for number in batch.tolist():
        before = tended.looked_at_bytes + looked_at
        progress(before, tended.looked_at_bytes + chosen.n_bytes, "encoding at the archive level")
        looked_at += int(found.sizes[number])
        for row, frame in recoded(session, reader, live.of_pack(number), tended) or ():
            relocation.put(row, frame)
            gain = row.frame_bytes - frame.frame.frame_bytes
            n_new, saved = n_new + (gain > 0), saved + gain
    tended.looked_at_bytes += looked_at
    return _Gain(n_new, saved)

"""The base of a new run's first checkpoint: of the other runs, the one whose tensors are nearest to the new ones.

Fine-tunes of one base, restarts under another name and forks find what they began from by themselves. The distance is
what a few samples take when they are encoded on top of a candidate's, over what they take alone. Source of the idea:
TensorDex (arXiv 2604.17104) found that which base is taken is worth more than how the difference is coded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from ckstore.codec.chunk import Reference, encode
from ckstore.engine import catalog
from ckstore.engine.decode import Decoder
from ckstore.engine.parent import Parent
from ckstore.engine.session import Session
from ckstore.errors import UNREADABLE
from ckstore.format.frame import ROLE_PREVIOUS
from ckstore.format.manifest import chunk_bytes
from ckstore.format.records import Entry, Root
from ckstore.tensor import TensorView, item_bytes

CANDIDATES = 8
"""Other runs that are looked at, those with the newest checkpoints first; of each its newest and its oldest."""
_TENSORS = 4
_SAMPLE_ELEMENTS = 1 << 14
_NEAR = 0.95
"""A base must save one byte in twenty of the samples: reading it costs time at every restore."""


def find(session: Session, root: Root, views: Sequence[TensorView]) -> tuple[Entry, Parent] | None:
    """The nearest checkpoint and what is known of it; None if none is near. What cannot be read is no candidate."""
    largest = sorted(views, key=lambda view: view.nbytes, reverse=True)[:_TENSORS]
    largest = [view for view in largest if view.nbytes >= _SAMPLE_ELEMENTS]
    best: tuple[float, Entry, Parent] | None = None
    for entry in _candidates(session, root) if largest else ():
        try:
            parent = session.parent(entry)
            share = _share(session, root, parent, largest)
        except UNREADABLE:
            continue
        if share <= _NEAR and (best is None or share < best[0]):
            best = share, entry, parent
    return best[1:] if best else None


def _candidates(session: Session, root: Root) -> Iterator[Entry]:
    runs: dict[str, list[Entry]] = {}
    for entry in catalog.readable(session.repo, root):
        if entry.run in runs or len(runs) < CANDIDATES:
            runs.setdefault(entry.run, []).append(entry)
    for mine in runs.values():
        yield from islice({entry.id: entry for entry in (mine[0], mine[-1])}.values(), 2)


def _share(session: Session, root: Root, parent: Parent, views: Sequence[TensorView]) -> float:
    """Bytes of the samples on top of `parent`, over their bytes alone. Where a tensor is not in it, alone counts."""
    decoder, near, alone = Decoder(session.repo, parent.rows), 0, 0
    for view in views:
        size = chunk_bytes(view.dtype, root.chunk_elements)
        index = view.nbytes // 2 // size
        start = index * size
        width = min(_SAMPLE_ELEMENTS * item_bytes(view.dtype), size, view.nbytes - start)
        sample = memoryview(bytes(view.read(start, start + width)))
        mine = len(encode(sample, view.dtype).payload)
        alone += mine
        known, before = parent.chunk(view.path, index), parent.tensor(view.path)
        if known is None or before is None or (known.dtype, tuple(before[0].shape)) != (view.dtype, view.shape):
            near += mine
            continue
        base = memoryview(decoder.chunk(known.row))[:width]
        near += len(encode(sample, view.dtype, [Reference(ROLE_PREVIOUS, view.dtype, base)]).payload)
    return near / max(1, alone)

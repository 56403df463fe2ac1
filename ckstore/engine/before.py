"""What the chunks of one job of a save were in the parent: read, decoded together, checked."""

from __future__ import annotations

from collections.abc import Sequence

import xxhash

from ckstore.codec.scratch import Bytes
from ckstore.engine.decode import Decoder, Logical
from ckstore.engine.parent import Known, Parent
from ckstore.engine.session import Session
from ckstore.errors import UNREADABLE


def quick_hash(data: Bytes | Logical, seed: int) -> bytes:
    """The hash by which a chunk is compared with its parent's. seed: the store's."""
    return xxhash.xxh3_128_digest(data, seed=seed)


class Before:
    """Chunks of the parent by what is known of them. Those that were said to be wanted are decoded together as soon as
    one of them is asked for: moments and the weights that were predicted from them need the same frames."""

    def __init__(self, session: Session, parent: Parent, seed: int) -> None:
        self._session, self._parent, self._seed = session, parent, seed
        self._wanted: list[Known] = []
        self._found: dict[bytes, Logical | None] = {}

    def is_same(self, known: Known, data: Bytes | Logical) -> bool:
        """Whether these are the bytes of that chunk."""
        return quick_hash(data, self._seed) == known.quick_hash

    def want(self, known: Known) -> None:
        """This one will be asked for."""
        self._wanted.append(known)

    def get(self, known: Known) -> Logical | None:
        """Logical bytes of a chunk, checked; None if it cannot be read: then nothing new must depend on it."""
        if known.chunk_id not in self._found:
            self._read([known, *self._wanted])
            self._wanted.clear()
        return self._found[known.chunk_id]

    def _read(self, known: Sequence[Known]) -> None:
        missing = [one for one in known if one.chunk_id not in self._found and not self._is_cached(one)]
        try:
            self._decode(missing)
        except UNREADABLE:  # of the parent something is damaged: of the rest what can be read serves all the same
            for one in missing:
                try:
                    self._decode([one])
                except UNREADABLE:
                    self._found[one.chunk_id] = None

    def _is_cached(self, known: Known) -> bool:
        cached = self._session.bases.get(known.chunk_id)
        if cached is not None:
            self._found[known.chunk_id] = self._checked(known, cached)
        return cached is not None

    def _decode(self, known: Sequence[Known]) -> None:
        out = {one.row: memoryview(bytearray(one.n_bytes)) for one in known}
        Decoder(self._session.repo, self._parent.rows, self._here).fill(out)
        for one in known:
            self._found[one.chunk_id] = self._checked(one, out[one.row])

    def _here(self, chunk_id: bytes) -> Logical | None:
        data = self._found.get(chunk_id)
        return self._session.bases.get(chunk_id) if data is None else data

    def _checked(self, known: Known, data: Logical) -> Logical | None:
        return data if self.is_same(known, data) else None

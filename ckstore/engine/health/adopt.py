"""Other copies of chunks: of all frames on disk, those from which a chunk comes out right, bases and all.

A frame counts only if it was decoded, from bases that count, and gave bytes with its chunk id.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from blake3 import blake3

from ckstore.engine.decode import Decoder
from ckstore.engine.health.scan import Place, Scan
from ckstore.errors import CorruptError
from ckstore.format.closure import MAX_WORK, Row
from ckstore.format.frame import MAX_DEPTH
from ckstore.format.records import ObjectRef
from ckstore.store.repository import Repository

Sound = dict[bytes, Place]
"""A place for each chunk, bases before what is based on them."""


def sound(repo: Repository, scan: Scan, wanted: Iterable[bytes], live: Container[str]) -> Sound:
    """Places of the `wanted` chunks, and of all their bases, as far as there are any. live: packs to be preferred."""

    def rank(place: Place) -> tuple[bool, int, str]:
        return place.pack not in live, place.frame_bytes, place.pack

    return _chosen(_places(scan, set(wanted)), rank, _Judge(repo).is_right)


def _places(scan: Scan, wanted: set[bytes]) -> dict[bytes, list[Place]]:
    """Every place of the wanted chunks, of the bases of these places, of their bases, and so on."""
    found: dict[bytes, list[Place]] = {}
    while wanted:
        found.update({chunk_id: [] for chunk_id in wanted})
        bases: set[bytes] = set()
        for place in scan.find(wanted):
            found[place.chunk_id].append(place)
            bases.update(place.base_ids)
        wanted = bases - found.keys()
    return found


def _chosen(
    places: dict[bytes, list[Place]], rank: Callable[[Place], tuple[bool, int, str]], is_right: Callable[[Place], bool]
) -> Sound:
    """One place a chunk such that bases come first: chains without cycles, the shortest there are.

    is_right: asked of a place whose bases are chosen already, and once only: a pack may be full of wrong ones.
    """
    chosen: Sound = {}
    work: dict[bytes, int] = {}
    wrong: set[tuple[str, int]] = set()
    for _ in range(MAX_DEPTH):
        ready: Sound = {}
        for chunk_id in places.keys() - chosen.keys():
            fit = (
                place for place in places[chunk_id]
                if (place.pack, place.offset) not in wrong and all(base in chosen for base in place.base_ids)
                and 1 + sum(work[base] for base in place.base_ids) <= MAX_WORK
            )  # fmt: skip
            for place in sorted(fit, key=rank):
                if is_right(place):
                    ready[chunk_id] = place
                    break
                wrong.add((place.pack, place.offset))
        if not ready:
            break
        work.update({chunk: 1 + sum(work[base] for base in place.base_ids) for chunk, place in ready.items()})
        chosen.update(sorted(ready.items()))
    return chosen


class _Judge:
    """Decodes one place after another; those that were right may be bases of later ones."""

    def __init__(self, repo: Repository) -> None:
        self._rows: list[Row] = []
        self._number: dict[bytes, int] = {}
        self._decoder = Decoder(repo, self._rows)

    def is_right(self, place: Place) -> bool:
        """Whether a place gives the chunk it says it holds."""
        number, bases = len(self._rows), tuple(self._number[base] for base in place.base_ids)
        pack = ObjectRef(place.pack, bytes(32), 0)
        self._rows.append(Row(place.chunk_id, pack, place.offset, place.frame_bytes, place.logical_bytes, bases))
        try:
            data = self._decoder.chunk(number)
        except CorruptError:
            return False
        if blake3(data).digest() != place.chunk_id:
            return False
        self._number[place.chunk_id] = number
        return True

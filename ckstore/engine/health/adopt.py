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
    places = _places(scan, set(wanted))
    rejected: set[tuple[str, int]] = set()
    while True:
        chosen = _chosen(places, rejected, lambda place: (place.pack not in live, place.frame_bytes, place.pack))
        wrong = _first_wrong(repo, list(chosen.values()))
        if wrong is None:
            return chosen
        rejected.add((wrong.pack, wrong.offset))


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
    places: dict[bytes, list[Place]], rejected: Container[tuple[str, int]],
    rank: Callable[[Place], tuple[bool, int, str]],
) -> Sound:  # fmt: skip
    """One place a chunk such that bases come first: chains without cycles, the shortest there are."""
    chosen: Sound = {}
    work: dict[bytes, int] = {}
    for _ in range(MAX_DEPTH):
        ready: Sound = {}
        for chunk_id in places.keys() - chosen.keys():
            fit = [
                place for place in places[chunk_id]
                if (place.pack, place.offset) not in rejected and all(base in chosen for base in place.base_ids)
                and 1 + sum(work[base] for base in place.base_ids) <= MAX_WORK
            ]  # fmt: skip
            if fit:
                ready[chunk_id] = min(fit, key=rank)
        if not ready:
            break
        work.update({chunk: 1 + sum(work[base] for base in place.base_ids) for chunk, place in ready.items()})
        chosen.update(sorted(ready.items()))
    return chosen


def _first_wrong(repo: Repository, places: list[Place]) -> Place | None:
    """The first of these places that does not give the chunk it says it holds."""
    number = {place.chunk_id: i for i, place in enumerate(places)}
    rows = [
        Row(
            place.chunk_id, ObjectRef(place.pack, bytes(32), 0), place.offset, place.frame_bytes, place.logical_bytes,
            tuple(number[base] for base in place.base_ids),
        )
        for place in places
    ]  # fmt: skip
    decoder = Decoder(repo, rows)
    for i, place in enumerate(places):
        try:
            data = decoder.chunk(i)
        except CorruptError:
            return place
        if blake3(data).digest() != place.chunk_id:
            return place
    return None

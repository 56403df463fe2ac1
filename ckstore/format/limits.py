"""The types of values in records, with their limits: a value outside them makes the object that holds it malformed."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from itertools import pairwise
from typing import Annotated, Any

from msgspec import Meta

_NAME = r"[0-9]{1,20}-[0-9a-f]{16}-[0-9]{1,9}"

Size = Annotated[int, Meta(ge=0, le=1 << 62)]
Name = Annotated[str, Meta(pattern=rf"\A{_NAME}\Z")]
NameOrNone = Annotated[str, Meta(pattern=rf"\A({_NAME})?\Z")]
Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
DigestOrNone = Annotated[bytes, Meta(max_length=32)]
WriteId = Annotated[bytes, Meta(min_length=16, max_length=16)]
RootNumber = Annotated[int, Meta(ge=1, le=1 << 62)]
ChunkElements = Annotated[int, Meta(ge=1 << 10, le=1 << 20)]
HashSeed = Annotated[int, Meta(ge=0)]
Kind = Annotated[int, Meta(ge=0, le=6)]

MAX_NOTES_BYTES = 16 << 10
"""Most bytes of the metrics, tags and meta of one checkpoint, encoded."""
Metrics = Annotated[dict[str, float], Meta(max_length=MAX_NOTES_BYTES // 2)]
Tags = Annotated[list[str], Meta(max_length=MAX_NOTES_BYTES // 2)]
PAGE_ENTRIES = 256
"""Most entries of a page of the catalog."""

MAX_RATIO = 64
FREE_RAW_BYTES = 8 << 20


def most_raw_bytes(stored_bytes: int) -> int:
    """What this many stored bytes may stand for: a small file must not cost its reader much memory."""
    return FREE_RAW_BYTES + MAX_RATIO * stored_bytes


def check_notes(*encoded: Sized) -> None:
    """Raise ValueError if a free map of an entry is larger than any writer makes: users get it as Python objects."""
    if any(len(part) > MAX_NOTES_BYTES for part in encoded):
        raise ValueError(f"an entry with a map of more than {MAX_NOTES_BYTES} bytes")


def check_lists(packs: Sized, pack_rows: Sized, gone: Sequence[int], pages: Sized, fences: bytes) -> None:
    """Raise ValueError unless the lists of a segment go with its packs and pages."""
    if len(pack_rows) not in (0, len(packs)) or any(position >= len(packs) for position in gone):
        raise ValueError("lists of packs that do not fit together")
    if len(fences) != 32 * len(pages):
        raise ValueError("fences that do not fit the pages")


def check_power_of_two(n: int) -> None:
    """Raise ValueError unless `n` is one: a filter is asked by a mask."""
    if n & (n - 1):
        raise ValueError("a filter of impossible size")


def check_pages(pages: Sequence[Any]) -> None:
    """Raise ValueError if the pages of a head lie over each other, or are much larger than what is stored of them.

    Else a short head could make a reader read without end.
    """
    places = sorted((page.holder, page.offset, page.offset + page.stored_bytes) for page in pages)
    if any(one[0] == next_one[0] and one[2] > next_one[1] for one, next_one in pairwise(places)):
        raise ValueError("a page is listed twice, or lies over another")
    if sum(page.raw_bytes for page in pages) > most_raw_bytes(sum(page.stored_bytes for page in pages)):
        raise ValueError("its pages are too large for what is stored of them")

"""The types of values in records, with their limits: a value outside them makes the object that holds it malformed."""

from __future__ import annotations

from collections.abc import Sequence
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


def each_once(pages: Sequence[Any]) -> None:
    """Raise ValueError if a page is listed twice: else a short head could make a reader read without end."""
    if len({(page.holder, page.offset) for page in pages}) != len(pages):
        raise ValueError("a page is listed twice")

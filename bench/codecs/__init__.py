"""Codecs that turn one chunk of a tensor into bytes and back: ckstore's and its peers'."""

from __future__ import annotations

from bench.codecs.arrays import Bitshuffle, BitshuffleZstd, Blosc, Pcodec
from bench.codecs.base import Codec
from bench.codecs.ckstore import Ckstore, CkstoreArchive, CkstoreFast
from bench.codecs.floats import OpenZL, Zipnn
from bench.codecs.generic import Planes, Zstd1, Zstd3

CODECS: dict[str, type[Codec]] = {
    codec.name: codec
    for codec in (
        Zstd1, Zstd3, Planes, Zipnn, OpenZL, Blosc, BitshuffleZstd, Bitshuffle, Pcodec, CkstoreArchive, CkstoreFast,
        Ckstore,
    )
}  # fmt: skip
"""Name to class, in the order of the tables; ckstore last."""

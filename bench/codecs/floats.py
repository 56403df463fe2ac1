"""Codecs made for the weights of models: ZipNN and OpenZL."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.codecs.base import Codec, typed
from bench.peers import zipnn
from bench.peers.base import installed


class Zipnn(Codec):
    """ZipNN on one thread; the copy that its in-place work needs is timed, since a live tensor must survive."""

    name = "ZipNN"

    @classmethod
    def missing(cls) -> str:
        return installed("zipnn")

    def takes(self, dtype: str) -> bool:
        return dtype in zipnn.FLOATS

    def encode(self, raw: np.ndarray, dtype: str, item_bytes: int) -> Any:
        return zipnn.coder(dtype).compress(bytearray(raw))

    def decode(self, payload: Any, n_bytes: int, dtype: str, item_bytes: int) -> Any:
        return zipnn.coder(dtype).decompress(payload)


class OpenZL(Codec):
    """OpenZL: float fields apart, exponents through FSE, the rest and integers by the generic graph."""

    name = "OpenZL"

    def __init__(self) -> None:
        self._contexts: dict[str, Any] = {}

    @classmethod
    def missing(cls) -> str:
        return installed("openzl")

    def encode(self, raw: np.ndarray, dtype: str, item_bytes: int) -> bytes:
        import openzl.ext as zl

        if dtype not in self._contexts:
            self._contexts[dtype] = _context(dtype)
        return self._contexts[dtype][1].compress([zl.Input(zl.Type.Numeric, typed(raw, item_bytes))])

    def decode(self, payload: bytes, n_bytes: int, dtype: str, item_bytes: int) -> bytes:
        import openzl.ext as zl

        return zl.DCtx().decompress(payload)[0].content.as_bytes()


def _context(dtype: str) -> tuple[Any, Any]:
    """Compressor and context of one dtype; the compressor has to live as long as the context."""
    import openzl.ext as zl

    compressor, context = zl.Compressor(), zl.CCtx()
    compressor.set_parameter(zl.CParam.FormatVersion, zl.MAX_FORMAT_VERSION)
    graph, split = (
        zl.graphs.Compress()(compressor),
        {"bfloat16": "BFloat16Deconstruct", "float32": "Float32Deconstruct"},
    )
    if dtype in split:
        graph = getattr(zl.nodes, split[dtype])()(compressor, sign_frac=graph, exponent=zl.graphs.Fse()(compressor))
    compressor.select_starting_graph(graph)
    context.ref_compressor(compressor)
    context.set_parameter(zl.CParam.StickyParameters, 1)
    context.set_parameter(zl.CParam.FormatVersion, zl.MAX_FORMAT_VERSION)
    return compressor, context

"""What the golden store holds, and how a loaded state is written down: one line a leaf, with its BLAKE3."""

from __future__ import annotations

import http
import inspect
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
from blake3 import blake3

CHUNK = 1024
N_TINY = 40
ML_DTYPES = (
    "bfloat16", "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz",
    "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn", "int4", "uint4",
)  # fmt: skip
NATIVE = "?bhilBHILefdFD"


def numpy_state(step: int) -> dict[Any, Any]:
    """Every codec, dtype and row kind that needs no torch."""
    rng = np.random.default_rng(1)
    weight = (rng.normal(size=2300) * (1 + 2e-4 * step)).astype("<f4")
    masks = rng.integers(0, 1 << 30, 2100) ^ (np.random.default_rng(9 + step).integers(0, 4, 2100) << 28)
    wide = rng.normal(size=1100) * np.pi
    return {
        "weight": weight,
        "halves": [weight.astype(ml_dtypes.bfloat16), weight.astype("<f2")],
        "wide": (wide, wide.astype("<f4")),
        "masks": masks.astype("<i4"),
        "pruned": np.where(rng.random(2300) < 0.8, np.float32(0), weight).astype("<f4"),
        "odd": np.array([0x7FC00001, 0xFFC00000, 0x7F800000, 0x80000000, 1, 0x477FE000] * 200, "<u4").view("<f4"),
        "zeros": np.zeros(5000, "<c16"),
        "noise": np.random.default_rng(50 + step).integers(0, 256, 4100).astype("u1"),
        "frozen": rng.integers(0, 9, 5000).astype("<i8"),
        "counts": np.arange(1500, dtype="<i8") * 3 + step,
        "items": np.frombuffer(np.random.default_rng(3).bytes(30 * 200), "V30").copy(),
        "dtypes": {char: np.arange(1, 6).astype(char) for char in NATIVE}
        | {name: np.arange(0, 5).astype(getattr(ml_dtypes, name)) for name in ML_DTYPES},
        "layouts": layouts(),
        "values": values(step),
    }


def layouts() -> dict[str, Any]:
    """Arrays whose memory or dtype is not plain."""
    fields = np.dtype({"names": ["a", "b"], "formats": ["<i2", ">f8"], "offsets": [0, 4], "itemsize": 16})
    structured = np.zeros(3, fields)
    structured["a"], structured["b"] = [1, 2, 3], [0.5, -0.0, np.inf]
    shared = np.arange(60, dtype="<f4")
    return {
        "fortran": np.asfortranarray(np.arange(6, dtype="<i4").reshape(2, 3)),
        "big": np.arange(4, dtype=">i4"),
        "structured": structured,
        "bytes": np.array([b"abc", b"de"], "S7"),
        "text": np.array(["ä", "xyz"], "U4"),
        "time": np.array(["2024-02-29T12:00:00", "NaT"], "datetime64[ns]"),
        "scalar": np.array(2.5),
        "empty": np.zeros((0, 3), "<f2"),
        "masked": np.ma.MaskedArray([1.0, 2.0, 3.0], [True, False, False], fill_value=9.0),
        "tied": [shared, shared, shared[10:40], shared[::2]],
    }


def values(step: int) -> dict[Any, Any]:
    """Plain values and containers of every kind."""
    ordered = OrderedDict([("z", 1), ("a", 2)])
    return {
        "none": None, "true": True, "int": -step, "huge": 3**200, "float": 0.1, "nan": float("nan"),
        "text": "Grüße", "surrogate": "\ud800", "bytes": b"\x00\xff", "complex": 1 - 2j, "long": bytes(range(256)) * 80,
        "array": bytearray(b"xy"), "slice": slice(1, None, 2), "range": range(3, 9, 2), "enum": http.HTTPStatus.OK,
        "numpy": np.float32(1.5), "dtype": np.dtype("<f4"), "nested": [1, (2, [3, ()]), {}], "ordered": ordered,
        "default": defaultdict(list, {"k": [1]}), "named": inspect.FullArgSpec([], None, None, None, [], None, {}),
        1: "int key", False: "bool key", None: "none key", 2.5: "float key", b"b": "bytes key",
        ("tuple", 1): "tuple key",
    }  # fmt: skip


def torch_state(step: int) -> dict[str, Any]:
    """Every row kind of torch."""
    import torch

    g = torch.Generator().manual_seed(5)
    weight = torch.nn.Parameter(torch.randn(40, 60, generator=g) * (1 + 1e-4 * step))
    base = torch.arange(64, dtype=torch.float32)
    coo = torch.sparse_coo_tensor([[0, 2], [1, 0]], [1.5, -2.0], (3, 2)).coalesce()
    return {
        "weight": weight,
        "tied": weight,
        "half": weight.detach().to(torch.bfloat16),
        "frozen": torch.nn.Parameter(torch.randn(1500, generator=g), requires_grad=False),
        "buffer": torch.nn.Buffer(torch.ones(3), persistent=False),
        "last": torch.arange(24.0).reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last),
        "views": [base, base[8:24], base.view(8, 8).t()],
        "optimizer": {"state": {0: {"step": torch.tensor(float(step)), "exp_avg": torch.randn(2400, generator=g)}}},
        "complex": torch.tensor([1 + 2j, -0j]),
        "empty": torch.empty(0, 4, dtype=torch.float16),
        "sparse": [coo, coo.to_sparse_csr()],
        "quantised": torch.quantize_per_tensor(torch.tensor([0.0, 0.5, 1.0]), 0.25, 3, torch.quint8),
        "plain": [torch.Size([2, 3]), torch.float8_e4m3fn, torch.device("cpu"), torch.channels_last, torch.strided],
        "generator": g.get_state(),
    }


def describe(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, what is there) of a state and all in it."""
    kind = type(value).__name__
    if isinstance(value, dict):
        more = f" {value.default_factory.__name__}" if isinstance(value, defaultdict) else ""
        yield path, f"{kind} of {len(value)}{more}"
        for key, child in value.items():
            yield from describe(child, f"{path}/{key!r}")
    elif isinstance(value, (list, tuple)) and kind != "Size":
        yield path, f"{kind} of {len(value)}"
        for i, child in enumerate(value):
            yield from describe(child, f"{path}/{i}")
    elif isinstance(value, np.ma.MaskedArray):
        parts = {"data": value.data, "mask": np.asarray(value.mask), "fill": np.asarray(value.fill_value)}
        for name, part in parts.items():
            yield from describe(part, f"{path}/{name}")
    elif isinstance(value, np.ndarray):
        yield path, f"array {value.dtype!s} {value.shape} {order(value)} {digest(value.tobytes())}"
    elif type(value).__module__.startswith("torch") and hasattr(value, "layout"):
        yield from tensor(value, path)
    else:
        text = repr(value) if len(repr(value)) < 100 else digest(repr(value).encode("utf-8", "backslashreplace"))
        yield path, f"{kind} {text}"


def tensor(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """The same of a tensor of torch."""
    import torch

    kind, shape = type(value).__name__, tuple(value.shape)
    if value.layout is torch.sparse_coo:
        yield path, f"{kind} coo {shape} coalesced={value.is_coalesced()}"
        yield from describe([value._indices(), value._values()], path)
    elif value.layout is torch.sparse_csr:
        yield path, f"{kind} csr {shape}"
        yield from describe([value.crow_indices(), value.col_indices(), value.values()], path)
    elif value.is_quantized:
        yield path, f"{kind} {value.dtype} {value.q_scale()} {value.q_zero_point()}"
        yield from describe(value.int_repr(), f"{path}/codes")
    else:
        data = value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        facts = f"{value.dtype} {shape} {value.stride()} grad={value.requires_grad}"
        yield path, f"{kind} {facts} {digest(data)}"


def order(value: np.ndarray[Any, Any]) -> str:
    """How the memory of an array is laid out."""
    return "C" if value.flags.c_contiguous else "F" if value.flags.f_contiguous else "other"


def digest(data: bytes) -> str:
    """BLAKE3 in hex."""
    return blake3(data).hexdigest()

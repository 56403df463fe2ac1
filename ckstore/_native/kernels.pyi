from collections.abc import Sequence

from _typeshed import ReadableBuffer, WriteableBuffer

BITS_SLACK: int
ROUND_KINDS: dict[tuple[str, str], int]

def variants() -> tuple[str, ...]: ...
def active() -> str: ...
def select(name: str) -> None: ...
def split(
    src: ReadableBuffer,
    width: int,
    rotate: bool,
    planes: WriteableBuffer,
    base: ReadableBuffer | None = None,
    top: WriteableBuffer | None = None,
) -> None: ...
def merge(
    planes: Sequence[ReadableBuffer], rotate: bool, dst: WriteableBuffer, base: ReadableBuffer | None = None
) -> None: ...
def sparse_split(
    src: ReadableBuffer, width: int, hole: int, bitmap: WriteableBuffer, values: WriteableBuffer
) -> int: ...
def sparse_merge(
    bitmap: ReadableBuffer, values: ReadableBuffer, width: int, hole: int, dst: WriteableBuffer
) -> bool: ...
def delta_split(
    src: ReadableBuffer,
    base: ReadableBuffer,
    width: int,
    is_float: bool,
    symbols: WriteableBuffer,
    bits: WriteableBuffer,
    origin: int | None = None,
    mantissa: int = 0,
) -> int: ...
def delta_merge(
    symbols: ReadableBuffer,
    bits: ReadableBuffer,
    base: ReadableBuffer,
    width: int,
    is_float: bool,
    dst: WriteableBuffer,
    origin: int | None = None,
    mantissa: int = 0,
) -> bool: ...

ORIGIN_WORK: int

def delta_origin(
    src: ReadableBuffer,
    base: ReadableBuffer,
    width: int,
    mantissa: int,
    x_log_x: ReadableBuffer,
    work: WriteableBuffer,
) -> tuple[int, float]: ...

PREDICT_LINEAR: int
PREDICT_ADAM: int
PREDICT_SECOND: int

def predict(
    kind: int,
    bases: Sequence[ReadableBuffer],
    dtypes: Sequence[int],
    coefficients: Sequence[float],
    masked: bool,
    out_dtype: int,
    out: WriteableBuffer,
) -> None: ...
def scaled(
    src: ReadableBuffer | None,
    width: int,
    slope: int,
    origin: int,
    shift: int,
    columns: int,
    start: int,
    of_rows: ReadableBuffer,
    of_columns: ReadableBuffer,
    turned: bool,
    dst: WriteableBuffer,
) -> None: ...
def word_sums(
    src: ReadableBuffer,
    base: ReadableBuffer | None,
    width: int,
    slope: int,
    columns: int,
    start: int,
    rows: WriteableBuffer,
    sums: WriteableBuffer,
) -> None: ...
def turn(src: ReadableBuffer, width: int, left: bool, dst: WriteableBuffer) -> None: ...
def round_floats(src: ReadableBuffer, kind: int, dst: WriteableBuffer) -> None: ...
def is_constant(src: ReadableBuffer, width: int) -> bool: ...
def equal(one: ReadableBuffer, other: ReadableBuffer) -> bool: ...
def histogram(src: ReadableBuffer, parts: int, counts: WriteableBuffer) -> None: ...

HUFFMAN_BLOCK: int
HUFFMAN_WORK: int

def huffman_bound(n_bytes: int) -> int: ...
def huffman_encode(src: ReadableBuffer, out: WriteableBuffer, work: WriteableBuffer, step: int = 1) -> int: ...
def huffman_decode(stored: ReadableBuffer, dst: WriteableBuffer, work: WriteableBuffer) -> bool: ...

PALETTE_SYMBOLS: int
PROFILE: int

def profile(src: ReadableBuffer, parts: int, weights: ReadableBuffer, out: WriteableBuffer) -> None: ...
def palette_encode(src: ReadableBuffer, out: WriteableBuffer) -> int: ...
def palette_decode(stored: ReadableBuffer, dst: WriteableBuffer) -> bool: ...
def gap_split(src: ReadableBuffer, hole: int, gaps: WriteableBuffer, values: WriteableBuffer) -> int: ...
def gap_merge(gaps: ReadableBuffer, values: ReadableBuffer, hole: int, dst: WriteableBuffer) -> bool: ...

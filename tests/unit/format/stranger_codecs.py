"""The codecs of FORMAT.md §7.4, written from that page alone, with Python's integers and no hurry."""

from __future__ import annotations

import struct

import zstandard

from tests.unit.format import stranger_predictions
from tests.unit.format.stranger_rounding import rounded

Stream = tuple[int, bytes]


def decode(codec: int, params: bytes, payload: bytes, bases: list[bytes], n: int) -> bytes:
    """The chunk of `n` bytes."""
    if codec == 0:
        return payload
    if codec == 1:
        return params * (n // len(params))
    if codec in (2, 4):
        return _planes(params, payload, bases[0] if codec == 4 else None, n)
    if codec == 3:
        return _differences(params, payload, bases[0], n)
    if codec == 6:
        return _predicted(params, payload, bases, n)
    assert codec == 5
    return rounded(params[0], bases[0])


def _streams(data: bytes, n_streams: int) -> list[Stream]:
    at, found = 5 * n_streams, []
    for i in range(n_streams):
        tier, size = struct.unpack("<BI", data[5 * i : 5 * i + 5])
        found.append((tier, data[at : at + size]))
        at += size
    assert at == len(data)
    return found


def _stream(stream: Stream, n: int) -> bytes:
    tier, stored = stream
    if tier == 0:
        data = stored
    elif tier == 1:
        data = stored * n
    elif tier == 2:
        data = zstandard.ZstdDecompressor().decompress(stored)
    elif tier == 3:
        data = _sparse(stored, n)
    elif tier == 4:
        data = huffman(stored, n)
    elif tier == 5:
        data = palette(stored, n)
    else:
        assert tier == 6
        data = _gaps(stored, n)
    assert len(data) == n
    return data


def palette(stored: bytes, n: int) -> bytes:
    """The n bytes of a palette stream."""
    halves = [half for byte in stored[15 : 15 + (n + 1) // 2] for half in (byte & 15, byte >> 4)]
    assert not any(halves[n:])
    escapes = iter(stored[15 + (n + 1) // 2 :])
    data = bytes(stored[half] if half < 15 else next(escapes) for half in halves[:n])
    assert next(escapes, None) is None
    return data


def _gaps(stored: bytes, n: int) -> bytes:
    mode, count = struct.unpack("<BI", stored[:5])
    (bits_tier, bits), symbols, others = _streams(stored[5:], 3)
    assert bits_tier == 0
    stream, at, data = int.from_bytes(bits, "little"), 0, b""
    for t, other in zip(_stream(symbols, count), _stream(others, count), strict=True):
        u, k = t // 2, max(0, t // 8 - 1)
        assert t % 2 == 0
        gap = ((u - 4 * k) << k) + (stream >> at & ((1 << k) - 1))
        at += k
        data += bytes([mode]) * gap + bytes([other])
    assert len(bits) == (at + 7) // 8
    assert stream >> at == 0
    return data + bytes([mode]) * (n - len(data))


def huffman(stored: bytes, n: int) -> bytes:
    """The n bytes of a stream of Huffman blocks."""
    data, at = b"", 0
    while len(data) < n:
        size = min(1 << 15, n - len(data))
        kind, at = stored[at], at + 1
        if kind == 0:
            data, at = data + stored[at : at + size], at + size
        elif kind == 1:
            data, at = data + stored[at : at + 1] * size, at + 1
        else:
            assert kind == 2
            codes, at = _codes(stored, at)
            symbols, at = _subtree(stored, at, codes, "", size)
            data += bytes(symbols)
    assert (at, len(data)) == (len(stored), n)
    return data


def _codes(stored: bytes, at: int) -> tuple[dict[str, int], int]:
    """Symbols by their codes, as strings of 0 and 1; where the tree begins."""
    first, last = stored[at], stored[at + 1]
    bits, place, length, lengths = int.from_bytes(stored[at + 2 : at + 200], "little"), 0, 12, []
    for symbol in range(first, last + 1):
        how, place = bits >> place & 3, place + 2
        if how == 3:
            length, place = bits >> place & 15, place + 4
        else:
            length += (0, 1, -1)[how]
        if length:
            lengths.append((length, symbol))
    at += 2 + (place + 7) // 8
    assert not bits >> place & ((1 << (-place % 8)) - 1)
    lengths.sort()
    codes, code = {}, 0
    for length, symbol in lengths:
        codes[f"{code >> (12 - length):0{length}b}"] = symbol
        code += 1 << (12 - length)
    assert code == 1 << 12
    return codes, at


def _subtree(stored: bytes, at: int, codes: dict[str, int], prefix: str, n: int) -> tuple[list[int], int]:
    """The n symbols that come through a node, and where what follows it begins."""
    if prefix in codes:
        return [codes[prefix]] * n, at
    bits = _bits(stored[at : at + (n + 7) // 8], n)
    left, at = _subtree(stored, at + (n + 7) // 8, codes, prefix + "0", n - sum(bits))
    right, at = _subtree(stored, at, codes, prefix + "1", sum(bits))
    sides = iter(left), iter(right)
    return [next(sides[bit]) for bit in bits], at


def _sparse(stored: bytes, n: int) -> bytes:
    left_out, count = struct.unpack("<BI", stored[:5])
    bitmap, others = _streams(stored[5:], 2)
    rest = iter(_stream(others, count))
    data = bytes(next(rest) if bit else left_out for bit in _bits(_stream(bitmap, (n + 7) // 8), n))
    assert next(rest, None) is None
    return data


def _bits(data: bytes, n: int) -> list[int]:
    bits = [byte >> i & 1 for byte in data for i in range(8)]
    assert not any(bits[n:])
    return bits[:n]


def _elements(data: bytes, width: int) -> list[int]:
    return [int.from_bytes(data[i : i + width], "little") for i in range(0, len(data), width)]


def _planes(params: bytes, payload: bytes, base: bytes | None, n_bytes: int) -> bytes:
    layout, width, flags, n_holes = params[:4]
    assert (layout, flags & ~3) == (0, 0)
    holes = _elements(params[4 : 4 + n_holes * width], width)
    counts = [n_bytes // width, *_elements(payload[: 4 * n_holes], 4)]
    streams = _streams(payload[4 * n_holes :], n_holes + width + (flags & 2))
    bitmaps = [_bits(_stream(streams[i], (counts[i] + 7) // 8), counts[i]) for i in range(n_holes)]
    planes = [_stream(stream, counts[-1]) for stream in streams[n_holes + (flags & 2) :]]
    if flags & 2:
        planes[-1] = _with_factors(planes[-1], *_elements(params[-8:], 4), streams[0], streams[1])
    left = [int.from_bytes(item, "little") for item in (bytes(column) for column in zip(*planes, strict=True))]
    if flags & 1:
        left = [x >> 1 | (x & 1) << (8 * width - 1) for x in left]
    if base is not None:
        left = [x ^ b for x, b in zip(left, _elements(base, width), strict=True)]
    for hole, bitmap in zip(reversed(holes), reversed(bitmaps), strict=True):
        rest = iter(left)
        left = [next(rest) if bit else hole for bit in bitmap]
        assert next(rest, None) is None
    return b"".join(x.to_bytes(width, "little") for x in left)


def _with_factors(plane: bytes, columns: int, start: int, rows: Stream, others: Stream) -> bytes:
    assert start < columns <= len(plane)
    r = memoryview(_stream(rows, -(-(start + len(plane)) // columns))).cast("b")
    f = memoryview(_stream(others, columns)).cast("b")
    where = [divmod(start + i, columns) for i in range(len(plane))]
    return bytes((x + (r[i] + f[j]) // 8) % 256 for x, (i, j) in zip(plane, where, strict=True))


def _predicted(params: bytes, payload: bytes, bases: list[bytes], n: int) -> bytes:
    prediction, shape = stranger_predictions.split(params)
    base, width = stranger_predictions.predicted(prediction, bases), shape[1]
    if not prediction[2] & 2:
        return _differences(shape, payload, base, n)
    head, count = payload[: 3 if shape[2] & 2 else 0], n // width
    rows, others, *parts = _streams(payload[len(head) :], 4)
    columns, start = struct.unpack("<II", prediction[-8:])
    assert start < columns <= count
    factors = [_stream(rows, -(-(start + count) // columns)), _stream(others, columns)]
    words = stranger_predictions.scaled(prediction, _elements(base, width) if prediction[0] else [0] * count, factors)
    turned = prediction[2] >> 2
    assert shape[2] & 1 != turned
    under = b"".join(((x << turned) % (1 << 8 * width)).to_bytes(width, "little") for x in words)
    found = _elements(_differences(shape, head, under, n, parts), width)
    if turned:
        found = [x >> 1 | (x & 1) << (8 * width - 1) for x in found]
    return b"".join(x.to_bytes(width, "little") for x in found)


def _differences(params: bytes, payload: bytes, base: bytes, n_bytes: int, parts: list[Stream] | None = None) -> bytes:
    layout, width, flags = params
    assert (layout, flags & ~3) == (0, 0)
    origin, mantissa, payload = (*struct.unpack("<hB", payload[:3]), payload[3:]) if flags & 2 else (0, 0, payload)
    word, e = 8 * width, {8: 6, 16: 3, 32: 2, 64: 1}[8 * width]
    (bits_tier, bits), symbols = parts or _streams(payload, 2)
    assert bits_tier == 0
    stream, at, found = int.from_bytes(bits, "little"), 0, []

    def order(v: int) -> int:
        return v ^ ((1 << word - 1) - 1) if flags and v >> (word - 1) else v

    for t, b in zip(_stream(symbols, n_bytes // width), _elements(base, width), strict=True):
        s, u = t % 2, t // 2
        if flags & 2:
            k, head = _recentred(u, (b & (1 << word - 1) - 1) >> mantissa, origin, word)
        else:
            k = max(0, (u >> e) - 1)
            head = u - (k << e)
            assert k <= word - 2 - e
        r = stream >> at & ((1 << k) - 1)
        at += k
        g = (head << k) + r
        d = (1 << word) - 1 - g if s else g
        found.append(order((order(b) + d) % (1 << word)))
    assert len(bits) == (at + 7) // 8
    assert stream >> at == 0
    return b"".join(x.to_bytes(width, "little") for x in found)


def _recentred(u: int, exponent: int, origin: int, word: int) -> tuple[int, int]:
    """(k, what stands above the k low bits) of a class and its two leading bits."""
    c, lead = u // 4, u % 4
    if c in (0, 31):
        return (min(word - 1, max(0, origin - exponent)) if c == 0 else word - 1), 0
    length = c + origin - exponent
    assert 0 <= length < word
    return max(0, length - 3), lead if length < 3 else 4 + lead

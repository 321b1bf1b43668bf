"""Damage that depends on the meaning of bytes: headers of arrays, JSON, tables, MNIST's files, images."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from functools import cache
from typing import TYPE_CHECKING, Any

from fuzzing.damage import PIECES, damaged, extreme, inserted

if TYPE_CHECKING:
    from random import Random

# ------------------------------------------------------------------------------------------------ numpy's arrays

SHAPES = (
    "(10**30,)", "(1000000000000000000000000000000,)", "(-3,)", "(4611686018427387904, 2)",
    "(2147483648, 2147483648)", "(0,)", "()", "('a',)", "(3.5,)", "(True, 3)", "(1, 3, 8, 8, 1, 1)", "(1,)",
    "(3, 40000, 40000)", "[3, 8, 8]", "None", "(0, -1)", f"({'1, ' * 100})", "(" * 5000, f"({'9' * 5000},)", "(3)",
)  # fmt: skip
ELEMENTS = (
    "'|O'", "'<f16'", "'|V8'", "[('a', '<f4')]", "'<U250000000'", "'nonsense'", "'>f4'", "'<c8'", "'<M8[s]'", "'|b1'",
    "'<f2'", "'|u1'", "'<i8'", "'<u8'", "'|S0'", "3", "None", "'f4,O'", "__import__('os').system('true')",
)  # fmt: skip


def array_header(random: Random, data: bytes) -> bytes:
    """Write wrong values to the header of an `.npy` file."""
    if data[:6] != b"\x93NUMPY" or len(data) < 12:
        return extreme(random, data)
    wide = 4 if data[6] > 1 else 2
    size = int.from_bytes(data[8 : 8 + wide], "little")
    text, body = data[8 + wide : 8 + wide + size].decode("latin-1"), data[8 + wide + size :]
    form = random.choice(["shape", "shape", "type", "order", "keys", "version", "length", "bomb", "text"])
    version, due = data[6], None
    if form == "shape":
        before = text.partition("'shape'")[0]
        text = f"{before}'shape': {random.choice(SHAPES)}, }}\n"
    elif form == "type":
        text = f"{{'descr': {random.choice(ELEMENTS)}, {text.partition(', ')[2]}"
    elif form == "order":
        text = text.replace("False", random.choice(["True", "'maybe'", "None", "7"]))
    elif form == "keys":
        more, other = text.replace("}", "'a': 1}"), text.replace("descr", "other")
        text = random.choice(["{}", "[]", "'x'", "{'shape': (3,)}", other, more, ""])
    elif form == "version":
        version = random.choice([0, 2, 3, 4, 255])
    elif form == "length":
        due = random.choice([0, 1, 65535, len(text) - 5, len(text) + 50])
    elif form == "bomb":
        body += _zeros()
    else:
        text = damaged(random, text.encode()).decode("latin-1")
    raw = text.encode("latin-1", "replace")[:65535]
    return b"\x93NUMPY" + bytes([version, 0]) + (len(raw) if due is None else due).to_bytes(2, "little") + raw + body


@cache
def _zeros() -> bytes:
    return bytes(30_000_000)


# ------------------------------------------------------------------------------------------------ JSON

VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 2**62, 10**30, 0.5, float("nan"), float("inf"), "", "a\0b", "\x1b[31m", "../../x",
    "/etc/passwd", "\ud800", "x" * 5000, [], {}, [0, 2**62], [-1], [[]], {"a": 1}, [None], ["a"],
)  # fmt: skip
TEXTS = (
    b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000, b"NaN", b"", b"null", b"1", b'"a"', b"[]",
    b"{}", b"\xff\xfe{}", b"9" * 100_000, b'{"a": 1, "a": 2}',
)  # fmt: skip


def json_value(random: Random, data: bytes) -> bytes:
    """Return JSON with one value changed, or other text."""
    try:
        found = json.loads(data)
    except ValueError:
        return inserted(random, data)
    if random.random() < 0.15:
        return random.choice(TEXTS)
    places = [*_places(found)]
    if not places:
        return random.choice(TEXTS)
    holder, key = random.choice(places)
    match random.choice(["other", "other", "away", "renamed", "twice"]):
        case "away":
            del holder[key]
        case "renamed" if isinstance(holder, dict):
            holder[str(random.choice(VALUES))] = holder.pop(key)
        case "twice":
            text = json.dumps(found)
            at = text.find("{") + 1
            return (text[:at] + f"{json.dumps(str(key))}: {json.dumps(random.choice(VALUES))}, " + text[at:]).encode()
        case _:
            holder[key] = random.choice(VALUES)
    return json.dumps(found).encode()


def _places(found: Any) -> Any:
    if isinstance(found, dict | list):
        for key in found if isinstance(found, dict) else range(len(found)):
            yield found, key
            yield from _places(found[key])


def safetensors_header(random: Random, data: bytes) -> bytes:
    """Write wrong values to the header of a safetensors file."""
    size = int.from_bytes(data[:8], "little")
    header, body = data[8 : 8 + size], data[8 + size :]
    due = None
    form = random.choice(["value", "value", "length", "shape", "type", "text"])
    if form == "length":
        due = random.choice([0, 1, len(data), 2**31, 2**63, 2**64 - 1, size + 1, size - 1])
    elif form in ("shape", "type"):
        try:
            table = json.loads(header)
            entry = table[random.choice([name for name in table if name != "__metadata__"])]
        except (ValueError, IndexError):
            return extreme(random, data)
        if form == "shape" and random.random() < 0.5:  # a tensor without bytes does not move the others
            shape = random.choice([[0, 2**62], [2**62, 0], [0, -1], [0] * 100, [10**30, 0], [0, 2**63, 2**63]])
            table["more"] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body)] * 2}
        elif form == "shape":
            entry["shape"] = random.choice(
                [[0, 2**62], [2**62, 0], [-1], [2**32, 2**32], [], [1.5], "a", [0] * 100, [10**30, 0]]
            )
            if random.random() < 0.5:
                entry["data_offsets"] = random.choice([[0, 0], [0, 2**62], [5, 1], [-4, 0], [0], "a"])
        else:
            entry["dtype"] = random.choice(["F8_E4M3", "BF16", "BOOL", "U8", "I64", "F4", "C64", "X", "", 3, "F8_E8M0"])
        header = json.dumps(table).encode()
    else:
        header = json_value(random, header) if form == "value" else damaged(random, header)
    return (len(header) if due is None else due).to_bytes(8, "little") + header + body


# ------------------------------------------------------------------------------------------------ tables

CELLS = (
    "", " ", "nan", "inf", "-inf", "1e999", "1e-999", "-1", "0.5", "1_000", "0x10", "9" * 5000, "a", '"', "'", "\0",
    "\x1b[31m", "1,2", "\u0661", "\ufeff", "label", "true", "1;2", '"a\nb"', "2147483648", "9" * 200_000,
)  # fmt: skip


def table_cell(random: Random, data: bytes) -> bytes:
    """Return a table with another cell, row or separator."""
    rows = [row.split(",") for row in data.decode("utf-8", "replace").splitlines()]
    if not rows:
        return inserted(random, data)
    row = random.choice(rows)
    match random.choice(["cell", "cell", "cell", "more", "fewer", "marks", "column", "empty"]):
        case "more":
            row.insert(random.randrange(len(row) + 1), random.choice(CELLS))
        case "fewer":
            row.pop()
        case "marks":
            return data.replace(b",", random.choice([b";", b"\t", b" ", b",,", b"\0"]))
        case "column":
            for one in rows:
                one[:] = one[: random.choice([0, 1])] or [random.choice(CELLS)]
        case "empty":
            rows.insert(random.randrange(len(rows)), [""] * random.choice([0, 1, 5]))
        case _:
            row[random.randrange(len(row))] = random.choice(CELLS)
    mark = random.choice(["\n", "\n", "\r\n", "\r"])
    return mark.join(",".join(row) for row in rows).encode("utf-8", "replace")


# ------------------------------------------------------------------------------------------------ MNIST's files


def idx_header(random: Random, data: bytes) -> bytes:
    """Write wrong values to the header of a file of MNIST's format."""
    changed = bytearray(data)
    for _ in range(random.choice([1, 1, 2])):
        at = random.choice([0, 4, 4, 8, 12])
        if at == 0 and len(changed) > 4:
            changed[random.randrange(4)] = random.choice([0, 1, 3, 4, 8, 9, 11, 12, 13, 14, 255])
        else:
            changed[at : at + 4] = struct.pack(">I", random.choice([0, 1, 2, 1000, 2**31 - 1, 2**31, 2**32 - 1]))
    return bytes(changed)


def gzipped(random: Random, data: bytes) -> bytes:
    """Return a gzipped file with damage inside or outside, or with too much in it."""
    try:
        inner = gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return extreme(random, data)
    match random.choice(["inside", "inside", "twice", "stream", "end", "bomb"]):
        case "inside":
            return gzip.compress(damaged(random, inner, idx_header), mtime=0)
        case "twice":
            return data + data
        case "stream":
            at = random.randrange(10, len(data))
            return data[:at] + random.randbytes(3) + data[at + 3 :]
        case "end":
            return data[:-8] + random.randbytes(8)
    return gzip.compress(inner, mtime=0) + _long_gzip()


@cache
def _long_gzip() -> bytes:
    """Return a gigabyte and a half of zeros, gzipped as many short members."""
    return gzip.compress(bytes(2**24), 1, mtime=0) * 90


# ------------------------------------------------------------------------------------------------ images


def png_chunk(random: Random, data: bytes) -> bytes:
    """Return a PNG with a wrong chunk whose checksum is right."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    if data[:4] != b"\x89PNG" or not chunks:
        return extreme(random, data)
    place = random.randrange(len(chunks))
    kind, body = chunks[place]
    match random.choice(["header", "header", "body", "away", "twice", "bomb", "text"]):
        case "header":
            place, (kind, body) = 0, chunks[0]
            body = extreme(random, body) if random.random() < 0.6 else body[:8] + random.randbytes(5)
            chunks[0] = kind, body
        case "body":
            chunks[place] = kind, damaged(random, body)
        case "away":
            del chunks[place]
        case "twice":
            chunks.insert(random.randrange(len(chunks)), (kind, body))
        case "bomb":
            chunks.insert(1, (b"IDAT", _long_stream()))
        case _:
            chunks.insert(1, (random.choice([b"tEXt", b"zTXt", b"eXIf", b"iCCP", b"PLTE", b"tRNS", b"acTL", b"gAMA"]),
                              random.choice([b"a\0\0" + _long_stream(), *PIECES, random.randbytes(20)])))  # fmt: skip
    written = b"".join(len(b).to_bytes(4, "big") + k + b + zlib.crc32(k + b).to_bytes(4, "big") for k, b in chunks)
    return data[:8] + written


@cache
def _long_stream() -> bytes:
    """Return a gigabyte and a half of zeros, compressed by zlib."""
    packer = zlib.compressobj(1)
    piece = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(1, wbits=-15)
    more = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)
    return piece + more * 90

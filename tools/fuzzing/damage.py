"""Damage to any bytes, or to any text, whatever they mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    Damage = Callable[[Random, bytes], bytes]

EXTREMES = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**64 - 1)
NUMBERS = (b"0", b"-1", b"-3", b"1e999", b"NaN", b"Infinity", b"1" + b"0" * 30, b"4611686018427387904", b"2147483648",
           b"0.5", b"''", b"null", b"9" * 5000)  # fmt: skip
PIECES = (
    b"\0", b"\xff\xfe", b"\xc3\x28", b"\x1b[31m", b"\x1b]0;x\x07", b"\n", b"\r", b'"', b"'", b"\\", b",", b"[", b"{",
    b"}", b"]", b":", b"()", b"\xef\xbb\xbf", b"\xe2\x80\xae", b"A" * 5000,
)  # fmt: skip


def damaged(random: Random, data: bytes, *lies: Damage) -> bytes:
    """Damage bytes one to three times, the first time mostly by one of `lies`, which know what the bytes mean."""
    for turn in range(random.choice([1, 1, 1, 2, 3])):
        own = lies and turn == 0 and random.random() < 0.65
        data = random.choice(lies if own else ANYWHERE)(random, data)
    return data


def cut(random: Random, data: bytes) -> bytes:
    """Cut bytes off, often near the beginning or the end."""
    near = random.choice([64, 16, len(data)])
    return data[: random.choice([min(near, len(data)), max(0, len(data) - random.randrange(near + 1)),
                                 random.randrange(len(data) + 1)])]  # fmt: skip


def flipped(random: Random, data: bytes) -> bytes:
    """Flip one to eight bits, often near the beginning, where headers are."""
    changed = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 8])):
        if changed:
            most = random.choice([len(changed), min(128, len(changed))])
            changed[random.randrange(most)] ^= 1 << random.randrange(8)
    return bytes(changed)


def inserted(random: Random, data: bytes) -> bytes:
    """Insert bytes."""
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice([*PIECES, random.randbytes(9), bytes(4096)]) + data[at:]


def removed(random: Random, data: bytes) -> bytes:
    """Remove bytes from the middle."""
    at = random.randrange(len(data) + 1)
    return data[:at] + data[at + random.choice([1, 1, 4, 100]) :]


def repeated(random: Random, data: bytes) -> bytes:
    """Repeat a piece in another place."""
    a, b = sorted(random.randrange(len(data) + 1) for _ in range(2))
    at = random.randrange(len(data) + 1)
    return data[:at] + data[a:b] + data[at:]


def extreme(random: Random, data: bytes) -> bytes:
    """Write a very large or very small number of two, four or eight bytes, mostly near the beginning."""
    size = random.choice([2, 4, 8])
    at = random.randrange(max(1, random.choice([len(data), min(256, len(data))]) - size + 1))
    number = random.choice(EXTREMES) % (1 << 8 * size)
    return data[:at] + number.to_bytes(size, random.choice(["little", "big"])) + data[at + size :]


def written_number(random: Random, data: bytes) -> bytes:
    """Replace a number written in digits."""
    found = [*re.finditer(rb"-?\d+(?:\.\d+)?", data)]
    if not found:
        return inserted(random, data)
    one = random.choice(found)
    return data[: one.start()] + random.choice(NUMBERS) + data[one.end() :]


def filled(random: Random, data: bytes) -> bytes:
    """Replace all bytes: by none, zeros, noise, a web page, a pointer of Git LFS, or brackets."""
    others = [
        b"",
        bytes(len(data)),
        random.randbytes(len(data) or 1),
        b"<!doctype html><html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        b"[" * 100_000,
        b"PK\x03\x04",
        b"\x80\x02",
        b"\x1f\x8b\x08",
    ]
    return random.choice(others)


ANYWHERE: tuple[Damage, ...] = (cut, cut, flipped, flipped, flipped, inserted, removed, repeated, extreme, extreme,
                                written_number, filled)  # fmt: skip

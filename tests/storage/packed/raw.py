"""Tarballs in which every number can be another one, made without the product's code."""

from __future__ import annotations

import hashlib
import json
import struct
import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.spec.packing import FRAME, NUMBERS, SKIPPABLE, gzip_frame, zstd_frame

_LAYOUT = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12x")


def block(name: bytes, size: bytes, kind: bytes) -> bytes:
    """Return a header with a right checksum, whatever the size says."""

    def packed(checksum: bytes) -> bytes:
        zero = b"0000000\0"
        return _LAYOUT.pack(
            name, b"0000644\0", zero, zero, size, b"0" * 11 + b"\0", checksum, kind, b"", b"ustar\0", b"00", b"", b"",
            zero, zero, b"",
        )  # fmt: skip

    return packed(b"%06o\0 " % sum(packed(b" " * 8)))


def pax(records: dict[str, str] | None = None, *, raw: bytes = b"") -> bytes:
    """Return an extended header with its records."""
    data = raw
    for key, value in (records or {}).items():
        rest = f" {key}={value}\n".encode()
        length = len(rest) + 1
        while len(str(length)) + len(rest) != length:
            length += 1
        data += str(length).encode() + rest
    return block(b"x", b"%011o\0" % len(data), b"x") + data + bytes(-len(data) % 512)


@dataclass
class Raw:
    """A tarball of some files.

    Attributes:
        files: What is in it, in order.
        compression: How.
        extra: A header (or anything) between the files.
        foreign: One more frame after the tar's frames, and how many bytes of the tar its row gives it.
        lines: The table's lines instead of the right ones: values, or bytes as they are.
        rows: The rows of members instead of the right ones.
        tar_bytes: What the table says.
        resized: Other sizes in the table.
        moved: Members whose rows point so many bytes further, as the table says it.
        content: The compressed table instead of the right one.
        text_bytes: What the footer says; so do the next three.
        footer: False leaves it out, and the table.
    """

    files: dict[str, bytes]
    compression: str = "zstd"
    extra: bytes = b""
    foreign: tuple[bytes, int] | None = None
    lines: Sequence[object] | None = None
    rows: list[list[Any]] | None = None
    tar_bytes: int | None = None
    resized: dict[str, int] = field(default_factory=dict)
    moved: dict[str, int] = field(default_factory=dict)
    content: bytes | None = None
    text_bytes: int | None = None
    framed_bytes: int | None = None
    footer_offset: int | None = None
    footer_compression: int | None = None
    footer: bool = True

    def build(self) -> bytes:
        tar, rows = self._tar()
        stored, frames = self._frames(tar)
        if not self.footer:
            return stored
        text = self._text(len(tar), frames, self.rows if self.rows is not None else rows, len(stored))
        content = self.content
        if content is None:
            content = zstd_frame(text) if self.compression == "zstd" else gzip_frame(text)
        framed = SKIPPABLE[self.compression](content)
        footer = struct.pack(
            "<8sIIQQQQ32s",
            b"MLATABLE",
            1,
            NUMBERS[self.compression] if self.footer_compression is None else self.footer_compression,
            len(stored) if self.footer_offset is None else self.footer_offset,
            len(framed) if self.framed_bytes is None else self.framed_bytes,
            len(content),
            len(text) if self.text_bytes is None else self.text_bytes,
            hashlib.sha256(content).digest(),
        )
        return stored + framed + SKIPPABLE[self.compression](footer + struct.pack("<I", zlib.crc32(footer)))

    def _tar(self) -> tuple[bytes, list[list[Any]]]:
        tar = b""
        rows = []
        for number, (key, data) in enumerate(self.files.items()):
            if number == len(self.files) // 2:
                tar += self.extra
            info = tarfile.TarInfo(key)
            info.size = len(data)
            tar += info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
            size = self.resized.get(key, len(data))
            rows.append([key, len(tar) + self.moved.get(key, 0), size - self.moved.get(key, 0)])
            tar += data + bytes(-len(data) % 512)
        return tar + bytes(1024), sorted(rows, key=lambda row: row[0].encode())

    def _frames(self, tar: bytes) -> tuple[bytes, list[list[int]]]:
        if self.compression == "none":
            return tar, []
        frames: list[list[int]] = []
        stored = b""
        pieces = [
            (FRAME[self.compression](tar[at : at + 4096]), len(tar[at : at + 4096])) for at in range(0, len(tar), 4096)
        ]
        if self.foreign is not None:
            pieces.insert(1, self.foreign)
        at = 0
        for frame, size in pieces:
            frames.append([len(stored), len(frame), at, size])
            stored += frame
            at += size
        return stored, frames

    def _text(self, tar_bytes: int, frames: list[list[int]], rows: list[list[Any]], stored: int) -> bytes:
        lines = self.lines
        if lines is None:
            if frames:
                tar_bytes = frames[-1][2] + frames[-1][3]
            lines = [
                {
                    "format": "mlflow-archive-table",
                    "version": 1,
                    "tar_bytes": tar_bytes if self.tar_bytes is None else self.tar_bytes,
                    "frames": len(frames),
                    "members": len(rows),
                },
                *frames,
                *rows,
            ]
        return b"".join((line if isinstance(line, bytes) else _json(line)) + b"\n" for line in lines)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()

"""Tarballs and volumes made by the letter of spec/v1/containers.md, without the product's code.

Nothing is compressed, so that the bytes do not depend on the version of a library: frames are of raw blocks.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
import zlib
from dataclasses import dataclass, field
from typing import Any

NUMBERS = {"none": 0, "zstd": 1, "gzip": 2}
PLAIN = ("mlflow-archive.json", "manifest.json", "README.txt")


def zstd_frame(data: bytes) -> bytes:
    blocks = [data[at : at + (128 << 10)] for at in range(0, len(data), 128 << 10)] or [b""]
    body = b"".join(
        (len(block) << 3 | (number == len(blocks) - 1)).to_bytes(3, "little") + block
        for number, block in enumerate(blocks)
    )
    return struct.pack("<IBI", 0xFD2FB528, 0xA0, len(data)) + body


def gzip_frame(data: bytes) -> bytes:
    blocks = [data[at : at + 65535] for at in range(0, len(data), 65535)] or [b""]
    body = b"".join(
        struct.pack("<BHH", number == len(blocks) - 1, len(block), len(block) ^ 0xFFFF) + block
        for number, block in enumerate(blocks)
    )
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + body + struct.pack("<II", zlib.crc32(data), len(data))


def gzip_skippable(data: bytes) -> bytes:
    pieces = [data[at : at + 60_000] for at in range(0, len(data), 60_000)]
    return b"".join(
        b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff"
        + struct.pack("<H2sH", len(piece) + 4, b"MA", len(piece))
        + piece
        + b"\x03\x00"
        + bytes(8)
        for piece in pieces
    )


FRAME = {"none": lambda data: data, "zstd": zstd_frame, "gzip": gzip_frame}
SKIPPABLE = {
    "none": lambda data: data,
    "zstd": lambda data: struct.pack("<II", 0x184D2A5B, len(data)) + data,
    "gzip": gzip_skippable,
}


@dataclass
class Tarball:
    """Files to be packed, and what a vector spoils."""

    files: dict[str, bytes]
    compression: str = "zstd"
    frame_bytes: int = 4096
    links: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """What the tar calls a member, where that is not what the table calls it."""
    rows: dict[str, list[Any]] = field(default_factory=dict)
    """What stands in the table for a member."""
    footer: bool = True

    def build(self) -> bytes:
        tar, rows = self._tar()
        frames, stored = self._frames(tar)
        head = {
            "format": "mlflow-archive-table",
            "version": 1,
            "tar_bytes": len(tar),
            "frames": len(frames),
            "members": len(rows),
        }
        text = b"".join(
            json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            for line in (head, *frames, *rows)
        )
        content = zstd_frame(text) if self.compression == "zstd" else gzip_frame(text)
        skippable = SKIPPABLE[self.compression]
        framed = skippable(content)
        footer = struct.pack(
            "<8sIIQQQQ32s", b"MLATABLE", 1, NUMBERS[self.compression], len(stored), len(framed), len(content),
            len(text), hashlib.sha256(content).digest(),
        )  # fmt: skip
        footer += struct.pack("<I", zlib.crc32(footer))
        self.table_offset = len(stored)
        return stored + framed + (skippable(footer) if self.footer else b"")

    def _tar(self) -> tuple[bytes, list[list[Any]]]:
        tar = io.BytesIO()
        rows = []
        for key, data in self.files.items():
            info = tarfile.TarInfo(self.names.get(key, key))
            info.size = len(data)
            tar.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict"))
            rows.append(self.rows.get(key, [key, tar.tell(), len(data)]))
            tar.write(data + bytes(-len(data) % 512))
        for name, target in self.links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict"))
        tar.write(bytes(1024))
        return tar.getvalue(), sorted(rows, key=lambda row: row[0].encode())

    def _frames(self, tar: bytes) -> tuple[list[list[int]], bytes]:
        if self.compression == "none":
            return [], tar
        frames, stored = [], b""
        for at in range(0, len(tar), self.frame_bytes):
            piece = tar[at : at + self.frame_bytes]
            frame = FRAME[self.compression](piece)
            frames.append([len(stored), len(frame), at, len(piece)])
            stored += frame
        return frames, stored


def ordered(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return files in the order of writing: the marker first, the manifest last."""
    order = {"mlflow-archive.json": 0, "manifest.json": 2}
    return dict(sorted(files.items(), key=lambda item: (order.get(item[0], 1), item[0])))


def volumes(files: dict[str, bytes], *tarballs: Tarball) -> dict[str, bytes]:
    """Return marker and manifest, the volumes, and their list."""
    packed = {key: data for key, data in files.items() if key in PLAIN}
    listed = []
    for number, tarball in enumerate(tarballs, 1):
        path = f"volumes/volume-{number:05}.tar.zst"
        packed[path] = tarball.build()
        listed.append({"path": path, "size_bytes": len(packed[path]), "table_offset": tarball.table_offset})
    document = {"format": "mlflow-archive-volumes", "version": 1, "volumes": listed}
    packed["volumes.json"] = json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"
    return packed

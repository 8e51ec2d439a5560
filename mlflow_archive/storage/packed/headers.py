"""Headers of tar members, always the same for the same name and size (spec/v1/containers.md, "The tar")."""

from __future__ import annotations

import struct
import tarfile

#: Tar counts in blocks of this size.
BLOCK_BYTES = 512
#: Two empty blocks end a tar.
END = bytes(2 * BLOCK_BYTES)
#: What eleven octal digits can say.
_MAX_OCTAL = 8**11

_LAYOUT = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12x")
_ZERO = b"0000000\0"


def header(key: str, size_bytes: int) -> bytes:
    """Return what stands before a member's bytes: one block, or with an extended header where that cannot say it."""
    name = key.encode("utf-8")
    split = _split(name) if key.isascii() and size_bytes < _MAX_OCTAL else None
    if split is None:
        info = tarfile.TarInfo(key)
        info.size = size_bytes
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
    return _block(*split, size_bytes)


def padding(size_bytes: int) -> bytes:
    """Return the zeros that fill a member's last block."""
    return bytes(-size_bytes % BLOCK_BYTES)


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """Divide a long name at a slash into the header's two fields; None if it does not fit."""
    if len(name) <= 100:
        return b"", name
    at = name.find(b"/", len(name) - 101)
    if at in (-1, len(name) - 1) or at > 155:
        return None
    return name[:at], name[at + 1 :]


def _block(prefix: bytes, name: bytes, size_bytes: int) -> bytes:
    def packed(checksum: bytes) -> bytes:
        return _LAYOUT.pack(
            name, b"0000644\0", _ZERO, _ZERO, b"%011o\0" % size_bytes, b"00000000000\0", checksum, b"0", b"",
            b"ustar\0", b"00", b"", b"", _ZERO, _ZERO, prefix,
        )  # fmt: skip

    return packed(b"%06o\0 " % sum(packed(b" " * 8)))

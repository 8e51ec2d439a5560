"""The end of a tarball: its table, then a footer of fixed size that says where the table is.

Both stand in frames that decompress to nothing (spec/v1/containers.md, "Footer").
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from mlflow_archive.storage.packed.codec import MAX_FRAME_BYTES, Codec, codec_for
from mlflow_archive.storage.packed.toc import MAX_TEXT_BYTES, Table, bad_table, parse

MAGIC = b"MLATABLE"
_FOOTER = struct.Struct("<8sIIQQQQ32s")
#: What it is with the CRC-32 after it.
FOOTER_BYTES = _FOOTER.size + 4
_VERSION = 1
_NUMBERS = {"none": 0, "zstd": 1, "gzip": 2}
_NAMES = {number: name for name, number in _NUMBERS.items()}
#: The largest number of bytes after a footer's content (gzip's end of a member).
_MAX_TRAILER_BYTES = 10


@dataclass(frozen=True, slots=True)
class Footer:
    """Where the table is.

    Attributes:
        compression: Of the tarball: ``zstd``, ``gzip`` or ``none``.
        offset: Where the table's frames begin, which is where the tar's end.
        framed_bytes: Size of the table's frames.
        content_bytes: Size of the compressed table in them.
        text_bytes: Size of the table's text.
        sha256: Of the compressed table.
    """

    compression: str
    offset: int
    framed_bytes: int
    content_bytes: int
    text_bytes: int
    sha256: bytes

    def to_bytes(self) -> bytes:
        """Return the footer's content."""
        data = _FOOTER.pack(
            MAGIC, _VERSION, _NUMBERS[self.compression], self.offset, self.framed_bytes, self.content_bytes,
            self.text_bytes, self.sha256,
        )  # fmt: skip
        return data + zlib.crc32(data).to_bytes(4, "little")


def make_tail(table: Table, codec: Codec) -> bytes:
    """Return what follows the tar: the table and the footer."""
    gathered = bytearray()  # and not a list of lines, each of which would be an object
    for line in table.lines():
        gathered += line
        if len(gathered) > MAX_TEXT_BYTES:
            raise bad_table("would be larger than any table may be; use volumes")
    text_bytes = len(gathered)
    text = bytes(gathered)
    del gathered
    content = codec.compress_table(text)
    framed = codec.skippable(content)
    footer = Footer(
        compression=codec.name,
        offset=table.stored_bytes,
        framed_bytes=len(framed),
        content_bytes=len(content),
        text_bytes=text_bytes,
        sha256=hashlib.sha256(content).digest(),
    )
    return framed + codec.skippable(footer.to_bytes())


def find_footer(end: bytes, size_bytes: int) -> Footer | None:
    """Return the footer in the last bytes of an object, None if there is none that is whole.

    Args:
        end: The last bytes.
        size_bytes: Of the object.
    """
    for trailer in (0, _MAX_TRAILER_BYTES):
        data = end[len(end) - trailer - FOOTER_BYTES : len(end) - trailer]
        if len(data) != FOOTER_BYTES or data[:8] != MAGIC:
            continue
        if zlib.crc32(data[:-4]).to_bytes(4, "little") != data[-4:]:
            continue
        _, version, number, offset, framed, content, text, sha256 = _FOOTER.unpack(data[:-4])
        if version == _VERSION and number in _NAMES and offset + framed <= size_bytes:
            return Footer(_NAMES[number], offset, framed, content, text, sha256)
    return None


def parse_table(framed: bytes, footer: Footer) -> Table | None:
    """Return the table out of its frames; None if its bytes are not those that were written.

    Raises:
        IntegrityError: The bytes are those that were written, and break a rule (E061, E020).
    """
    codec = codec_for(footer.compression)
    try:
        content = codec.unskip(framed)
    except ValueError:
        return None
    if len(content) != footer.content_bytes or hashlib.sha256(content).digest() != footer.sha256:
        return None
    if footer.text_bytes > MAX_TEXT_BYTES:
        raise bad_table("is larger than any table may be")
    table = parse(_exactly(codec.decompress_table(content, footer.text_bytes), footer.text_bytes))
    if table.stored_bytes != footer.offset:
        raise bad_table("has frames that do not end where it begins itself")
    if not table.has_frames and footer.compression != "none" and table.tar_bytes:
        raise bad_table("has no frames")
    return table


def _exactly(pieces: Iterator[bytes], size_bytes: int) -> Iterator[bytes]:
    for piece in pieces:
        size_bytes -= len(piece)
        if size_bytes < 0:
            break
        yield piece
    if size_bytes:
        raise bad_table("has another size than the footer gives it")


#: No table takes more of an object than this.
MAX_FRAMED_BYTES = MAX_TEXT_BYTES + MAX_FRAME_BYTES

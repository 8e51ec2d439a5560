"""How the frames of a tarball are compressed: zstd, gzip, or not at all (spec/v1/containers.md, "Frames").

A frame is compressed for itself, and frames one after another are a file that ordinary tools decompress. What is to
be seen by readers of the table only stands in skippable frames, which decompress to nothing.
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import zstandard

from mlflow_archive.errors import IntegrityError, Problem
from mlflow_archive.storage.packed.buffered import Buffered

#: No frame holds more of the tar than this. 32 MiB.
MAX_FRAME_BYTES = 32 << 20
#: Nor is it itself larger: what does not shrink is stored with less than one byte more in a thousand.
MAX_STORED_BYTES = MAX_FRAME_BYTES + (MAX_FRAME_BYTES >> 9) + 1024

#: More blocks than any writer makes of a frame.
MAX_BLOCKS = 1 << 16

#: A piece of this size tells whether a frame is worth compressing. 64 KiB.
_PROBE_BYTES = 64 << 10
#: At least this share must go.
_WORTH = 0.97

_ZSTD_MAGIC = 0xFD2FB528
#: One of the sixteen magic numbers of skippable frames; others' frames are skipped too.
_SKIPPABLE_MAGIC = 0x184D2A5B
_MAX_BLOCK_BYTES = 128 << 10

_GZIP_EXTRA_HEAD = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff"
#: An empty deflate stream, its CRC-32 and its size.
_GZIP_EMPTY = b"\x03\x00" + bytes(8)
#: Our subfield of a gzip header's extra field.
_GZIP_SUBFIELD = b"MA"
_GZIP_PIECE_BYTES = 65_000
#: So much is given to zlib at once, as it copies what is left over. 32 KiB.
_STEP_BYTES = 32 << 10


class Codec(Protocol):
    """A way to compress frames. Safe to use from several threads."""

    @property
    def name(self) -> str:
        """``zstd``, ``gzip`` or ``none``."""
        ...

    @property
    def trailer_bytes(self) -> int:
        """How many bytes follow the content in a skippable frame."""
        ...

    def frame(self, data: bytes, *, uniform: bool) -> bytes:
        """Return a frame; ``uniform`` data (of one member) is stored when a probe does not shrink."""
        ...

    def unframe(self, frame: bytes, size_bytes: int) -> bytes:
        """Return what a frame holds, which must be so many bytes; never allocates more.

        Raises:
            IntegrityError: It is damaged, or holds another number of bytes (E060).
        """
        ...

    def skippable(self, data: bytes) -> bytes:
        """Return bytes that decompress to nothing and have the data in them."""
        ...

    def unskip(self, framed: bytes) -> bytes:
        """Return the data of skippable frames.

        Raises:
            IntegrityError: They are not what `skippable` makes (E061).
        """
        ...

    def frames(self, chunks: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
        """Yield the stored size and the content of each frame of a whole file; of skippable ones the content is empty.

        Raises:
            IntegrityError: What comes is no frame, or one that is too large or damaged (E060).
            EOFError: The file ends in the middle of a frame.
        """
        ...

    def compress_table(self, text: bytes) -> bytes:
        """Return the table's text compressed."""
        ...

    def decompress_table(self, data: bytes, size_bytes: int) -> Iterator[bytes]:
        """Yield the table's text in pieces, at most so many bytes in all and one piece more."""
        ...


class _Plain:
    """No compression: the file is the tar, and frames are of no meaning."""

    name = "none"
    trailer_bytes = 0

    def frame(self, data: bytes, *, uniform: bool) -> bytes:  # noqa: ARG002
        return data

    def unframe(self, frame: bytes, size_bytes: int) -> bytes:
        if len(frame) != size_bytes:
            raise bad_frame("ends too early")
        return frame

    def skippable(self, data: bytes) -> bytes:
        return data

    def unskip(self, framed: bytes) -> bytes:
        return framed

    def frames(self, chunks: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
        for chunk in chunks:
            yield len(chunk), chunk

    def compress_table(self, text: bytes) -> bytes:
        return _gzip(text, 6)

    def decompress_table(self, data: bytes, size_bytes: int) -> Iterator[bytes]:
        yield from _inflate(data, size_bytes)


class _Gzip(_Plain):
    """A gzip member for each frame; the table in the extra fields of empty members."""

    name = "gzip"
    trailer_bytes = len(_GZIP_EMPTY)

    def __init__(self, level: int) -> None:
        self._level = level

    def frame(self, data: bytes, *, uniform: bool) -> bytes:
        level = 0 if uniform and not _shrinks(data, lambda probe: len(zlib.compress(probe, 1))) else self._level
        return _gzip(data, level)

    def unframe(self, frame: bytes, size_bytes: int) -> bytes:
        stream = zlib.decompressobj(wbits=31)
        try:
            data = stream.decompress(frame, size_bytes + 1)
        except zlib.error as error:
            raise bad_frame("is damaged") from error
        if not stream.eof or stream.unused_data or len(data) != size_bytes:
            raise bad_frame("has not the size that the table gives it")
        return data

    def skippable(self, data: bytes) -> bytes:
        pieces = [data[at : at + _GZIP_PIECE_BYTES] for at in range(0, len(data), _GZIP_PIECE_BYTES)]
        return b"".join(
            _GZIP_EXTRA_HEAD + struct.pack("<H2sH", len(piece) + 4, _GZIP_SUBFIELD, len(piece)) + piece + _GZIP_EMPTY
            for piece in pieces
        )

    def unskip(self, framed: bytes) -> bytes:
        pieces = []
        at = 0
        while at < len(framed):
            head = framed[at : at + 16]
            if len(head) < 16 or head[:10] != _GZIP_EXTRA_HEAD or head[12:14] != _GZIP_SUBFIELD:
                raise _bad_skippable()
            (size,) = struct.unpack_from("<H", head, 14)
            piece = framed[at + 16 : at + 16 + size]
            at += 16 + size + len(_GZIP_EMPTY)
            if len(piece) != size or at > len(framed):
                raise _bad_skippable()
            pieces.append(piece)
        return b"".join(pieces)

    def frames(self, chunks: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
        steps = _steps(chunks)
        rest = b""
        while rest := rest or next(steps, b""):
            stored, data, rest = self._next(rest, steps)
            yield stored, data

    def _next(self, rest: bytes, chunks: Iterator[bytes]) -> tuple[int, bytes, bytes]:
        stream = zlib.decompressobj(wbits=31)
        pieces: list[bytes] = []
        size = stored = 0
        while not stream.eof:
            if not rest:
                rest = next(chunks, b"")
                if not rest:
                    raise EOFError
            try:
                piece = stream.decompress(rest, 1 << 20)
            except zlib.error as error:
                raise bad_frame("is damaged") from error
            left = stream.unused_data if stream.eof else stream.unconsumed_tail
            stored += len(rest) - len(left)
            rest = left
            pieces.append(piece)
            size += len(piece)
            if size > MAX_FRAME_BYTES or stored > MAX_STORED_BYTES:
                raise bad_frame("is larger than any frame may be")
        return stored, b"".join(pieces), rest


class _Zstd:
    """A zstd frame with its content's size for each frame; the table in skippable frames."""

    name = "zstd"
    trailer_bytes = 0

    def __init__(self, level: int) -> None:
        self._level = level
        self._local = threading.local()

    def frame(self, data: bytes, *, uniform: bool) -> bytes:
        compressor: zstandard.ZstdCompressor | None = getattr(self._local, "compressor", None)
        if compressor is None:
            compressor = self._local.compressor = zstandard.ZstdCompressor(level=self._level)
        worth = compressor
        if uniform and not _shrinks(data, lambda probe: len(worth.compress(probe))):
            return _raw_frame(data)
        return compressor.compress(data)

    def unframe(self, frame: bytes, size_bytes: int) -> bytes:
        try:
            stated = zstandard.get_frame_parameters(frame).content_size
            if stated != size_bytes:
                raise bad_frame("has not the size that the table gives it")
            if not size_bytes:
                return b""
            decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_FRAME_BYTES)
            data = decompressor.decompress(frame, max_output_size=size_bytes, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise bad_frame("is damaged") from error
        if len(data) != size_bytes:
            raise bad_frame("has not the size that the table gives it")
        return data

    def skippable(self, data: bytes) -> bytes:
        return struct.pack("<II", _SKIPPABLE_MAGIC, len(data)) + data

    def unskip(self, framed: bytes) -> bytes:
        pieces = []
        at = 0
        while at < len(framed):
            if len(framed) - at < 8:
                raise _bad_skippable()
            magic, size = struct.unpack_from("<II", framed, at)
            piece = framed[at + 8 : at + 8 + size]
            if magic != _SKIPPABLE_MAGIC or len(piece) != size:
                raise _bad_skippable()
            pieces.append(piece)
            at += 8 + size
        return b"".join(pieces)

    def frames(self, chunks: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
        source = Buffered(chunks)
        while source.has_more():
            magic = int.from_bytes(source.take(4), "little")
            if magic & 0xFFFFFFF0 == 0x184D2A50:
                size = int.from_bytes(source.take(4), "little")
                source.skip(size)
                yield 8 + size, b""
            elif magic == _ZSTD_MAGIC:
                frame, content_size = _take_frame(source)
                yield len(frame), self.unframe(frame, content_size)
            else:
                raise bad_frame("does not begin as one")

    def compress_table(self, text: bytes) -> bytes:
        return zstandard.ZstdCompressor(level=3).compress(text)

    def decompress_table(self, data: bytes, size_bytes: int) -> Iterator[bytes]:
        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_FRAME_BYTES)
        try:
            with decompressor.stream_reader(data) as reader:
                left = size_bytes + 1
                while left > 0 and (piece := reader.read(min(1 << 20, left))):
                    left -= len(piece)
                    yield piece
        except zstandard.ZstdError as error:
            raise _bad_skippable() from error


def codec_for(name: str, level: int | None = None) -> Codec:
    """Return the codec of a name; ``level`` None is zstd's 1 and gzip's 6."""
    if name == "zstd":
        return _Zstd(1 if level is None else level)
    if name == "gzip":
        return _Gzip(6 if level is None else level)
    return _Plain()


def bad_frame(message: str) -> IntegrityError:
    """Return the refusal of a frame."""
    return IntegrityError(f"A frame of the tarball {message} (E060).", problems=(Problem("E060", "", message),))


def _bad_skippable() -> IntegrityError:
    message = "is not kept as a table is"
    return IntegrityError(f"The tarball's table {message} (E061).", problems=(Problem("E061", "", message),))


def _gzip(data: bytes, level: int) -> bytes:
    stream = zlib.compressobj(level, wbits=31)
    return stream.compress(data) + stream.flush()


def _shrinks(data: bytes, compressed_size: Callable[[bytes], int]) -> bool:
    if len(data) < 2 * _PROBE_BYTES:
        return True
    middle = len(data) // 2
    probe = data[middle : middle + _PROBE_BYTES]
    return compressed_size(probe) < _WORTH * len(probe)


def _raw_frame(data: bytes) -> bytes:
    """Return a zstd frame of raw blocks: single segment, four bytes of content size, no checksum."""
    view = memoryview(data)
    parts: list[bytes | memoryview] = [struct.pack("<IBI", _ZSTD_MAGIC, 0xA0, len(data))]
    for at in range(0, len(data), _MAX_BLOCK_BYTES):
        block = view[at : at + _MAX_BLOCK_BYTES]
        last = at + len(block) == len(data)
        parts += [(len(block) << 3 | last).to_bytes(3, "little"), block]
    return b"".join(parts)


def _take_frame(source: Buffered) -> tuple[bytes, int]:
    """Take a frame after its magic number by walking over its block headers, without decompressing it."""
    (descriptor,) = head = source.take(1)
    single = bool(descriptor & 0x20)
    size_flag = descriptor >> 6
    size_bytes = (1 if single else 0, 2, 4, 8)[size_flag]
    if not size_bytes:
        raise bad_frame("does not state its size")
    head += source.take((0 if single else 1) + (0, 1, 2, 4)[descriptor & 3])
    stated = source.take(size_bytes)
    content_size = int.from_bytes(stated, "little") + (256 if size_flag == 1 else 0)
    if content_size > MAX_FRAME_BYTES:
        raise bad_frame("is larger than any frame may be")
    parts = [struct.pack("<I", _ZSTD_MAGIC), head, stated]
    stored = 0
    last = 0
    while not last:
        block = source.take(3)
        number = int.from_bytes(block, "little")
        last, kind, size = number & 1, number >> 1 & 3, number >> 3
        if size > _MAX_BLOCK_BYTES:
            raise bad_frame("has a block that is too large")
        parts += [block, source.take(1 if kind == 1 else size)]
        stored += len(parts[-1]) + 3
        if stored > MAX_STORED_BYTES or len(parts) > 2 * MAX_BLOCKS:
            raise bad_frame("is larger than any frame may be")
    if descriptor & 4:
        parts.append(source.take(4))
    return b"".join(parts), content_size


def _inflate(data: bytes, size_bytes: int) -> Iterator[bytes]:
    stream = zlib.decompressobj(wbits=31)
    left = size_bytes + 1
    try:
        for step in _steps(iter((data,))):
            rest = step
            while rest and left > 0 and not stream.eof:
                piece = stream.decompress(rest, min(1 << 20, left))
                rest = stream.unconsumed_tail
                left -= len(piece)
                if piece:
                    yield piece
            if left <= 0 or stream.eof:
                return
    except zlib.error as error:
        raise _bad_skippable() from error


def _steps(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for at in range(0, len(chunk), _STEP_BYTES):
            yield chunk[at : at + _STEP_BYTES]

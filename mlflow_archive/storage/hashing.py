"""Digests of bytes on their way: nothing is read twice to be hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from mlflow_archive.storage.store import ByteWriter


class Digest:
    """Size and sha256 of the bytes that passed so far."""

    def __init__(self) -> None:
        """Start with no bytes."""
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self._hash.update(data)
        self.size_bytes += len(data)

    @property
    def sha256(self) -> str:
        """The digest so far, lower-case hexadecimal."""
        return self._hash.hexdigest()


class HashingWriter:
    """A `ByteWriter` that passes everything on and knows size and digest of it."""

    def __init__(self, target: ByteWriter) -> None:
        """Write on to ``target``, which stays the caller's to close."""
        self._target = target
        self.digest = Digest()

    def write(self, data: bytes) -> None:
        """Pass on, then count: what the target refused is not in the digest."""
        self._target.write(data)
        self.digest.update(data)


def hashed(chunks: Iterable[bytes], digest: Digest) -> Iterator[bytes]:
    """Yield the chunks unchanged and lazily; ``digest`` is final when the iterator is exhausted."""
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def sha256_of(data: bytes) -> str:
    """Return the digest of bytes in memory."""
    return hashlib.sha256(data).hexdigest()

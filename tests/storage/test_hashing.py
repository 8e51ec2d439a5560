from __future__ import annotations

import hashlib

import pytest

from mlflow_archive.storage.hashing import Digest, HashingWriter, hashed, sha256_of


class Target:
    def __init__(self):
        self.data = b""

    def write(self, data):
        if data == b"refused":
            raise ValueError("refused")
        self.data += data


def test_a_writer_passes_on_and_hashes():
    target = Target()
    writer = HashingWriter(target)
    for piece in (b"", b"a", b"bc"):
        writer.write(piece)
    assert target.data == b"abc"
    assert (writer.digest.size_bytes, writer.digest.sha256) == (3, hashlib.sha256(b"abc").hexdigest())


def test_what_is_refused_is_not_counted():
    writer = HashingWriter(Target())
    with pytest.raises(ValueError, match="refused"):
        writer.write(b"refused")
    assert writer.digest.size_bytes == 0


def test_an_iterator_is_hashed_lazily():
    digest = Digest()
    chunks = hashed(iter([b"a", b"b"]), digest)
    assert digest.size_bytes == 0
    assert next(chunks) == b"a"
    assert digest.size_bytes == 1
    assert list(chunks) == [b"b"]
    assert digest.sha256 == sha256_of(b"ab") == hashlib.sha256(b"ab").hexdigest()

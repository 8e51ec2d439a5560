"""Bytes of an archive, believed only when they are what their descriptor says."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing

from mlflow_archive.errors import IntegrityError, NotFoundError, Problem
from mlflow_archive.spec.canonical import MAX_DOCUMENT_BYTES, MAX_LINE_BYTES
from mlflow_archive.spec.descriptor import Descriptor
from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.hashing import Digest
from mlflow_archive.storage.store import Store

#: A file up to this size is kept in memory rather than read twice. 4 MiB.
HELD_BYTES = 4 << 20


def read_chunks(store: Store, descriptor: Descriptor) -> Generator[bytes, None, None]:
    """Yield the bytes of a file, lazily; close the generator to end early.

    Raises:
        IntegrityError: At once when the path is not one (E020), the file is missing (E040) or longer than
            announced (E041); at the end when it is shorter (E041) or has another digest (E042). What was yielded
            before must then not be used.
    """
    path = check_path(descriptor.path)
    digest = Digest()
    try:
        for chunk in store.read(path):
            digest.update(chunk)
            if digest.size_bytes > descriptor.size_bytes:
                raise broken("E041", path, f"is longer than the {descriptor.size_bytes:,} bytes it should have")
            yield chunk
    except NotFoundError as error:
        raise broken("E040", path, "is missing") from error
    _require_same(descriptor, digest)


def read_document(store: Store, descriptor: Descriptor) -> bytes:
    """Return a whole document whose size and digest are right, before anybody parses it.

    Raises:
        IntegrityError: As `read_chunks`, or it claims to be larger than any document may be (E010).
    """
    path = check_path(descriptor.path)
    if descriptor.size_bytes > MAX_DOCUMENT_BYTES:
        raise broken("E010", path, f"is larger than {MAX_DOCUMENT_BYTES:,} bytes")
    try:
        data = store.read_all(path, limit_bytes=descriptor.size_bytes)
    except NotFoundError as error:
        raise broken("E040", path, "is missing") from error
    except IntegrityError as error:
        if [problem.rule for problem in error.problems] != ["E010"]:
            raise
        raise broken("E041", path, f"is longer than the {descriptor.size_bytes:,} bytes it should have") from error
    digest = Digest()
    digest.update(data)
    _require_same(descriptor, digest)
    return data


def read_lines(store: Store, descriptor: Descriptor) -> Generator[bytes, None, None]:
    """Yield the lines of a file, without their newline, lazily.

    Raises:
        IntegrityError: As `read_chunks`, so after all lines when a byte is wrong; or a line is longer than
            `MAX_LINE_BYTES` (E010).
    """
    with closing(read_chunks(store, descriptor)) as chunks:
        yield from split_lines(chunks, descriptor.path)


def read_whole_lines(store: Store, descriptor: Descriptor) -> Generator[bytes, None, None]:
    """Yield the lines of a file that was found to be whole before the first of them is given out.

    For lines that are passed on for good, such as to a server. A file of more than `HELD_BYTES` is read twice.

    Raises:
        IntegrityError: As `read_lines`, and before any line.
    """
    with closing(read_chunks(store, descriptor)) as chunks:
        if descriptor.size_bytes <= HELD_BYTES:
            held = list(chunks)
        else:
            held = None
            deque(chunks, maxlen=0)
    yield from read_lines(store, descriptor) if held is None else split_lines(held, descriptor.path)


def split_lines(chunks: Iterable[bytes], path: str) -> Iterator[bytes]:
    """Yield lines of chunks, without their newline; memory is bounded by a line and a chunk."""
    rest: list[bytes] = []
    size = 0
    for chunk in chunks:
        pieces = chunk.split(b"\n")
        for piece in pieces[:-1]:
            yield b"".join((*rest, piece)) if rest else piece
            rest, size = [], 0
        if pieces[-1]:
            rest.append(pieces[-1])
            size += len(pieces[-1])
        if size > MAX_LINE_BYTES:
            raise broken("E010", path, f"has a line longer than {MAX_LINE_BYTES:,} bytes")
    if rest:
        yield b"".join(rest)


def broken(rule: str, path: str, message: str) -> IntegrityError:
    """Return the refusal of a file for breaking a rule."""
    return IntegrityError(
        f"{path} {message} ({rule}): the archive is damaged, verify tells how much.",
        problems=(Problem(rule, path, message),),
    )


def _require_same(descriptor: Descriptor, digest: Digest) -> None:
    if digest.size_bytes != descriptor.size_bytes:
        message = f"has {digest.size_bytes:,} bytes and not {descriptor.size_bytes:,}"
        raise broken("E041", descriptor.path, message)
    if digest.sha256 != descriptor.sha256:
        raise broken("E042", descriptor.path, "has not the sha256 it should have")

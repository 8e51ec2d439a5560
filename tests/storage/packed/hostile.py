"""Archives that were made to do harm, and a process that opens each of them in a child of its own.

    python -m tests.storage.packed.hostile FOLDER

writes a line of JSON for each: what was found, how much time of the processor and how much memory it took.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import struct
import sys
import tarfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import zstandard

from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.errors import IntegrityError, MlflowArchiveError, NotAnArchiveError
from mlflow_archive.operations.verify import verify_at
from mlflow_archive.storage.containers import open_container
from mlflow_archive.storage.opening import open_store
from tests.spec.packing import PLAIN, SKIPPABLE, Tarball, gzip_frame, ordered, volumes, zstd_frame
from tests.spec.worlds import RUN, small
from tests.storage.packed.raw import Raw, block, pax

NOTES = f"experiments/1/runs/{RUN}/artifacts/notes.txt"
FILES = ordered(small().build())
#: Every child is ended after so many seconds.
MOST_SECONDS = 20
#: What is at the place, by its path; the archive is at the first one's first segment.
Placed = dict[str, bytes]


def zst(data: bytes) -> Placed:
    return {"archive.tar.zst": data}


def gz(data: bytes) -> Placed:
    return {"archive.tar.gz": data}


def tar(data: bytes) -> Placed:
    return {"archive.tar": data}


# Members


def member(name: str, kind: bytes = tarfile.REGTYPE, **changes: Any) -> bytes:
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in changes.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def with_member(header: bytes, **options: Any) -> bytes:
    """Return a tarball with one more header in the middle of it, and no table unless it is asked for."""
    return Raw(FILES, extra=header, **options).build()


def sized(field: bytes, kind: bytes = b"0", name: bytes = b"experiments/x") -> bytes:
    """Return a header whose size is written as it is."""
    return block(name, field.ljust(12, b"\0"), kind)


def binary(size: int) -> bytes:
    """Return a size in the binary form of GNU."""
    return bytes([0xFF if size < 0 else 0x80]) + size.to_bytes(11, "big", signed=size < 0)


MEMBERS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "traversal": ("E020", lambda: member("../../etc/cron.d/x")),
    "traversal in the middle": ("E020", lambda: member("experiments/../../x")),
    "absolute": ("E020", lambda: member("/etc/cron.d/x")),
    "drive": ("E020", lambda: member("C:/x")),
    "backslash": ("E020", lambda: member("..\\..\\x")),
    "traversal in an extended header": ("E020", lambda: pax({"path": "../x"}) + member("x")),
    "link": ("E062", lambda: member("experiments/x", tarfile.SYMTYPE, linkname="/etc")),
    "hard link": ("E062", lambda: member("experiments/x", tarfile.LNKTYPE, linkname="manifest.json")),
    "character device": ("E062", lambda: member("experiments/x", tarfile.CHRTYPE, devmajor=1, devminor=3)),
    "block device": ("E062", lambda: member("experiments/x", tarfile.BLKTYPE, devmajor=8)),
    "pipe": ("E062", lambda: member("experiments/x", tarfile.FIFOTYPE)),
    "folder": ("E062", lambda: member("experiments/x/", tarfile.DIRTYPE)),
    "sparse file": ("E062", lambda: block(b"experiments/x", b"00000000000\0", b"S")),
    "sparse file in an extended header": ("E062", lambda: pax({"GNU.sparse.size": "9"}) + member("x")),
    "long name of GNU": ("E062", lambda: block(b"././@LongLink", b"77777777777\0", b"L")),
    "global extended header": ("E062", lambda: block(b"g", b"77777777777\0", b"g")),
    "negative size": ("E062", lambda: sized(binary(-100))),
    "size that leads back to its header": ("E062", lambda: sized(binary(-512))),
    "octal size that leads back to its header": ("E062", lambda: sized(b"-1000")),
    "extended header that leads back": ("E062", lambda: sized(binary(-1024), b"x")),
    "negative octal size": ("E062", lambda: sized(b"-0000000777")),
    "size beyond 64 bits": ("E062", lambda: sized(binary((1 << 88) - 1))),
    "size of an exabyte": ("E062", lambda: sized(binary(1 << 60))),
    "extended header of negative size": ("E062", lambda: sized(binary(-100), b"x")),
    "extended header of 8 GiB": ("E062", lambda: sized(b"77777777777\0", b"x")),
    "extended header beyond 64 bits": ("E062", lambda: sized(binary((1 << 88) - 1), b"x")),
    "size in an extended header": ("E062", lambda: pax({"size": "9" * 30}) + member("x")),
    "negative size in an extended header": ("E062", lambda: pax({"size": "-512"}) + member("x")),
    "size in other digits": ("E062", lambda: pax({"size": "٣"}) + member("x")),
    "size of an exabyte in an extended header": ("E062", lambda: pax({"size": "9" * 18 + "9"}) + member("x")),
    "records without an end": ("E062", lambda: pax(raw=b"99 path=" + b"a" * 2000) + member("x")),
    "records of length 0": ("E062", lambda: pax(raw=b"0 a=\n" * 100) + member("x")),
    "records without a sign": ("E062", lambda: pax(raw=b"9 " + b"a" * 60_000) + member("x")),
    "a path that is not UTF-8": ("E062", lambda: pax(raw=b"12 path=\xff\xfe\n") + member("x")),
    "damaged checksum": ("E062", lambda: b"x" * 512),
    "an empty block before another header": ("E062", lambda: bytes(512)),
}  # fmt: skip


# Frames

UNSIZED = zstandard.ZstdCompressor(write_content_size=False)


def bomb_blocks(content_size: int, blocks: int, filling: bytes = b"\0") -> bytes:
    """Return a zstd frame of blocks that are each one byte said 128 KiB times."""
    body = b"".join(
        ((128 << 10) << 3 | 1 << 1 | (number == blocks - 1)).to_bytes(3, "little") + filling for number in range(blocks)
    )
    return struct.pack("<IBQ", 0xFD2FB528, 0xE0, content_size) + body


def gzip_bomb(mebibytes: int, filling: bytes = b"\0") -> bytes:
    """Return a gzip member that is one byte all over; its end is never reached."""
    stream = zlib.compressobj(9, wbits=-15)
    stream.compress(filling * (1 << 20))
    piece = stream.flush(zlib.Z_FULL_FLUSH) + stream.compress(filling * (1 << 20)) + stream.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + piece * mebibytes


def wide_window() -> bytes:
    """Return a zstd frame that wants a window of 2 GiB and does not say its size."""
    return struct.pack("<IBB", 0xFD2FB528, 0x00, 21 << 3) + (0 << 3 | 1).to_bytes(3, "little")


def in_a_row(frame: bytes, tar_bytes: int, compression: str = "zstd", **row: int) -> bytes:
    """Return a tarball whose second frame is the given one, with a table that says so."""
    return Raw(FILES, compression=compression, foreign=(frame, tar_bytes), **row).build()


def empty_blocks(count: int) -> bytes:
    return struct.pack("<IBI", 0xFD2FB528, 0xA0, 0) + bytes(3 * count) + (1).to_bytes(3, "little")


# Tables


def tabled(*lines: object, **footer: Any) -> bytes:
    """Return a tarball of the small archive with a table of one's own."""
    return Raw(FILES, lines=lines, **footer).build()


def head(**changes: Any) -> dict[str, Any]:
    return {"format": "mlflow-archive-table", "version": 1, "tar_bytes": 1 << 20, "frames": 0, "members": 1} | changes


def rows(*members: list[Any], tar_bytes: int | None = None) -> bytes:
    """Return a plain tarball with other members in its table."""
    return Raw(FILES, compression="none", rows=list(members), tar_bytes=tar_bytes).build()


def text_bomb(compression: str) -> bytes:
    """Return a table of half a gibibyte in one line."""
    size = 512 << 20
    content = bomb_blocks(size, 4096, b" ") if compression == "zstd" else gzip_bomb(512, b" ")
    return Raw(FILES, compression=compression, content=content, text_bytes=size).build()


TABLES: dict[str, tuple[str, Callable[[], Placed]]] = {
    "a million members that are not there": ("E061", lambda: zst(tabled(head(members=1_000_000), ["a", 512, 1]))),
    "2^61 members": ("E061", lambda: zst(tabled(head(members=1 << 61), ["a", 512, 1]))),
    "2^61 frames": ("E061", lambda: zst(tabled(head(frames=1 << 61), [0, 9, 0, 512]))),
    "2^70 members": ("E061", lambda: zst(tabled(head(members=1 << 70)))),
    "a tar of 4 EiB": ("E061", lambda: zst(tabled(head(tar_bytes=(1 << 62) - 1), ["a", 512, (1 << 62) - 1024]))),
    "sizes that overflow": ("E061", lambda: tar(rows(["a", 1 << 61, (1 << 62) - 1]))),
    "a size of 2^64": ("E061", lambda: tar(rows(["a", 512, 1 << 64]))),
    "a negative size": ("E061", lambda: tar(rows(["a", 512, -1]))),
    "a negative offset": ("E061", lambda: tar(rows(["a", -512, 1]))),
    "a size that is a fraction": ("E061", lambda: tar(rows(["a", 512, 1.5]))),
    "a size that is true": ("E061", lambda: tar(rows(["a", 512, True]))),
    "a size in words": ("E061", lambda: tar(rows(["a", 512, "1"]))),
    "a name that is none": ("E061", lambda: tar(rows([1, 512, 1]))),
    "a row that is too long": ("E061", lambda: tar(rows(["a", 512, 1, 1]))),
    "two members of one name": ("E061", lambda: tar(rows(["a", 512, 1], ["a", 2048, 1]))),
    "a member in another": ("E061", lambda: tar(rows(["a", 512, 2000], ["b", 1024, 1]))),
    "no room for a header": ("E061", lambda: tar(rows(["a", 0, 1]))),
    "no room for a header between": ("E061", lambda: tar(rows(["a", 512, 512], ["b", 1024, 1]))),
    "a member beyond the tar": ("E061", lambda: tar(rows(["a", 512, 1 << 40]))),
    "traversal in the table": ("E020", lambda: tar(rows(["../../x", 512, 1]))),
    "an absolute path in the table": ("E020", lambda: tar(rows(["/etc/passwd", 512, 1]))),
    "an unpaired surrogate in the table": ("E020", lambda: tar(rows(["a\ud800", 512, 1]))),
    "a path of 5,000 characters": ("E020", lambda: tar(rows(["a/" * 2500 + "a", 512, 1]))),
    "a deep row": ("E061", lambda: zst(tabled(head(), b"[" * 5000))),
    "a deep head": ("E061", lambda: zst(tabled(b'{"x":' + b"[" * 5000))),
    "a head with a key twice": ("E061", lambda: zst(tabled(json.dumps(head()).encode()[:-1] + b',"members":0}'))),
    "a version that is true": ("E061", lambda: zst(tabled(head(version=True), ["a", 512, 1]))),
    "a version of tomorrow": ("E061", lambda: zst(tabled(head(version=2)))),
    "text in UTF-16": ("E061", lambda: zst(tabled(json.dumps(head()).encode("utf-16-le"), ["a", 512, 1]))),
    "text that is not UTF-8": ("E061", lambda: zst(tabled(head(), b'["\xff",512,1]'))),
    "a number of a million digits": ("E061", lambda: zst(tabled(b'{"members":' + b"9" * 1_000_000 + b"}"))),
    "no line": ("E061", lambda: zst(tabled())),
    "rows after the last": ("E061", lambda: zst(tabled(head(members=0, tar_bytes=0), ["a", 512, 1]))),
    "no frames": ("E061", lambda: zst(tabled(head(), ["a", 512, 1]))),
    "a frame that begins later": ("E061", lambda: zst(tabled(head(frames=1), [8, 9, 0, 512], ["a", 512, 1]))),
    "a frame of 1 GiB": ("E061", lambda: zst(tabled(head(frames=1), [0, 9, 0, 1 << 30], ["a", 512, 1]))),
    "a frame that takes 4 GiB": (
        "E061", lambda: zst(tabled(head(frames=1, tar_bytes=4096), [0, 4 << 30, 0, 4096], ["a", 512, 1])),
    ),
    "text of half a gibibyte in a zstd frame": ("E061", lambda: zst(text_bomb("zstd"))),
    "text of half a gibibyte in a gzip member": ("E061", lambda: gz(text_bomb("gzip"))),
    "more text than the footer says": ("E061", lambda: zst(Raw(FILES, text_bytes=40).build())),
    "less text than the footer says": ("E061", lambda: zst(Raw(FILES, text_bytes=1 << 20).build())),
    "less text than the footer says, in gzip": (
        "E061", lambda: gz(Raw(FILES, compression="gzip", text_bytes=1 << 20).build()),
    ),
    "2^63 bytes of text": ("E061", lambda: zst(Raw(FILES, text_bytes=1 << 63).build())),
    "a table that is no frame": ("E061", lambda: zst(Raw(FILES, content=b"no frame at all").build())),
    "a table that is no member": ("E061", lambda: gz(Raw(FILES, compression="gzip", content=b"no member").build())),
    "a footer that points beyond the end": ("W060", lambda: zst(Raw(FILES, footer_offset=1 << 62).build())),
    "a footer that points before the table": ("W060", lambda: zst(Raw(FILES, footer_offset=0).build())),
    "a footer with a table of 1 TiB": ("W060", lambda: zst(Raw(FILES, framed_bytes=1 << 40).build())),
    "a footer of another compression": ("W060", lambda: zst(Raw(FILES, footer_compression=2).build())),
    "a member with the size of another": ("E063", lambda: zst(Raw(FILES, resized={NOTES: 1}).build())),
    "a member within the bytes of another": ("E063", lambda: tar(within_another())),
}  # fmt: skip


def within_another() -> bytes:
    """Return a tarball with a tar in a file, and a table that names what is in that."""
    inner = member("manifest.json", size=5) + b"{}\n\n\n".ljust(512, b"\0")
    return Raw(FILES | {NOTES: bytes(512) + inner}, compression="none", moved={NOTES: 1024}).build()


FRAMES: dict[str, tuple[str, Callable[[], Placed]]] = {
    "a frame that says 1 TiB": ("E060", lambda: zst(bomb_blocks(1 << 40, 4096))),
    "a frame that says 2^63": ("E060", lambda: zst(bomb_blocks((1 << 63) + 1, 2))),
    "a frame that inflates to 2 GiB": ("E060", lambda: zst(bomb_blocks(32 << 20, 16 << 10))),
    "a frame that says nothing": ("E060", lambda: zst(UNSIZED.compress(bytes(4096)))),
    "a window of 2 GiB": ("E060", lambda: zst(wide_window())),
    "a frame of a million empty blocks": ("E060", lambda: zst(empty_blocks(1_000_000))),
    "a member that inflates to 2 GiB": ("E060", lambda: gz(gzip_bomb(2048))),
    "a bomb in the table's row": ("E060", lambda: zst(in_a_row(bomb_blocks(1 << 40, 16 << 10), 4096))),
    "a bomb that says what the row says": ("E060", lambda: zst(in_a_row(bomb_blocks(4096, 16 << 10), 4096))),
    "a bomb in the table's row, in gzip": ("E060", lambda: gz(in_a_row(gzip_bomb(512), 4096, "gzip"))),
    "a frame that is shorter than the row says": ("E060", lambda: zst(in_a_row(zstd_frame(bytes(512)), 4096))),
    "a skippable frame in the table's row": ("E060", lambda: zst(in_a_row(SKIPPABLE["zstd"](bytes(512)), 512))),
    "a hundred thousand empty members, and no end": ("truncated", lambda: gz(gzip_frame(b"") * 100_000)),
    "a hundred thousand skippable frames, and no end": ("truncated", lambda: zst(SKIPPABLE["zstd"](b"") * 100_000)),
    "an object of one byte": ("truncated", lambda: zst(b"\x28")),
    "an empty object": ("truncated", lambda: zst(b"")),
}  # fmt: skip


# Volumes


def in_volumes(document: bytes | None = None, **changes: Any) -> Placed:
    """Return two volumes, with another list or an entry of the list changed."""
    inner = {key: data for key, data in FILES.items() if key not in PLAIN}
    keys = sorted(inner)
    made = volumes(
        FILES, Tarball({key: inner[key] for key in keys[::2]}), Tarball({key: inner[key] for key in keys[1::2]})
    )
    if changes:
        listed = json.loads(made["volumes.json"])
        listed["volumes"][0].update(changes)
        made["volumes.json"] = json.dumps(listed).encode() + b"\n"
    if document is not None:
        made["volumes.json"] = document
    return {f"archive/{path}": data for path, data in made.items()}


def listing(**changes: Any) -> bytes:
    return json.dumps({"format": "mlflow-archive-volumes", "version": 1, "volumes": []} | changes).encode()


def far_table() -> Placed:
    """Return volumes whose list says that the table begins with the volume, which has 100 MiB of zeros."""
    inner = {key: data for key, data in FILES.items() if key not in PLAIN}
    made = volumes(FILES, Tarball(inner | {"z": bytes(100 << 20)}, compression="none"))
    listed = json.loads(made["volumes.json"])
    data = made.pop("volumes/volume-00001.tar.zst")
    made["volumes/volume-00001.tar"] = data
    listed["volumes"][0] |= {"path": "volumes/volume-00001.tar", "table_offset": 0}
    made["volumes.json"] = json.dumps(listed).encode() + b"\n"
    return {f"archive/{path}": data for path, data in made.items()}


VOLUMES: dict[str, tuple[str, Callable[[], Placed]]] = {
    "a volume outside of the folder": ("E064", lambda: in_volumes(path="../volumes/volume-00001.tar.zst")),
    "a volume at an absolute path": ("E064", lambda: in_volumes(path="/volumes/volume-00001.tar.zst")),
    "a volume beside the folder": ("E064", lambda: in_volumes(path="volume-00001.tar.zst")),
    "a volume in a folder of its own": ("E064", lambda: in_volumes(path="volumes/x/volume-00001.tar.zst")),
    "a volume in other digits": ("E064", lambda: in_volumes(path="volumes/volume-0000\u0661.tar.zst")),
    "the manifest as a volume": ("E064", lambda: in_volumes(path="manifest.json")),
    "a volume without a name": ("E064", lambda: in_volumes(path=None)),
    "a table behind the end": ("E064", lambda: in_volumes(table_offset=1 << 50)),
    "a table before the beginning": ("E064", lambda: in_volumes(table_offset=-1)),
    "a table that begins later": ("E064", lambda: in_volumes(table_offset=1)),
    "a table that is the whole volume": ("E064", far_table),
    "a volume of 2^70 bytes": ("E064", lambda: in_volumes(size_bytes=1 << 70)),
    "a volume of another size": ("E065", lambda: in_volumes(size_bytes=1 << 50)),
    "a deep list": ("E011", lambda: in_volumes(b'{"volumes":' + b"[" * 100_000)),
    "a list with a key twice": ("E012", lambda: in_volumes(b'{"volumes":[],"volumes":[]}')),
    "a list with a number that is none": ("E013", lambda: in_volumes(b'{"volumes":[NaN]}')),
    "a list that is no object": ("E010", lambda: in_volumes(b"[]")),
    "a list that is no JSON": ("E010", lambda: in_volumes(b"\0" * 512)),
    "a list of 40 MiB": ("E010", lambda: in_volumes(b" " * (40 << 20))),
    "a list of volumes that is none": ("E064", lambda: in_volumes(listing(volumes={}))),
    "a list of words": ("E064", lambda: in_volumes(listing(volumes=["volumes/volume-00001.tar.zst"]))),
    "a list of tomorrow": ("E064", lambda: in_volumes(listing(version=2))),
    "a list whose version is true": ("E064", lambda: in_volumes(listing(version=True))),
}  # fmt: skip


def corpus() -> Iterator[tuple[str, str, Callable[[], Placed]]]:
    """Yield name, expected rule and what makes each."""
    for name, (rule, made) in MEMBERS.items():
        yield f"member: {name}", rule, lambda made=made: zst(with_member(made(), footer=False))
        yield f"member beside the table: {name}", rule, lambda made=made: tar(with_member(made(), compression="none"))
    for group, cases in (("frame", FRAMES), ("table", TABLES), ("volumes", VOLUMES)):
        for name, (rule, made) in cases.items():
            yield f"{group}: {name}", rule, made


# The process


def opened(url: str) -> tuple[str, str]:
    """Read everything as a restore would; return what it ended with and its sentence."""
    try:
        with closing(open_container(url)) as store:
            ArchiveReader.open(store)
            for found in store.list():
                if store.size_bytes(found.key) is not None:
                    for _ in store.read(found.key):
                        pass
    except IntegrityError as error:
        return ",".join(sorted({problem.rule for problem in error.problems})) or "no rule", str(error)
    except NotAnArchiveError as error:
        return error.code, str(error)
    return "", ""


def verified(url: str) -> list[str]:
    try:
        report = verify_at(url, "restorable")
    except MlflowArchiveError as error:
        return [error.code]
    return sorted({finding.rule for finding in (*report.problems, *report.warnings)})


def judged(url: str) -> dict[str, Any]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.process_time()
    ended_with, sentence = opened(url)
    middle = time.process_time()
    rules = verified(url)
    return {
        "read": ended_with,
        "sentence": sentence,
        "verify": rules,
        "read_seconds": middle - begun,
        "verify_seconds": time.process_time() - middle,
        "more_bytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        * (1 if sys.platform == "darwin" else 1024),
    }


def in_a_child(url: str) -> dict[str, Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(MOST_SECONDS)
        try:
            result = judged(url)
        except BaseException as error:  # noqa: BLE001  # it is the finding
            result = {"traceback": repr(error)[:500]}
        with contextlib.suppress(OSError):
            os.write(writing, json.dumps(result).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        data = answer.read()
    os.waitpid(child, 0)
    return json.loads(data) if data else {"traceback": "was ended, because it did not end"}


def main(folder: Path) -> None:
    assert threading.active_count() == 1
    open_store(str(folder)).close()  # what is imported late is imported before it is measured
    for number, (name, rule, make) in enumerate(corpus()):
        place = folder / str(number)
        first = ""
        for path, data in make().items():
            first = first or path.split("/")[0]
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(data)
        result = {"name": name, "rule": rule, **in_a_child(str(place / first))}
        sys.stdout.write(json.dumps(result) + "\n")
        for path in sorted(place.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Vectors in containers other than a tree: what is at the place, by its path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.spec.building import Builder
from tests.spec.packing import PLAIN, Tarball, ordered, volumes
from tests.spec.worlds import RUN, small

NOTES = f"experiments/1/runs/{RUN}/artifacts/notes.txt"
Packed = dict[str, bytes]
Case = tuple[str, str, str, Builder, Callable[[Packed], Packed]]


def packed() -> list[Case]:
    """Return group, name, sentence, archive and what packs it."""
    return [
        ("valid", "tarball-zstd", "A tarball of zstd frames.", small(), _tarball("archive.tar.zst")),
        ("valid", "tarball-gzip", "A tarball of gzip members.", small(), _tarball("archive.tar.gz")),
        ("valid", "tarball-plain", "A tarball without compression.", small(), _tarball("archive.tar")),
        ("valid", "volumes", "Two volumes.", small(), _two_volumes),
        ("invalid", "E060-damaged-frame", "A frame with a wrong block header.", small(), _damaged_frame),
        ("invalid", "E061-overlap", "A table with two members at one place.", small(), _overlap),
        ("invalid", "E061-outside", "A table with a member beyond the tar.", small(), _outside),
        ("invalid", "E061-order", "A table that is not sorted.", small(), _unordered),
        ("invalid", "E062-link", "A tar with a link in it.", small(), _link),
        ("invalid", "E063-name", "A member that the tar names otherwise.", small(), _renamed),
        ("invalid", "E064-twice", "A list that names a volume twice.", small(), _listed_twice),
        ("invalid", "E065-missing", "A volume that is not there.", small(), _missing_volume),
        ("warning", "W060-no-table", "A tarball whose end is lost.", small(), _no_footer),
    ]


_COMPRESSIONS = {"archive.tar": "none", "archive.tar.gz": "gzip", "archive.tar.zst": "zstd"}


def _tarball(name: str) -> Callable[[Packed], Packed]:
    return lambda files: {name: Tarball(ordered(files), _COMPRESSIONS[name]).build()}


def _spoilt(files: Packed, **changes: object) -> Packed:
    return {"archive.tar.zst": replace(Tarball(ordered(files)), **changes).build()}  # type: ignore[arg-type]


def _damaged_frame(files: Packed) -> Packed:
    """Spoil a frame that holds nothing but a file nobody needs to read."""
    files = ordered({**files, NOTES: files[NOTES]})
    notes = files.pop(NOTES)
    manifest = files.pop("manifest.json")
    tarball = Tarball({**files, NOTES: notes, "manifest.json": manifest}, frame_bytes=512)
    data = bytearray(tarball.build())
    at = data.index(notes[:8])
    data[at - 3] ^= 0x06  # the kind of the frame's only block becomes the reserved one
    return {"archive.tar.zst": bytes(data)}


def _overlap(files: Packed) -> Packed:
    return _spoilt(files, rows={NOTES: [NOTES, 512, 10]})


def _outside(files: Packed) -> Packed:
    return _spoilt(files, rows={NOTES: [NOTES, 512 << 20, 10]})


def _unordered(files: Packed) -> Packed:
    tarball = Tarball(ordered(files))
    tarball.rows = {"manifest.json": ["experiments/0", 512, 1]}
    return {"archive.tar.zst": tarball.build()}


def _link(files: Packed) -> Packed:
    return _spoilt(files, links={"experiments/link": "../../etc"})


def _renamed(files: Packed) -> Packed:
    return _spoilt(files, names={NOTES: "experiments/other.txt"})


def _two_volumes(files: Packed) -> Packed:
    inner = {key: data for key, data in files.items() if key not in PLAIN}
    keys = sorted(inner)
    halves = keys[::2], keys[1::2]
    return _below(volumes(files, *(Tarball({key: inner[key] for key in half}) for half in halves)))


def _listed_twice(files: Packed) -> Packed:
    inner = {key: data for key, data in files.items() if key not in PLAIN}
    made = volumes(files, Tarball(inner), Tarball(inner))
    made["volumes.json"] = made["volumes.json"].replace(b"volume-00002", b"volume-00001")
    del made["volumes/volume-00002.tar.zst"]
    return _below(made)


def _missing_volume(files: Packed) -> Packed:
    """Lose the first volume, all of which is in the second one again."""
    inner = {key: data for key, data in files.items() if key not in PLAIN}
    made = volumes(files, Tarball({NOTES: inner[NOTES]}), Tarball(inner))
    del made["volumes/volume-00001.tar.zst"]
    return _below(made)


def _no_footer(files: Packed) -> Packed:
    return _spoilt(files, footer=False)


def _below(files: Packed) -> Packed:
    return {f"archive/{path}": data for path, data in files.items()}

"""Several threads write into one tarball or into volumes: the last write of a key counts, and nobody waits for ever."""

from __future__ import annotations

import random
import threading
import uuid
from contextlib import ExitStack, closing, contextmanager

import pytest

from mlflow_archive.errors import ConflictError, MlflowArchiveError, UnavailableError, UsageError
from mlflow_archive.storage.local_store import LocalStore
from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.packed.codec import codec_for
from mlflow_archive.storage.packed.lanes import Lanes
from mlflow_archive.storage.packed.tarball_reader import TarballReader
from mlflow_archive.storage.packed.tarball_store import TarballStore
from mlflow_archive.storage.packed.volumes_reader import VolumesReader
from mlflow_archive.storage.packed.volumes_store import VolumesStore
from mlflow_archive.storage.partial import is_partial

HOLD = 1000
LARGE = 5 * HOLD
KINDS = ("tarball", "volumes")


def fresh():
    return open_store(f"memory://{uuid.uuid4().hex}/place")


def begin(kind, outer, *, lanes=2, volume_bytes=1 << 20):
    if kind == "tarball":
        return TarballStore(outer, "a.tar", codec_for("none"), url="a.tar", hold_bytes=HOLD)
    return VolumesStore(outer, codec_for("none"), lanes=lanes, volume_bytes=volume_bytes, hold_bytes=HOLD)


def opened(kind, outer):
    return TarballReader.open(outer, "a.tar", url="a.tar") if kind == "tarball" else VolumesReader.open(outer)


def put(store, key, data, *, size=True):
    with store.write(key, size_bytes=len(data) if size else None) as writer:
        for at in range(0, len(data), 700):
            writer.write(data[at : at + 700])


def contents(kind, outer):
    reader = opened(kind, outer)
    return {found.key: reader.read_all(found.key, limit_bytes=1 << 30) for found in reader.list()}


def in_time(*tasks, seconds=30):
    """Run tasks in threads of their own; return what each raised. One that does not end fails the test."""
    raised = [None] * len(tasks)

    def run(number):
        try:
            tasks[number]()
        except MlflowArchiveError as error:
            raised[number] = error

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
    assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"
    return raised


@contextmanager
def occupied(store, key):
    """Keep one lane busy from another thread."""
    entered, leave = threading.Event(), threading.Event()

    def stay():
        with store.write(key, size_bytes=LARGE) as writer:
            writer.write(bytes(LARGE))
            entered.set()
            assert leave.wait(30)

    thread = threading.Thread(target=stay, daemon=True)
    thread.start()
    assert entered.wait(30)
    yield
    leave.set()
    thread.join(30)
    assert not thread.is_alive()


# The last write of a key


@pytest.mark.parametrize("first_lane_is_last", [True, False])
@pytest.mark.parametrize("size", [10, LARGE])
def test_the_last_write_of_a_key_into_two_open_volumes_counts(first_lane_is_last, size):
    outer = fresh()
    store = begin("volumes", outer)
    if first_lane_is_last:
        with occupied(store, "other"):
            put(store, "key", b"1" * size)
        put(store, "more", b"m" * 2 * LARGE)  # the first lane is the furthest again
        put(store, "key", b"2" * size)
    else:
        put(store, "key", b"1" * size)
        with occupied(store, "other"):
            put(store, "key", b"2" * size)
    store.commit("manifest.json", b"{}")
    store.close()
    assert len(opened("volumes", outer)._volumes.volumes) == 2
    assert contents("volumes", outer)["key"] == b"2" * size


@pytest.mark.parametrize("seed", range(6))
def test_the_last_write_of_each_key_counts_whatever_lane_it_takes(seed, monkeypatch):
    dice = random.Random(seed)

    def take(self):
        lane = dice.choice([lane for lane in self._lanes if not lane.taken])
        lane.taken = True
        lane.owner = threading.get_ident()
        return lane

    monkeypatch.setattr(Lanes, "_take", take)
    outer = fresh()
    store = begin("volumes", outer, lanes=4, volume_bytes=3 * LARGE)
    expected = {}
    for number in range(300):
        key = f"key {dice.randrange(20)}"
        if dice.random() < 0.1 and key in expected and store.size_bytes(key) is not None:
            try:
                store.delete(key)
            except UsageError:
                continue
            del expected[key]
        else:
            expected[key] = f"{number} ".encode() * dice.choice([0, 1, 300])
            put(store, key, expected[key], size=dice.random() < 0.5)
    store.commit("manifest.json", b"{}")
    store.close()
    found = contents("volumes", outer)
    assert found.pop("manifest.json") == b"{}"
    assert found == expected


def test_of_writes_at_the_same_time_one_counts():
    outer = fresh()
    store = begin("volumes", outer, lanes=4, volume_bytes=4 * LARGE)

    def write(number):
        for turn in range(40):
            put(store, f"key {turn % 5}", str(number).encode() * (10 if turn % 3 else LARGE))

    assert in_time(*(lambda number=number: write(number) for number in range(6))) == [None] * 6
    store.commit("manifest.json", b"{}")
    store.close()
    found = contents("volumes", outer)
    assert set(found) == {"manifest.json", *(f"key {turn}" for turn in range(5))}
    assert all(len(set(data)) == 1 for key, data in found.items() if key != "manifest.json")


@pytest.mark.parametrize("kind", KINDS)
def test_what_must_be_new_is_refused_wherever_it_is(kind):
    outer = fresh()
    store = begin(kind, outer, volume_bytes=HOLD)
    for number in range(4):
        put(store, f"key {number}", b"x" * 3 * HOLD)
    put(store, "last", b"")
    for key in ("key 0", "key 1", "key 2", "key 3", "last"):
        assert store.size_bytes(key) is not None
        with pytest.raises(ConflictError):
            store.create(key, b"y")
        with pytest.raises(ConflictError), store.write(key, exclusive=True) as writer:
            writer.write(b"y")
    store.close()


def test_what_is_in_a_finished_volume_cannot_be_deleted():
    outer = fresh()
    store = begin("volumes", outer, volume_bytes=HOLD)
    put(store, "key", b"x" * 3 * HOLD)
    while not list(outer.list("volumes")):
        put(store, "more", b"x" * 3 * HOLD)
    with pytest.raises(UsageError, match="finished volume"):
        store.delete("key")
    store.close()


# Nobody waits for ever


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [10, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("told", [True, False], ids=["of known size", "of unknown size"])
def test_a_thread_in_the_middle_of_a_large_object_cannot_begin_another(kind, size, told):
    store = begin(kind, fresh())

    def nested():
        with store.write("outer", size_bytes=LARGE) as writer:
            writer.write(bytes(LARGE))
            put(store, "inner", bytes(size), size=told)

    (error,) = in_time(nested)
    assert isinstance(error, UsageError)
    assert "one after the other" in str(error)
    put(store, "after", bytes(LARGE))
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_many_threads_that_all_do_so_get_an_error_each(kind):
    store = begin(kind, fresh())
    barrier = threading.Barrier(8)

    def interleaved(number):
        barrier.wait(30)
        with ExitStack() as stack:
            for key in "abcd":
                writer = stack.enter_context(store.write(f"{number}/{key}", size_bytes=LARGE))
                writer.write(bytes(LARGE))

    raised = in_time(*(lambda number=number: interleaved(number) for number in range(8)))
    assert all(isinstance(error, UsageError) for error in raised)
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_small_objects_and_those_of_unknown_size_can_be_written_side_by_side(kind):
    outer = fresh()
    store = begin(kind, outer)
    with ExitStack() as stack:
        writers = [stack.enter_context(store.write(f"{number}")) for number in range(5)]
        for chunk in range(3):
            for number, writer in enumerate(writers):
                writer.write(str(number).encode() * (10 if chunk else LARGE))
    store.commit("manifest.json", b"{}")
    store.close()
    found = contents(kind, outer)
    assert {key: len(found[key]) for key in "01234"} == dict.fromkeys("01234", LARGE + 20)


@pytest.mark.parametrize("kind", KINDS)
def test_many_threads_with_large_objects(kind):
    outer = fresh()
    store = begin(kind, outer, lanes=3, volume_bytes=20 * LARGE)
    expected = {f"{number}/{turn}": bytes([number]) * (LARGE + turn) for number in range(12) for turn in range(8)}

    def write(number):
        for turn in range(8):
            put(store, f"{number}/{turn}", expected[f"{number}/{turn}"], size=turn % 2 == 0)

    assert in_time(*(lambda number=number: write(number) for number in range(12))) == [None] * 12
    store.commit("manifest.json", b"{}")
    store.close()
    found = contents(kind, outer)
    assert found.pop("manifest.json") == b"{}"
    assert found == expected
    assert [stored.key for stored in outer.list() if is_partial(stored.key)] == []


def test_a_size_can_be_asked_for_while_a_large_object_is_written():
    store = begin("tarball", fresh())
    put(store, "key", b"abc")
    with occupied(store, "other"):
        sizes = []
        in_time(lambda: sizes.append(store.size_bytes("key")), seconds=5)
        assert sizes == [3]
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_written_after_the_end_and_nobody_waits_for_it(kind):
    outer = fresh()
    store = begin(kind, outer)
    put(store, "key", b"abc")
    store.commit("manifest.json", b"{}")
    errors = in_time(*(lambda number=number: put(store, f"{number}", bytes(3 << 20)) for number in range(8)))
    assert all(isinstance(error, UsageError) for error in errors)
    store.close()
    assert set(contents(kind, outer)) == {"key", "manifest.json"}


@pytest.mark.parametrize("kind", KINDS)
def test_closing_in_the_middle_ends_those_who_write(kind):
    outer = fresh()
    store = begin(kind, outer)
    going = threading.Event()

    def write():
        for number in range(2000):
            put(store, f"{number}", bytes(1 << 20))
            if number > 5:
                going.set()

    def close():
        assert going.wait(30)
        store.close()

    raised = in_time(write, close)
    assert isinstance(raised[0], UsageError)
    assert raised[1] is None
    if kind == "tarball":
        assert list(outer.list()) == []


def test_closing_completes_the_volumes_that_still_can_be():
    class Broken(type(fresh())):
        """Refuses what comes after the first bytes of the first volume."""

        @contextmanager
        def write(self, key, **options):
            with super().write(key, **options) as writer:
                yield writer
                if key.endswith("00001.tar"):
                    raise ConflictError("There is one already.")

    inner = fresh()
    outer = Broken(inner._fs, inner._root, inner.url)
    store = begin("volumes", outer)
    put(store, "first", b"1")
    with occupied(store, "other"):
        put(store, "second", b"2")
    with pytest.raises(ConflictError):
        store.commit("manifest.json", b"{}")
    with pytest.raises(ConflictError):
        put(store, "third", b"3")
    store.close()
    with closing(begin("volumes", inner)) as again:
        assert again.read_all("second", limit_bytes=10) == b"2"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", [RuntimeError("can't start new thread"), MemoryError(), KeyboardInterrupt()])
def test_a_tarball_of_which_a_piece_was_lost_is_never_shown(kind, fault, monkeypatch):
    """All members after it would be read from another place than they are at."""
    outer = fresh()
    store = begin(kind, outer, lanes=1, volume_bytes=1 << 30)

    def failing(*args, **options):
        raise fault

    store.create("first", bytes(2 << 20))
    with monkeypatch.context() as patch:
        patch.setattr(store._pool, "submit", failing)
        with pytest.raises((type(fault), UnavailableError)):
            store.create("lost", bytes(2 << 20))
    with pytest.raises(UnavailableError, match="lost"):
        store.create("later", b"later" * (1 << 20))
    with pytest.raises(UnavailableError, match="lost"):
        store.commit("manifest.json", b"{}")
    store.close()
    assert list(outer.list()) == []


def test_what_waits_for_one_tarball_is_not_swept_by_another_in_its_folder(tmp_path):
    one, other = (
        TarballStore(LocalStore(tmp_path), f"{name}.tar", codec_for("none"), url=name, hold_bytes=HOLD) for name in "ab"
    )
    stream, swept = one._packer.stream, []

    def stream_later(key, size_bytes):
        swept.append(other.sweep())
        return stream(key, size_bytes)

    one._packer.stream = stream_later
    with closing(one), closing(other):
        put(one, "key", bytes(LARGE), size=False)
        one.commit("manifest.json", b"{}")
    assert swept == [0]
    assert TarballReader.open(LocalStore(tmp_path), "a.tar", url="a").read_all("key", limit_bytes=LARGE) == bytes(LARGE)

"""Numbers, times and tables."""

from __future__ import annotations

import json

import pytest

from mlflow_archive.cli import wording
from mlflow_archive.spec.kinds import Kind


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (20 << 20, "20 MiB"),
        (3 << 40, "3.0 TiB"),
        (5000 << 40, "5,000 TiB"),
    ],
)
def test_size(size_bytes: int, text: str) -> None:
    assert wording.size(size_bytes) == text


@pytest.mark.parametrize(
    ("timestamp_ms", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1_769_860_800_999, "2026-01-31T12:00:00Z"), (None, "-"), (10**18, f"{10**18} ms")],
)
def test_time(timestamp_ms: int | None, text: str) -> None:
    assert wording.time(timestamp_ms) == text


@pytest.mark.parametrize(("seconds", "text"), [(4.21, "4.2 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")])
def test_duration(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


def test_counts_agree_with_their_nouns() -> None:
    assert [wording.count(1, "loss", "losses"), wording.count(1234, "run")] == ["1 loss", "1,234 runs"]


def test_every_kind_has_a_plural() -> None:
    assert {wording.kind(kind.value)[-1] for kind in Kind} == {"s"}
    assert "policys" not in " ".join(wording.kind(kind.value) for kind in Kind)


def test_table_aligns() -> None:
    assert wording.table([("a", "1"), ("bcd", "22")], header=("x", "n"), right=(1,)) == (
        "  x     n\n  a     1\n  bcd  22"
    )


def test_shortened_keeps_both_ends() -> None:
    assert wording.shortened("abcdefghij", 7) == "ab...ij"
    assert wording.shortened("abc", 7) == "abc"


def test_text_is_shortened_between_words() -> None:
    assert wording.shortened("neither directly nor over the server", 30) == "neither... the server"
    assert wording.shortened("one two three four", 15) == "one... four"
    assert wording.shortened("a 0123456789abcdefghijklmnopqrstuvwxyz b", 23) == "a 01234567...stuvwxyz b"
    assert wording.shortened("runs/0123456789/plots/a.png", 19) == "runs/012...ts/a.png"


def test_what_steers_a_terminal_is_not_printed() -> None:
    assert wording.printable("a\n  b\u00e9") == "a\n  b\u00e9"
    assert wording.printable("a\x1b[31m\u202e\nb") == "a\ufffd[31m\ufffd\nb"


def test_what_steers_a_terminal_is_escaped_in_json() -> None:
    text = '{"name": "\x9b31m\u202e\U000e0001"}\n'

    assert json.loads(wording.printable(text, escape=True)) == json.loads(text)
    assert wording.printable(text, escape=True).strip().isprintable()

"""Secrets in the tables of a database: withheld, unless they are asked for by their word."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from mlflow_archive.errors import UsageError

#: Word -> (table, column) of the values.
SECRETS: dict[str, tuple[tuple[str, str], ...]] = {
    "gateway-secrets": (("secrets", "encrypted_value"), ("secrets", "wrapped_dek")),
    "webhook-secrets": (("webhooks", "secret"),),
    "job-tokens": (("jobs", "token_hash"),),
    "password-hashes": (("users", "password_hash"),),
}
_WORD_OF = {place: word for word, places in SECRETS.items() for place in places}
_WARNING = "This archive holds secrets, as asked ({words}): keep it as you keep them."
_DEFAULT_KEY = (
    "The gateway's secrets in it are encrypted by the passphrase MLFLOW_CRYPTO_KEK_PASSPHRASE of the server; a server "
    "without one encrypts by a default that everybody knows."
)


@dataclass(frozen=True, slots=True)
class TableWishes:
    """What is asked of a database beyond its tables.

    Attributes:
        secrets: Words of `SECRETS`: these come along.
        auth_uri: The database of MLflow's basic authentication; may be the same one.
    """

    secrets: frozenset[str] = field(default_factory=frozenset)
    auth_uri: str | None = None

    def withheld(self, table: str, column: str) -> str | None:
        """Return the word for a column whose values are left out; None if they come along."""
        word = _WORD_OF.get((table, column))
        return None if word in self.secrets else word

    def stored(self, table: str) -> frozenset[str]:
        """Return the words by which values of a table come along."""
        return frozenset(word for (named, _), word in _WORD_OF.items() if named == table) & self.secrets


#: Nothing.
PLAIN = TableWishes()


def table_wishes(secrets: Collection[str], auth_uri: str | None) -> TableWishes:
    """Return the wishes of a person.

    Raises:
        UsageError: There is no such word.
    """
    for word in secrets:
        if word not in SECRETS:
            raise UsageError(f"{word!r} is no secret of a database; the words are {', '.join(SECRETS)}.")
    return TableWishes(frozenset(secrets), auth_uri)


def secret_notes(words: Collection[str]) -> tuple[str, ...]:
    """Return the sentences for whoever has asked for secrets and got some."""
    if not words:
        return ()
    warning = _WARNING.format(words=", ".join(sorted(words)))
    return (warning, _DEFAULT_KEY) if "gateway-secrets" in words else (warning,)


def withheld_note(words: Collection[str]) -> tuple[str, ...]:
    """Return the sentence for values that there are and that were left out."""
    if not words:
        return ()
    asking = " ".join(f"--with {word}" for word in sorted(words))
    return (f"Secrets in the database are not in the archive ({', '.join(sorted(words))}); {asking} stores them.",)

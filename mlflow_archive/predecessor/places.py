"""Where objects stand in an archive of the predecessor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """One object's document.

    Attributes:
        id: The object's id as the list that names it says: a run, logged model, trace or experiment id, the name of a
            registered model; of a prompt's version and of an evaluation dataset the name of its folder, because
            only the document says who it is.
        folder: Its folder, relative to the root; empty is the root itself.
        document: The name of the document in it, such as ``run.json``.
        experiment_id: The experiment it belongs to, for kinds below experiments.
    """

    id: str
    folder: str
    document: str
    experiment_id: str | None = None

    @property
    def path(self) -> str:
        """The key of the document."""
        return below(self.folder, self.document)


def below(folder: str, name: str) -> str:
    """Return the key of a name in a folder; the root is the empty string."""
    return f"{folder}/{name}" if folder else name

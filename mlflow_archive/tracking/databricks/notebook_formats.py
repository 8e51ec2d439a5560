"""The forms in which a workspace gives a notebook away, and what its files are called then."""

from __future__ import annotations

#: Words of the workspace's export; the file's ending is the word in small letters.
NOTEBOOK_FORMATS = ("SOURCE", "HTML", "JUPYTER", "DBC")
#: Folder below a run's files.
NOTEBOOKS = "notebooks"
#: What says which notebook it was, in which language.
MANIFEST = f"{NOTEBOOKS}/manifest.json"

"""Is an object of an interrupted backup already whole?"""

from __future__ import annotations

from mlflow_archive.errors import IntegrityError, NotFoundError
from mlflow_archive.spec.canonical import MAX_DOCUMENT_BYTES, document_bytes
from mlflow_archive.spec.descriptor import OBJECT_TYPE, Descriptor
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.object import ObjectDocument
from mlflow_archive.storage.hashing import sha256_of
from mlflow_archive.storage.store import Store
from mlflow_archive.stream import Content, ObjectKey


def find_whole(
    store: Store, path: str, folder: str, key: ObjectKey, content: Content
) -> tuple[ObjectDocument, Descriptor] | None:
    """Return the stored document of an object if nothing of it needs to be written again.

    That is so when the record is what the source says now, nothing of the object was lost, and everything the
    document names is there with the right size. Digests are not computed again: a store shows an object only when
    it is complete, and the document is written after all it names, so size and presence suffice. An object without
    files may come of an attempt that was to leave files out, so the source is asked whether it has one; files added
    to others since, without any change of the record, are not noticed. The tables of a database are always written
    again: rows change without any change of the record, and must be of the same moment as the objects.
    """
    if key.kind is Kind.DATABASE:
        return None
    try:
        data = store.read_all(path, limit_bytes=MAX_DOCUMENT_BYTES)
        document = ObjectDocument.from_bytes(data, path)
    except (NotFoundError, IntegrityError):
        return None
    if document.losses or content.losses or (document.kind, document.id) != (key.kind, key.id):
        return None
    if document_bytes(document.record) != document_bytes(content.record.to_json()):
        return None
    if [part.name for part in document.parts] != [part.name for part in content.parts]:
        return None
    if not document.blobs and next(iter(content.blobs()), None) is not None:
        return None
    needed = [part.descriptor for part in document.parts] + [blob.descriptor for blob in document.blobs]
    if needed:
        sizes = {found.key: found.size_bytes for found in store.list(folder)}
        if any(sizes.get(descriptor.path) != descriptor.size_bytes for descriptor in needed):
            return None
    return document, Descriptor(path=path, media_type=OBJECT_TYPE, size_bytes=len(data), sha256=sha256_of(data))

"""The text of the specification is held to the code: examples, fields, kinds, links, and its form."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from mlflow_archive.spec import descriptor
from mlflow_archive.spec.base import Document
from mlflow_archive.spec.kinds import FOLDERS, IN_EXPERIMENT, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import Manifest, Marker
from mlflow_archive.spec.object import IndexEntry, ObjectDocument, Section
from mlflow_archive.spec.records import record_type
from mlflow_archive.spec.rules import RULES
from mlflow_archive.spec.schemas import schemas
from tests.spec.make_vectors import VECTORS

SPEC = VECTORS.parent
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in SPEC.glob("*.md")}
EXAMPLES = [
    (f"{name}:{text[: match.start()].count(chr(10)) + 2}", match[1], match[2])
    for name, text in TEXTS.items()
    for match in re.finditer(r"^```json(?:,schema=(\w+))?\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
]
#: Where the fields of a class are described.
FIELDS: list[tuple[type[Document], str, str]] = [
    (Marker, "archive.md", "### Marker"),
    (Manifest, "archive.md", "### Manifest"),
    (Section, "archive.md", "### Section and index"),
    (IndexEntry, "archive.md", "### Section and index"),
    (Loss, "archive.md", "### Losses"),
    (descriptor.Descriptor, "archive.md", "## Descriptors"),
    (ObjectDocument, "objects.md", "## The object document"),
    *(
        (record_type(kind), "objects.md", f"## {kind.value.replace('_', ' ').capitalize()}")
        for kind in Kind
        if record_type(kind).__name__ != "ServerObjectRecord" and kind is not Kind.PROMPT
    ),
    (record_type(Kind.ISSUE), "objects.md", "## Server object"),
]


def section(text: str, heading: str) -> str:
    """Return the text below a heading, up to the next of its level or above."""
    level = len(heading.split(maxsplit=1)[0])
    [body] = re.findall(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{level}}} |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return body


@pytest.mark.parametrize(("place", "schema", "text"), EXAMPLES, ids=[place for place, _, _ in EXAMPLES])
def test_every_example_is_of_its_schema(place: str, schema: str, text: str) -> None:
    value = json.loads(text)
    assert value, f"{place} shows nothing"
    rules = jsonschema.Draft202012Validator(schemas()[schema]) if schema else jsonschema.Draft202012Validator({})
    assert [f"{place}: {problem.json_path}: {problem.message}" for problem in rules.iter_errors(value)] == []


def test_there_is_an_example_of_everything() -> None:
    generic = {kind.value for kind in Kind if record_type(kind) is record_type(Kind.ISSUE)}
    shown = {schema for _, schema, _ in EXAMPLES if schema}
    assert shown == set(schemas()) - generic | {"issue"}


@pytest.mark.parametrize(("document", "file", "heading"), FIELDS, ids=lambda value: getattr(value, "__name__", None))
def test_every_field_is_described(document: type[Document], file: str, heading: str) -> None:
    body = section(TEXTS[file], heading)
    named = set(re.findall(r"\*\*`(\w+)`\*\*", body))
    classes = [document, *(inner for inner in _inner(document) if inner.__module__ == document.__module__)]
    wanted = {name for class_ in classes for name in class_.model_fields}
    if document in (Marker, Manifest):
        wanted = set(document.model_fields)
    assert wanted <= named, wanted - named


def _inner(document: type[Document]) -> list[type[Document]]:
    found = []
    for field in document.model_fields.values():
        for word in re.findall(r"[\w.]+\.(\w+)", repr(field.annotation)):
            inner = globals().get(word) or vars(__import__(document.__module__, fromlist=["x"])).get(word)
            if isinstance(inner, type) and issubclass(inner, Document) and inner is not document:
                found.append(inner)
    return found


def test_required_fields_are_called_so() -> None:
    for document, file, heading in FIELDS:
        body = section(TEXTS[file], heading)
        if document in (Section, IndexEntry):
            continue
        for name, field in document.model_fields.items():
            lines = [line for line in body.splitlines() if re.match(rf"- .*\*\*`{name}`\*\*", line)]
            assert lines, (document, name)
            stated = any("REQUIRED" in line for line in lines)
            strict = field.is_required() or (document is Manifest and name == "files")
            conditional = any("REQUIRED for" in line for line in lines)
            assert stated == strict or conditional, (document.__name__, name)


def test_the_table_of_kinds() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| [^|]+ \| (yes|no) \|", TEXTS["objects.md"], flags=re.MULTILINE)
    assert rows == [(kind.value, FOLDERS[kind], "yes" if kind in IN_EXPERIMENT else "no") for kind in Kind]


def test_the_table_of_media_types() -> None:
    table = section(TEXTS["archive.md"], "## Descriptors")
    types = {value for name, value in vars(descriptor).items() if name.endswith("_TYPE")}
    assert set(re.findall(r"\| `([\w./+-]+)` \|", table)) == types


def test_every_rule_is_explained_in_the_text() -> None:
    text = TEXTS["archive.md"] + TEXTS["objects.md"] + TEXTS["containers.md"]
    mentioned = set(re.findall(r"\b[EW]\d{3}\b", text))
    ranges = {f"W{number:03}" for number in range(10, 18)} if "W010 to W017" in text else set()
    assert set(RULES) == mentioned | ranges


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", TEXTS[name]):
        file, _, anchor = target.partition("#")
        path = (SPEC / file) if file else SPEC / name
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}, target


def test_the_text_names_no_place_of_its_making() -> None:
    for path in Path(SPEC).parent.rglob("*.md"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"TODO|FIXME", text), path
        # An absolute path of more than one name is one of some machine, unless it is the API's or an artifact root's.
        assert re.findall(r"(?<![\w.*>}/])(?:file:/*)?(?<!artifacts:)/(?!api/)\w[\w.-]*/", text) == [], path

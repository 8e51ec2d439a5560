"""Prompts: a folder for each version, brought together in the order of their numbers."""

from __future__ import annotations

import pytest

from mlflow_archive.errors import IntegrityError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection
from tests.predecessor.by_hand import read, write


def prompt(number, name="greet", **more):
    fields = {"name": name, "version": number, "template": f"no. {number} {{{{x}}}}", "tags": {"n": number}}
    times = {"creation_timestamp": 1000 + int(number), "last_updated_timestamp": 2000 + int(number)}
    return {"prompt": {**fields, **times, "user_id": None, "variables": ["x"], "uri": "prompts:/x", **more}}


def archive(tmp_path, *documents, failed=0):
    named = {f"{one['prompt']['name']}_v{one['prompt']['version']}/prompt.json": one for one in documents}
    summary = {"total_prompts": len(named) + failed, "successful_exports": len(named), "failed_exports": failed}
    return write(tmp_path, {**named, "prompts_summary.json": summary})


def test_versions_come_together_in_the_order_of_their_numbers(tmp_path):
    root = archive(tmp_path, *(prompt(number) for number in (1, 10, 11, 2, 9)), prompt("3", "a_v1"))
    contents, losses, notes = read(root, Kind.PROMPT)
    assert not losses
    assert {name: [one.version for one in content.record.versions] for name, content in contents.items()} == {
        "greet": [1, 2, 9, 10, 11],
        "a_v1": [3],
    }
    record = contents["greet"].record
    assert (record.creation_timestamp, record.tags) == (1001, {"mlflow.prompt.is_prompt": "true"})
    assert record.aliases == {}
    assert any("aliases" in note and "response formats" in note and "description" in note for note in notes)


def test_a_version_has_the_registrys_form(tmp_path):
    chat = [{"role": "user", "content": "{{q}}"}]
    root = archive(tmp_path, prompt(1, commit_message="first"), prompt(2, template=chat))
    text, messages = (one.to_json() for one in read(root, Kind.PROMPT)[0]["greet"].record.versions)
    assert text == {
        "version": 1,
        "creation_timestamp": 1001,
        "last_updated_timestamp": 2001,
        "description": "first",
        "source": "dummy-source",
        "tags": {
            "n": "1",
            "mlflow.prompt.is_prompt": "true",
            "mlflow.prompt.text": "no. 1 {{x}}",
            "_mlflow_prompt_type": "text",
        },
    }
    assert messages["tags"]["_mlflow_prompt_type"] == "chat"
    assert messages["tags"]["mlflow.prompt.text"] == '[{"role": "user", "content": "{{q}}"}]'


def test_versions_that_cannot_be_read_are_lost_alone(tmp_path):
    root = archive(tmp_path, prompt(1), prompt(2, template=None), prompt(3))
    write(root, {"greet_v4/prompt.json": "{", "greet_v5/prompt.json": prompt(5, version="five")})
    content = read(root, Kind.PROMPT)[0]["greet"]
    assert [one.version for one in content.record.versions] == [1, 3]
    assert sorted(loss.path for loss in content.losses) == [f"greet_v{number}/prompt.json" for number in (2, 4, 5)]


def test_where_a_document_was_edited_the_name_of_its_folder_counts(tmp_path):
    root = write(archive(tmp_path, prompt(1)), {"greet_v2/prompt.json": prompt(2, "other")})
    contents, losses, _ = read(root, Kind.PROMPT)
    assert {name: [one.version for one in one.record.versions] for name, one in contents.items()} == {"greet": [1, 2]}
    assert not losses


def test_a_prompt_without_any_version_that_can_be_read_is_lost(tmp_path):
    for folder, broken in (("one", ("{",)), ("two", ("{", "[]"))):
        root = archive(tmp_path / folder, prompt(1, "whole"))
        write(root, {f"greet_v{number}/prompt.json": text for number, text in enumerate(broken, 1)})
        with pytest.raises(IntegrityError):
            read(root, Kind.PROMPT, Selection(prompts=("greet",)))


def test_what_the_exports_own_summary_says_is_missing_is_a_loss(tmp_path):
    _, losses, _ = read(archive(tmp_path, prompt(1), failed=2), Kind.PROMPT)
    assert [(loss.code, loss.reason) for loss in losses] == [
        ("not_exported", "The export could not read 2 versions of prompts, and does not say which.")
    ]


def test_an_export_of_one_version_is_a_prompt_of_one_version(tmp_path):
    contents, losses, _ = read(write(tmp_path, {"prompt.json": prompt(7)}), Kind.PROMPT)
    assert not losses
    assert [one.version for one in contents["greet"].record.versions] == [7]


def test_prompts_and_versions_can_be_chosen(tmp_path):
    root = archive(tmp_path, prompt(1), prompt(2), prompt(1, "other"))
    chosen = Selection(prompts=("gr*",), prompt_versions=frozenset({2}))
    contents, _, _ = read(root, Kind.PROMPT, chosen)
    assert {name: [one.version for one in content.record.versions] for name, content in contents.items()} == {
        "greet": [2]
    }

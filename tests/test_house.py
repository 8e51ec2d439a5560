"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mlflow_archive"
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ("mlflow", "fsspec", "rich", "click", "sqlalchemy", "flask", "pydantic")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_are_short_and_their_functions_too(path):
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) < 400
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0]
            is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            begin = (first.end_lineno or 0) if is_docstring else node.lineno
            assert (node.end_lineno or 0) - begin < 60, f"{node.name} is too long"


def test_no_module_is_a_drawer_for_everything():
    names = {path.stem for path in MODULES}
    assert not names & {"utils", "util", "common", "helpers", "helper", "misc", "tools", "shared"}


def test_nothing_is_left_for_later():
    for path in MODULES:
        source = path.read_text(encoding="utf-8")
        for word in ("TO" + "DO", "FIX" + "ME", "XX" + "X:", "NotImplemented" + "Error"):
            assert word not in source, f"{path.relative_to(ROOT)} has a {word}"


def test_the_package_never_sets_global_state_of_mlflow():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("set_tracking_uri", "set_registry_uri", "set_experiment"), path


def imported_by(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return set(answer.stdout.split())


@pytest.mark.parametrize("module", ["mlflow_archive", "mlflow_archive.api"])
def test_importing_the_library_imports_nothing_heavy(module):
    assert not imported_by(f"import {module}") & set(HEAVY)


@pytest.mark.parametrize("statement", ["ma.ls(url)", "ma.show(url, '1')", "ma.verify(url)", "ma.open(url)"])
def test_looking_into_an_archive_never_imports_mlflow(statement, tmp_path):
    url = str(tmp_path / "archive")
    prepare = (
        "import mlflow_archive as ma; from mlflow_archive.operations.backup import archive; "
        "from mlflow_archive.operations.demo_objects import DemoObjects; "
        f"from mlflow_archive.storage.opening import open_store; url = {url!r}; "
        "archive(DemoObjects(), open_store(url), ma.Selection())"
    )
    found = imported_by(f"{prepare}; {statement}")
    assert "mlflow_archive" in found
    assert not found & {"mlflow", "rich", "click"}

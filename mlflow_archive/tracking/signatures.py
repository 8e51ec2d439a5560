"""Signatures of models: read out of an ``MLmodel`` file, written into one, and inferred from samples.

A signature in a file is a mapping of ``inputs``, ``outputs`` and ``params``, each a text of JSON; here each is the JSON
itself. Writing changes the lines of the signature and no other byte.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

from mlflow_archive.errors import IntegrityError, UnsupportedError, UsageError
from mlflow_archive.spec.canonical import JSONObject

_KEY = "signature"


def read_signature(mlmodel: bytes, where: str) -> JSONObject | None:
    """Return the signature in the text of an ``MLmodel`` file, None if it has none.

    Args:
        mlmodel: The file.
        where: What it belongs to, for sentences.

    Raises:
        IntegrityError: The file is not what it should be.
    """
    signature = _loaded(mlmodel, where).get(_KEY)
    if not signature:
        return None
    if not isinstance(signature, dict):
        raise IntegrityError(f"The signature in the MLmodel file of {where} is not a mapping.")
    try:
        return {str(key): json.loads(value) if isinstance(value, str) else value for key, value in signature.items()}
    except ValueError as error:
        raise IntegrityError(f"The signature in the MLmodel file of {where} is not JSON: {error}.") from None


def with_signature(mlmodel: bytes, signature: JSONObject, where: str) -> bytes:
    """Return the text of an ``MLmodel`` file with this signature in the place of the one it has.

    Raises:
        IntegrityError: The file is not what it should be.
    """
    import yaml  # type: ignore[import-untyped]

    old = _loaded(mlmodel, where)
    texts = {key: None if value is None else json.dumps(value) for key, value in signature.items()}
    block: bytes = yaml.safe_dump({_KEY: texts}, allow_unicode=True, width=1 << 20).encode()
    kept, inside = [], False
    for line in mlmodel.splitlines(keepends=True):
        if line.strip() and not line.startswith((b" ", b"\t", b"-", b"#")):
            inside = line.startswith(f"{_KEY}:".encode())
        if not inside:
            kept.append(line)
    body = b"".join(kept)
    if body and not body.endswith(b"\n"):
        body += b"\n"
    new = body + block
    rest = {key: value for key, value in _loaded(new, where).items() if key != _KEY}
    if rest != {key: value for key, value in old.items() if key != _KEY} or read_signature(new, where) != signature:
        raise IntegrityError(f"The MLmodel file of {where} is written in a way that no signature can be put into.")
    return new


def infer(input_file: str, output_file: str | None) -> JSONObject:
    """Return the signature that MLflow infers from samples.

    Args:
        input_file: A CSV file of inputs.
        output_file: A CSV file of what the model predicts for them; None leaves the outputs open.

    Raises:
        UsageError: A file cannot be read as CSV.
        UnsupportedError: What MLflow needs to infer is not installed.
    """
    try:
        import pandas as pd  # type: ignore[import-untyped]
        from mlflow.models.signature import infer_signature
    except ImportError as error:
        raise UnsupportedError(
            f"MLflow needs {error.name or 'pandas'} to infer a signature: pip install mlflow (or pandas).",
            code="package",
        ) from error

    def table(path: str) -> object:
        try:
            return pd.read_csv(Path(path))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
            raise UsageError(f"{path!r} cannot be read as CSV: {reason}.") from None

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inferred = infer_signature(table(input_file), None if output_file is None else table(output_file))
    return {key: json.loads(value) if value else None for key, value in inferred.to_dict().items()}


def _loaded(mlmodel: bytes, where: str) -> dict[str, object]:
    import yaml

    try:
        found = yaml.safe_load(mlmodel)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise IntegrityError(f"The MLmodel file of {where} is not YAML: {reason}.") from None
    if not isinstance(found, dict):
        raise IntegrityError(f"The MLmodel file of {where} is not a mapping.")
    return found

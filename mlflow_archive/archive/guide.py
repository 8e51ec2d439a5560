"""The README.txt of every archive: how to read it when this tool is gone."""

from __future__ import annotations

from mlflow_archive.spec.version import SPEC_VERSION

GUIDE = f"""\
This is an archive of an MLflow server, written by mlflow-archive (format {SPEC_VERSION}).
It can be read with any text editor, JSON parser and sha256sum; no MLflow is needed.

  mlflow-archive.json   says that this is an archive, and of which version of the format
  manifest.json         written last: what is in here, when and from where it was taken, and what is missing.
                        If there is no manifest.json, the backup was interrupted: do not trust it, go on with
                        "mlflow-archive backup --resume".
  losses.jsonl          what could not be read; only there if something could not

manifest.json lists "sections", one for each kind of object. A section names an index.jsonl: one object a line,
with its id, its name and the path of its document. A line of experiments/index.jsonl lists the sections below that
experiment ("children"): its runs, logged models, traces.

A document, for example experiments/<experiment id>/runs/<run id>/run.json, has:
  record    the object as the MLflow server gave it: params, tags, last metrics, times ...
  parts     long lists beside it, one JSON object a line: metrics.jsonl (the full history), spans.jsonl, records.jsonl
  blobs     files: "name" is the artifact path in MLflow, "descriptor.path" where the file stands in this archive

An archive that was read from a database by SQL has its tables too, each as an Apache Parquet file, in
database/tracking/tables; database/tracking/database.json says which columns they have, and of which revision they are.

Every reference has "path" (from this folder), "size_bytes" and "sha256" of the file as it stands here. So
manifest.json vouches for everything: sha256sum of it is the digest that the backup printed.

Characters that are unsafe in file names are written as %XX in paths (the bytes of the name in UTF-8), and a very
long name is cut and ends in ~ and a part of its digest; the real name always stands in the document.
Times are milliseconds since 1970-01-01 UTC. "NaN", "Infinity" and "-Infinity" are written as strings.
"""

"""A Databricks workspace as a source and as a target.

MLflow's REST API of a workspace is that of an open-source server, with differences. They are met in three places, so
that the readers and writers of all servers serve a workspace too:

- `client.DatabricksClient` speaks with the workspace as `ServerClient`: credentials by databricks-sdk, parent folders
  of experiments, and registered models with names ``catalog.schema.model``, which live in Unity Catalog
  (`unity_catalog`), under the paths of MLflow's own registry.
- `files.WorkspaceFiles` reads and writes files by the signed addresses that the workspace gives out.
- `source.WorkspaceSource` and `sink.WorkspaceSink` stand around `MlflowSource` and `MlflowSink`: permissions, notebook
  revisions, and tags that a workspace does not let anybody set.

`attaching` is the way in for those who connect the ends. Nothing here is used for another server.
"""

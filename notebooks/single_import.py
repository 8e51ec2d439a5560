# Databricks notebook source
# MAGIC %md
# MAGIC # Import one object
# MAGIC
# MAGIC Brings what is in an archive of one experiment, run or registered model to this workspace.
# MAGIC
# MAGIC * **experiment**: the experiment that its runs go into, a path such as `/Users/me@example.com/iris`; it is made, with
# MAGIC   the folders above it, if it is not there
# MAGIC * **model**: what a registered model is called here, e.g. `main.ml.iris`; empty for its own name
# MAGIC * **notebook_folder**: notebooks that were stored in the form SOURCE are imported into this folder; empty for none
# MAGIC * **permissions**: set the permissions that the archive knows of

# COMMAND ----------

# MAGIC %pip install --quiet "mlflow-archive[databricks]"

# COMMAND ----------

dbutils.library.restartPython()

# COMMAND ----------

dbutils.widgets.text("tracking_uri", "databricks", "1. Workspace")
dbutils.widgets.text("archive", "", "2. Archive")
dbutils.widgets.text("experiment", "", "3. Experiment")
dbutils.widgets.text("model", "", "4. Registered model")
dbutils.widgets.text("notebook_folder", "", "5. Folder of notebooks")
dbutils.widgets.dropdown("permissions", "no", ["yes", "no"], "6. Permissions")
dbutils.widgets.dropdown("fail_on_losses", "yes", ["yes", "no"], "7. Fail on losses")

# COMMAND ----------

import json

import mlflow_archive as ma

report = ma.restore(
    dbutils.widgets.get("archive"),
    dbutils.widgets.get("tracking_uri"),
    into_experiment=dbutils.widgets.get("experiment") or None,
    model_name=dbutils.widgets.get("model") or None,
    notebook_folder=dbutils.widgets.get("notebook_folder") or None,
    permissions=dbutils.widgets.get("permissions") == "yes",
)

# COMMAND ----------

for kind, count in report.counts.items():
    print(f"{kind}: {count.stored} stored, {count.skipped} skipped, {count.lost} lost")
for loss in report.losses:
    print(f"{loss.kind} {loss.id} {loss.path or ''}: {loss.reason}")
if report.losses and dbutils.widgets.get("fail_on_losses") == "yes":
    raise RuntimeError(f"{len(report.losses)} things did not come along; they are listed above.")

# COMMAND ----------

dbutils.notebook.exit(json.dumps({"status": report.status, "root_digest": report.root_digest}))

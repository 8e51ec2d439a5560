# Databricks notebook source
# MAGIC %md
# MAGIC # Import an archive
# MAGIC
# MAGIC Brings everything in an archive, or the experiments and models that are named, to this workspace. What is there already
# MAGIC stays as it is, so that an import that was interrupted can be repeated.
# MAGIC
# MAGIC * **experiments**, **models**: names or globs, with commas between; empty for all
# MAGIC * **experiment_prefix**: put before the name of every experiment: a workspace calls experiments by paths, and
# MAGIC   `/Shared/restored/` makes one of `iris`
# MAGIC * **rename_models**: `old=new` with commas between; Unity Catalog calls models `catalog.schema.model`
# MAGIC * **notebook_folder**: notebooks that were stored in the form SOURCE are imported into this folder; empty for none
# MAGIC * **permissions**: set the permissions that the archive knows of
# MAGIC * **fail_on_losses**: let the job fail if something could not be brought

# COMMAND ----------

# MAGIC %pip install --quiet "mlflow-archive[databricks]"

# COMMAND ----------

dbutils.library.restartPython()

# COMMAND ----------

dbutils.widgets.text("tracking_uri", "databricks", "1. Workspace")
dbutils.widgets.text("archive", "", "2. Archive")
dbutils.widgets.text("experiments", "", "3. Experiments")
dbutils.widgets.text("models", "", "4. Registered models")
dbutils.widgets.text("experiment_prefix", "", "5. Prefix of experiments")
dbutils.widgets.text("rename_models", "", "6. Models: old=new")
dbutils.widgets.text("notebook_folder", "", "7. Folder of notebooks")
dbutils.widgets.dropdown("permissions", "no", ["yes", "no"], "8. Permissions")
dbutils.widgets.dropdown("fail_on_losses", "yes", ["yes", "no"], "9. Fail on losses")

# COMMAND ----------

import json

import mlflow_archive as ma


def words(widget):
    return tuple(word.strip() for word in dbutils.widgets.get(widget).split(",") if word.strip())


wishes = {}
if words("experiments"):
    wishes["experiments"] = words("experiments")
if words("models"):
    wishes["models"] = words("models")

report = ma.restore(
    dbutils.widgets.get("archive"),
    dbutils.widgets.get("tracking_uri"),
    experiment_prefix=dbutils.widgets.get("experiment_prefix"),
    rename_models=dict(pair.split("=", 1) for pair in words("rename_models")),
    notebook_folder=dbutils.widgets.get("notebook_folder") or None,
    permissions=dbutils.widgets.get("permissions") == "yes",
    **wishes,
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

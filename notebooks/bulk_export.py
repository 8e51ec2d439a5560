# Databricks notebook source
# MAGIC %md
# MAGIC # Export all experiments and registered models
# MAGIC
# MAGIC Writes one archive of everything that this workspace has, or of the experiments and models that are named.
# MAGIC The folder of the archive must be empty: put a date into its name, e.g. `/Volumes/main/default/backups/2026-01-31`.
# MAGIC
# MAGIC * **experiments**, **models**: names or globs, with commas between; empty for all
# MAGIC * **notebook_formats**: in which forms the notebook revision of each run is stored
# MAGIC * **permissions**: store the direct permissions as well
# MAGIC * **fail_on_losses**: let the job fail if something could not be read; the archive is there all the same

# COMMAND ----------

# MAGIC %pip install --quiet "mlflow-archive[databricks]"

# COMMAND ----------

dbutils.library.restartPython()

# COMMAND ----------

dbutils.widgets.text("tracking_uri", "databricks", "1. Workspace")
dbutils.widgets.text("archive", "", "2. Archive")
dbutils.widgets.text("experiments", "", "3. Experiments")
dbutils.widgets.text("models", "", "4. Registered models")
dbutils.widgets.text("notebook_formats", "SOURCE", "5. Notebook formats")
dbutils.widgets.dropdown("permissions", "no", ["yes", "no"], "6. Permissions")
dbutils.widgets.dropdown("fail_on_losses", "yes", ["yes", "no"], "7. Fail on losses")

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

report = ma.backup(
    dbutils.widgets.get("tracking_uri"),
    dbutils.widgets.get("archive"),
    notebook_formats=words("notebook_formats"),
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

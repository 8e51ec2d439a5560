# Databricks notebook source
# MAGIC %md
# MAGIC # Export one object
# MAGIC
# MAGIC Writes one experiment, run or registered model with everything that belongs to it into an archive.
# MAGIC
# MAGIC * **kind**: what it is
# MAGIC * **name**: the name (or id) of an experiment, the id of a run, the name of a registered model
# MAGIC * **versions**: of a registered model, the numbers of its versions with commas between; empty for all
# MAGIC * **archive**: an empty folder, e.g. `/Volumes/main/default/backups/iris`

# COMMAND ----------

# MAGIC %pip install --quiet "mlflow-archive[databricks]"

# COMMAND ----------

dbutils.library.restartPython()

# COMMAND ----------

dbutils.widgets.text("tracking_uri", "databricks", "1. Workspace")
dbutils.widgets.dropdown("kind", "experiment", ["experiment", "run", "registered model"], "2. Kind")
dbutils.widgets.text("name", "", "3. Name or id")
dbutils.widgets.text("versions", "", "4. Versions")
dbutils.widgets.text("archive", "", "5. Archive")
dbutils.widgets.text("notebook_formats", "SOURCE", "6. Notebook formats")
dbutils.widgets.dropdown("permissions", "no", ["yes", "no"], "7. Permissions")
dbutils.widgets.dropdown("fail_on_losses", "yes", ["yes", "no"], "8. Fail on losses")

# COMMAND ----------

import json

import mlflow_archive as ma


def words(widget):
    return tuple(word.strip() for word in dbutils.widgets.get(widget).split(",") if word.strip())


word = {"experiment": "experiments", "run": "run_ids", "registered model": "models"}[dbutils.widgets.get("kind")]
wishes = {word: (dbutils.widgets.get("name"),)}
if words("versions"):
    wishes["versions"] = tuple(int(number) for number in words("versions"))

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

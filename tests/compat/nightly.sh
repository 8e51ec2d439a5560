#!/bin/sh
# A nightly job as it was written for mlflow-export-import: everything out of one server, and into another.
set -e
MLFLOW_TRACKING_URI="$SOURCE_URI"
export MLFLOW_TRACKING_URI
export-all \
  --output-dir "$BACKUP_DIR" \
  --export-deleted-runs True \
  --use-threads True

MLFLOW_TRACKING_URI="$TARGET_URI"
import-all \
  --input-dir "$BACKUP_DIR" \
  --import-source-tags True \
  --use-src-user-id True \
  --use-threads True \
  --verbose True

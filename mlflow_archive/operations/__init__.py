"""One verb for each module, each between two ends."""

"""The format as values: version, kinds, paths, canonical JSON, documents and records. No input or output."""

"""Records and blobs in a store: the writer is a sink, the reader a source."""

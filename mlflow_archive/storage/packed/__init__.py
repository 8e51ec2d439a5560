"""Archives packed into tar files: one tarball, or volumes of them (spec/v1/containers.md)."""

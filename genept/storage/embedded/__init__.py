"""The embedded object store: a SeaweedFS server of one's own, data in one folder on disk."""

"""Sources on disk: fetched from mirrors or publishers, verified, opened member by member."""

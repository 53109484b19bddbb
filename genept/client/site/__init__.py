"""The catalogue page of a release: one static page that needs neither a server nor JavaScript."""

"""Readers of formats, whoever publishes in them; untrusted files in a child process."""

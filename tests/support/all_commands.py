"""The command line with all its commands; importing this adds them, once a process."""

from genept.cli.app import add_commands, app

add_commands()

__all__ = ["app"]

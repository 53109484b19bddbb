"""Has all commands added to the command line, whichever test module is collected first."""

import all_commands  # noqa: F401

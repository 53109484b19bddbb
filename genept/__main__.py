"""The program `genept`, also as `python -m genept`: the command line, imported when it is run.

A worker process imports the program that began it before it does anything: from here it gets
nothing that shards do not need. What the commands are is in `genept.cli.app`.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line; see `genept.cli.app.main`."""
    from genept.cli import main as run

    run()


if __name__ == "__main__":
    main()

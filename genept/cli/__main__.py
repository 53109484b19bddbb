"""The program `genept`, also as `python -m genept.cli`: the command line, imported when it is run.

Worker processes import this module when they start, so it imports as little as possible. The
commands are in `genept.cli.app`.
"""


def main() -> None:
    """Run the command line; see `genept.cli.app.main`."""
    from genept.cli import main as run

    run()


if __name__ == "__main__":
    main()

"""Command line: python -m repro COMMAND."""

import argparse
import sys

from repro.commands import (
    colorize,
    data,
    exercises,
    fail,
    measure,
    pack,
    page,
    record,
    shards,
    ship,
    study,
    train,
)
from repro.extras import what_to_install

COMMANDS = colorize, data, pack, shards, train, measure, record, ship, exercises, study, page


def main(arguments=None):
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m repro", description="Colorful Image Colorization, rebuilt."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except ModuleNotFoundError as error:
        if not (advice := what_to_install(error)):
            raise
        return fail(advice)
    except KeyboardInterrupt:
        print("stopped; what was finished is kept", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

"""Command line: python -m repro COMMAND."""

import argparse
import sys
from contextlib import suppress

from repro.commands import (
    colorize,
    data,
    discard,
    escape_unknown_letters,
    exercises,
    fail,
    hints,
    importing,
    measure,
    pack,
    page,
    probe,
    ready,
    record,
    run,
    say,
    shards,
    ship,
    study,
    train,
)
from repro.extras import what_to_install

COMMANDS = (
    colorize,
    importing,
    data,
    pack,
    shards,
    train,
    measure,
    hints,
    probe,
    record,
    ready,
    ship,
    exercises,
    study,
    page,
    run,
)


def main(arguments=None):
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m repro", description="Colorful Image Colorization, rebuilt.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    escape_unknown_letters()
    options = parser.parse_args(arguments)
    if empty := [name for name, value in vars(options).items() if _is_empty(value)]:
        return fail(f"an empty {empty[0].replace('_', '-')} is given: is a variable of the shell not set?")
    try:
        code = options.run(options)
        if sys.stdout:
            sys.stdout.flush()
        return code
    except ModuleNotFoundError as error:
        if not (advice := what_to_install(error)):
            raise
        return fail(advice)
    except BrokenPipeError:  # `| head`: nobody reads any more
        discard(sys.stdout)
        discard(sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _stopped()


def _is_empty(value):
    """Whether an argument, or one of several, is the empty string."""
    return value == "" or isinstance(value, list) and "" in value


def _stopped():
    with suppress(BrokenPipeError):
        say("stopped; what was finished is kept", sys.stderr)
    return 130


if __name__ == "__main__":
    sys.exit(main())
